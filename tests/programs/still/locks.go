package main

import "sync"

func startLocks(s *scene) {
	locked := &sync.Mutex{}
	locked.Lock()
	s.expect("main.lockMutex(", "sync.Mutex.Lock")
	go lockMutex(locked)

	// The holder is a goroutine of its own that waits for something else.
	held := &sync.Mutex{}
	holding := make(chan struct{})
	s.expect("main.holdMutex(", "chan receive")
	go holdMutex(held, holding)
	<-holding
	for i := 0; i < 3; i++ {
		s.expect("main.lockHeldMutex(", "sync.Mutex.Lock")
		go lockHeldMutex(held)
	}

	readers := &sync.RWMutex{}
	readers.RLock()
	s.expect("main.lockForWriting(", "sync.RWMutex.Lock")
	go lockForWriting(readers)

	writer := &sync.RWMutex{}
	writer.Lock()
	s.expect("main.lockForReading(", "sync.RWMutex.RLock")
	go lockForReading(writer)
	// A second writer waits on the mutex inside.
	s.expect("main.lockBehindWriter(", "sync.Mutex.Lock")
	go lockBehindWriter(writer)

	group := &sync.WaitGroup{}
	group.Add(1)
	s.expect("main.waitForGroup(", waitForGroupState)
	go waitForGroup(group)

	cond := sync.NewCond(&sync.Mutex{})
	s.expect("main.waitForCond(", "sync.Cond.Wait")
	go waitForCond(cond)

	// The first caller is inside the function, the second one waits for it.
	once := &sync.Once{}
	inside := make(chan struct{})
	s.expect("main.onceFirst.func1(", "chan receive")
	go onceFirst(once, inside)
	<-inside
	s.expect("main.onceSecond(", "sync.Mutex.Lock")
	go onceSecond(once)

	value := sync.OnceValue(func() int { <-never; return 1 })
	s.expect("main.onceValue(", "chan receive")
	go onceValue(value)

	pool := &sync.Pool{New: func() any { return blockedNew() }}
	s.expect("main.blockedNew(", "chan receive")
	go takeFromPool(pool)

	shelf := &sync.Map{}
	shelf.Store("key", "value")
	s.expect("main.rangeOverMap.func1(", "chan receive")
	go rangeOverMap(shelf)
}

//go:noinline
func lockMutex(m *sync.Mutex) {
	m.Lock()
	defer m.Unlock()
}

//go:noinline
func holdMutex(m *sync.Mutex, holding chan struct{}) {
	m.Lock()
	defer m.Unlock()
	close(holding)
	<-never
}

//go:noinline
func lockHeldMutex(m *sync.Mutex) {
	m.Lock()
	m.Unlock()
}

//go:noinline
func lockForWriting(m *sync.RWMutex) {
	m.Lock()
	defer m.Unlock()
}

//go:noinline
func lockForReading(m *sync.RWMutex) {
	m.RLock()
	defer m.RUnlock()
}

//go:noinline
func lockBehindWriter(m *sync.RWMutex) {
	m.Lock()
	defer m.Unlock()
}

//go:noinline
func waitForGroup(g *sync.WaitGroup) { g.Wait() }

//go:noinline
func waitForCond(c *sync.Cond) {
	c.L.Lock()
	defer c.L.Unlock()
	for {
		c.Wait()
	}
}

//go:noinline
func onceFirst(once *sync.Once, inside chan struct{}) {
	once.Do(func() {
		close(inside)
		<-never
	})
}

//go:noinline
func onceSecond(once *sync.Once) { once.Do(func() {}) }

//go:noinline
func onceValue(value func() int) int { return value() }

//go:noinline
func takeFromPool(p *sync.Pool) any { return p.Get() }

//go:noinline
func blockedNew() *int {
	<-never
	return nil
}

//go:noinline
func rangeOverMap(m *sync.Map) {
	m.Range(func(key, value any) bool {
		<-never
		return key == value
	})
}
