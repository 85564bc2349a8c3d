package main

import (
	"slices"
	"strings"
)

// startInlined: chains that the compiler folds into one physical function, and
// goroutines started from within them.
func startInlined(s *scene) {
	s.expect("main.chainEnd(", "chan receive")
	go chain(make(chan int))

	s.expect("main.(*ledger).await(", "chan receive")
	go book(&ledger{entries: make(chan int)})

	s.expect("main.startedByInlined(", "chan receive")
	inlinedStart(7)

	s.expect("main.startedDeep(", "chan receive")
	deepStart("deep")

	s.expect("main.inlinedClosure", "chan receive")
	go inlinedClosure(make(chan int))

	// Library code between ours.
	s.expect("main.sortBlocked.func1(", "chan receive")
	go sortBlocked([]string{"pear", "apple", "fig"})

	s.expect("main.mapBlocked.func1(", "chan receive")
	go mapBlocked("letters")

	s.expect("main.loopInlined(", "chan receive")
	go loopInlined([]chan int{make(chan int), nil})
}

//go:noinline
func chain(c chan int) int { return chainStart(c) + 1 }

func chainStart(c chan int) int { return chainMiddle(c) * 2 }

func chainMiddle(c chan int) int {
	before := len(c)
	return chainEnd(c) + before
}

func chainEnd(c chan int) int { return <-c }

type ledger struct{ entries chan int }

//go:noinline
func book(l *ledger) int { return l.balance() }

func (l *ledger) balance() int { return l.next() + l.next() }

func (l *ledger) next() int { return l.await() }

func (l *ledger) await() int { return <-l.entries }

func inlinedStart(n int) { go startedByInlined(n, "from an inlined function") }

//go:noinline
func startedByInlined(n int, from string) string {
	<-never
	return from[:n]
}

func deepStart(name string) { deeperStart(name, len(name)) }

func deeperStart(name string, n int) {
	go func() {
		startedDeep(name, n)
	}()
}

//go:noinline
func startedDeep(name string, n int) string {
	<-never
	return name[n:]
}

//go:noinline
func inlinedClosure(c chan int) int {
	return apply(func(n int) int { return n + <-c }, 3)
}

func apply(f func(int) int, n int) int { return f(n) }

//go:noinline
func sortBlocked(words []string) []string {
	slices.SortFunc(words, func(a, b string) int {
		<-never
		return strings.Compare(a, b)
	})
	return words
}

//go:noinline
func mapBlocked(text string) string {
	return strings.Map(func(r rune) rune {
		<-never
		return r + 1
	}, text)
}

//go:noinline
func loopInlined(sources []chan int) (sum int) {
	for i, source := range sources {
		if i%2 == 0 {
			sum += chainMiddle(source)
		} else {
			sum -= chainEnd(source)
		}
	}
	return sum
}
