package main

import (
	"sync"
	"time"
)

// What is about to be received is nobody's value yet; what is about to be sent is.
func startPending() {
	start(func() { receive(make(chan item), 1) })
	start(func() { receiveOK(make(chan string), "default") })
	start(func() { send(make(chan item), item{5, "sent", nil}) })
	start(func() { choose(make(chan int), make(chan string), make(chan point), point{6, 7}) })
	start(func() { receiveAgain(primed()) })
	start(func() { rangeOver(primed()) })
	start(func() { sleepFor(1000*time.Hour, "sleeper") })
	start(func() {
		lock := &sync.Mutex{}
		lock.Lock()
		keep(lock)
		lockHere(lock, 17)
	})
}

func primed() chan point {
	c := make(chan point, 1)
	c <- point{21, 22}
	return c
}

//go:noinline
func receive(c chan item, n int) int {
	tell(is("n", n), none("got", "it has not been received"), is("len(c)", len(c)))
	got := <-c
	use(got, c)
	return got.Number + n
}

//go:noinline
func receiveOK(c chan string, fallback string) string {
	tell(is("fallback", fallback), none("got", "it has not been received"), none("ok", "it has not been received"))
	got, ok := <-c
	if !ok {
		return fallback
	}
	return got
}

//go:noinline
func send(c chan item, value item) {
	tell(is("value", value), is("value.Number", value.Number), is("cap(c)", cap(c)))
	c <- value
	use(value, c)
}

//go:noinline
func choose(a chan int, b chan string, c chan point, p point) int {
	tell(is("p", p), none("n", "it has not been received"), none("text", "it has not been received"))
	select {
	case n := <-a:
		return n
	case text, ok := <-b:
		use(text, ok)
	case c <- p:
		use(p)
	}
	return p.x
}

// got has held something before, which it does not while it waits for the next.
//
//go:noinline
func receiveAgain(c chan point) int {
	got := <-c
	first := got
	tell(is("first", first))
	got = <-c
	return got.x + first.y
}

//go:noinline
func rangeOver(c chan point) int {
	sum := 0
	for p := range c {
		sum += p.x
		tell(is("sum", sum))
		use(p)
	}
	return sum
}

//go:noinline
func sleepFor(d time.Duration, name string) {
	tell(is("d", d), is("name", name))
	<-time.After(d)
	use(d, name)
}

//go:noinline
func lockHere(lock *sync.Mutex, n int) {
	tell(is("n", n), at("*lock", lock))
	lock.Lock()
	defer lock.Unlock()
	use(n)
}
