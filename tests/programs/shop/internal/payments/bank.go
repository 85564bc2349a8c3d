package payments

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Bank stands for the acquirer: every so many requests take very long.
type Bank struct {
	Usual     time.Duration
	Slow      time.Duration
	SlowEvery int64
	requests  atomic.Int64
}

// Authorize asks the bank and waits for its answer.
func (b *Bank) Authorize(ctx context.Context, customer string, cents int64) (string, error) {
	n := b.requests.Add(1)
	wait := b.Usual
	if n%b.SlowEvery == 0 {
		wait = b.Slow
	}
	if err := b.awaitAnswer(ctx, wait); err != nil {
		return "", err
	}
	return fmt.Sprintf("%06x", (n*7919+cents)&0xffffff), nil
}

func (b *Bank) awaitAnswer(ctx context.Context, wait time.Duration) error {
	answer := time.NewTimer(wait)
	defer answer.Stop()
	select {
	case <-answer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
