package main

import (
	"math"
	"unsafe"
)

func startNumbers() {
	start(func() { holdSigned(math.MinInt8, math.MinInt16, math.MinInt32, math.MinInt64, -1) })
	start(func() { holdSignedMax(math.MaxInt8, math.MaxInt16, math.MaxInt32, math.MaxInt64) })
	start(func() {
		holdUnsigned(math.MaxUint8, math.MaxUint16, math.MaxUint32, math.MaxUint64, 7, 0xfffffffffffffffe)
	})
	start(func() { holdBools(true, false, level(3), 'ß') })
	start(func() { holdFloats(1.5, -math.Pi, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1)) })
	start(func() {
		holdSmallFloats(math.MaxFloat32, float32(math.Inf(-1)), float32(math.NaN()), math.SmallestNonzeroFloat64)
	})
	start(func() { holdComplex(complex(1, -2), complex(math.NaN(), math.Inf(1)), complex(0.5, 0.25)) })
	start(func() { holdUnsafe(unsafe.Pointer(&steps), nil) })
	start(func() { holdDead(11, "dead text", []int{1, 2}, 2.5) })
	start(func() { holdComputed(20, 22) })
}

// level has a name and a method.
type level uint16

func (l level) String() string { return "level" }

var steps = [...]int{1, 2, 3}

//go:noinline
func holdSigned(a int8, b int16, c int32, d int64, e int) {
	tell(is("a", a), is("b", b), is("c", c), is("d", d), is("e", e))
	park()
	use(a, b, c, d, e)
}

//go:noinline
func holdSignedMax(a int8, b int16, c int32, d int64) int64 {
	tell(is("a", a), is("b", b), is("c", c), is("d", d))
	park()
	return int64(a) + int64(b) + int64(c) + d
}

//go:noinline
func holdUnsigned(a uint8, b uint16, c uint32, d uint64, e uint, f uintptr) {
	tell(is("a", a), is("b", b), is("c", c), is("d", d), is("e", e), is("f", f))
	park()
	use(a, b, c, d, e, f)
}

//go:noinline
func holdBools(yes, no bool, l level, r rune) {
	tell(is("yes", yes), is("no", no), is("l", l), is("r", r))
	park()
	use(yes, no, l, r)
}

//go:noinline
func holdFloats(a, b, negativeZero, nan, infinite, negative float64) {
	tell(is("a", a), is("b", b), is("negativeZero", negativeZero), is("nan", nan), is("infinite", infinite),
		is("negative", negative))
	park()
	use(a, b, negativeZero, nan, infinite, negative)
}

//go:noinline
func holdSmallFloats(a, b, nan float32, tiny float64) {
	tell(is("a", a), is("b", b), is("nan", nan), is("tiny", tiny))
	park()
	use(a, b, nan, tiny)
}

//go:noinline
func holdComplex(a, b complex128, c complex64) {
	tell(is("a", a), is("b", b), is("c", c))
	park()
	use(a, b, c)
}

//go:noinline
func holdUnsafe(p, nothing unsafe.Pointer) {
	tell(is("p", p), is("nothing", nothing))
	park()
	use(p, nothing)
}

// Nothing of it is used afterwards.
//
//go:noinline
func holdDead(n int, text string, list []int, f float64) {
	tell(is("n", n), is("text", text), is("list", list), is("f", f))
	park()
}

//go:noinline
func holdComputed(a, b int) int {
	sum := a + b
	product := a * b
	half := float64(sum) / 2
	even := sum%2 == 0
	tell(is("a", a), is("b", b), is("sum", sum), is("product", product), is("half", half), is("even", even))
	park()
	if even {
		return sum*product + int(half)
	}
	return a
}
