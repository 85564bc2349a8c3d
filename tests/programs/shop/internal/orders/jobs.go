package orders

import (
	"context"
	"log"
	"time"
)

// OutboxPublisher moves events from the database to the outside.
func OutboxPublisher(ctx context.Context, store *Store, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			publishPending(ctx, store)
		case <-ctx.Done():
			return
		}
	}
}

func publishPending(ctx context.Context, store *Store) {
	for {
		published, err := store.takeEvents(ctx, 100)
		if err != nil && ctx.Err() == nil {
			log.Printf("orders: outbox: %v", err)
		}
		if err != nil || published < 100 {
			return
		}
	}
}

// Archivist removes old events once in a while.
func Archivist(ctx context.Context, store *Store, every time.Duration) {
	for {
		select {
		case <-time.After(every):
			if _, err := store.archive(ctx, 10*time.Minute); err != nil && ctx.Err() == nil {
				log.Printf("orders: archive: %v", err)
			}
		case <-ctx.Done():
			return
		}
	}
}
