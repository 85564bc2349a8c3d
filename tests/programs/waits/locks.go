package main

import (
	"os"
	"runtime"
	"sync"
	"time"
)

type guarded struct {
	name string
	sync.Mutex
	byName sync.RWMutex
	once   sync.Once
}

var ofPackage sync.Mutex

func startLocks() {
	held := func(waiters int) map[string]any {
		return map[string]any{"locked": true, "starving": false, "waiters": waiters}
	}
	some := &guarded{name: "some"}
	some.Lock()
	for i := 0; i < 5; i++ {
		parks(func() {
			says("mutex", "sync.Mutex.Lock", wait{"mutex", false, at(&some.Mutex), held(5)})
			some.Lock()
		})
	}
	ofPackage.Lock()
	parks(func() {
		says("mutex of a package", "sync.Mutex.Lock", wait{"mutex", false, at(&ofPackage), held(1)})
		lockInlined(&ofPackage)
	})
	parks(func() {
		locker := sync.Locker(&some.byName)
		_ = locker
		first := new(sync.Mutex)
		first.Lock()
		says("mutex by interface", "sync.Mutex.Lock", wait{"mutex", false, at(first), held(1)})
		sync.Locker(first).Lock()
	})

	readers := func(readers int, writer bool) map[string]any {
		return map[string]any{"readers": readers, "writer": writer}
	}
	some.byName.RLock()
	some.byName.RLock()
	parks(func() {
		says("write lock", "sync.RWMutex.Lock", wait{"rwmutex write", false, at(&some.byName), readers(2, true)})
		some.byName.Lock()
	})
	sleepUntil(func() bool { return !some.byName.TryRLock() || unlocked(&some.byName) })
	for i := 0; i < 2; i++ {
		parks(func() {
			says("read lock behind a writer", "sync.RWMutex.RLock", wait{"rwmutex read", false, at(&some.byName), readers(2, true)})
			some.byName.RLock()
		})
	}
	parks(func() {
		says("write lock behind a writer", "sync.Mutex.Lock", wait{"rwmutex write", false, at(&some.byName), readers(2, true)})
		some.byName.Lock()
	})
	parks(func() {
		written := new(sync.RWMutex)
		written.Lock()
		says("read locker", "sync.RWMutex.RLock", wait{"rwmutex read", false, at(written), readers(0, true)})
		written.RLocker().Lock()
	})

	group := new(sync.WaitGroup)
	group.Add(3)
	group.Done()
	for i := 0; i < 2; i++ {
		parks(func() {
			says("wait group", waitGroupState, wait{"waitgroup", false, at(group), map[string]any{"counter": 2, "waiters": 2}})
			group.Wait()
		})
	}

	never := make(chan int)
	began := make(chan int)
	parks(func() {
		some.once.Do(func() {
			says("once, in it", "chan receive", wait{"chan receive", false, channelAt(never), buffered(0, 0)})
			close(began)
			<-never
		})
	})
	<-began
	for i := 0; i < 2; i++ {
		parks(func() {
			says("once", "sync.Mutex.Lock", wait{"once", false, at(&some.once), held(2)})
			some.once.Do(func() {})
		})
	}
}

// unlocked gives back what TryRLock took.
func unlocked(mutex *sync.RWMutex) bool {
	mutex.RUnlock()
	return false
}

func lockInlined(mutex *sync.Mutex) { mutex.Lock() }

func sleepUntil(is func() bool) {
	for began := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			println("waits: something has not come")
			os.Exit(1)
		}
	}
}

func startConditions() {
	type queue struct {
		sync.Mutex
		full, empty sync.Cond
	}
	q := new(queue)
	q.full.L, q.empty.L = q, q
	for i := 0; i < 4; i++ {
		parks(func() {
			q.Lock()
			says("condition", "sync.Cond.Wait", wait{"cond", false, at(&q.full), nil})
			q.full.Wait()
		})
	}
	for i := 0; i < 2; i++ {
		parks(func() {
			q.Lock()
			says("other condition", "sync.Cond.Wait", wait{"cond", false, at(&q.empty), nil})
			waitFor(&q.empty)
		})
	}
	parks(func() {
		// It has waited before: what it used then is still about.
		var mutex sync.Mutex
		one, other := sync.NewCond(&mutex), sync.NewCond(&mutex)
		mutex.Lock()
		go func() {
			for {
				one.Signal()
				runtime.Gosched()
				if mutex.TryLock() {
					mutex.Unlock()
				}
				time.Sleep(time.Millisecond)
			}
		}()
		one.Wait()
		says("condition, the second one", "sync.Cond.Wait", wait{"cond", false, at(other), nil})
		other.Wait()
	})
}

//go:noinline
func waitFor(condition *sync.Cond) { condition.Wait() }
