package main

func startLists() {
	start(func() { holdSlices(nil, []int{}, []int{1, 2, 3}, []string{"a", "", "c"}) })
	start(func() { holdLongSlices(count(100), count(100_000)) })
	start(func() { holdCapacity(make([]uint16, 3, 10), count(50)[10:20:30]) })
	start(func() { holdNested([][]int{{1}, nil, {2, 3}}, [][2]string{{"a", "b"}}, []any{1, "two", nil, 3.5}) })
	start(func() { holdArrays([3]int{1, 2, 3}, [0]int{}, [1]string{"one"}, [2][2]int8{{1, 2}, {3, 4}}) })
	start(func() { holdBigArray(&[300]int32{0: 5, 299: 9}) })
	start(func() { holdStructs([]item{{1, "one", nil}, {2, "two", []string{"x"}}}, []*item{{Number: 3}, nil}) })
	start(func() { holdAppended([]string{"first"}) })
	start(func() { holdEmptyElements(make([]struct{}, 5), [3]struct{}{}) })
}

type item struct {
	Number int
	Name   string
	tags   []string
}

func count(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

//go:noinline
func holdSlices(none, empty, numbers []int, texts []string) {
	tell(is("none", none), is("empty", empty), is("numbers", numbers), is("texts", texts), is("numbers[2]", numbers[2]),
		is("texts[0]", texts[0]), is("len(texts)", len(texts)), is("numbers[1:]", numbers[1:]),
		is("numbers[:0]", numbers[:0]), fails("numbers[3]", "out of range"), fails("none[0]", "out of range"))
	park()
	use(none, empty, numbers, texts)
}

//go:noinline
func holdLongSlices(hundred, many []int) int {
	tell(is("hundred", hundred), is("many", many), is("len(many)", len(many)), is("many[99999]", many[99999]),
		is("many[50000:50003]", many[50000:50003]), is("hundred[10]", hundred[10]))
	park()
	return len(hundred) + many[3]
}

//go:noinline
func holdCapacity(spare []uint16, limited []int) {
	tell(is("spare", spare), is("cap(spare)", cap(spare)), is("limited", limited), is("len(limited)", len(limited)),
		is("cap(limited)", cap(limited)), fails("spare[5]", "out of range"))
	park()
	use(spare, limited)
}

//go:noinline
func holdNested(lists [][]int, pairs [][2]string, anything []any) {
	tell(is("lists", lists), is("pairs", pairs), is("anything", anything), is("lists[2][1]", lists[2][1]),
		is("pairs[0][1]", pairs[0][1]), is("anything[1].(string)", anything[1].(string)))
	park()
	use(lists, pairs, anything)
}

//go:noinline
func holdArrays(three [3]int, zero [0]int, one [1]string, nested [2][2]int8) {
	tell(is("three", three), is("zero", zero), is("one", one), is("nested", nested), is("three[1]", three[1]),
		is("nested[1][0]", nested[1][0]), is("len(three)", len(three)), is("three[1:]", three[1:]))
	park()
	use(three, zero, one, nested)
}

//go:noinline
func holdBigArray(big *[300]int32) int32 {
	tell(is("*big", *big), is("big[299]", big[299]), is("len(big)", len(big)), is("big[0]", big[0]))
	park()
	return big[1]
}

//go:noinline
func holdStructs(items []item, pointers []*item) {
	tell(is("items", items), is("pointers", pointers), is("items[1].Name", items[1].Name),
		is("items[1].tags[0]", items[1].tags[0]), is("pointers[0].Number", pointers[0].Number),
		fails("pointers[1].Number", "nil pointer"))
	park()
	use(items, pointers)
}

//go:noinline
func holdAppended(list []string) []string {
	list = append(list, "second")
	for _, more := range []string{"third", "fourth"} {
		list = append(list, more)
	}
	tell(is("list", list), is("len(list)", len(list)))
	park()
	return append(list, "last")
}

//go:noinline
func holdEmptyElements(list []struct{}, array [3]struct{}) {
	tell(is("list", list), is("array", array), is("len(list)", len(list)))
	park()
	use(list, array)
}
