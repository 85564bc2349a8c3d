package main

import "sync/atomic"

func startAtomics() {
	a := &counters{name: "counters"}
	a.yes.Store(true)
	a.small.Store(-3)
	a.large.Store(1 << 40)
	a.unsigned.Store(4_000_000_000)
	a.huge.Store(1 << 63)
	a.word.Store(0x1234)
	a.value.Store(point{1, 2})
	a.pointer.Store(&item{Number: 3, Name: "pointed at"})
	start(func() { holdAtomics(a) })
	start(func() { holdNoAtomics(&counters{}) })
	start(func() { holdOldAtomics(5) })
}

type counters struct {
	name     string
	yes      atomic.Bool
	small    atomic.Int32
	large    atomic.Int64
	unsigned atomic.Uint32
	huge     atomic.Uint64
	word     atomic.Uintptr
	value    atomic.Value
	pointer  atomic.Pointer[item]
}

//go:noinline
func holdAtomics(a *counters) {
	tell(at("a.yes", &a.yes), at("a.small", &a.small), at("a.large", &a.large), at("a.unsigned", &a.unsigned),
		at("a.huge", &a.huge), at("a.word", &a.word), at("a.value", &a.value), at("a.pointer", &a.pointer), at("*a", a),
		is("a.name", a.name))
	park()
	use(a)
}

//go:noinline
func holdNoAtomics(a *counters) {
	tell(at("*a", a), at("a.value", &a.value), at("a.pointer", &a.pointer))
	park()
	use(a)
}

//go:noinline
func holdOldAtomics(by int64) int64 {
	var n int64
	keep(&n)
	atomic.AddInt64(&n, by)
	tell(at("n", &n), is("by", by))
	park()
	return atomic.LoadInt64(&n) + by
}
