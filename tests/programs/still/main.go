// Still parks one goroutine in every ordinary way a Go program can wait, and
// then holds still, so that a snapshot taken from outside can be compared with
// what Go itself says about the same goroutines.
//
//	STILL_STACK=/tmp/stack still
//
// prints "ready <pid>" once every expected goroutine is parked. SIGUSR1 writes
// runtime.Stack(all) to $STILL_STACK (whole or not at all, by rename). SIGQUIT
// stays at Go's default: a traceback on standard error and exit status 2.
//
// Each file is one family of waits. A family's start function starts its
// goroutines and names, for each, the innermost function of its own that has to
// be on the stack and the state that the traceback has to give.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// families holds what every build has; files behind build constraints (cgo, a
// Go version) add theirs in init functions.
var families = []func(*scene){
	startChannels,
	startLocks,
	startTimers,
	startFiles,
	startNetwork,
	startHTTP,
	startDepth,
	startInlined,
	startGenerics,
	startMethods,
	startWrappers,
	startClosures,
	startDefers,
	startPanics,
	startFinalizer,
	startLabels,
	startReflection,
	startArguments,
	startContexts,
	startNames,
	startThreads,
	startSelf,
}

func main() {
	stackRequests := make(chan os.Signal, 1)
	signal.Notify(stackRequests, syscall.SIGUSR1)

	s := &scene{}
	for _, start := range families {
		start(s)
	}
	if err := s.settle(); err != nil {
		fmt.Fprintln(os.Stderr, "still:", err)
		os.Exit(1)
	}
	fmt.Printf("ready %d\n", os.Getpid())

	for range stackRequests {
		if err := writeStacks(os.Getenv("STILL_STACK")); err != nil {
			fmt.Fprintln(os.Stderr, "still:", err)
		}
	}
}

// writeStacks writes every goroutine's traceback to path, by rename, so that a
// reader finds the whole text or no file.
func writeStacks(path string) error {
	if path == "" {
		return fmt.Errorf("SIGUSR1: STILL_STACK is not set; set it to the file to write")
	}
	unfinished := path + ".unfinished"
	if err := os.WriteFile(unfinished, allStacks(), 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
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
