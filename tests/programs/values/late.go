package main

import "strings"

// Variables that are assigned anew before the call that waits, where the compiler
// computes the new value only behind it, or nowhere since nobody asks for it. The
// truth is told as a constant: to ask the variable would have it computed.
func startLate() {
	start(func() { lateIncrement(10, never != nil) })
	start(func() { lateText("hello", never != nil) })
	start(func() { lateList([]int{1, 2, 3}, never != nil) })
	start(func() { latePointer(&[4]int{1, 2, 3, 4}, never != nil) })
	start(func() { lateInLoop(10, never != nil) })
	start(func() { lateProduct(6, never != nil) })
	start(func() { lateDefault(strings.Repeat("x", 10)) })
	start(func() { latePrefix(strings.Repeat("x", 10)) })
	start(func() { lateCount([]string{"a", "b", "c"}, never != nil) })
}

// settled is a call that variables are put on the stack for.
//
//go:noinline
func settled() {}

//go:noinline
func lateIncrement(n int, asked bool) int {
	tell(is("n", 11), is("asked", true))
	settled()
	n++
	park()
	if asked {
		return n
	}
	return 0
}

//go:noinline
func lateText(text string, asked bool) string {
	tell(is("text", "ello"))
	settled()
	text = text[1:]
	park()
	if asked {
		return text
	}
	return ""
}

//go:noinline
func lateList(list []int, asked bool) []int {
	tell(is("list", []int{2, 3}), is("len(list)", 2))
	settled()
	list = list[1:]
	park()
	if asked {
		return list
	}
	return nil
}

//go:noinline
func latePointer(p *[4]int, asked bool) int {
	tell(is("p", (*[4]int)(nil)))
	settled()
	second := &p[1]
	p = nil
	park()
	if asked {
		return *second
	}
	return 0
}

//go:noinline
func lateInLoop(n int, asked bool) int {
	tell(is("n", 10), is("twice", 9))
	for i := 0; i < n; i++ {
		twice := i * 2
		settled()
		twice += 7
		if i == 1 {
			park()
		}
		if !asked {
			return twice
		}
	}
	return 0
}

//go:noinline
func lateProduct(n int, asked bool) int {
	tell(is("n", 42))
	settled()
	n *= 7
	park()
	if asked {
		return n
	}
	return 0
}

//go:noinline
func lateDefault(text string) int {
	tell(is("text", "default"))
	total := 0
	for i := range text {
		text = "default"
		total += i
		if i == 2 {
			park()
		}
	}
	return total
}

//go:noinline
func latePrefix(text string) int {
	tell(is("text", "x"))
	total := 0
	for i := range text {
		text = text[:1]
		total += i
		if i == 2 {
			park()
		}
	}
	return total + len(text)
}

//go:noinline
func lateCount(names []string, asked bool) int {
	tell(is("count", 2), is("names", []string{"a", "b", "c"}))
	count := 0
	for _, name := range names {
		settled()
		count++
		if name == "b" {
			park()
		}
		if !asked {
			return count
		}
	}
	return count
}
