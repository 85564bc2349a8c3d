package main

import (
	"context"
	"runtime/pprof"
)

func startLabels(s *scene) {
	s.expect("main.labelled(", "chan receive")
	go withLabels("service", "orders")

	s.expect("main.labelled(", "chan receive")
	go withLabels("tenant", "blue", "route", "GET /orders/{id}", "attempt", "3", "region", "eu-west", "shard", "7",
		"zone", "b")

	// Set twice: the inner value counts; the others are inherited.
	s.expect("main.labelled(", "chan receive")
	go withInnerLabels()

	// The child has its parent's labels.
	s.expect("main.labelled(", "chan receive")
	s.expect("main.inheriting(", "chan receive")
	go inheriting()

	s.expect("main.labelled(", "chan receive")
	go withLabels("", "", "quote\"and\\slash", "new\nline", "ключ", "значение 🐹", "nul", "a\x00b", "bad utf-8", "\xff\xfe")
}

//go:noinline
func withLabels(pairs ...string) {
	pprof.Do(context.Background(), pprof.Labels(pairs...), labelled)
}

//go:noinline
func withInnerLabels() {
	pprof.Do(context.Background(), pprof.Labels("a", "outer", "b", "outer"), func(ctx context.Context) {
		pprof.Do(ctx, pprof.Labels("b", "inner", "c", "inner"), labelled)
	})
}

//go:noinline
func inheriting() {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("job", "parent")))
	go labelled(context.Background())
	<-never
}

//go:noinline
func labelled(ctx context.Context) { <-never }
