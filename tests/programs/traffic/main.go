// Traffic is a server of five kinds of requests, and the client that keeps it busy: HTTP/1.1, HTTP/2 over TLS, HTTP/2
// without TLS, gRPC with one answer and gRPC with a stream.
//
//	traffic serve FILE [ADDRESS PORT]    prints "ready <pid> <http> <https> <grpc> <unix>", the addresses; SIGTERM ends it
//	traffic drive HTTP HTTPS GRPC [KIND] prints "ready <pid>"; SIGTERM ends it
//	traffic idle HTTP HTTPS GRPC UNIX    calls each once, and keeps the connections; a call by the unix socket goes on
//	traffic traps                        is server and client of calls of HTTP/1.1 that are easily mistaken: see traps.go
//
// With ADDRESS and PORT the server is at this port and the two behind it; with KIND there are requests of this kind alone.
//
// Every request has an id of its own, which is in its path or in its message. The server writes a line for each that has
// ended: kind, method, id, when its handler began and when it ended (ns since 1970).
package main

import (
	"fmt"
	"os"
)

func main() {
	switch arguments := os.Args[1:]; {
	case len(arguments) == 2 && arguments[0] == "serve":
		check(serve(arguments[1], "127.0.0.1", "0"))
	case len(arguments) == 4 && arguments[0] == "serve":
		check(serve(arguments[1], arguments[2], arguments[3]))
	case len(arguments) == 5 && arguments[0] == "idle":
		check(idle(arguments[1], arguments[2], arguments[3], arguments[4]))
	case len(arguments) == 1 && arguments[0] == "traps":
		check(traps())
	case len(arguments) == 4 && arguments[0] == "drive":
		check(drive(arguments[1], arguments[2], arguments[3], ""))
	case len(arguments) == 5 && arguments[0] == "drive":
		check(drive(arguments[1], arguments[2], arguments[3], arguments[4]))
	default:
		fmt.Fprintln(os.Stderr, "usage: traffic serve FILE [ADDRESS PORT] | traffic drive HTTP HTTPS GRPC [KIND] | traffic idle HTTP HTTPS GRPC UNIX | traffic traps")
		os.Exit(2)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "traffic:", err)
		os.Exit(1)
	}
}
