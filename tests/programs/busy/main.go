// Busy does everything at once that makes a Go process hard to snapshot, and
// checks itself all the while: a snapshot must neither break it nor hold it up.
//
// It prints "ready <pid> <port>" and answers http://127.0.0.1:<port>/health with
// what its loads have done so far (see report). A failed check makes "ok" false
// for good and names itself in "reason".
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// loads are what runs, by the name of its counter in the report. Files behind
// build constraints (cgo, a Go version) add more. A load runs for ever and calls done once a round.
var loads = []load{
	{"callfree", countWithoutCalls},
	{"clock", readClock},
	{"garbage", makeGarbage},
	{"stacks", growStacks},
	{"goroutines", spawnGoroutines},
	{"timers", setTimers},
	{"channels", passAround},
	{"mutexes", contend},
	{"maps", churnMaps},
	{"files", readFiles},
	{"getpid", callKernel},
	{"panics", panicAndRecover},
	{"selects", selectAmong},
	{"http", requestPages},
}

type load struct {
	name string
	run  func(*progress)
}

func main() {
	// More Ps than cores: threads are preempted by the kernel, goroutines by Go.
	runtime.GOMAXPROCS(max(4, runtime.NumCPU()))
	debug.SetGCPercent(20)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "busy:", err)
		os.Exit(1)
	}
	port = listener.Addr().(*net.TCPAddr).Port
	mux := http.NewServeMux()
	mux.HandleFunc("/health", serveHealth)
	mux.HandleFunc("/sum", serveSum)
	go http.Serve(listener, mux)

	counters := make([]*progress, len(loads))
	for i, l := range loads {
		counters[i] = newProgress(l.name)
		go l.run(counters[i])
	}
	go beat()

	// Ready when every load has gone round once.
	for _, counter := range counters {
		for counter.rounds.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	fmt.Printf("ready %d %d\n", os.Getpid(), port)
	for {
		time.Sleep(time.Hour)
	}
}

var port int
