package main

// startWrappers: functions that the compiler makes up (methods promoted from
// embedded fields, value methods reached through pointers, go and defer
// statements with arguments). Go hides their frames, except where a panic began
// right in them.
func startWrappers(s *scene) {
	var p patient

	s.expect("main.seat.waitHere(", "chan receive")
	p = &embedsValue{seat: seat{row: 3}}
	go callThrough(p)

	s.expect("main.(*bench).waitHere(", "chan receive")
	p = embedsPointer{&bench{rows: []int{1, 2}}}
	go callThrough(p)

	s.expect("main.seat.waitHere(", "chan receive")
	p = &embedsInterface{patient: seat{row: 4}}
	go callThrough(p)

	// Three wrappers in a row.
	s.expect("main.seat.waitHere(", "chan receive")
	p = &embedsInterface{patient: &embedsInterface{patient: &embedsValue{seat: seat{row: 5}}}}
	go callThrough(p)

	s.expect("main.seat.waitHere(", "chan receive")
	p = &struct{ embedsValue }{embedsValue{seat: seat{row: 6}}}
	go callThrough(p)

	s.expect("main.twoArguments(", "chan receive")
	go twoArguments(1, "wrapped by go")

	s.expect("main.deferWrapped(", "chan receive")
	go deferWrapped(1)

	// A nil pointer to a type with a value method: runtime.panicwrap.
	s.expect("main.blockedDefer(", "chan receive")
	go callNilPointer()

	// A nil interface embedded: the wrapper itself faults, and is shown.
	s.expect("main.blockedDefer(", "chan receive")
	go callNilEmbedded()
}

type patient interface{ waitHere(minutes int) int }

type seat struct{ row int }

//go:noinline
func (s seat) waitHere(minutes int) int {
	<-never
	return s.row + minutes
}

type bench struct{ rows []int }

//go:noinline
func (b *bench) waitHere(minutes int) int {
	<-never
	return b.rows[0] + minutes
}

type embedsValue struct {
	label string
	seat
}

type embedsPointer struct{ *bench }

type embedsInterface struct {
	label string
	patient
}

//go:noinline
func callThrough(p patient) int { return p.waitHere(5) }

//go:noinline
func twoArguments(n int, text string) string {
	<-never
	return text[n:]
}

//go:noinline
func deferWrapped(n int) {
	defer twoResults(n, "wrapped by defer")
}

//go:noinline
func twoResults(n int, text string) (string, int) {
	<-never
	return text, n
}

//go:noinline
func callNilPointer() int {
	defer blockedDefer("nil pointer")
	var nobody *seat
	return callThrough(nobody)
}

//go:noinline
func callNilEmbedded() int {
	defer blockedDefer("nil interface")
	return callThrough(&embedsInterface{label: "empty"})
}
