//go:build !go1.24

package main

import (
	"fmt"
	"reflect"
	"unsafe"
)

// Maps of these versions grow bit by bit, and can be caught at it: these are.
func init() {
	families = append(families, startGrowth)
}

func startGrowth() {
	for _, n := range []int{200, 20, 3000} {
		m := caughtGrowing(n)
		start(func() { holdGrowth(m) })
	}
	// Entries that come and go leave ever more overflow buckets behind, until the map is reordered.
	same := map[int]int{}
	for i := 0; !growsInPlace(same); i++ {
		if i == 1_000_000 {
			panic("no map grew in place")
		}
		same[i] = i
		delete(same, i-200)
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

// caughtGrowing has n entries, and those that it takes until it grows: after 6.5 a bucket, of Go 1.21 after 6
// (loadFactorNum in runtime/map.go), or in place before that, which does not count.
func caughtGrowing(n int) map[int]string {
	m := map[int]string{}
	for i := 0; i < n || !grows(m) || growsInPlace(m); i++ {
		if i == 4*n {
			panic("no map grows")
		}
		m[i] = fmt.Sprint(i)
	}
	return m
}

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
