//go:build locks

package main

import (
	"fmt"
	"reflect"
	"sync"
	"time"
	"unsafe"
)

var (
	mutex     sync.Mutex
	readWrite sync.RWMutex
	group     sync.WaitGroup
	once      sync.Once
	condition = sync.NewCond(new(sync.Mutex))
)

// start has goroutines that wait for something of package sync which never comes.
func start() []int {
	mutex.Lock()
	readWrite.Lock()
	group.Add(1)
	go once.Do(func() { time.Sleep(time.Hour) })
	time.Sleep(100 * time.Millisecond)
	waits := []func(){
		func() { mutex.Lock() },
		func() { readWrite.RLock() },
		func() { readWrite.Lock() },
		func() { group.Wait() },
		func() { once.Do(func() {}) },
		func() { condition.L.Lock(); condition.Wait() },
	}
	for _, wait := range waits {
		go func(wait func()) {
			reached <- "locks"
			wait()
		}(wait)
	}
	// A Once waits for its own mutex.
	field, _ := reflect.TypeOf(&once).Elem().FieldByName("m")
	inOnce := unsafe.Add(unsafe.Pointer(&once), field.Offset)
	for _, of := range []any{inOnce, &mutex, &readWrite, &group, &once, condition} {
		expect("locks", "lock", fmt.Sprintf("%p", of))
	}
	return make([]int, len(waits))
}
