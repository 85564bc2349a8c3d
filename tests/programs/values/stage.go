package main

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// settleLimit bounds the wait for all goroutines to park.
const settleLimit = 60 * time.Second

// never is a channel that nobody ever sends on.
var never = make(chan struct{})

// start runs a goroutine that tells the truth about itself, and parks.
func start(run func()) { go run() }

// park is what most goroutines wait in. Their own frames are callers' frames,
// as those of most goroutines of a server are.
//
//go:noinline
func park() { <-never }

// sink is what use keeps.
var sink []any

// use is a use: what is given here must live until then.
//
//go:noinline
func use(values ...any) { sink = append(sink, values...) }

// kept holds what only the truth refers to.
var kept []any

func keep(values ...any) { kept = append(kept, values...) }

var running = regexp.MustCompile(`(?m)^goroutine \d+ \[(running|runnable|sleep)`)

// settle returns when all goroutines but this one wait, and do so on a second
// look: all have told the truth.
func settle() error {
	deadline := time.Now().Add(settleLimit)
	var last []byte
	for {
		now := allStacks()
		if len(running.FindAll(now, 2)) == 1 && bytes.Equal(now, last) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %v not all are parked:\n%s", settleLimit, now)
		}
		last = now
		time.Sleep(20 * time.Millisecond)
	}
}

// allStacks is runtime.Stack(all) with a buffer that grows until it fits.
func allStacks() []byte {
	for size := 1 << 20; ; size *= 2 {
		buffer := make([]byte, size)
		if n := runtime.Stack(buffer, true); n < size {
			return buffer[:n]
		}
	}
}

// goid reads the goroutine's number where Go prints it.
func goid() uint64 {
	buffer := make([]byte, 64)
	words := strings.Fields(string(buffer[:runtime.Stack(buffer, false)]))
	id, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil {
		panic(err)
	}
	return id
}
