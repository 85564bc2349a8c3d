package main

import "runtime"

// startFinalizer blocks the finalizer goroutine, which makes it a user's. Up to
// Go 1.24 that goroutine runs the cleanups, too.
func startFinalizer(s *scene) {
	s.expect("main.finalize(", "chan receive")
	makeGarbage()
	runtime.GC()
}

type crateOfGarbage struct {
	next *crateOfGarbage
	mark int
}

//go:noinline
func makeGarbage() {
	runtime.SetFinalizer(&crateOfGarbage{mark: 1}, finalize)
}

//go:noinline
func finalize(c *crateOfGarbage) {
	<-never
	c.mark = 2
}
