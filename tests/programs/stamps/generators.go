//go:build go1.23

package main

import "iter"

// generators are coroutines: each of the two sides of one is a worker, which parks in favour of the other.
func generators(number int) {
	for i := 0; i < number/2; i++ {
		var yielding func(uint64) bool
		inner := add(0, func(w *worker) {
			if !yielding(w.turn) {
				fail("a generator was stopped")
			}
		})
		var pull func() (uint64, bool)
		outer := add(0, func(w *worker) {
			value, _ := pull()
			w.total += value
		})
		values := iter.Seq[uint64](func(yield func(uint64) bool) {
			yielding = yield
			inner.begun()
			for {
				turn(inner)
			}
		})
		go func() {
			pull, _ = iter.Pull(values)
			work(outer)
		}()
	}
}
