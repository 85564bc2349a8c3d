//go:build context

package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

//go:noinline
func work(ctx context.Context, name string) {
	reached <- name
	time.Sleep(time.Hour)
	// The function still uses it.
	<-ctx.Done()
}

// start has functions with contexts of each kind: with a deadline, cancelled, cancelled with a cause, past its deadline, below
// values, and without an end.
func start() []int {
	background := context.Background()
	later := time.Now().Add(time.Hour)
	deadline, _ := context.WithDeadline(background, later)
	type key string
	below := context.WithValue(deadline, key("user"), "secret")
	cancelled, cancel := context.WithCancel(background)
	cancel()
	caused, cause := context.WithCancelCause(background)
	cause(errors.New("the client is gone"))
	earlier := time.Now().Add(-time.Minute)
	past, _ := context.WithDeadline(background, earlier)
	var all sync.WaitGroup
	contexts := []context.Context{below, cancelled, caused, past, background}
	for _, of := range contexts {
		all.Add(1)
		go func(of context.Context) {
			defer all.Done()
			work(of, "context")
		}(of)
	}
	// Deadline, whether it is cancelled, and why.
	rows := []string{
		later.UTC().Format(time.RFC3339Nano) + " 0 -",
		"- 1 context canceled",
		"- 1 the client is gone",
		earlier.UTC().Format(time.RFC3339Nano) + " 1 context.deadlineExceededError",
		"- 0 -",
	}
	for _, row := range rows {
		expect("context", "row", row)
	}
	return make([]int, len(contexts))
}
