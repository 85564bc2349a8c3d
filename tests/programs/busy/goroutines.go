package main

import (
	"runtime"
	"sync"
	"time"
)

// spawnGoroutines starts thousands of short-lived goroutines a second.
func spawnGoroutines(p *progress) {
	const batch = 64
	for {
		var group sync.WaitGroup
		results := make([]int, batch)
		for i := range results {
			i := i
			group.Add(1)
			go func() {
				defer group.Done()
				results[i] = work(i)
				if i%8 == 0 {
					runtime.Goexit()
				}
			}()
		}
		group.Wait()
		sum := 0
		for _, result := range results {
			sum += result
		}
		p.verify(sum == batch*(batch-1)/2, "the batch adds up to %d", sum)
		p.done()
		time.Sleep(2 * time.Millisecond)
	}
}

//go:noinline
func work(i int) int {
	if i%4 == 0 {
		runtime.Gosched()
	}
	return i
}

// parcel goes round a ring of goroutines, each of which adds its number.
type parcel struct {
	hops int
	sum  int
	data [32]byte
	crc  uint32
}

func passAround(p *progress) {
	const stations = 8
	ring := make([]chan parcel, stations)
	for i := range ring {
		ring[i] = make(chan parcel, i%3)
	}
	home := make(chan parcel)
	for i := range ring {
		go station(p, i, ring[i], ring[(i+1)%stations], home)
	}
	for round := 0; ; round++ {
		sent := parcel{}
		for i := range sent.data {
			sent.data[i] = byte(round + i)
		}
		sent.crc = checksum(sent.data[:])
		ring[0] <- sent
		back := <-home
		p.verify(back.sum == 10*stations*(stations-1)/2, "the parcel came back with %d", back.sum)
		p.verify(back.crc == checksum(back.data[:]) && back.data == sent.data, "the parcel's content changed")
		p.done()
		if round%8 == 0 {
			pause()
		}
	}
}

func station(p *progress, number int, in <-chan parcel, out, home chan<- parcel) {
	for parcel := range in {
		if parcel.crc != checksum(parcel.data[:]) {
			p.verify(false, "the parcel was damaged before station %d", number)
		}
		parcel.sum += number
		parcel.hops++
		if parcel.hops == 80 {
			home <- parcel
		} else {
			out <- parcel
		}
	}
}

// selectAmong moves numbers from many senders to one receiver.
func selectAmong(p *progress) {
	odd, even, quit := make(chan int), make(chan int), make(chan struct{})
	go sendEvery(odd, 1, quit)
	go sendEvery(even, 0, quit)
	lastOdd, lastEven := -1, -2
	for i := 0; ; i++ {
		select {
		case n := <-odd:
			p.verify(n == lastOdd+2, "odd number %d after %d", n, lastOdd)
			lastOdd = n
		case n := <-even:
			p.verify(n == lastEven+2, "even number %d after %d", n, lastEven)
			lastEven = n
		case <-time.After(time.Minute):
			p.verify(false, "no number for a minute")
		}
		if i%100 == 0 {
			p.done()
			pause()
		}
	}
}

func sendEvery(out chan<- int, from int, quit <-chan struct{}) {
	for n := from; ; n += 2 {
		select {
		case out <- n:
		case <-quit:
			return
		}
	}
}

// contend has many goroutines want one mutex and one read-write lock.
func contend(p *progress) {
	const workers, rounds = 8, 200
	for {
		var (
			mutex   sync.Mutex
			shared  sync.RWMutex
			counter int
			seen    int
			group   sync.WaitGroup
		)
		for worker := 0; worker < workers; worker++ {
			worker := worker
			group.Add(1)
			go func() {
				defer group.Done()
				for i := 0; i < rounds; i++ {
					mutex.Lock()
					counter++
					if i%50 == 0 {
						runtime.Gosched()
					}
					mutex.Unlock()
					if (worker+i)%4 == 0 {
						shared.Lock()
						seen++
						shared.Unlock()
					} else {
						shared.RLock()
						_ = seen
						shared.RUnlock()
					}
				}
			}()
		}
		group.Wait()
		p.verify(counter == workers*rounds, "the counter under the mutex is %d", counter)
		p.verify(seen == workers*rounds/4, "the counter under the read-write lock is %d", seen)
		p.done()
		time.Sleep(time.Millisecond)
	}
}

// setTimers sets, resets and stops timers; none may fire early.
func setTimers(p *progress) {
	for {
		var group sync.WaitGroup
		for i := 0; i < 20; i++ {
			group.Add(1)
			wait := time.Duration(i*100) * time.Microsecond
			start := time.Now()
			time.AfterFunc(wait, func() {
				defer group.Done()
				waited := time.Since(start)
				p.verify(waited >= wait, "a timer of %v fired after %v", wait, waited)
			})
		}
		stopped := time.NewTimer(time.Hour)
		stopped.Reset(2 * time.Hour)
		p.verify(stopped.Stop(), "a timer of two hours fired")
		ticker := time.NewTicker(time.Millisecond)
		<-ticker.C
		<-ticker.C
		ticker.Stop()
		group.Wait()
		p.done()
	}
}

// panicAndRecover unwinds stacks by panics, the runtime's own among them.
func panicAndRecover(p *progress) {
	for round := 0; ; round++ {
		recovered := recoverFrom(func() { descendAndPanic(round % 30) })
		p.verify(recovered == "bottom", "recovered %v", recovered)
		var nobody *link
		recovered = recoverFrom(func() { nobody.sum++ })
		_, isError := recovered.(runtime.Error)
		p.verify(isError, "a nil dereference gave %v", recovered)
		p.done()
		pause()
	}
}

func recoverFrom(f func()) (reason any) {
	defer func() { reason = recover() }()
	f()
	return nil
}

//go:noinline
func descendAndPanic(depth int) int {
	defer func() { deferred++ }()
	if depth == 0 {
		panic("bottom")
	}
	return descendAndPanic(depth-1) + 1
}

var deferred int
