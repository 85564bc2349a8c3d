package payments

import (
	"context"
	"time"
)

// Payment is one charge that the bank approved.
type Payment struct {
	ID      string
	OrderID string
	Cents   int64
}

// Settlement collects payments and hands them to the bank in batches.
type Settlement struct {
	incoming chan Payment
	batches  chan []Payment
	settled  int64
}

// NewSettlement makes a settlement that Run has to drive.
func NewSettlement() *Settlement {
	return &Settlement{incoming: make(chan Payment, 64), batches: make(chan []Payment)}
}

// Add queues a payment.
func (s *Settlement) Add(p Payment) { s.incoming <- p }

// Run collects until ctx ends; sender is a goroutine of its own.
func (s *Settlement) Run(ctx context.Context, every time.Duration) {
	go s.sendBatches(ctx)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var batch []Payment
	for {
		select {
		case p := <-s.incoming:
			batch = append(batch, p)
		case <-ticker.C:
			if len(batch) > 0 {
				s.batches <- batch
				batch = nil
			}
		case <-ctx.Done():
			close(s.batches)
			return
		}
	}
}

func (s *Settlement) sendBatches(ctx context.Context) {
	for batch := range s.batches {
		for _, p := range batch {
			s.settled += p.Cents
		}
	}
}
