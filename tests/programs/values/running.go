package main

import (
	"runtime"
	"sync/atomic"
)

// startRunning starts goroutines that do not park: of two that want the one
// processor, one runs and one has been preempted. Their registers are real.
func startRunning() {
	keep(runtime.GOMAXPROCS(1))
	stop := new(atomic.Bool)
	told := make(chan struct{}, 2)
	go func() {
		tellOf("main.spin", is("a", 1001), is("b", uint8(250)), is("f", 3.25), is("text", "spinning"), is("p.Name", "spun"))
		told <- struct{}{}
		spin(1001, 250, 3.25, "spinning", &item{Number: 1, Name: "spun"}, stop)
	}()
	go func() {
		tellOf("main.spinSum", is("a", 2002), is("list", []int{1, 2, 3}))
		told <- struct{}{}
		spinSum(2002, []int{1, 2, 3}, stop)
	}()
	<-told
	<-told
}

//go:noinline
func spin(a int, b uint8, f float64, text string, p *item, stop *atomic.Bool) float64 {
	n := 0
	for !stop.Load() {
		n++
	}
	return float64(a+n) + f + float64(len(text)) + float64(b) + float64(p.Number)
}

//go:noinline
func spinSum(a int, list []int, stop *atomic.Bool) int {
	n := 0
	for !stop.Load() {
		for _, v := range list {
			n += v * a
		}
	}
	return n + len(list)
}
