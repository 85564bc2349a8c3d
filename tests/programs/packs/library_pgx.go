//go:build pgx

package main

import (
	"context"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"time"
)

const statement = "select name from users where id = 42 and mail = 'secret'"
const scrubbed = "select name from users where id = ? and mail = ?"

// start asks a server that only knows how to begin.
func start() []int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		for {
			connection, err := listener.Accept()
			check(err)
			go serve(connection)
		}
	}()
	connect := func() *pgx.Conn {
		connection, err := pgx.Connect(context.Background(), "postgres://u@"+listener.Addr().String()+"/d?sslmode=disable")
		check(err)
		return connection
	}
	go func() { connect().Query(context.Background(), "query "+statement) }()
	go func() { connect().Exec(context.Background(), "exec "+statement) }()
	go func() { connect().Prepare(context.Background(), "p", "prepare "+statement) }()
	expect("pgx", "statement", "query "+scrubbed)
	expect("pgx", "statement", "exec "+scrubbed)
	expect("pgx", "statement", "prepare "+scrubbed)
	return make([]int, 3)
}

func serve(connection net.Conn) {
	backend := pgproto3.NewBackend(connection, connection)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		check(err)
	}
	backend.Send(&pgproto3.AuthenticationOk{})
	check(backend.Flush())
	// Its type differs between releases.
	_, err := connection.Write([]byte{'K', 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 2})
	check(err)
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	check(backend.Flush())
	if _, err := backend.Receive(); err != nil {
		check(err)
	}
	reached <- "pgx"
	time.Sleep(time.Hour)
}
