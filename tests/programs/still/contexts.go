package main

import "context"

func startContexts(s *scene) {
	parent, cancel := context.WithCancel(context.Background())
	keep(cancel)

	s.expect("main.waitDone(", "chan receive")
	go waitDone(context.WithValue(parent, contextKey{}, "value"))

	s.expect("main.waitDoneOrWork(", "select")
	limited, cancelLimited := context.WithTimeout(parent, far)
	keep(cancelLimited)
	go waitDoneOrWork(limited, make(chan int))

	// A foreign context: the package watches it with a goroutine of its own.
	s.expect("context.(*cancelCtx).propagateCancel.func2(", "select")
	child, cancelChild := context.WithCancel(foreignContext{Context: parent, done: make(chan struct{})})
	keep(child, cancelChild)

	s.expect("main.afterCancel(", "chan receive")
	cancelled, cancelNow := context.WithCancel(context.Background())
	context.AfterFunc(cancelled, afterCancel)
	cancelNow()
}

type contextKey struct{}

type foreignContext struct {
	context.Context
	done chan struct{}
}

func (f foreignContext) Done() <-chan struct{} { return f.done }

//go:noinline
func waitDone(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

//go:noinline
func waitDoneOrWork(ctx context.Context, work chan int) (int, error) {
	select {
	case n := <-work:
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

//go:noinline
func afterCancel() { <-never }
