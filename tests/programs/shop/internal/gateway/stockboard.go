package gateway

import (
	"context"
	"sync"
	"time"

	"shop.example/internal/pb/inventorypb"
)

// StockBoard shows the stock of some articles as the inventory streams it.
type StockBoard struct {
	mu    sync.Mutex
	stock map[string]int32
}

// NewStockBoard makes an empty board.
func NewStockBoard() *StockBoard { return &StockBoard{stock: map[string]int32{}} }

// Follow keeps an article's figure current until ctx ends.
func (b *StockBoard) Follow(ctx context.Context, inventory inventorypb.InventoryClient, sku string) {
	for ctx.Err() == nil {
		b.follow(ctx, inventory, sku)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

func (b *StockBoard) follow(ctx context.Context, inventory inventorypb.InventoryClient, sku string) {
	updates, err := inventory.Watch(ctx, &inventorypb.StockRequest{Sku: sku})
	if err != nil {
		return
	}
	for {
		update, err := updates.Recv()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.stock[sku] = update.GetAvailable()
		b.mu.Unlock()
	}
}
