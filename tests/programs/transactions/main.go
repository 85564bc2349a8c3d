// Transactions is shaped like a database of many nodes: transactions with ids hold locks on keys, and wait for those of
// others. It stands still, and says what is so before it prints "ready <pid>":
//
//	node <name>
//	transaction <id> <name> <priority>
//	wait <id of who waits> <id of who holds> <key>
//
// The set that makes a report of it is report.toml beside this file.
package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// nodeName is what the process calls itself.
var nodeName string

const transactions = 24

func main() {
	nodeName = fmt.Sprintf("n%d", os.Getpid()%7+1)
	fmt.Println("node", nodeName)
	table := &lockTable{holders: map[string]*Txn{}}
	// Each fourth one waits for nobody; the others for the one before.
	for i := 0; i < transactions; i++ {
		txn := newTxn(i)
		fmt.Println("transaction", txn.meta.ID, txn.meta.Name, txn.meta.Priority)
		own, wanted := fmt.Sprintf("/table/%d", i), ""
		if i%4 != 0 {
			wanted = fmt.Sprintf("/table/%d", i-1)
			fmt.Println("wait", txn.meta.ID, table.holders[wanted].meta.ID, wanted)
		}
		held := make(chan struct{})
		go serve(table, txn, own, wanted, held)
		<-held
	}
	time.Sleep(300 * time.Millisecond)
	fmt.Println("ready", os.Getpid())
	select {}
}

// serve is a connection whose client has a transaction open.
//
//go:noinline
func serve(table *lockTable, txn *Txn, own, wanted string, held chan struct{}) {
	ctx := context.WithValue(context.Background(), txnKey{}, txn)
	s := &session{table: table, started: time.Now()}
	s.execute(ctx, txn, own, wanted, held)
	fmt.Println("done", txn.meta.ID, s.started)
}

type session struct {
	table   *lockTable
	started time.Time
}

// execute runs the statements of a transaction, and waits for the next one.
//
//go:noinline
func (s *session) execute(ctx context.Context, txn *Txn, own, wanted string, held chan struct{}) {
	defer txn.finish()
	s.table.acquire(ctx, &writeRequest{txn: txn, key: own})
	close(held)
	if wanted != "" {
		s.table.acquire(ctx, &writeRequest{txn: txn, key: wanted})
	}
	s.next(txn)
	s.table.release(txn, own)
}

//go:noinline
func (s *session) next(txn *Txn) {
	for txn.open {
		time.Sleep(time.Hour)
	}
}
