package main

import (
	"errors"
	"runtime"
)

// startPanics: goroutines that panic, and stand in a deferred function of that
// panic; so runtime.gopanic is in the middle of the stack.
func startPanics(s *scene) {
	for _, body := range []func(){
		panicPlainly,
		func() { panicDeep(5) },
		panicTwice,
		func() { dereferenceNil() },
		func() { divide(1, 0) },
		func() { indexBeyond([]int{1, 2}, 7) },
		func() { assertWrongly("text") },
		func() { writeNilMap(nil) },
		func() { closeTwice(make(chan int)) },
		panicInLoop,
		panicThenExit,
	} {
		s.expect("main.blockedDefer(", "chan receive")
		go body()
	}

	s.expect("main.recovering(", "chan receive")
	go recoverAndWait()

	s.expect("main.waitAfterRecovery(", "chan receive")
	go waitAfterRecovery()

	s.expect("main.panicWithMethod.func1(", "chan receive")
	go panicWithMethod()
}

var errSold = errors.New("sold out")

//go:noinline
func panicPlainly() {
	defer blockedDefer("plain")
	panic(errSold)
}

//go:noinline
func panicDeep(depth int) int {
	if depth == 5 {
		defer blockedDefer("deep")
	}
	if depth == 0 {
		panic("deep down")
	}
	return panicDeep(depth-1) + 1
}

//go:noinline
func panicTwice() {
	defer blockedDefer("twice")
	defer func() { panic("second") }()
	panic("first")
}

type node struct {
	padding [40]byte
	next    *node
	value   int
}

//go:noinline
func dereferenceNil() int {
	defer blockedDefer("nil dereference")
	return follow(&node{})
}

func follow(n *node) int { return n.next.value }

//go:noinline
func divide(a, b int) int {
	defer blockedDefer("division")
	return a / b
}

//go:noinline
func indexBeyond(list []int, at int) int {
	defer blockedDefer("index")
	return list[at]
}

//go:noinline
func assertWrongly(value any) int {
	defer blockedDefer("assertion")
	return value.(int)
}

//go:noinline
func writeNilMap(stock map[string]int) {
	defer blockedDefer("nil map")
	stock["apples"] = 3
}

//go:noinline
func closeTwice(c chan int) {
	defer blockedDefer("closed twice")
	close(c)
	close(c)
}

//go:noinline
func panicInLoop() {
	for i := 0; i < 4; i++ {
		i := i
		defer func() {
			if i == 1 {
				blockedDefer("loop")
			}
		}()
	}
	panic("after the loop")
}

// panicThenExit panics out of a Goexit that is under way.
//
//go:noinline
func panicThenExit() {
	defer blockedDefer("panic in Goexit")
	defer func() { panic("during Goexit") }()
	runtime.Goexit()
}

//go:noinline
func recoverAndWait() {
	defer recovering()
	panic("to be recovered")
}

//go:noinline
func recovering() any {
	reason := recover()
	<-never
	return reason
}

//go:noinline
func waitAfterRecovery() string {
	text := recovered()
	<-never
	return text
}

//go:noinline
func recovered() (text string) {
	defer func() { text, _ = recover().(string) }()
	panic("recovered")
}

// refusal's Error method is called by the panic machinery only when the panic is
// printed; the deferred function calls it here.
type refusal struct{ reason string }

func (r *refusal) Error() string { return r.reason }

//go:noinline
func panicWithMethod() {
	defer func() {
		if err, ok := recover().(error); ok && err.Error() != "" {
			<-never
		}
	}()
	panic(&refusal{"no"})
}
