//go:build cgo

package main

// #include <stdint.h>
// void still_pause(void);
// long still_read(int fd);
// void still_call_go(uintptr_t kind);
// int still_thread_calls_go(uintptr_t kind);
import "C"

import "syscall"

// What the callback from C does.
const (
	callbackReceives = iota
	callbackEntersC
	callbackEntersCAndReturnsToGo
	callbackPanics
)

func init() {
	families = append(families, startC)
}

func startC(s *scene) {
	s.expect("main.pauseInC(", "syscall")
	go pauseInC()

	s.expect("main.readInC(", "syscall")
	go readInC()

	s.expect("main.stillCallback(", "chan receive")
	go callbackFromC(callbackReceives)

	s.expect("main.pauseInC(", "syscall")
	go callbackFromC(callbackEntersC)

	s.expect("main.receiveUnderC(", "chan receive")
	go callbackFromC(callbackEntersCAndReturnsToGo)

	s.expect("main.blockedDefer(", "chan receive")
	go callbackFromC(callbackPanics)

	// A thread that C made calls Go.
	s.expect("main.receiveUnderC(", "chan receive")
	if C.still_thread_calls_go(callbackEntersCAndReturnsToGo) != 0 {
		panic("pthread_create failed")
	}
	s.expect("main.pauseInC(", "syscall")
	if C.still_thread_calls_go(callbackEntersC) != 0 {
		panic("pthread_create failed")
	}
}

//go:noinline
func pauseInC() { C.still_pause() }

//go:noinline
func readInC() int {
	var pipe [2]int
	check(syscall.Pipe2(pipe[:], syscall.O_CLOEXEC))
	return int(C.still_read(C.int(pipe[0])))
}

//go:noinline
func callbackFromC(kind int) { C.still_call_go(C.uintptr_t(kind)) }

//export stillCallback
func stillCallback(kind uintptr) {
	switch kind {
	case callbackReceives:
		<-never
	case callbackEntersC:
		pauseInC()
	case callbackEntersCAndReturnsToGo:
		C.still_call_go(callbackReceives + 100)
	case callbackPanics:
		defer blockedDefer("panic under C")
		panic("under C")
	default:
		receiveUnderC(make(chan int))
	}
}

//go:noinline
func receiveUnderC(c chan int) int { return <-c }
