// Package odd has a dot in the last element of its path, which the linker
// writes as %2e.
package odd

// Door has a method, so that the escaped path is followed by a receiver.
type Door struct{ knocks int }

// Wait waits for c.
//
//go:noinline
func Wait(c chan struct{}) { <-c }

// Knock counts and waits.
//
//go:noinline
func (d *Door) Knock(c chan struct{}) {
	d.knocks++
	<-c
}
