//go:build go1.23

package main

import "iter"

func init() {
	families = append(families, startCoroutines)
}

func startCoroutines(s *scene) {
	s.expect("main.rangeOverFunc", "chan receive")
	go rangeOverFunc()

	s.expect("main.nestedRange", "chan receive")
	go nestedRange()

	s.expect("main.deferInRange", "chan receive")
	go deferInRange()

	// The iterator's goroutine waits for a channel, its caller for the iterator.
	s.expect("main.blockedSequence", "chan receive")
	s.expect("main.pullBlocked(", "coroutine")
	go pullBlocked()

	// The caller waits for a channel, the iterator for its caller.
	s.expect("main.pullOnce(", "chan receive")
	s.expect("main.numbers.func1(", "coroutine")
	go pullOnce()

	s.expect("main.pullPairs(", "chan receive")
	s.expect("main.pairs", "coroutine")
	go pullPairs()
}

//go:noinline
func numbers(limit int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range limit {
			if !yield(i) {
				return
			}
		}
	}
}

//go:noinline
func pairs(yield func(string, int) bool) {
	_ = yield("a", 1) && yield("b", 2)
}

//go:noinline
func blockedSequence(yield func(int) bool) {
	<-never
	yield(1)
}

//go:noinline
func rangeOverFunc() (sum int) {
	for n := range numbers(3) {
		<-never
		sum += n
	}
	return sum
}

//go:noinline
func nestedRange() (sum int) {
	for n := range numbers(3) {
		for m := range numbers(4) {
			if m == 2 {
				<-never
			}
			sum += n * m
		}
	}
	return sum
}

// deferInRange: the deferred call belongs to the function, not to the body.
//
//go:noinline
func deferInRange() {
	for n := range numbers(3) {
		defer func() {
			<-never
			keep(n)
		}()
	}
}

//go:noinline
func pullBlocked() (int, bool) {
	next, stop := iter.Pull(blockedSequence)
	defer stop()
	return next()
}

//go:noinline
func pullOnce() int {
	next, stop := iter.Pull(numbers(10))
	defer stop()
	first, _ := next()
	<-never
	return first
}

//go:noinline
func pullPairs() string {
	next, stop := iter.Pull2(pairs)
	defer stop()
	key, _, _ := next()
	<-never
	return key
}
