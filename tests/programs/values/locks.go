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
	tell(at("g.lock", &g.lock), at("g.shared", &g.shared), at("g.group", &g.group), at("g.once", &g.once),
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
	tell(at("g.shared", &g.shared))
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
	keep(c)
	tell(is("local", local))
	park()
	use(c, local)
}

//go:noinline
func holdAtomicOnce(n *atomic.Int32) int32 {
	f := sync.OnceValue(func() int32 { return n.Add(3) })
	got := f()
	tell(is("got", got), at("*n", n))
	park()
	return f() + got
}
