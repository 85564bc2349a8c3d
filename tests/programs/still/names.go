package main

import odd "stillframe.test/still/odd.path"

// startNames: names and positions that are hard to print: a package path that
// the linker escapes, letters beyond ASCII, line directives.
func startNames(s *scene) {
	s.expect("stillframe.test/still/odd%2epath.Wait(", "chan receive")
	go odd.Wait(never)

	s.expect("stillframe.test/still/odd%2epath.(*Door).Knock(", "chan receive")
	go (&odd.Door{}).Knock(never)

	s.expect("main.ждать(", "chan receive")
	go ждать(1)

	s.expect("main.generated(", "chan receive")
	go generated()
}

//go:noinline
func ждать(сколько int) int {
	<-never
	return сколько
}

//line template/page.tmpl:40
//go:noinline
func generated() {
	inTemplate()
}

func inTemplate() {
//line template/part.tmpl:7
	<-never
}
