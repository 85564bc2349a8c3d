package main

import (
	"sync/atomic"
	"time"
)

// countWithoutCalls never calls anything, so that only a signal can preempt it.
// The atomic addition is an instruction, not a call.
func countWithoutCalls(p *progress) {
	counter, rounds := &callfree, &p.rounds
	for {
		for i := 0; i < 1<<20; i++ {
			atomicAdd(counter)
		}
		atomicAdd(rounds)
	}
}

func atomicAdd(counter *atomic.Int64) { counter.Add(1) }

// readClock reads the clock (through the vDSO) without pause and keeps the
// largest gap between two readings.
func readClock(p *progress) {
	last := time.Now()
	for i := 0; ; i++ {
		now := time.Now()
		gap := now.Sub(last)
		if int64(gap) > maxGapNs.Load() {
			maxGapNs.Store(int64(gap))
		}
		if i%4096 == 0 {
			p.verify(gap >= 0, "the clock went back by %v", -gap)
			p.done()
		}
		last = now
	}
}
