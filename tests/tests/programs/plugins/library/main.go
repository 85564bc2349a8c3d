// Library is a C library with a Go runtime of its own.
package main

import "C"

//export StartHanging
func StartHanging() {
	for i := 0; i < 3; i++ {
		go hanging()
	}
}

//go:noinline
func hanging() { select {} }

func main() {}
