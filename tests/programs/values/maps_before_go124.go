//go:build !go1.24

package main

import (
	"reflect"
	"unsafe"
)

// Maps of these versions grow bit by bit, and can be caught at it: these are.
func init() {
	families = append(families, startGrowth)
}

func startGrowth() {
	for _, m := range []map[int]string{growing(208), growing(26), growing(3328)} {
		// Whether one is caught at it depends on the seed of its hash.
		if !grows(m) {
			continue
		}
		m := m
		start(func() { holdGrowth(m) })
	}
	same := map[int]int{}
	for round := 0; !growsInPlace(same); round++ {
		for i := 0; i < 800 && !growsInPlace(same); i++ {
			same[round*800+i] = i
			if i >= 2 && i%7 != 0 {
				delete(same, round*800+i-2)
			}
		}
		if len(same) > 20_000 {
			same = map[int]int{}
		}
		if round > 1_000 {
			return
		}
	}
	start(func() { holdGrowthInPlace(same) })
}

// header is the start of runtime.hmap.
type header struct {
	count      int
	flags      uint8
	b          uint8
	overflows  uint16
	seed       uint32
	buckets    unsafe.Pointer
	oldBuckets unsafe.Pointer
}

func headerOf(m any) *header { return (*header)(reflect.ValueOf(m).UnsafePointer()) }

func grows(m any) bool { return headerOf(m).oldBuckets != nil }

func growsInPlace(m any) bool { return grows(m) && headerOf(m).flags&8 != 0 }

//go:noinline
func holdGrowth(m map[int]string) {
	tell(is("m", m), is("len(m)", len(m)), is("m[5]", m[5]))
	park()
	use(m)
}

//go:noinline
func holdGrowthInPlace(m map[int]int) {
	tell(is("m", m), is("len(m)", len(m)))
	park()
	use(m)
}
