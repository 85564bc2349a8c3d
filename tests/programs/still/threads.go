package main

import (
	"runtime"
	"syscall"
)

func startThreads(s *scene) {
	s.expect("main.locked(", "chan receive")
	go locked()

	s.expect("main.lockedSystemCall(", "syscall")
	go lockedSystemCall()
}

//go:noinline
func locked() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	<-never
}

//go:noinline
func lockedSystemCall() (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var pipe [2]int
	check(syscall.Pipe2(pipe[:], syscall.O_CLOEXEC))
	return readRaw(pipe[0])
}
