// Stamps runs goroutines that park again and again, each in its own way and at its own pace. Before each turn a goroutine
// writes the number of the turn to its own record, and then calls itself as often as the number has bits, by main.zero or
// main.one: whoever has its stack knows which turn that is of, and its record says which turn it is in.
//
//	stamps 40
//
// has so many goroutines of each kind, and prints
//
//	ready <pid> <workers> <address of the records> <bytes from one to the next>
//
// The first word of a record is the turn, the second one the goroutine's number. Behind the number may stand how odd it is:
// "threads" has a thousand threads that come and go, "processors" changes GOMAXPROCS all the time.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// bits of a turn's number that a stack shows.
const bits = 16

// worker is the record of a goroutine, which nobody else writes to.
type worker struct {
	turn  uint64
	goid  uint64
	park  func(w *worker)
	pause time.Duration
	total uint64
	// Of its own cache lines.
	_ [88]byte
}

var (
	workers  []worker
	next     int
	arrived  atomic.Int64
	unwanted [4][]byte
)

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		fail("usage: stamps NUMBER [threads | processors]")
	}
	number, err := strconv.Atoi(os.Args[1])
	if err != nil || number < 2 || number > 10_000 {
		fail(fmt.Sprintf("%q is no number of goroutines of each kind", os.Args[1]))
	}
	number -= number % 2
	workers = make([]worker, 9*number)
	channels(number)
	mutexes(number)
	sleepers(number)
	selects(number)
	conditions(number)
	pipes(number)
	deep(number)
	slow(number)
	generators(number)
	for arrived.Load() < int64(next) {
		time.Sleep(time.Millisecond)
	}
	go collect()
	if len(os.Args) == 3 {
		beOdd(os.Args[2])
	}
	time.Sleep(100 * time.Millisecond)
	fmt.Println("ready", os.Getpid(), next, uint64(uintptr(unsafe.Pointer(&workers[0]))), unsafe.Sizeof(workers[0]))
	for {
		time.Sleep(time.Hour)
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, "stamps:", message)
	os.Exit(2)
}

func beOdd(how string) {
	switch how {
	case "threads":
		for i := 0; i < 1000; i++ {
			go thread(time.Duration(i) * time.Millisecond)
		}
	case "processors":
		go func() {
			for i := 0; ; i++ {
				runtime.GOMAXPROCS(1 + i%7)
				time.Sleep(300 * time.Microsecond)
			}
		}()
	default:
		fail("nothing is called " + how)
	}
}

// thread has a thread of its own, in a system call, for a second and more, and ends with it; another one follows.
func thread(more time.Duration) {
	runtime.LockOSThread()
	wait := syscall.NsecToTimespec(int64(time.Second + more))
	if err := syscall.Nanosleep(&wait, nil); err != nil && err != syscall.EINTR {
		fail(err.Error())
	}
	go thread(more)
}

// collect makes garbage, and has it collected: stacks shrink.
func collect() {
	for i := 0; ; i++ {
		unwanted[i%len(unwanted)] = make([]byte, 256<<10)
		if i%16 == 0 {
			runtime.GC()
		}
		time.Sleep(time.Millisecond)
	}
}

// add has the next worker, which parks in this way.
func add(pause time.Duration, park func(w *worker)) *worker {
	w := &workers[next]
	next++
	w.park, w.pause = park, pause
	return w
}

func begin(w *worker) { go work(w) }

//go:noinline
func work(w *worker) {
	w.begun()
	for {
		turn(w)
	}
}

func (w *worker) begun() {
	w.goid = goid()
	arrived.Add(1)
}

// goid is what the first line of a traceback says: "goroutine 7 [running]:".
func goid() uint64 {
	var text [64]byte
	words := strings.Fields(string(text[:runtime.Stack(text[:], false)]))
	id, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil {
		fail(err.Error())
	}
	return id
}

//go:noinline
func turn(w *worker) {
	w.turn++
	if w.turn>>(bits-1)&1 == 0 {
		zero(w, bits-1)
	} else {
		one(w, bits-1)
	}
	w.total++
}

