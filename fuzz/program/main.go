// A small program in a few states, whose executable and memory the fuzz targets damage.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"sync"
	"time"
)

type shape[T any] struct{ values chan T }

func (s *shape[T]) take(depth int) T {
	if depth > 0 {
		return s.take(depth - 1)
	}
	return <-s.values
}

func main() {
	var lock sync.Mutex
	lock.Lock()
	go func() { lock.Lock() }()
	go time.Sleep(time.Hour)
	labels := pprof.Labels("shop", "orders", "customer", "ada")
	go pprof.Do(context.Background(), labels, func(context.Context) {
		(&shape[string]{}).take(5)
	})
	go func() {
		for {
		}
	}()
	time.Sleep(100 * time.Millisecond)
	fmt.Println("ready", os.Getpid())
	select {}
}
