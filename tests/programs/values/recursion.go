package main

func startRecursion() {
	start(func() { descend(6, "r", nil) })
	start(func() { even(5, []int{5}) })
	start(func() { walk(makeTree(4, new(int)), 0) })
	start(func() { deepen(60, 1) })
}

//go:noinline
func descend(n int, text string, outer *link) int {
	here := &link{number: n, next: outer}
	twice := n * 2
	facts := []fact{is("n", n), is("text", text), is("here.number", here.number), is("twice", twice)}
	if n == 0 {
		tell(facts...)
		park()
		return len(text)
	}
	tell(facts...)
	result := descend(n-1, text+"r", here)
	return result + n + here.number + twice + len(text)
}

//go:noinline
func even(n int, seen []int) bool {
	tell(is("n", n), is("seen", seen))
	if n == 0 {
		park()
		use(seen)
		return true
	}
	result := odd(n-1, append(seen, n))
	use(n, seen)
	return result
}

//go:noinline
func odd(n int, seen []int) bool {
	tell(is("n", n), is("seen", seen))
	if n == 0 {
		park()
		use(seen)
		return false
	}
	result := even(n-1, append(seen, n))
	use(n, seen)
	return result
}

//go:noinline
func walk(n *node, depth int) int {
	if n.left == nil {
		tell(is("n.number", n.number), is("depth", depth))
		park()
		return n.number
	}
	tell(is("n.number", n.number), is("depth", depth))
	return walk(n.left, depth+1) + walk(n.right, depth+1) + n.number
}

// Its stack grows, and moves, while it holds pointers into it.
//
//go:noinline
func deepen(n int, from int) int {
	var space [100]int
	p := &space[n]
	space[n] = from + n
	facts := []fact{is("n", n), is("from", from), is("space[n]", space[n]), is("*p", *p)}
	facts[2].expression = "*p"
	facts = facts[:3]
	if n == 0 {
		tell(facts...)
		park()
		return *p
	}
	tell(facts...)
	result := deepen(n-1, space[n])
	return result + *p + n + from
}
