package main

func startInlined() {
	start(func() {
		tellOf("main.inlinedTwice", is("n", 5), is("text", "inline"))
		use(inlinedTwice(5, "inline"))
	})
	start(func() { holdInlined(3, "around") })
	start(func() { holdMethodInlined(&service{name: "inlined"}) })
	start(func() { holdInLoop([]int{4, 5, 6}) })
}

// small is inlined wherever it is called.
func small(n int, text string) int {
	twice := n * 2
	park()
	return twice + len(text)
}

func middle(n int, text string) int {
	return small(n+1, text[1:]) + n
}

//go:noinline
func inlinedTwice(n int, text string) int { return n + len(text) + park2() }

func park2() int { park(); return 1 }

//go:noinline
func holdInlined(n int, text string) int {
	own := n * 10
	tell(is("n", n), is("text", text), is("own", own))
	tellOf("main.small", is("n", n+1), is("text", text[1:]), is("twice", (n+1)*2))
	tellOf("main.middle", is("n", n), is("text", text))
	return middle(n, text) + own + len(text)
}

func (s *service) quick(reason string) string {
	park()
	return s.name + reason
}

//go:noinline
func holdMethodInlined(s *service) string {
	tell(is("s.name", s.name))
	tellOf("main.(*service).quick", is("s.name", s.name), is("reason", "because"))
	return s.quick("because") + s.name
}

//go:noinline
func holdInLoop(list []int) int {
	total := 0
	for i, v := range list {
		if i == 1 {
			tell(is("i", i), is("v", v), is("total", total), is("list", list))
			tellOf("main.small", is("n", v), is("text", "loop"), is("twice", v*2))
		} else {
			total += v
			continue
		}
		total += small(v, "loop")
	}
	return total
}
