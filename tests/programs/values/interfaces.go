package main

import (
	"fmt"
	"io"
	"strings"
)

func startInterfaces() {
	start(func() { holdAny(nil, 5, "text", true) })
	start(func() {
		holdAnyPointers(&item{Number: 4}, (*item)(nil), item{Number: 5, Name: "by value"}, [2]int{1, 2})
	})
	start(func() {
		holdDirect(map[string]int{"a": 1}, make(chan int), [1]*item{{Number: 6}}, wrapped{&item{Number: 7}})
	})
	start(func() { holdFunctions(strings.ToUpper, struct{}{}, uint8(200), 'x') })
	start(func() { holdMethodful(nil, circle{2}, &square{3}, level(6)) })
	start(func() { holdReader(io.LimitReader(strings.NewReader("source"), 3)) })
	start(func() { holdAsserted(&square{4}) })
	start(func() { holdSwitch(point{5, 6}) })
	start(func() { holdSwitch("by type") })
	start(func() { holdInterfaces([]shape{circle{1}, &square{2}, nil}, map[string]any{"x": 1.5}) })
	start(func() { holdStringer(holder[string]{"generic"}) })
	start(func() { holdSmallValues(0, 255, "", 0.0) })
}

type shape interface{ area() float64 }

type circle struct{ radius float64 }

func (c circle) area() float64 { return 3 * c.radius * c.radius }

type square struct{ side float64 }

func (s *square) area() float64 { return s.side * s.side }

type wrapped struct{ inner *item }

//go:noinline
func holdAny(nothing, number, text, truth any) {
	tell(is("nothing", nothing), is("number", number), is("text", text), is("truth", truth),
		is("number.(int)", number.(int)), is("text.(string)", text.(string)), fails("number.(string)", "int"),
		fails("nothing.(int)", "nil"))
	park()
	use(nothing, number, text, truth)
}

//go:noinline
func holdAnyPointers(pointer, none, value, array any) {
	tell(is("pointer", pointer), is("none", none), is("value", value), is("array", array),
		is("pointer.(*item).Number", pointer.(*item).Number), is("value.(item).Name", value.(item).Name),
		is("pointer.(*main.item).Number", pointer.(*item).Number))
	park()
	use(pointer, none, value, array)
}

// Held by the interface itself, as one pointer.
//
//go:noinline
func holdDirect(m, c, array, structure any) {
	tell(is("m", m), is("c", c), is("array", array), is("structure", structure),
		is("structure.(wrapped).inner.Number", structure.(wrapped).inner.Number),
		is("len(m.(map[string]int))", len(m.(map[string]int))))
	park()
	use(m, c, array, structure)
}

//go:noinline
func holdFunctions(f, nothing, small, r any) {
	tell(is("f", f), is("nothing", nothing), is("small", small), is("r", r))
	park()
	use(f, nothing, small, r)
}

//go:noinline
func holdMethodful(none, c, s shape, l fmt.Stringer) {
	tell(is("none", none), is("c", c), is("s", s), is("l", l), is("c.(circle).radius", c.(circle).radius),
		is("s.(*square).side", s.(*square).side), fails("c.(*square)", "circle"))
	park()
	use(none, c, s, l)
}

func (l level) area() float64 { return float64(l) }

//go:noinline
func holdReader(r io.Reader) {
	tell(is("r", r), is("r.(*io.LimitedReader).N", r.(*io.LimitedReader).N))
	park()
	use(r)
}

//go:noinline
func holdAsserted(s shape) float64 {
	asserted, ok := s.(*square)
	tell(is("s", s), is("asserted", asserted), is("asserted.side", asserted.side), is("ok", ok))
	park()
	if ok {
		return asserted.side
	}
	return s.area()
}

//go:noinline
func holdSwitch(value any) int {
	switch v := value.(type) {
	case point:
		tell(is("v", v), is("v.x", v.x), is("value", value))
		park()
		return v.x + v.y
	case string:
		tell(is("v", v), is("value", value))
		park()
		return len(v)
	}
	use(value)
	return 0
}

//go:noinline
func holdInterfaces(shapes []shape, byName map[string]any) {
	tell(is("shapes", shapes), is("byName", byName), is("shapes[1].(*square).side", shapes[1].(*square).side),
		is(`byName["x"].(float64)`, byName["x"].(float64)), is("shapes[2]", shapes[2]))
	park()
	use(shapes, byName)
}

type holder[T any] struct{ content T }

func (h holder[T]) String() string { return fmt.Sprint(h.content) }

//go:noinline
func holdStringer(s fmt.Stringer) string {
	tell(is("s", s))
	park()
	return s.String()
}

// Go keeps these in a table of its own instead of on the heap.
//
//go:noinline
func holdSmallValues(zero, byteful, nothing, float any) {
	tell(is("zero", zero), is("byteful", byteful), is("nothing", nothing), is("float", float))
	park()
	use(zero, byteful, nothing, float)
}
