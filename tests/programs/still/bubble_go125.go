//go:build go1.25

package main

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A synctest bubble in which nobody moves. The bubble would end in a deadlock
// report if all its goroutines waited durably, so one waits for a mutex.
func init() {
	families = append(families, startBubble)
}

func startBubble(s *scene) {
	held := &sync.Mutex{}
	held.Lock()
	s.expect("main.bubbleReceive(", "chan receive")
	s.expect("main.bubbleSend(", "chan send")
	s.expect("main.bubbleSelect(", "select")
	s.expect("main.bubbleSleep(", "sleep")
	s.expect("main.bubbleGroup(", "sync.WaitGroup.Wait")
	s.expect("main.lockMutex(", "sync.Mutex.Lock")
	s.expect("testing/synctest.Test(", "synctest.Run")
	// Main is the one way into a *testing.T outside go test. It would end the
	// process with the test; this test does not end.
	go testing.Main(
		func(_, _ string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "Bubble", F: func(t *testing.T) {
			synctest.Test(t, func(*testing.T) { bubble(held) })
		}}}, nil, nil,
	)
}

func bubble(held *sync.Mutex) {
	go bubbleReceive(make(chan int))
	go bubbleSend(make(chan int))
	go bubbleSelect(make(chan int), make(chan int))
	go bubbleSleep()
	group := &sync.WaitGroup{}
	group.Go(func() { bubbleReceive(make(chan int)) })
	go bubbleGroup(group)
	lockMutex(held)
}

//go:noinline
func bubbleReceive(c chan int) { <-c }

//go:noinline
func bubbleSend(c chan int) { c <- 1 }

//go:noinline
func bubbleSelect(a, b chan int) {
	select {
	case <-a:
	case b <- 1:
	}
}

//go:noinline
func bubbleSleep() { time.Sleep(time.Hour) }

//go:noinline
func bubbleGroup(g *sync.WaitGroup) { g.Wait() }
