package main

import "strings"

func startFunctions() {
	start(func() { holdFuncs(strings.ToLower, nil, count) })
	start(func() { holdClosure(3, "captured") })
	start(func() { holdByReference(1) })
	start(func() { holdMethodValues(&square{5}, circle{6}) })
	entry := func(n int) func() {
		text := strings.Repeat("ab", n)
		return func() {
			tell(is("n", n), is("text", text), is("len(text)", len(text)))
			park()
			use(n, text)
		}
	}
	start(entry(4))
	start(startEntry)
	start(func() { outer(point{8, 9}, []string{"within"}) })
	start(func() { holdDeferred("resource") })
	startIndexed()
}

//go:noinline
func holdFuncs(f func(string) string, nothing func(), g func(int) []int) {
	tell(is("f", f), is("nothing", nothing), is("g", g))
	park()
	use(f, nothing, g)
}

// closure: what it has captured, its maker says.
func closure[F any](expression string, f F, captured ...fact) fact {
	of := is(expression, f)
	plain := of.tree
	of.tree = func() any {
		t := plain().(tree)
		var list []any
		for _, c := range captured {
			list = append(list, []any{c.expression, c.tree()})
		}
		t["captured"] = list
		return t
	}
	return of
}

//go:noinline
func holdClosure(n int, text string) int {
	f := func(more int) int { return n + len(text) + more }
	keep(f)
	tell(closure("f", f, is("n", n), is("text", text)), is("n", n), is("text", text))
	park()
	return f(1)
}

//go:noinline
func holdByReference(n int) int {
	sum := 0
	list := []int{1, 2, 3}
	add := func(by int) { sum += by; list = append(list, by) }
	keep(add)
	add(n)
	add(40)
	tell(closure("add", add, at("sum", &sum), at("list", &list)), at("sum", &sum), at("list", &list), is("n", n))
	park()
	add(n)
	return sum + len(list)
}

//go:noinline
func holdMethodValues(s *square, c circle) {
	f, g := s.area, c.area
	expression := (*square).area
	keep(f, g)
	tell(is("f", f), is("g", g), is("expression", expression))
	park()
	use(f, g, expression)
}

// The closure that is a goroutine's entry sees variables of the function that started it.
//
//go:noinline
func startEntry() {
	name, total, p := "worker", 0, point{1, 1}
	ready := make(chan int)
	go func() {
		total += 5
		ready <- 1
		tell(is("name", name), at("total", &total), is("p", p))
		park()
		total++
		use(name, p)
	}()
	<-ready
	tell(at("total", &total), is("name", name))
	park()
	use(total)
}

//go:noinline
func outer(p point, list []string) int {
	middle := func(by int) int {
		return func() int {
			tell(is("p", p), is("list", list), is("by", by), is("p.y", p.y), is("list[0]", list[0]))
			park()
			return p.x + by + len(list)
		}()
	}
	keep(middle)
	return middle(7)
}

//go:noinline
func holdDeferred(name string) (result int) {
	status := "open"
	defer func() {
		status = "closed"
		result++
		use(name, status)
	}()
	result = 5
	tell(is("name", name), at("status", &status), at("result", &result))
	park()
	return 6
}

// Goroutines that a loop starts.
func startIndexed() {
	for i, text := range []string{"zero", "one", "two"} {
		i, text := i, text
		start(func() {
			tell(is("i", i), is("text", text))
			park()
			use(i, text)
		})
		start(func() { holdIndex(i, text) })
	}
}

//go:noinline
func holdIndex(index int, text string) {
	tell(is("index", index), is("text", text))
	park()
	use(index, text)
}