//go:noinline
func zero(w *worker, left int) {
	if left == 0 {
		w.park(w)
	} else if w.turn>>(left-1)&1 == 0 {
		zero(w, left-1)
	} else {
		one(w, left-1)
	}
	w.total++
}

//go:noinline
func one(w *worker, left int) {
	if left == 0 {
		w.park(w)
	} else if w.turn>>(left-1)&1 == 0 {
		zero(w, left-1)
	} else {
		one(w, left-1)
	}
	w.total++
}

// channels hand something to and fro, as fast as they can.
func channels(number int) {
	for i := 0; i < number/2; i++ {
		there, back := make(chan uint64), make(chan uint64)
		begin(add(0, func(w *worker) { there <- w.turn; w.total += <-back }))
		begin(add(0, func(w *worker) { w.total += <-there; back <- w.turn }))
	}
}

// mutexes are wanted by four goroutines each.
func mutexes(number int) {
	var mutex *sync.Mutex
	for i := 0; i < number; i++ {
		if i%4 == 0 {
			mutex = new(sync.Mutex)
		}
		own := mutex
		begin(add(0, func(w *worker) {
			own.Lock()
			runtime.Gosched()
			own.Unlock()
		}))
	}
}

// sleepers sleep for 50 us to 6 ms.
func sleepers(number int) {
	for i := 0; i < number; i++ {
		pause := 50 * time.Microsecond << (i % 8)
		begin(add(pause, func(w *worker) { time.Sleep(w.pause) }))
	}
}

// selects wait for a timer or for one another.
func selects(number int) {
	for i := 0; i < number/2; i++ {
		values := make(chan uint64)
		pause := 100 * time.Microsecond << (i % 6)
		begin(add(pause, func(w *worker) {
			timer := time.NewTimer(w.pause)
			select {
			case values <- w.turn:
				timer.Stop()
			case <-timer.C:
			}
		}))
		begin(add(pause/2, func(w *worker) {
			timer := time.NewTimer(w.pause)
			select {
			case value := <-values:
				timer.Stop()
				w.total += value
			case <-timer.C:
			}
		}))
	}
}

// conditions are signalled in turn.
func conditions(number int) {
	for i := 0; i < number/2; i++ {
		var mutex sync.Mutex
		condition := sync.NewCond(&mutex)
		turn := 0
		take := func(mine int) func(w *worker) {
			return func(w *worker) {
				mutex.Lock()
				for turn != mine {
					condition.Wait()
				}
				turn = 1 - mine
				condition.Signal()
				mutex.Unlock()
			}
		}
		begin(add(0, take(0)))
		begin(add(0, take(1)))
	}
}

// pipes wait for the network poller.
func pipes(number int) {
	for i := 0; i < number/2; i++ {
		reader, writer, err := os.Pipe()
		if err != nil {
			fail(err.Error())
		}
		begin(add(0, func(w *worker) {
			var bytes [1]byte
			if _, err := reader.Read(bytes[:]); err != nil {
				fail(err.Error())
			}
		}))
		begin(add(100*time.Microsecond<<(i%6), func(w *worker) {
			if _, err := writer.Write([]byte{1}); err != nil {
				fail(err.Error())
			}
			time.Sleep(w.pause)
		}))
	}
}

// deep needs more stack each fourth time, and less afterwards.
func deep(number int) {
	for i := 0; i < number; i++ {
		pause := 200 * time.Microsecond << (i % 6)
		begin(add(pause, func(w *worker) {
			if w.turn%4 == 0 {
				w.total += uint64(descend(40, w))
			}
			time.Sleep(w.pause)
		}))
	}
}

//go:noinline
func descend(depth int, w *worker) byte {
	var room [256]byte
	room[depth] = byte(w.turn)
	if depth == 0 {
		time.Sleep(w.pause / 4)
		return room[0]
	}
	return descend(depth-1, w) + room[depth]
}

// slow ones stay for 20 to 80 ms: most of them are as they were copied.
func slow(number int) {
	for i := 0; i < number; i++ {
		pause := 20 * time.Millisecond << (i % 3)
		begin(add(pause, func(w *worker) { time.Sleep(w.pause) }))
	}
}
