package main

func startPointers() {
	n, text := 5, "pointed at"
	pn := &n
	start(func() { holdPointers(pn, &text, nil, &pn) })
	start(func() { holdChain(makeChain(5)) })
	start(func() { holdLongChain(makeChain(500)) })
	start(func() { holdCycle(makeCycle()) })
	start(func() { holdTree(makeTree(4, new(int))) })
	start(func() { holdEscaped(1) })
	start(func() { holdOnStack(3) })
	start(holdSelf)
}

type link struct {
	number int
	next   *link
}

type node struct {
	number      int
	left, right *node
}

func makeChain(n int) *link {
	var first *link
	for i := n; i > 0; i-- {
		first = &link{i, first}
	}
	return first
}

func makeCycle() *link {
	a := &link{number: 1}
	a.next = &link{2, &link{3, a}}
	return a
}

func makeTree(depth int, number *int) *node {
	if depth == 0 {
		return nil
	}
	*number++
	return &node{*number, makeTree(depth-1, number), makeTree(depth-1, number)}
}

//go:noinline
func holdPointers(n *int, text, nothing *string, pp **int) {
	tell(is("n", n), is("*n", *n), is("text", text), is("*text", *text), is("nothing", nothing), is("pp", pp), is("**pp", **pp),
		fails("*nothing", "nil pointer"))
	park()
	use(n, text, nothing, pp)
}

//go:noinline
func holdChain(first *link) int {
	second := first.next
	tell(is("first", first), is("first.next.next.number", first.next.next.number), is("second.number", second.number),
		is("second.next.next.next.next", second.next.next.next.next))
	park()
	return first.number + second.number
}

//go:noinline
func holdLongChain(first *link) int {
	tell(is("first", first), is("first.next.next.next.next.next.next.next.next.next.number",
		first.next.next.next.next.next.next.next.next.next.number))
	park()
	return first.number
}

//go:noinline
func holdCycle(first *link) int {
	tell(is("first", first), is("first.next.next.next.number", first.next.next.next.number))
	park()
	return first.number
}

//go:noinline
func holdTree(root *node) int {
	tell(is("root", root), is("root.left.right.number", root.left.right.number), is("*root.right", *root.right))
	park()
	return root.number
}

var escaped []*int

// number and local move to the heap.
//
//go:noinline
func holdEscaped(number int) int {
	local := "moved"
	list := [4]int{1, 2, 3, 4}
	escaped = append(escaped, &number)
	keep(&local, &list)
	number += 41
	local += " to the heap"
	tell(is("number", number), is("local", local), is("list", list), is("list[2]", list[2]))
	park()
	number++
	return number + len(local) + list[0]
}

//go:noinline
func fill(p *point, n int) { p.x, p.y = n, n*n }

// p stays on the stack, though its address is taken.
//
//go:noinline
func holdOnStack(n int) int {
	var p point
	fill(&p, n)
	q := p
	tell(is("p", p), is("p.y", p.y), is("q", q), is("n", n))
	park()
	fill(&p, p.x+1)
	return p.x + q.y
}

type looped *looped

//go:noinline
func holdSelf() {
	p := new(looped)
	*p = p
	tell(is("p", p))
	park()
	use(p)
}
