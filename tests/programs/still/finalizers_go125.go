//go:build go1.25

package main

import "runtime"

// From Go 1.25 on cleanups have goroutines of their own.
func init() {
	families = append(families, startCleanup)
}

func startCleanup(s *scene) {
	s.expect("main.cleanUp(", "chan receive")
	makeGarbageWithCleanup()
	runtime.GC()
}

//go:noinline
func makeGarbageWithCleanup() {
	runtime.AddCleanup(&crateOfGarbage{mark: 3}, cleanUp, "cleaned")
}

//go:noinline
func cleanUp(text string) {
	<-never
	keep(text)
}
