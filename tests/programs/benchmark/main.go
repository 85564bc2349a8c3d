// Benchmark is what tools/benchmark.sh captures: many goroutines, of which some take turns, a clock that says for how long it
// could not be read, and net/http/pprof.
//
//	benchmark 100000 10
//
// parks 90 % of 100,000 goroutines in channel receives, at call depths from 1 to 16. The rest stand in a ring and pass a few
// tokens on. It prints "ready <pid> <port>" when all stand. For each line on standard input it says for how many nanoseconds
// at most the clock could not be read since the last one, and how often it was read.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
)

// tokens are on their way in the ring: so many goroutines of it run or are about to, twice what two processors take.
const tokens = 4

func main() {
	if len(os.Args) != 3 {
		fail("usage: benchmark GOROUTINES PERCENT_THAT_TAKE_TURNS")
	}
	number, turning := argument(1), argument(2)
	if turning > 100 {
		fail("more than 100 % of them cannot take turns")
	}
	turning = number * turning / 100
	for i := 0; i < number-turning; i++ {
		go descend(1+i%16, request{id: i, tenant: tenants[i%len(tenants)]}, make(chan struct{}))
	}
	if turning > 0 {
		ring(turning)
	}
	for arrived.Load() < int64(number) {
		time.Sleep(5 * time.Millisecond)
	}
	// The last ones are on their way to their channel; the collector is done with what the start has left.
	runtime.GC()
	time.Sleep(200 * time.Millisecond)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err.Error())
	}
	go func() { fail(http.Serve(listener, nil).Error()) }()
	go watchClock()
	fmt.Println("ready", os.Getpid(), listener.Addr().(*net.TCPAddr).Port)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println("stall", longest.Swap(0), readings.Swap(0))
	}
}

func argument(i int) int {
	number, err := strconv.Atoi(os.Args[i])
	if err != nil || number < 0 {
		fail(fmt.Sprintf("%q is not a number", os.Args[i]))
	}
	return number
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, "benchmark:", message)
	os.Exit(2)
}

// arrived counts the goroutines that are about to receive.
var arrived atomic.Int64

var tenants = []string{"blue", "green", "red"}

type request struct {
	id     int
	tenant string
}

//go:noinline
func descend(depth int, r request, c chan struct{}) int {
	if depth == 0 {
		serve(r, c)
		return r.id
	}
	return descend(depth-1, r, c) + 1
}

// serve is what a probe is about: one on each stack of those that are parked.
//
//go:noinline
func serve(r request, c chan struct{}) int {
	arrived.Add(1)
	<-c
	return r.id + len(r.tenant)
}

// ring has each goroutine wait for its turn, work for some microseconds and pass the token on.
func ring(number int) {
	first := make(chan int, tokens)
	from := first
	for i := 0; i < number; i++ {
		to := first
		if i < number-1 {
			to = make(chan int, tokens)
		}
		go turn(from, to)
		from = to
	}
	for i := 0; i < tokens; i++ {
		first <- i
	}
}

func turn(from, to chan int) {
	arrived.Add(1)
	for token := range from {
		to <- work(token)
	}
}

//go:noinline
func work(n int) int {
	for i := 0; i < 1000; i++ {
		n = n*31 + i
	}
	return n
}

// longest is the longest time between two readings of the clock, in nanoseconds.
var longest, readings atomic.Int64

func watchClock() {
	for last := time.Now(); ; {
		now := time.Now()
		if gap := int64(now.Sub(last)); gap > longest.Load() {
			longest.Store(gap)
		}
		readings.Add(1)
		last = now
	}
}
