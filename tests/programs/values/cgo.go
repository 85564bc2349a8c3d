//go:build cgo

package main

// struct place { int x; double y; char name[8]; };
// static struct place here(int x) { struct place p = { x, 0.5, "here" }; return p; }
import "C"

func init() {
	families = append(families, startC)
}

func startC() {
	start(func() { holdC(C.here(6), 7) })
}

//go:noinline
func holdC(p C.struct_place, n C.int) int {
	tell(is("p.x", p.x), is("p.y", p.y), is("n", n))
	park()
	use(p, n)
	return int(p.x)
}
