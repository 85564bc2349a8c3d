package main

// startArguments: argument lists as tracebacks print them: aggregates, more than
// ten words, small and floating ones, on the stack and in registers, dead and
// alive at the wait.
func startArguments(s *scene) {
	point := point{1, 2, 3}
	s.expect("main.aggregates(", "chan receive")
	go aggregates(point, line{point, point}, [1]int{9}, [2]int{8, 7}, struct{}{})

	s.expect("main.twentyWords(", "chan receive")
	go twentyWords(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)

	s.expect("main.floats(", "chan receive")
	go floats(1.5, 2.5, 3+4i, 5)

	s.expect("main.smallOnes(", "chan receive")
	go smallOnes(-1, 2, -3, 4, -5, 6, true, 'x')

	s.expect("main.strings_(", "chan receive")
	go strings_("one", []string{"two", "three"}, []byte("four"), map[string]int{"five": 5})

	s.expect("main.interfaces(", "chan receive")
	go interfaces(errSold, 12, any(nil), func(int) {}, &point)

	s.expect("main.variadic(", "chan receive")
	go variadic("format", 1, "two", 3.0)

	s.expect("main.results(", "chan receive")
	go results(41)

	s.expect("main.deadArguments(", "chan receive")
	go deadArguments(0x1111, "dead", &point, 2.25)

	s.expect("main.halfDead(", "chan receive")
	go halfDead(0x2222, 0x3333, "half", []int{1})

	s.expect("main.nested(", "chan receive")
	go nested(level1{a: 1, b: level2{b: level3{b: level4{b: level5{b: level6{1, 2}}}}}})

	// Beyond the offsets that an argument's description can hold.
	s.expect("main.farArguments(", "chan receive")
	go farArguments([40]int{39: 1}, 5, "far", [40]int{})

	s.expect("main.blank(", "chan receive")
	go blank(1, 2, "three")

	s.expect("main.(*point).method(", "chan receive")
	go point.method(1, "two", line{})
}

type point struct{ x, y, z int }

type line struct{ from, to point }

//go:noinline
func aggregates(p point, l line, one [1]int, two [2]int, nothing struct{}) int {
	<-never
	return p.x + l.to.y + one[0] + two[1]
}

//go:noinline
func twentyWords(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t int) int {
	<-never
	return a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q + r + s + t
}

//go:noinline
func floats(a float64, b float32, c complex128, n int) float64 {
	<-never
	return a + float64(b) + real(c) + float64(n)
}

//go:noinline
func smallOnes(a int8, b uint8, c int16, d uint16, e int32, f uint32, yes bool, r rune) int {
	<-never
	if yes {
		return int(a) + int(b) + int(c) + int(d) + int(e) + int(f) + int(r)
	}
	return 0
}

//go:noinline
func strings_(text string, list []string, raw []byte, stock map[string]int) int {
	<-never
	return len(text) + len(list) + len(raw) + len(stock)
}

//go:noinline
func interfaces(err error, value, nothing any, f func(int), p *point) string {
	<-never
	if value != nothing {
		f(p.x)
	}
	return err.Error()
}

//go:noinline
func variadic(format string, values ...any) int {
	<-never
	return len(format) + len(values)
}

//go:noinline
func results(n int) (a int, text string, err error) {
	a, text = n+1, "named result"
	<-never
	return a, text, errSold
}

//go:noinline
func deadArguments(n int, text string, p *point, f float64) {
	<-never
}

//go:noinline
func halfDead(n, m int, text string, list []int) int {
	keepCount += n + len(text)
	<-never
	return m + list[0]
}

var keepCount int

type (
	level1 struct {
		a int
		b level2
	}
	level2 struct{ b level3 }
	level3 struct{ b level4 }
	level4 struct{ b level5 }
	level5 struct{ b level6 }
	level6 struct{ a, b int }
)

//go:noinline
func nested(l level1) int {
	<-never
	return l.a + l.b.b.b.b.b.a
}

//go:noinline
func farArguments(big [40]int, n int, text string, other [40]int) int {
	<-never
	return big[39] + n + len(text) + other[0]
}

//go:noinline
func blank(_ int, n int, _ string) int {
	<-never
	return n
}

//go:noinline
func (p *point) method(n int, text string, l line) int {
	<-never
	return p.x + n + len(text) + l.to.x
}
