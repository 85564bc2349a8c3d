package main

import (
	"cmp"
	"slices"
)

func startGenerics(s *scene) {
	s.expect("main.await[...](", "chan receive")
	s.expect("main.await[...](", "chan receive")
	s.expect("main.await[...](", "chan receive")
	s.expect("main.await[...](", "chan receive")
	go await(make(chan int), 1)
	go await(make(chan string), "one")
	go await(make(chan *ledger), &ledger{})
	go await(make(chan struct{ a, b float64 }), struct{ a, b float64 }{1, 2})

	s.expect("main.(*box[...]).take(", "chan receive")
	s.expect("main.(*box[...]).take(", "chan receive")
	go (&box[int]{content: make(chan int)}).take()
	go (&box[map[string]int]{content: make(chan map[string]int)}).take()

	s.expect("main.crate[...].peek(", "chan receive")
	go crate[uint8, string]{content: make(chan string), key: 200}.peek(9)

	// An instantiation of an instantiation.
	s.expect("main.(*box[...]).take(", "chan receive")
	go unpack(&box[box[string]]{content: make(chan box[string])})

	// Through a constraint's method: the dictionary finds the method.
	s.expect("main.(*box[...]).take(", "chan receive")
	go takeFrom[int](&box[int]{content: make(chan int)})

	// A closure within a generic function.
	s.expect("main.each[...]", "chan receive")
	go each([]int{3, 1, 2}, func(int) { <-never })

	s.expect("main.sortGenerically", "chan receive")
	go sortGenerically(map[string]int{"b": 2, "a": 1})

	// A type that is local to a function.
	s.expect("main.await[...](", "chan receive")
	go localType()
}

//go:noinline
func await[T any](c chan T, fallback T) T {
	if v, ok := <-c; ok {
		return v
	}
	return fallback
}

type box[T any] struct {
	content chan T
}

//go:noinline
func (b *box[T]) take() T { return <-b.content }

type crate[K cmp.Ordered, V any] struct {
	content chan V
	key     K
}

//go:noinline
func (c crate[K, V]) peek(key K) (v V, ok bool) {
	if key < c.key {
		v, ok = <-c.content
	}
	return v, ok
}

//go:noinline
func unpack[T any](outer *box[box[T]]) T {
	inner := outer.take()
	return inner.take()
}

//go:noinline
func takeFrom[T any, B interface{ take() T }](b B) T { return b.take() }

//go:noinline
func each[T any](items []T, visit func(T)) {
	step := func(item T) { visit(item) }
	for _, item := range items {
		step(item)
	}
}

//go:noinline
func sortGenerically(stock map[string]int) []string {
	var names []string
	for name := range stock {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		<-never
		return cmp.Compare(a, b)
	})
	return names
}

//go:noinline
func localType() {
	type parcel struct {
		weight int
		to     string
	}
	await(make(chan parcel), parcel{12, "Bern"})
}
