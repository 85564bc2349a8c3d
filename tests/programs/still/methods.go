package main

// startMethods: method values, method expressions and calls through interfaces,
// also as the function of a go statement.
func startMethods(s *scene) {
	clerk := &clerk_{inbox: make(chan string), name: "Ada"}

	s.expect("main.(*clerk).work(", "chan receive")
	go clerk.work(1)

	s.expect("main.(*clerk).work(", "chan receive")
	value := clerk.work
	go value(2)

	s.expect("main.(*clerk).work(", "chan receive")
	go (*clerk_).work(clerk, 3)

	s.expect("main.(*clerk).work(", "chan receive")
	var worker worker = clerk
	go worker.work(4)

	s.expect("main.(*clerk).work(", "chan receive")
	fromInterface := worker.work
	go fromInterface(5)

	s.expect("main.(*clerk).work(", "chan receive")
	go callMethodValue(clerk.work)

	s.expect("main.badge.show(", "chan receive")
	go callShow(badge{number: 12, holder: "Grace"}.show)

	s.expect("main.count.wait(", "chan receive")
	go count(3).wait()

	s.expect("main.handler.handle(", "chan receive")
	go handler(func(n int) { <-never }).handle(8)
}

// clerk_ is an alias, as a method expression may be written through one.
type clerk_ = clerk

type worker interface{ work(desk int) string }

type clerk struct {
	inbox chan string
	name  string
}

//go:noinline
func (c *clerk) work(desk int) string {
	letter := <-c.inbox
	return letter + c.name[desk:]
}

//go:noinline
func callMethodValue(work func(int) string) string { return work(6) }

type badge struct {
	number int
	holder string
	photo  [3]uint16
}

//go:noinline
func (b badge) show() string {
	<-never
	return b.holder
}

//go:noinline
func callShow(show func() string) string { return show() }

type count int

//go:noinline
func (c count) wait() count {
	<-never
	return c
}

type handler func(int)

//go:noinline
func (h handler) handle(n int) { h(n) }
