// Package inventory keeps the stock of the shop in memory, behind one lock that
// everybody wants.
package inventory

import (
	"expvar"
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// lockWaiters is how many goroutines want the shelf's lock at this moment.
var lockWaiters = expvar.NewInt("shelf_lock_waiters")

// Shelf is the stock of all articles.
type Shelf struct {
	mu           sync.Mutex
	articles     map[string]*article
	reservations map[string]reservation
	serial       int
	changed      map[string][]chan int32
}

type article struct {
	sku       string
	available int32
	price     int64
	sold      int64
}

type reservation struct {
	sku      string
	quantity int32
}

// NewShelf stocks a shelf with what the shop sells.
func NewShelf() *Shelf {
	s := &Shelf{
		articles:     map[string]*article{},
		reservations: map[string]reservation{},
		changed:      map[string][]chan int32{},
	}
	for i, name := range []string{"kettle", "teapot", "cup", "saucer", "spoon", "strainer", "tray", "caddy"} {
		s.articles[name] = &article{sku: name, available: 5000, price: int64(300 + 450*i)}
	}
	return s
}

// lock takes the shelf's lock and counts those who wait for it.
func (s *Shelf) lock() {
	lockWaiters.Add(1)
	s.mu.Lock()
	lockWaiters.Add(-1)
}

// Reserve takes articles off the shelf.
func (s *Shelf) Reserve(sku string, quantity int32) (id string, price int64, err error) {
	s.lock()
	defer s.mu.Unlock()
	a, err := s.find(sku)
	if err != nil {
		return "", 0, err
	}
	if a.available < quantity {
		return "", 0, status.Errorf(codes.ResourceExhausted, "%s: %d wanted, %d left", sku, quantity, a.available)
	}
	a.available -= quantity
	a.sold += int64(quantity)
	s.serial++
	id = fmt.Sprintf("r-%d", s.serial)
	s.reservations[id] = reservation{sku, quantity}
	s.publish(a)
	return id, a.price, nil
}

// Release puts a reservation's articles back.
func (s *Shelf) Release(id string) error {
	s.lock()
	defer s.mu.Unlock()
	r, ok := s.reservations[id]
	if !ok {
		return status.Errorf(codes.NotFound, "no reservation %q", id)
	}
	delete(s.reservations, id)
	a := s.articles[r.sku]
	a.available += r.quantity
	a.sold -= int64(r.quantity)
	s.publish(a)
	return nil
}

// Available says how many of an article are left.
func (s *Shelf) Available(sku string) (int32, error) {
	s.lock()
	defer s.mu.Unlock()
	a, err := s.find(sku)
	if err != nil {
		return 0, err
	}
	return a.available, nil
}

// Subscribe returns a channel of an article's stock, as it changes.
func (s *Shelf) Subscribe(sku string) <-chan int32 {
	s.lock()
	defer s.mu.Unlock()
	updates := make(chan int32, 1)
	s.changed[sku] = append(s.changed[sku], updates)
	return updates
}

func (s *Shelf) find(sku string) (*article, error) {
	a, ok := s.articles[sku]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no article %q", sku)
	}
	return a, nil
}

// publish tells subscribers without waiting for slow ones.
func (s *Shelf) publish(a *article) {
	for _, updates := range s.changed[a.sku] {
		select {
		case updates <- a.available:
		default:
		}
	}
}

func (s *Shelf) skus() []string { return slices.Sorted(maps.Keys(s.articles)) }
