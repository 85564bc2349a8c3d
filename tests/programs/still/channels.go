package main

func startChannels(s *scene) {
	s.expect("main.receive(", "chan receive")
	go receive(make(chan int))

	s.expect("main.receiveTwo(", "chan receive")
	go receiveTwo(make(chan [4]string, 3))

	s.expect("main.receiveNil(", "chan receive (nil chan)")
	go receiveNil(nil)

	s.expect("main.send(", "chan send")
	go send(make(chan string), "a parcel")

	s.expect("main.sendFull(", "chan send")
	go sendFull(make(chan int, 2))

	s.expect("main.sendNil(", "chan send (nil chan)")
	go sendNil(nil)

	s.expect("main.rangeOver(", "chan receive")
	go rangeOver(make(chan int))

	s.expect("main.selectReceiveOrSend(", "select")
	go selectReceiveOrSend(make(chan int), make(chan string))

	s.expect("main.selectMany(", "select")
	go selectMany(make(chan int), make(chan int), make(chan int), make(chan int), make(chan struct{}, 1))

	// One case without default is compiled as the bare operation.
	s.expect("main.selectOne(", "chan receive")
	go selectOne(make(chan int))

	// A select whose only live case is a nil channel.
	s.expect("main.selectNil(", "select")
	go selectNil(nil, nil)

	s.expect("main.selectNothing(", "select (no cases)")
	go selectNothing()

	// Several goroutines in one channel's queue.
	queue := make(chan int)
	for i := 0; i < 5; i++ {
		s.expect("main.queueUp(", "chan receive")
		go queueUp(queue)
	}
}

//go:noinline
func receive(c chan int) int { return <-c }

//go:noinline
func receiveTwo(c chan [4]string) (string, bool) {
	v, ok := <-c
	return v[2], ok
}

//go:noinline
func receiveNil(c chan int) { <-c }

//go:noinline
func send(c chan string, parcel string) { c <- parcel }

//go:noinline
func sendFull(c chan int) {
	for i := 0; ; i++ {
		c <- i
	}
}

//go:noinline
func sendNil(c chan<- int) { c <- 1 }

//go:noinline
func rangeOver(c chan int) (sum int) {
	for v := range c {
		sum += v
	}
	return sum
}

//go:noinline
func selectReceiveOrSend(in chan int, out chan string) int {
	select {
	case v := <-in:
		return v
	case out <- "out":
		return -1
	}
}

//go:noinline
func selectMany(a, b, c, d chan int, full chan struct{}) (result int) {
	full <- struct{}{}
	select {
	case v := <-a:
		result = v
	case v, ok := <-b:
		if ok {
			result = v + 1
		}
	case c <- 3:
		result = 3
	case d <- 4:
		result = 4
	case full <- struct{}{}:
		result = 5
	}
	return result
}

//go:noinline
func selectOne(c chan int) int {
	select {
	case v := <-c:
		return v
	}
}

//go:noinline
func selectNil(a, b chan int) {
	select {
	case <-a:
	case b <- 1:
	}
}

//go:noinline
func selectNothing() { select {} }

//go:noinline
func queueUp(c chan int) { <-c }
