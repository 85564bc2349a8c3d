package main

import "strings"

// Variables of blocks: declared later, of the same name, of branches whose
// slots others have used.
func startScopes() {
	start(func() { scopeShadow(1) })
	start(func() { scopeLater(2) })
	start(func() { scopeBranches(true, "a") })
	start(func() { scopeBranches(false, "b") })
	start(func() { scopeMerged(1) })
	start(func() { scopeMerged(2) })
	start(func() { scopeMerged(3) })
	start(func() { scopeLoop(strings.Fields("zero one two three")) })
	start(func() { scopeIf(map[string]int{"k": 5}) })
	start(func() { scopeLeft(4) })
}

//go:noinline
func scopeShadow(n int) int {
	x := n + 10
	{
		x := "inner"
		if n == 1 {
			x := 2.5
			tell(is("x", x), is("n", n))
			park()
			use(x)
		}
		use(x)
	}
	return x
}

//go:noinline
func scopeLater(n int) int {
	before := n * 3
	tell(is("before", before), none("after", "declared below"), none("text", "declared below"), none("list", "declared below"))
	park()
	after := before + n
	text := strings.Repeat("x", after)
	list := make([]int, after)
	use(&list, text)
	return after + len(list)
}

//go:noinline
func scopeBranches(first bool, text string) int {
	if first {
		left := [4]string{text, "left"}
		keep(first)
		tell(is("left", left), none("right", "of the other branch"), is("text", text))
		park()
		use(left)
		return len(left)
	}
	right := [4]int{1, 2, 3, len(text)}
	tell(is("right", right), none("left", "of the other branch"), is("text", text))
	park()
	use(right)
	return right[3]
}

//go:noinline
func fillBig(b *[64]int, from int) int {
	for i := range b {
		b[i] = from + i
	}
	return b[63]
}

// Since Go 1.23 the three share a slot.
//
//go:noinline
func scopeMerged(which int) int {
	switch which {
	case 1:
		var one [64]int
		fillBig(&one, 100)
		tell(is("one[5]", one[5]), none("two[5]", "of another case"), none("three[5]", "of another case"))
		park()
		return fillBig(&one, one[6])
	case 2:
		var two [64]int
		fillBig(&two, 200)
		tell(is("two[5]", two[5]), none("one[5]", "of another case"), none("three[5]", "of another case"))
		park()
		return fillBig(&two, two[6])
	default:
		var three [64]int
		fillBig(&three, 300)
		tell(is("three[5]", three[5]), none("one[5]", "of another case"), none("two[5]", "of another case"))
		park()
		return fillBig(&three, three[6])
	}
}

//go:noinline
func scopeLoop(words []string) int {
	total := 0
	for i, word := range words {
		upper := strings.ToUpper(word)
		total += len(upper)
		if i == 2 {
			tell(is("i", i), is("word", word), is("upper", upper), is("total", total), is("words", words))
			park()
		}
		use(upper, word)
	}
	return total
}

//go:noinline
func scopeIf(m map[string]int) int {
	if v, ok := m["k"]; ok {
		tell(is("v", v), is("ok", ok), is("m", m))
		park()
		return v + len(m)
	} else if w := len(m); w > 3 {
		return w
	}
	return 0
}

// block has been left; its variable is no more.
//
//go:noinline
func scopeLeft(n int) int {
	result := n
	{
		block := strings.Repeat("b", n)
		result += len(block)
		use(block)
	}
	tell(is("result", result), none("block", "its block has been left"))
	park()
	return result
}
