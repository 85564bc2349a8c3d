package main

import "time"

func startChannels() {
	start(func() {
		closed := make(chan string, 3)
		closed <- "left"
		close(closed)
		holdChannels(filled(5, 1, 2, 3), make(chan int), nil, closed)
	})
	start(func() { holdWrapped(wrappedAround()) })
	start(func() { holdDirections(filled(2, point{1, 2}), filled(1, "x")) })
	start(func() { holdSignals(filled(4, struct{}{}, struct{}{}), filled[chan int](2, nil)) })
	start(func() { holdTimerChannel(time.NewTimer(1000 * time.Hour)) })
}

func filled[T any](capacity int, content ...T) chan T {
	c := make(chan T, capacity)
	for _, v := range content {
		c <- v
	}
	return c
}

func wrappedAround() chan int16 {
	c := filled[int16](4, 1, 2, 3, 4)
	<-c
	<-c
	c <- 5
	return c
}

// channel: what it holds was put there by who says so.
func channel[T any, C chan T | <-chan T | chan<- T](expression string, c C, closed bool, content ...T) fact {
	f := is(expression, c)
	of := f.tree
	f.tree = func() any {
		t := of().(tree)
		list := []any{}
		for i := range content {
			list = append(list, at("", &content[i]).tree())
		}
		t["content"], t["closed"] = list, closed
		return t
	}
	return f
}

//go:noinline
func holdChannels(buffered, unbuffered, none chan int, closed chan string) {
	tell(channel("buffered", buffered, false, 1, 2, 3), channel("unbuffered", unbuffered, false, []int{}...), is("none", none),
		channel("closed", closed, true, "left"), is("len(buffered)", len(buffered)), is("cap(buffered)", cap(buffered)),
		is("len(unbuffered)", len(unbuffered)), is("len(closed)", len(closed)))
	park()
	use(buffered, unbuffered, none, closed)
}

//go:noinline
func holdWrapped(c chan int16) {
	tell(channel[int16]("c", c, false, 3, 4, 5))
	park()
	use(c)
}

//go:noinline
func holdDirections(in <-chan point, out chan<- string) {
	tell(channel("in", in, false, point{1, 2}), channel("out", out, false, "x"))
	park()
	use(in, out)
}

//go:noinline
func holdSignals(signals chan struct{}, channels chan chan int) {
	tell(channel("signals", signals, false, struct{}{}, struct{}{}), is("len(channels)", len(channels)))
	park()
	use(signals, channels)
}

//go:noinline
func holdTimerChannel(t *time.Timer) {
	c := t.C
	tell(is("len(c)", len(c)), channel("c", c, false, []time.Time{}...))
	park()
	use(t, c)
}
