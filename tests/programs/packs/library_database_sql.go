//go:build database_sql

package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"
)

// slow is a driver whose statements never end.
type slow struct{}

func (slow) Open(string) (driver.Conn, error)           { return slow{}, nil }
func (slow) Prepare(string) (driver.Stmt, error)        { return slow{}, nil }
func (slow) Close() error                               { return nil }
func (slow) Begin() (driver.Tx, error)                  { return slow{}, nil }
func (slow) Commit() error                              { return nil }
func (slow) Rollback() error                            { return nil }
func (slow) NumInput() int                              { return -1 }
func (slow) Exec([]driver.Value) (driver.Result, error) { return hang() }
func (slow) Query([]driver.Value) (driver.Rows, error)  { hang(); return nil, nil }

//go:noinline
func hang() (driver.Result, error) {
	reached <- "database_sql"
	time.Sleep(time.Hour)
	return nil, nil
}

func start() []int {
	sql.Register("slow", slow{})
	db, err := sql.Open("slow", "")
	check(err)
	statement := "select name from users where id = 42 and mail = 'secret'"
	scrubbed := "select name from users where id = ? and mail = ?"
	go func() { db.QueryContext(context.Background(), statement) }()
	go func() { db.ExecContext(context.Background(), "update "+statement) }()
	go func() {
		tx, err := db.Begin()
		check(err)
		tx.QueryContext(context.Background(), "tx "+statement)
	}()
	go func() {
		prepared, err := db.Prepare("prepared " + statement)
		check(err)
		prepared.QueryContext(context.Background())
	}()
	expect("database_sql", "statement", scrubbed)
	expect("database_sql", "statement", "update "+scrubbed)
	expect("database_sql", "statement", "tx "+scrubbed)
	expect("database_sql", "statement", "prepared "+scrubbed)
	return make([]int, 4)
}
