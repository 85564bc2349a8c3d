// Many parks a given number of goroutines in channel receives, at eight
// different call paths.
//
//	many 100000
//
// prints "ready <pid>" when all of them have been started and the last ones
// stand at their channel. With "stall" behind the number one more goroutine reads
// the clock all the time, and for each line on standard input it says for how many
// nanoseconds at most it could not since the last one. SIGTERM and SIGQUIT stay at Go's default.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// paths are the ways to the channel. A goroutine takes the one that its number
// says, so that each has an eighth of them.
var paths = [8]func(job, chan struct{}){
	direct,
	func(j job, c chan struct{}) { j.run(c) },
	func(j job, c chan struct{}) { descend(4, j, c) },
	func(j job, c chan struct{}) { descend(12, j, c) },
	func(j job, c chan struct{}) { descend(40, j, c) },
	func(j job, c chan struct{}) { process([]job{j}, c) },
	func(j job, c chan struct{}) { runner(&j).perform(c) },
	func(j job, c chan struct{}) { defer finish(&j); inlinedOuter(j, c) },
}

// arrived counts the goroutines that are about to receive.
var arrived atomic.Int64

func main() {
	stall := len(os.Args) == 3 && os.Args[2] == "stall"
	if len(os.Args) != 2 && !stall {
		fail("usage: many NUMBER [stall]")
	}
	number, err := strconv.Atoi(os.Args[1])
	if err != nil || number < 0 {
		fail(fmt.Sprintf("%q is not a number of goroutines", os.Args[1]))
	}
	for i := 0; i < number; i++ {
		go paths[i%len(paths)](job{id: i, tenant: tenants[i%len(tenants)]}, make(chan struct{}))
	}
	for arrived.Load() < int64(number) || !parked(number) {
		time.Sleep(5 * time.Millisecond)
	}
	fmt.Printf("ready %d\n", os.Getpid())
	if stall {
		go watchClock()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			fmt.Println("stall", longest.Swap(0))
		}
		return
	}
	// Asleep and not in a bare select: with every goroutine in a channel operation
	// the runtime would report a deadlock.
	for {
		time.Sleep(time.Hour)
	}
}

// longest is the longest time between two readings of the clock, in nanoseconds.
var longest atomic.Int64

func watchClock() {
	for last := time.Now(); ; {
		now := time.Now()
		if gap := int64(now.Sub(last)); gap > longest.Load() {
			longest.Store(gap)
		}
		last = now
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, "many:", message)
	os.Exit(2)
}

// parked says whether that many goroutines are parked: the innermost frame is
// runtime.gopark. The grouped profile has a line a distinct stack, "12500 @ 0x47d00e
// 0x412f45 ...", and stops the world for a short time only.
func parked(number int) bool {
	var text strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&text, 1); err != nil {
		fail(err.Error())
	}
	waiting := 0
	for _, line := range strings.Split(text.String(), "\n") {
		var count int
		var pc uintptr
		if n, _ := fmt.Sscanf(line, "%d @ 0x%x", &count, &pc); n == 2 && runtime.FuncForPC(pc).Name() == "runtime.gopark" {
			waiting += count
		}
	}
	return waiting >= number
}

var tenants = []string{"blue", "green", "red"}

type job struct {
	id     int
	tenant string
}

type performer interface{ perform(chan struct{}) }

//go:noinline
func runner(j *job) performer { return j }

//go:noinline
func direct(j job, c chan struct{}) { wait(c) }

//go:noinline
func (j job) run(c chan struct{}) int {
	wait(c)
	return j.id
}

//go:noinline
func (j *job) perform(c chan struct{}) {
	wait(c)
	j.id++
}

//go:noinline
func descend(depth int, j job, c chan struct{}) int {
	if depth == 0 {
		wait(c)
		return j.id
	}
	return descend(depth-1, j, c) + 1
}

//go:noinline
func process[T any](items []T, c chan struct{}) {
	for range items {
		wait(c)
	}
}

//go:noinline
func finish(j *job) { j.id = -1 }

//go:noinline
func inlinedOuter(j job, c chan struct{}) int { return inlinedMiddle(j, c) + j.id }

func inlinedMiddle(j job, c chan struct{}) int { return inlinedInner(c) + len(j.tenant) }

func inlinedInner(c chan struct{}) int {
	wait(c)
	return 1
}

//go:noinline
func wait(c chan struct{}) {
	arrived.Add(1)
	<-c
}
