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
	for _, n := range []int{208, 26, 3328} {
		// One that was reordered on the way there, which is chance, does not grow just then.
		m := growing(n)
		for tries := 0; !grows(m); tries++ {
			if tries == 100 {
				panic("no map grows")
			}
			m = growing(n)
		}
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
