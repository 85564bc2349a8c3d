package main

// Variables that are assigned anew while the compiler keeps a copy of what they held, without a name: what is
// ranged over, what was passed to a deferred call, the old value of a comparison.
func startCopies() {
	start(func() { assignRanged([]string{"a", "bc", "d"}, 0) })
	start(func() { assignRangedAgain([]string{"a", "bc", "d"}) })
	start(func() { assignRangedMap(map[string]int{"one": 1}) })
	start(func() { assignDeferred(5, "deferred") })
	start(func() { assignSwitched(3) })
	start(func() { assignReturned(4, "x") })
	start(func() { assignLimit([]int{1, 2, 3}) })
}

//go:noinline
func assignRanged(list []string, total int) int {
	for _, text := range list {
		list = nil
		total += len(text)
		if len(text) == 2 {
			tell(is("list", list), is("text", text), is("total", total))
			park()
		}
	}
	return total
}

//go:noinline
func assignRangedAgain(list []string) int {
	total := 0
	for i, text := range list {
		list = append(list[:0], text)
		total += len(text)
		if i == 1 {
			tell(is("list", list), is("text", text), is("len(list)", len(list)))
			park()
		}
	}
	return total
}

//go:noinline
func assignRangedMap(m map[string]int) int {
	total := 0
	for key, value := range m {
		m = nil
		total += value + len(key)
		tell(is("m", m), is("key", key), is("value", value))
		park()
	}
	return total
}

//go:noinline
func assignDeferred(n int, text string) {
	defer use(n, text)
	n, text = 0, ""
	tell(is("n", n), is("text", text))
	park()
}

//go:noinline
func assignSwitched(n int) int {
	switch old := n; {
	case old > 2:
		n = 1
		tell(is("n", n), is("old", old))
		park()
		return old
	}
	return n
}

func parked() int { park(); return 1 }

//go:noinline
func assignReturned(n int, text string) (int, string) {
	before := n
	n = 8
	tell(is("n", n), is("text", text), is("before", before))
	return before + parked(), text
}

//go:noinline
func assignLimit(list []int) int {
	total, end := 0, len(list)
	for i := 0; i < end; i++ {
		total += list[i]
		if i == 1 {
			list = list[:2]
			tell(is("list", list), is("end", end), is("len(list)", len(list)), is("total", total))
			park()
		}
	}
	return total
}
