// Parked parks goroutines in the ways that differ in how their stacks begin and
// look, and is small: its executables and its memory are kept as recorded images.
//
//	STILL_STACK=/tmp/stack parked
//
// It says "ready <pid>" when all of them stand, and writes runtime.Stack(all) to
// $STILL_STACK, by rename, at SIGUSR1. The program for everything is `still`.
package main

import (
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// never is a channel that nobody ever sends on.
var never = make(chan int)

type point struct{ x, y int32 }

type shelf[T any] struct{ values chan T }

// take has a receiver whose type has a parameter, and calls itself.
//
//go:noinline
func (s *shelf[T]) take(depth int) T {
	if depth > 0 {
		return s.take(depth - 1)
	}
	return <-s.values
}

type taker interface {
	taken(p point, name string, rest ...float64) int
}

//go:noinline
func (p point) taken(q point, name string, rest ...float64) int {
	return inner(p, q) + len(name) + len(rest)
}

// inner and innermost are inlined.
func inner(p, q point) int { return innermost(p.x+q.x) + 1 }

func innermost(x int32) int { return <-never + int(x) }

// descend is deep enough for a traceback to leave frames out.
//
//go:noinline
func descend(depth int, array [3]byte) int {
	if depth == 0 {
		return <-never
	}
	return descend(depth-1, array) + int(array[1])
}

// failing waits in a deferred function, below a panic that a fault began.
//
//go:noinline
func failing(p *point) int32 {
	defer func() { <-never }()
	return p.y
}

func blockedRead() {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		panic(err)
	}
	_, err := syscall.Read(ends[0], make([]byte, 1))
	panic(err)
}

func park() {
	var lock, condLock sync.Mutex
	var readers sync.RWMutex
	var group sync.WaitGroup
	lock.Lock()
	readers.Lock()
	group.Add(1)
	go func() { <-never }()
	go func() { never2 := make(chan point); never2 <- point{1, 2} }()
	go func() { var none chan int; <-none }()
	go func() {
		select {
		case <-never:
		case <-time.After(time.Hour):
		}
	}()
	go func() { select {} }()
	go lock.Lock()
	go readers.RLock()
	go func() { readers.Lock() }()
	go group.Wait()
	go func() {
		condLock.Lock()
		sync.NewCond(&condLock).Wait()
	}()
	go time.Sleep(time.Hour)
	go (&shelf[string]{}).take(5)
	go (&shelf[point]{}).take(0)
	var t taker = point{3, 4}
	go t.taken(point{5, 6}, "seven", 8, 9)
	method := t.taken
	go func() { method(point{}, "") }()
	go descend(130, [3]byte{1, 2, 3})
	go failing(nil)
	go blockedRead()
	go func() {
		runtime.LockOSThread()
		<-never
	}()
	parkMore()
}

func stacks() []byte {
	for size := 1 << 16; ; size *= 2 {
		buffer := make([]byte, size)
		if n := runtime.Stack(buffer, true); n < size {
			return buffer[:n]
		}
	}
}

func main() {
	requests := make(chan os.Signal, 1)
	signal.Notify(requests, syscall.SIGUSR1)
	park()
	// Two looks in a row that are the same.
	for last := ""; ; time.Sleep(200 * time.Millisecond) {
		now := string(stacks())
		if now == last {
			break
		}
		last = now
	}
	os.Stdout.WriteString("ready " + strconv.Itoa(os.Getpid()) + "\n")
	for range requests {
		path := os.Getenv("STILL_STACK")
		if err := os.WriteFile(path+".unfinished", stacks(), 0o644); err != nil {
			panic(err)
		}
		if err := os.Rename(path+".unfinished", path); err != nil {
			panic(err)
		}
	}
}
