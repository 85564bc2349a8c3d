package main

func startArguments() {
	start(func() { holdMany(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14) })
	start(func() { holdMixed(1, 2.5, "three", []int{4}, point{5, 6}, true, 'c', 7, 8.5, "nine", nil, 10) })
	start(func() { holdFloatsMany(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18) })
	start(func() { holdVariadic("format %d", 1, "two", nil) })
	start(func() { holdVariadic("nothing") })
	start(func() { holdVariadicNumbers(4, 5, 6) })
	start(func() { holdOnStackOnly([3]int{1, 2, 3}, bulky{a: 1, z: 26}) })
	start(func() { holdResults(2) })
	start(func() { holdUnnamed(1, "used") })
	start(func() { holdUsedInPart(item{1, "part", []string{"t"}}, makeOrder(5), 9) })
}

type bulky struct {
	a     int
	space [200]int
	z     int
}

//go:noinline
func holdMany(a, b, c, d, e, f, g, h, i, j, k, l, m, n int) int {
	tell(is("a", a), is("b", b), is("c", c), is("d", d), is("e", e), is("f", f), is("g", g), is("h", h), is("i", i), is("j", j),
		is("k", k), is("l", l), is("m", m), is("n", n))
	park()
	return a + b*c + d - e + f*g + h + i*j - k + l*m + n
}

//go:noinline
func holdMixed(a int, b float64, c string, d []int, e point, f bool, g rune, h int8, i float32, j string, k *item, l uint64) {
	tell(is("a", a), is("b", b), is("c", c), is("d", d), is("e", e), is("f", f), is("g", g), is("h", h), is("i", i), is("j", j),
		is("k", k), is("l", l))
	park()
	use(a, b, c, d, e, f, g, h, i, j, k, l)
}

//go:noinline
func holdFloatsMany(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r float64) float64 {
	tell(is("a", a), is("h", h), is("o", o), is("p", p), is("q", q), is("r", r))
	park()
	return a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q + r
}

//go:noinline
func holdVariadic(format string, arguments ...any) {
	tell(is("format", format), is("arguments", arguments), is("len(arguments)", len(arguments)))
	park()
	use(format, arguments)
}

//go:noinline
func holdVariadicNumbers(numbers ...int) int {
	tell(is("numbers", numbers), is("numbers[1]", numbers[1]))
	park()
	return numbers[0]
}

// Arrays and large structs go by the stack.
//
//go:noinline
func holdOnStackOnly(array [3]int, b bulky) int {
	tell(is("array", array), is("b.a", b.a), is("b.z", b.z), is("b.space[0]", b.space[0]))
	park()
	return array[1] + b.z
}

//go:noinline
func holdResults(n int) (doubled int, text string, err error) {
	doubled = n * 2
	text = "set"
	tell(is("n", n), is("doubled", doubled), is("text", text), is("err", err))
	park()
	doubled++
	return doubled, text + "!", err
}

//go:noinline
func holdUnnamed(_ int, used string) string {
	tell(is("used", used))
	park()
	return used
}

// Most of what it got is dead while it waits.
//
//go:noinline
func holdUsedInPart(i item, o *order, n int) string {
	name := i.Name
	id := o.ID
	tell(is("i", i), is("i.Name", i.Name), is("o.ID", o.ID), is("n", n), is("name", name), is("id", id))
	park()
	return name
}
