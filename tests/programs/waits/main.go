// Waits parks goroutines in every way that a Go program can wait, and says what
// each of them waits for, from what it knows itself: addresses, states, times.
//
//	WAITS_TRUTH=/tmp/truth.json waits
//
// writes that to the file, prints "ready <pid>" once every goroutine is parked,
// and holds still until it is killed.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// A wait is one row that has to be in the snapshot.
type wait struct {
	Kind    string         `json:"kind"`
	Any     bool           `json:"any"`
	Address *uint64        `json:"address"`
	Detail  map[string]any `json:"detail"`
}

// A fact is what one goroutine waits for.
type fact struct {
	Name  string `json:"name"`
	Goid  uint64 `json:"goid"`
	Waits []wait `json:"waits"`
	// Its state in Go's own traceback begins with this.
	state string
}

// What the collector must not close.
var open []io.Closer

var (
	mutex sync.Mutex
	facts []fact
)

var families = []func(){
	startChannels, startSelects, startLocks, startConditions, startTimers, startFiles, startNetwork, startCalls,
}

// says notes the truth about the calling goroutine, which has to wait next.
func says(name, state string, waits ...wait) {
	var buffer [64]byte
	text := string(buffer[:runtime.Stack(buffer[:], false)])
	var goid uint64
	if _, err := fmt.Sscanf(text, "goroutine %d ", &goid); err != nil {
		panic(err)
	}
	mutex.Lock()
	defer mutex.Unlock()
	facts = append(facts, fact{name, goid, waits, state})
}

func at[T any](pointer *T) *uint64 {
	address := uint64(uintptr(unsafe.Pointer(pointer)))
	return &address
}

// channelAt is where the runtime has the channel.
func channelAt[T any](channel chan T) *uint64 {
	address := uint64(*(*uintptr)(unsafe.Pointer(&channel)))
	return &address
}

func buffered(length, capacity int) map[string]any {
	return map[string]any{"length": length, "capacity": capacity}
}

// settle waits until Go itself says that all of them wait. expected: how many.
func settle(expected int) {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		buffer := make([]byte, 4<<20)
		text := string(buffer[:runtime.Stack(buffer, true)])
		mutex.Lock()
		missing := make([]string, 0)
		for _, fact := range facts {
			if !strings.Contains(text, fmt.Sprintf("goroutine %d [%s", fact.Goid, fact.state)) {
				missing = append(missing, fact.Name)
			}
		}
		count := len(facts)
		mutex.Unlock()
		if count == expected && len(missing) == 0 {
			return
		}
		if time.Since(began) > time.Minute {
			fmt.Fprintf(os.Stderr, "waits: %d of %d goroutines, not in their state: %v\n", count, expected, missing)
			os.Exit(1)
		}
	}
}

var expected int

// parks starts a goroutine that will say what it waits for.
func parks(body func()) {
	expected++
	go body()
}

func main() {
	for _, start := range families {
		start()
	}
	settle(expected)
	text, err := json.Marshal(facts)
	if err == nil {
		err = os.WriteFile(os.Getenv("WAITS_TRUTH"), text, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "waits:", err)
		os.Exit(1)
	}
	fmt.Println("ready", os.Getpid())
	select {}
}
