// Plug is a plugin whose goroutines hang in functions of its own.
package main

type crate[T any] struct{ contents chan T }

//go:noinline
func (c *crate[T]) open(depth int) T {
	if depth > 0 {
		return c.open(depth - 1)
	}
	return <-c.contents
}

// Hang never returns.
func Hang(depth int, name string) int { return inlined(depth) + len(name) }

func inlined(depth int) int { return (&crate[int]{}).open(depth) }

// Start leaves goroutines that the plugin has started: one in a function of its
// own, one in a function of the program's.
func Start(of func()) {
	go inlined(2)
	go func() { of() }()
	go of()
	var lock = make(chan struct{}, 1)
	lock <- struct{}{}
	go func() {
		defer func() { lock <- struct{}{} }()
		panic("in a plugin")
	}()
}

func main() {}
