package main

import (
	"runtime"
	"sync"
)

// startDefers: deferred calls that block on the way out of a function that
// returns, in the three ways in which the compiler does defers, and Goexit.
func startDefers(s *scene) {
	s.expect("main.blockedDefer(", "chan receive")
	go openCodedDefer()

	s.expect("main.loopDefers.func1(", "chan receive")
	go loopDefers(4)

	s.expect("main.conditionalDefer.func2(", "chan receive")
	go conditionalDefer(true)

	s.expect("main.pendingDefers(", "chan receive")
	go pendingDefers(&sync.Mutex{})

	s.expect("main.changedResult.func1(", "chan receive")
	go changedResult()

	s.expect("main.blockedDefer(", "chan receive")
	go exitGoroutine()

	s.expect("main.blockedDefer(", "chan receive")
	go exitDeep(3)
}

//go:noinline
func blockedDefer(why string) string {
	<-never
	return why
}

//go:noinline
func openCodedDefer() (n int) {
	defer func() { n++ }()
	defer blockedDefer("open-coded")
	return 1
}

//go:noinline
func loopDefers(n int) {
	for i := 0; i < n; i++ {
		i := i
		defer func() {
			if i == 1 {
				<-never
			}
		}()
	}
}

//go:noinline
func conditionalDefer(yes bool) (text string) {
	defer func() { text += "." }()
	if yes {
		defer func() {
			<-never
			text += "!"
		}()
	}
	return "text"
}

// pendingDefers waits in its body with deferred calls still to come.
//
//go:noinline
func pendingDefers(m *sync.Mutex) {
	m.Lock()
	defer m.Unlock()
	defer blockedDefer("not yet")
	<-never
}

//go:noinline
func changedResult() (err error) {
	defer func() {
		if err == nil {
			<-never
		}
	}()
	return nil
}

//go:noinline
func exitGoroutine() {
	defer blockedDefer("Goexit")
	runtime.Goexit()
}

//go:noinline
func exitDeep(depth int) {
	defer keep()
	if depth == 0 {
		defer blockedDefer("Goexit, deep")
		runtime.Goexit()
	}
	exitDeep(depth - 1)
}
