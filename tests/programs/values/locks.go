package main

import (
	"sync"
	"sync/atomic"
)

func startLocks() {
	g := &guarded{name: "guarded"}
	g.group.Add(3)
	g.once.Do(func() {})
	g.shared.RLock()
	g.shared.RLock()
	locked := make(chan struct{})
	start(func() { holdLocked(g, locked) })
	<-locked
	go lockLater(g)
	go lockLater(g)
	go lockShared(g)
	go waitGroupOf(g)
	start(func() { holdUnlocked(&sync.Mutex{}, &sync.RWMutex{}, &sync.WaitGroup{}, &sync.Once{}) })
	start(func() { holdWriteLock(&sync.RWMutex{}, 3) })
	start(func() { holdReadLock(&sync.RWMutex{}, 4) })
	start(func() { holdSyncMap(&sync.Map{}, &sync.Map{}, &sync.Map{}) })
	start(func() { holdCond(sync.NewCond(&sync.Mutex{})) })
	start(func() { holdAtomicOnce(new(atomic.Int32)) })
}

type guarded struct {
	name    string
	lock    sync.Mutex
	shared  sync.RWMutex
	group   sync.WaitGroup
	once    sync.Once
	pending sync.Once
	count   int
}

//go:noinline
func holdLocked(g *guarded, locked chan struct{}) {
	g.lock.Lock()
	defer g.lock.Unlock()
	close(locked)
	tell(at("g.lock", &g.lock), sharedFact("g.shared", false, 2, 0, 1), at("g.group", &g.group), at("g.once", &g.once),
		at("g.pending", &g.pending), is("g.name", g.name), is("g.count", g.count))
	park()
	g.count++
}

//go:noinline
func lockLater(g *guarded) {
	tell(is("g.name", g.name), at("g.lock", &g.lock))
	g.lock.Lock()
	g.count++
	g.lock.Unlock()
}

//go:noinline
func lockShared(g *guarded) {
	tell(sharedFact("g.shared", false, 2, 0, 1))
	g.shared.Lock()
	g.count++
	g.shared.Unlock()
}

//go:noinline
func waitGroupOf(g *guarded) {
	tell(at("g.group", &g.group))
	g.group.Wait()
	g.count++
}

//go:noinline
func holdUnlocked(m *sync.Mutex, rw *sync.RWMutex, group *sync.WaitGroup, once *sync.Once) {
	tell(at("*m", m), at("*rw", rw), at("*group", group), at("*once", once))
	park()
	use(m, rw, group, once)
}

//go:noinline
func holdCond(c *sync.Cond) {
	local := 4
	tell(is("local", local), at("*c", c))
	c.L.Lock()
	c.Wait()
	use(c, local)
}

// sharedFact: what the lock is by construction.
func sharedFact(expression string, writeLocked bool, readers, readersWaiting, writersWaiting int) fact {
	return fact{expression, "sync.RWMutex", func() any {
		return sharedLock(writeLocked, readers, readersWaiting, writersWaiting)
	}}
}

//go:noinline
func holdWriteLock(lock *sync.RWMutex, n int) {
	lock.Lock()
	go func() { lock.RLock(); use(n) }()
	go func() { lock.RLock(); use(n) }()
	tell(is("n", n), sharedFact("*lock", true, 0, 2, 0))
	park()
	lock.Unlock()
	use(n)
}

//go:noinline
func holdReadLock(lock *sync.RWMutex, n int) {
	lock.RLock()
	tell(is("n", n), sharedFact("*lock", false, 1, 0, 0))
	park()
	lock.RUnlock()
	use(n)
}

//go:noinline
func holdSyncMap(small, large, empty *sync.Map) {
	small.Store("a", 1)
	small.Store(2, "b")
	small.Store("gone", true)
	small.Delete("gone")
	for i := 0; i < 50; i++ {
		large.Store(i, i*i)
		large.Load(i)
	}
	tell(at("*small", small), at("*large", large), at("*empty", empty))
	park()
	use(small, large, empty)
}

//go:noinline
func holdAtomicOnce(n *atomic.Int32) int32 {
	f := sync.OnceValue(func() int32 { return n.Add(3) })
	got := f()
	tell(is("got", got), at("*n", n))
	park()
	return f() + got
}
