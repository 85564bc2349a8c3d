package main

import (
	"context"
	"encoding/hex"
	"sync"
	"time"
)

// UUID is an id as it is printed.
type UUID [16]byte

func (id UUID) String() string {
	text := hex.EncodeToString(id[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// TxnMeta is what others know of a transaction.
type TxnMeta struct {
	ID       UUID
	Name     string
	Priority int
	Payload  []byte
}

// Txn is a transaction.
type Txn struct {
	meta TxnMeta
	open bool
	done chan struct{}
}

type txnKey struct{}

func newTxn(i int) *Txn {
	var id UUID
	for n := range id {
		id[n] = byte(i*31 + n*7 + 1)
	}
	names := []string{"transfer", "report", "import"}
	return &Txn{
		meta: TxnMeta{ID: id, Name: names[i%len(names)], Priority: i * 10, Payload: []byte("secret payload")},
		open: true,
		done: make(chan struct{}),
	}
}

func (t *Txn) finish() {
	t.open = false
	close(t.done)
}

// request is what asks for a lock.
type request interface {
	transaction() *Txn
	lockKey() string
}

type writeRequest struct {
	txn *Txn
	key string
}

func (r *writeRequest) transaction() *Txn { return r.txn }
func (r *writeRequest) lockKey() string   { return r.key }

type lockTable struct {
	mutex   sync.Mutex
	holders map[string]*Txn
}

// acquire waits until nobody else holds the key.
//
//go:noinline
func (t *lockTable) acquire(ctx context.Context, r request) {
	for {
		t.mutex.Lock()
		holder := t.holders[r.lockKey()]
		if holder == nil {
			t.holders[r.lockKey()] = r.transaction()
			t.mutex.Unlock()
			return
		}
		t.mutex.Unlock()
		t.wait(ctx, r, holder)
	}
}

// wait is a waiter in the queue of one lock.
//
//go:noinline
func (t *lockTable) wait(ctx context.Context, r request, holder *Txn) {
	for {
		select {
		case <-holder.done:
			t.mutex.Lock()
			delete(t.holders, r.lockKey())
			t.mutex.Unlock()
			return
		case <-ctx.Done():
			return
		case <-time.After(time.Hour):
		}
	}
}

func (t *lockTable) release(txn *Txn, key string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.holders[key] == txn {
		delete(t.holders, key)
	}
}
