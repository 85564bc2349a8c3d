package main

import (
	"fmt"
	"math"
)

func startMaps() {
	start(func() { holdMaps(nil, map[string]int{}, map[string]int{"one": 1, "two": 2, "": 0}) })
	start(func() { holdMediumMap(numbered(100), squares(50)) })
	start(func() { holdLargeMap(numbered(5000), squares(3000)) })
	start(func() {
		holdKeys(map[point]string{{1, 2}: "a", {-1, 0}: "b"}, map[any]int{1: 1, "1": 2, 1.0: 3, point{1, 1}: 4},
			map[[2]int8]bool{{1, 2}: true}, map[float64]string{0.5: "half", math.Inf(1): "inf"})
	})
	start(func() {
		holdPointerKeys(map[*item]int{{Number: 1}: 1}, map[shape]string{circle{1}: "c"}, map[bool]int{true: 1, false: 0})
	})
	start(func() {
		holdBigEntries(map[[40]int32]string{{0: 1}: "key of 160 bytes"}, map[int][200]byte{3: {1, 2, 3}},
			map[[129]byte][130]byte{{1}: {2}})
	})
	start(func() { holdDeleted(deleted(1000, 10), deleted(8, 3), deleted(40, 40)) })
	start(func() { holdGrowing(growing(208), growing(26), growing(3000)) })
	start(func() {
		holdNestedMaps(map[string]map[string]int{"a": {"x": 1}, "b": nil}, map[string][]item{"list": {{1, "one", nil}}},
			map[string]*item{"p": {Number: 2}, "none": nil})
	})
	start(func() { holdSets(map[string]struct{}{"a": {}, "b": {}}, map[int64]bool{1: true}) })
	start(func() { holdMinutes(map[uint8]int8{1: -1, 255: 127}, map[level]direction{1: "up", 2: "down"}) })
	start(func() { holdNaNs(map[float64]int{math.NaN(): 1}) })
	start(func() { holdEight(numbered(8), numbered(9), numbered(7)) })
}

func numbered(n int) map[string]int {
	m := map[string]int{}
	for i := 0; i < n; i++ {
		m[fmt.Sprintf("key-%04d", i)] = i
	}
	return m
}

func squares(n int) map[int]int {
	m := make(map[int]int, n)
	for i := 0; i < n; i++ {
		m[i-5] = i * i
	}
	return m
}

// deleted leaves n-d of n entries.
func deleted(n, d int) map[string]int {
	m := numbered(n)
	for i := 0; i < d; i++ {
		delete(m, fmt.Sprintf("key-%04d", i*n/d))
	}
	return m
}

// growing has just begun to grow, where maps grow bit by bit (up to Go 1.23):
// the next entry after 6.5 a bucket makes them, 13 * 2^k / 2.
func growing(n int) map[int]string {
	m := map[int]string{}
	for i := 0; i <= n; i++ {
		m[i] = fmt.Sprint(i)
	}
	return m
}

//go:noinline
func holdMaps(none, empty, small map[string]int) {
	tell(is("none", none), is("empty", empty), is("small", small), is("len(small)", len(small)), is("len(none)", len(none)),
		is(`small["two"]`, small["two"]), is(`small[""]`, small[""]), fails(`small["three"]`, "no such key"),
		fails(`none["x"]`, ""))
	park()
	use(none, empty, small)
}

//go:noinline
func holdMediumMap(names map[string]int, numbers map[int]int) {
	tell(is("names", names), is("numbers", numbers), is("len(names)", len(names)), is(`names["key-0042"]`, names["key-0042"]),
		is("numbers[-5]", numbers[-5]), is("numbers[44]", numbers[44]), fails("numbers[45]", "no such key"))
	park()
	use(names, numbers)
}

//go:noinline
func holdLargeMap(names map[string]int, numbers map[int]int) int {
	tell(is("names", names), is("numbers", numbers), is("len(names)", len(names)), is(`names["key-4999"]`, names["key-4999"]),
		is("numbers[2994]", numbers[2994]), fails(`names["key-5000"]`, "no such key"))
	park()
	return len(names) + numbers[3]
}

//go:noinline
func holdKeys(points map[point]string, anything map[any]int, arrays map[[2]int8]bool, floats map[float64]string) {
	tell(is("points", points), is("anything", anything), is("arrays", arrays), is("floats", floats))
	park()
	use(points, anything, arrays, floats)
}

//go:noinline
func holdPointerKeys(pointers map[*item]int, shapes map[shape]string, bools map[bool]int) {
	tell(is("pointers", pointers), is("shapes", shapes), is("bools", bools), is("bools[true]", bools[true]))
	park()
	use(pointers, shapes, bools)
}

// Keys and elements of more than 128 bytes are stored by pointer.
//
//go:noinline
func holdBigEntries(keys map[[40]int32]string, elements map[int][200]byte, both map[[129]byte][130]byte) {
	tell(is("keys", keys), is("elements", elements), is("both", both), is("elements[3][2]", elements[3][2]),
		is("elements[3]", elements[3]))
	park()
	use(keys, elements, both)
}

//go:noinline
func holdDeleted(large, small, emptied map[string]int) {
	tell(is("large", large), is("len(large)", len(large)), is("small", small), is("emptied", emptied),
		is("len(emptied)", len(emptied)), fails(`large["key-0000"]`, "no such key"), is(`large["key-0999"]`, large["key-0999"]))
	park()
	use(large, small, emptied)
}

//go:noinline
func holdGrowing(medium, small, large map[int]string) {
	tell(is("medium", medium), is("small", small), is("large", large), is("len(large)", len(large)), is("medium[207]", medium[207]),
		is("large[3]", large[3]), is("small[0]", small[0]))
	park()
	use(medium, small, large)
}

//go:noinline
func holdNestedMaps(maps map[string]map[string]int, lists map[string][]item, pointers map[string]*item) {
	tell(is("maps", maps), is("lists", lists), is("pointers", pointers), is(`maps["a"]["x"]`, maps["a"]["x"]),
		is(`lists["list"][0].Name`, lists["list"][0].Name), is(`pointers["p"].Number`, pointers["p"].Number))
	park()
	use(maps, lists, pointers)
}

//go:noinline
func holdSets(names map[string]struct{}, numbers map[int64]bool) {
	tell(is("names", names), is("numbers", numbers), is("numbers[1]", numbers[1]))
	park()
	use(names, numbers)
}

//go:noinline
func holdMinutes(small map[uint8]int8, named map[level]direction) {
	tell(is("small", small), is("named", named), is("small[255]", small[255]), is("named[2]", named[2]))
	park()
	use(small, named)
}

//go:noinline
func holdNaNs(m map[float64]int) {
	tell(is("m", m), is("len(m)", len(m)))
	park()
	use(m)
}

//go:noinline
func holdEight(eight, nine, seven map[string]int) {
	tell(is("eight", eight), is("nine", nine), is("seven", seven), is(`nine["key-0008"]`, nine["key-0008"]))
	park()
	use(eight, nine, seven)
}
