package main

import "time"

// far is longer than any test.
const far = 1000 * time.Hour

func startTimers(s *scene) {
	s.expect("main.sleep(", "sleep")
	go sleep(far)

	s.expect("main.waitForTimer(", "chan receive")
	go waitForTimer(time.NewTimer(far))

	s.expect("main.waitAfter(", "select")
	go waitAfter(make(chan int))

	s.expect("main.waitForTick(", "chan receive")
	go waitForTick(time.NewTicker(far))

	// The function of an expired timer has a goroutine of its own.
	s.expect("main.expired(", "chan receive")
	keep(time.AfterFunc(time.Microsecond, expired))
}

//go:noinline
func sleep(d time.Duration) { time.Sleep(d) }

//go:noinline
func waitForTimer(t *time.Timer) time.Time { return <-t.C }

//go:noinline
func waitAfter(work chan int) int {
	select {
	case v := <-work:
		return v
	case <-time.After(far):
		return 0
	}
}

//go:noinline
func waitForTick(t *time.Ticker) {
	defer t.Stop()
	for range t.C {
	}
}

//go:noinline
func expired() { <-never }
