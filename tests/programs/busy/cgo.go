//go:build cgo

package main

// #include <stdint.h>
// uint64_t busy_mix(uint64_t seed, int rounds);
// uint64_t busy_call_back(uint64_t value, int depth);
// void busy_sleep(long ns);
// int busy_thread(void);
// uint64_t busy_thread_rounds(void);
// uint64_t busy_thread_errors(void);
import "C"

import "time"

func init() {
	loads = append(loads,
		load{"cgo_calls", callC},
		load{"cgo_callbacks", callBack},
		load{"cgo_sleeps", sleepInC},
		load{"cgo_thread", runThread},
	)
}

// callC computes the same in C and in Go.
func callC(p *progress) {
	for seed := uint64(1); ; seed++ {
		for i := 0; i < 100; i++ {
			got := uint64(C.busy_mix(C.uint64_t(seed), 20))
			cgoCalls.Add(1)
			if want := mix(seed, 20); got != want {
				p.verify(false, "C gave %d, Go %d", got, want)
			}
		}
		checks.Add(1)
		p.done()
		pause()
	}
}

func mix(seed uint64, rounds int) uint64 {
	for i := 0; i < rounds; i++ {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
	}
	return seed
}

// callBack goes from Go to C and back, several times over.
func callBack(p *progress) {
	for value := uint64(1); ; value++ {
		for depth := 0; depth < 6; depth++ {
			got := uint64(C.busy_call_back(C.uint64_t(value), C.int(depth)))
			cgoCalls.Add(1)
			want := value + 2*uint64(depth) + 1
			p.verify(got == want, "depth %d gave %d, not %d", depth, got, want)
		}
		p.done()
		pause()
	}
}

// busyGo is called from C; it goes on to C again while there is depth left.
//
//export busyGo
func busyGo(value C.uint64_t, depth C.int) C.uint64_t {
	if depth == 0 {
		var total int
		deepen(50, &total)
		if total != 50*51/2 {
			return 0
		}
		return value + 1
	}
	cgoCalls.Add(1)
	return C.busy_call_back(value+2, depth-1)
}

// sleepInC blocks threads in C, long enough for the scheduler to take their P.
func sleepInC(p *progress) {
	for {
		start := time.Now()
		C.busy_sleep(2_000_000)
		cgoCalls.Add(1)
		p.verify(time.Since(start) >= 2*time.Millisecond, "C slept for %v only", time.Since(start))
		p.done()
	}
}

// runThread watches a thread that C made and that calls Go all the time.
func runThread(p *progress) {
	if errno := C.busy_thread(); errno != 0 {
		p.verify(false, "pthread_create: %d", errno)
		return
	}
	last := uint64(0)
	for {
		time.Sleep(5 * time.Millisecond)
		rounds := uint64(C.busy_thread_rounds())
		p.verify(C.busy_thread_errors() == 0, "the C thread got wrong answers from Go")
		if rounds != last {
			p.done()
		}
		last = rounds
	}
}
