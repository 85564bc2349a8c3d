//go:build go1.23

package main

import "iter"

// parkMore leaves a generator between two values, and one that waits.
func parkMore() {
	next, _ := iter.Pull(func(yield func(int) bool) {
		yield(1)
	})
	next()
	kept = next
	waits, _ := iter.Pull(func(yield func(int) bool) {
		yield(<-never)
	})
	go waits()
}

var kept func() (int, bool)
