// Ages runs goroutines that are started in bursts and park each in its own way and at its own pace, and notes itself when
// that was: for each goroutine the time before its go statement, the time at which it ran first, and for each call in which
// it parks the times before and after it.
//
//	ages FILE
//
// prints `ready <pid>`, and at each SIGUSR1 writes what it has noted to the file, and then `written`. A line a goroutine,
// times in nanoseconds since 1970:
//
//	<goid> <kind> <before its go statement> <when it ran> <before a call>:<after it> ...
//
// The last call may not have returned: 0. Of calls the latest ones are kept.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// calls of one goroutine that are kept: of those that park as fast as they can, some seconds.
const (
	callsMany = 1 << 14
	callsFew  = 1 << 6
)

type call struct{ before, after atomic.Int64 }

// record is written by its goroutine alone.
type record struct {
	kind         string
	goid         atomic.Uint64
	before, runs atomic.Int64
	calls        []call
	count        atomic.Int64
}

var (
	records   []*record
	recording sync.Mutex
)

func main() {
	if len(os.Args) != 2 {
		fail("usage: ages FILE")
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	forever := make(chan struct{})
	for i := 0; i < 200; i++ {
		start("forever", callsFew, func(park func(func())) { park(func() { <-forever }) })
	}
	// At which paces of a goroutine and of a look its counter of 256 comes round.
	for _, pace := range []time.Duration{
		400 * time.Microsecond, 781250 * time.Nanosecond, time.Millisecond, 1562500 * time.Nanosecond,
		3 * time.Millisecond, 10 * time.Millisecond, 40 * time.Millisecond, 300 * time.Millisecond,
		time.Second, 4 * time.Second,
	} {
		pace := pace
		for i := 0; i < 4; i++ {
			start("sleep", callsMany, func(park func(func())) {
				for {
					park(func() { time.Sleep(pace) })
				}
			})
		}
	}
	mutexes()
	channels()
	go bursts(forever)
	go func() {
		for i := 0; ; i++ {
			runtime.GOMAXPROCS(1 + i%6)
			time.Sleep(70 * time.Millisecond)
		}
	}()
	go func() {
		for {
			time.Sleep(1700 * time.Millisecond)
			runtime.GC()
		}
	}()
	fmt.Println("ready", os.Getpid())
	for range asked {
		write(os.Args[1])
		fmt.Println("written")
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, "ages:", message)
	os.Exit(2)
}

func now() int64 { return time.Now().UnixNano() }

// start starts a goroutine. What it is given notes a call that parks.
func start(kind string, calls int, run func(park func(func()))) {
	r := &record{kind: kind, calls: make([]call, calls)}
	recording.Lock()
	records = append(records, r)
	recording.Unlock()
	r.before.Store(now())
	go func() {
		r.runs.Store(now())
		r.goid.Store(goid())
		run(func(parks func()) {
			at := &r.calls[int(r.count.Load())%len(r.calls)]
			at.after.Store(0)
			at.before.Store(now())
			r.count.Add(1)
			parks()
			at.after.Store(now())
		})
	}()
}

// goid is what a traceback says.
func goid() uint64 {
	var text [64]byte
	words := strings.Fields(string(text[:runtime.Stack(text[:], false)]))
	id, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil {
		fail(err.Error())
	}
	return id
}

// bursts starts goroutines by ones and by hundreds, of which most end.
func bursts(forever chan struct{}) {
	for i := 0; ; i++ {
		count := []int{1, 3, 150, 17, 1, 40}[i%6]
		for k := 0; k < count; k++ {
			stays := k%8 == 0
			start("burst", 1, func(park func(func())) {
				if stays {
					park(func() { <-forever })
				} else {
					time.Sleep(time.Duration(i%5) * time.Millisecond)
				}
			})
		}
		time.Sleep(time.Duration(20+i*37%200) * time.Millisecond)
		if i%16 == 15 {
			forget()
		}
	}
}

// forget drops the records of goroutines that have ended.
func forget() {
	recording.Lock()
	defer recording.Unlock()
	kept := records[:0:0]
	for _, r := range records {
		ended := r.kind == "burst" && r.goid.Load() != 0 && r.count.Load() == 0 && now()-r.runs.Load() > int64(time.Second)
		if !ended {
			kept = append(kept, r)
		}
	}
	records = kept
}

// mutexes: one holds it at a time, for a while; the others wait, and may park again within one call.
func mutexes() {
	var mutex sync.Mutex
	for i := 0; i < 8; i++ {
		hold := time.Duration(100+200*i) * time.Millisecond
		start("mutex", callsFew, func(park func(func())) {
			for {
				park(mutex.Lock)
				time.Sleep(hold)
				mutex.Unlock()
			}
		})
	}
}

// channels: half of them wait for the other half, a moment or seconds.
func channels() {
	for i := 0; i < 20; i++ {
		pause := time.Duration(1+i*i*i) * time.Millisecond
		messages := make(chan int)
		start("receive", callsMany, func(park func(func())) {
			for {
				park(func() { <-messages })
			}
		})
		go func() {
			for {
				time.Sleep(pause)
				messages <- 1
			}
		}()
	}
}

func write(path string) {
	file, err := os.Create(path)
	if err != nil {
		fail(err.Error())
	}
	out := bufio.NewWriter(file)
	recording.Lock()
	defer recording.Unlock()
	for _, r := range records {
		fmt.Fprint(out, r.goid.Load(), " ", r.kind, " ", r.before.Load(), " ", r.runs.Load())
		count, size := r.count.Load(), int64(len(r.calls))
		first := int64(0)
		if count > size/2 && size > 1 {
			// What is older may be written to meanwhile.
			first = count - size/2
		}
		for i := first; i < count; i++ {
			at := &r.calls[i%size]
			fmt.Fprint(out, " ", at.before.Load(), ":", at.after.Load())
		}
		fmt.Fprintln(out)
	}
	if err := out.Flush(); err != nil {
		fail(err.Error())
	}
	if err := file.Close(); err != nil {
		fail(err.Error())
	}
}
