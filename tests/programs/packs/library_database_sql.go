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

// direct is one whose connections take statements without preparing them, as most do.
type direct struct{ slow }

func (direct) Open(string) (driver.Conn, error) { return direct{}, nil }
func (direct) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	hang()
	return nil, nil
}
func (direct) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return hang()
}

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
	sql.Register("direct", direct{})
	two, err := sql.Open("direct", "")
	check(err)
	go func() { two.QueryContext(context.Background(), "direct "+statement) }()
	go func() { two.ExecContext(context.Background(), "direct update "+statement) }()
	go func() {
		tx, err := two.Begin()
		check(err)
		tx.QueryContext(context.Background(), "direct tx "+statement)
	}()
	go func() {
		connection, err := two.Conn(context.Background())
		check(err)
		connection.ExecContext(context.Background(), "direct conn "+statement)
	}()
	for _, of := range []string{"direct ", "direct update ", "direct tx ", "direct conn "} {
		expect("database_sql", "statement", of+scrubbed)
	}
	return make([]int, 8)
}
