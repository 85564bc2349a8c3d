package main

// Variables that have held something else before: the old value lies about in
// the slot that the argument was spilled to, and in older copies.
func startAssignments() {
	start(func() { assignLive(5, "before", []int{1}) })
	start(func() { assignDead(5, "before", []int{1}) })
	start(func() { assignSometimes(5, "before", true) })
	start(func() { assignSometimes(6, "kept", false) })
	start(func() { assignInLoop(5, "x") })
	start(func() { assignAcross(1, 2) })
	start(func() { assignField(point{1, 2}, item{1, "old", nil}) })
	start(func() { assignPointer(&item{Number: 1}, &item{Number: 2}) })
	start(func() { assignInterface(1, circle{1}) })
	start(func() { assignAfterCalls(10, "calls") })
	start(func() { assignDeadThenDead(3, "a") })
	start(func() { assignLarge(padded{a: 1, b: 2, c: 3, d: -4, e: true, f: 0.5}) })
	start(func() { assignLargeWhole(padded{a: 1, b: 2, c: 3, d: -4, e: true, f: 0.5}, 7) })
	start(func() { assignLargeDead(padded{a: 1, b: 2, c: 3, d: -4, e: true, f: 0.5}) })
	start(func() { assignLargeSometimes(padded{a: 1, b: 2, c: 3, d: -4, e: true, f: 0.5}, true) })
	start(func() { assignLargeSometimes(padded{a: 2, b: 2, c: 3, d: -4, e: true, f: 0.5}, false) })
	start(func() { assignParts(pair{"one", 1}, point{2, 3}, 4) })
	start(func() { assignPartsAnew(pair{"one", 1}, point{2, 3}, 4) })
	start(func() { shift([]string{"a", "b", "c", "d"}) })
}

//go:noinline
func assignLive(n int, text string, list []int) {
	n += 100
	text += " and after"
	list = append(list, n)
	tell(is("n", n), is("text", text), is("list", list))
	park()
	use(n, text, list)
}

//go:noinline
func assignDead(n int, text string, list []int) {
	use(n, text, list)
	n += 100
	text += " and after"
	list = append(list, n)
	tell(is("n", n), is("text", text), is("list", list))
	park()
}

//go:noinline
func assignSometimes(n int, text string, change bool) int {
	if change {
		n *= 7
		text = "changed"
	}
	tell(is("n", n), is("text", text), is("change", change))
	park()
	return n + len(text)
}

//go:noinline
func assignInLoop(n int, text string) int {
	total := 0
	for ; n > 0; n-- {
		total += n
		text += "y"
		if n == 2 {
			tell(is("n", n), is("text", text), is("total", total))
			park()
		}
	}
	return total + len(text)
}

//go:noinline
func assignAcross(a, b int) int {
	a, b = b, a
	c := a
	a = 50
	tell(is("a", a), is("b", b), is("c", c))
	park()
	return a*b + c
}

//go:noinline
func assignField(p point, i item) {
	p.x = 77
	i.Name = "new"
	i.tags = append(i.tags, "tag")
	tell(is("p", p), is("p.x", p.x), is("p.y", p.y), is("i", i), is("i.Number", i.Number), is("i.Name", i.Name))
	park()
	use(p, i)
}

//go:noinline
func assignPointer(p, q *item) {
	p = q
	q = nil
	tell(is("p.Number", p.Number), is("q", q))
	park()
	use(p, q)
}

//go:noinline
func assignInterface(a any, s shape) {
	a = "was a number"
	s = &square{8}
	tell(is("a", a), is("s", s))
	park()
	use(a, s)
}

//go:noinline
func plus(n int) int { return n + 1 }

//go:noinline
func assignAfterCalls(n int, text string) int {
	n = plus(n)
	m := plus(n)
	text = text[plus(0):]
	n = plus(m)
	tell(is("n", n), is("m", m), is("text", text))
	park()
	n = plus(n)
	return n + m + len(text)
}

//go:noinline
func assignDeadThenDead(n int, text string) int {
	n = plus(n)
	use(text)
	text = "overwritten"
	m := plus(n)
	tell(is("n", n), is("text", text), is("m", m))
	park()
	return m
}

//go:noinline
func shift(queue []string) []string {
	for len(queue) > 2 {
		head := queue[0]
		queue = queue[1:]
		use(head)
	}
	tell(is("queue", queue), is("len(queue)", len(queue)))
	park()
	return queue
}

// Values of more than four fields are never in registers, but passed in them.
//
//go:noinline
func assignLarge(p padded) {
	p.b = 50
	tell(is("p", p), is("p.a", p.a), is("p.b", p.b), is("p.f", p.f))
	park()
	use(p)
}

//go:noinline
func assignLargeWhole(p padded, n uint64) uint64 {
	p = padded{b: n, d: 3}
	tell(is("p", p), is("p.b", p.b), is("p.d", p.d))
	park()
	return p.b + uint64(p.d)
}

//go:noinline
func assignLargeDead(p padded) uint8 {
	a := p.a
	p.b = 50
	p.c++
	tell(is("p.b", p.b), is("p.c", p.c), is("a", a))
	p.d = 60
	tell(is("p.d", p.d))
	park()
	return a
}

//go:noinline
func assignLargeSometimes(p padded, change bool) padded {
	if change {
		p = padded{a: 9}
		p.f = 1.5
	}
	tell(is("p", p), is("p.b", p.b), is("p.f", p.f))
	park()
	return p
}

//go:noinline
func assignParts(q pair, p point, n int) int {
	q.number = 5
	p.y = n
	tell(is("q", q), is("q.number", q.number), is("q.text", q.text), is("p", p), is("p.x", p.x), is("p.y", p.y))
	park()
	return q.number + len(q.text) + p.x + p.y
}

//go:noinline
func assignPartsAnew(q pair, p point, n int) int {
	kept := q
	q = pair{"other", n}
	was := p.x
	p = point{y: was}
	tell(is("q", q), is("q.number", q.number), is("q.text", q.text), is("p", p), is("p.x", p.x), is("kept", kept), is("was", was))
	park()
	return kept.number + len(kept.text) + was + n
}
