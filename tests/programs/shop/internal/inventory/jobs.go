package inventory

import (
	"context"
	"fmt"
	"io"
	"time"
)

// RestockLoop refills what has run low.
func RestockLoop(ctx context.Context, shelf *Shelf, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			shelf.restock(1000, 5000)
		case <-ctx.Done():
			return
		}
	}
}

func (s *Shelf) restock(low, full int32) {
	s.lock()
	defer s.mu.Unlock()
	for _, a := range s.articles {
		if a.available < low {
			a.available = full
			s.publish(a)
		}
	}
}

// ReportBuilder writes the stock report again and again. It holds the shelf's
// lock while it writes, to have figures that agree: the mistake that this shop
// is slow for.
type ReportBuilder struct {
	Shelf     *Shelf
	Out       io.Writer
	PageDelay time.Duration // what writing a page takes
	Rest      time.Duration // between two reports
	built     int
}

// Run builds reports until ctx ends.
func (b *ReportBuilder) Run(ctx context.Context) {
	for ctx.Err() == nil {
		b.buildReport()
		select {
		case <-time.After(b.Rest):
		case <-ctx.Done():
		}
	}
}

func (b *ReportBuilder) buildReport() {
	b.Shelf.lock()
	defer b.Shelf.mu.Unlock()
	for page, sku := range b.Shelf.skus() {
		b.writePage(page, b.Shelf.articles[sku])
	}
	b.built++
}

func (b *ReportBuilder) writePage(page int, a *article) {
	fmt.Fprintf(b.Out, "%3d  %-10s %6d left %8d sold\n", page, a.sku, a.available, a.sold)
	// The report goes to a slow network drive.
	time.Sleep(b.PageDelay)
}
