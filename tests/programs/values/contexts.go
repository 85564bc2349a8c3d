package main

import (
	"context"
	"errors"
	"time"
)

func startContexts() {
	background := context.Background()
	valued := context.WithValue(context.WithValue(background, requestKey{}, "request-1"), userKey("user"), &item{Number: 12, Name: "user"})
	cancelled, cancel := context.WithCancelCause(valued)
	cancel(errors.New("no longer wanted"))
	open, close := context.WithCancel(valued)
	deadline := time.Now().Add(1000 * time.Hour)
	timed, stop := context.WithDeadline(open, deadline)
	keep(close, stop)
	expired, stopExpired := context.WithTimeout(background, -time.Second)
	keep(stopExpired)
	start(func() { holdContext(background) })
	start(func() { holdContext(nil) })
	start(func() { holdContext(valued) })
	start(func() { holdContext(cancelled) })
	start(func() { holdContext(timed) })
	start(func() { holdContext(expired) })
	start(func() { holdContext(context.WithoutCancel(timed)) })
	start(func() { holdContext(context.WithValue(timed, requestKey{}, "inner")) })
	start(func() { holdRequest(timed, "argument") })
	start(func() { holdRequest(context.WithValue(timed, userKey("tenant"), "acme"), "deeper") })
	start(func() { holdWaiting(timed) })
	start(func() { holdContext(ownContext{timed, 5}) })
	start(func() { holdOwn(ownContext{valued, 5}) })
}

type requestKey struct{}

type userKey string

type ownContext struct {
	context.Context
	depth int
}

//go:noinline
func holdContext(ctx context.Context) {
	tell(is("ctx", ctx))
	park()
	use(ctx)
}

//go:noinline
func holdRequest(ctx context.Context, argument string) {
	deadline, _ := ctx.Deadline()
	id, _ := ctx.Value(requestKey{}).(string)
	tell(is("ctx", ctx), is("argument", argument), is("ctx.Deadline()", deadline), is("ctx.Value(requestKey)", ctx.Value(requestKey{}).(string)),
		is("ctx.Value(main.requestKey)", ctx.Value(requestKey{}).(string)), is("id", id), is("deadline", deadline))
	park()
	use(ctx, argument, id, deadline)
}

//go:noinline
func holdWaiting(ctx context.Context) error {
	began := 5
	tell(is("ctx", ctx), is("began", began))
	<-ctx.Done()
	use(began)
	return ctx.Err()
}

//go:noinline
func holdOwn(ctx ownContext) {
	tell(is("ctx.depth", ctx.depth), is("ctx.Context", ctx.Context))
	park()
	use(ctx)
}
