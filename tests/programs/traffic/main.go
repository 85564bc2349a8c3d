// Traffic is a server of five kinds of requests, and the client that keeps it busy: HTTP/1.1, HTTP/2 over TLS, HTTP/2
// without TLS, gRPC with one answer and gRPC with a stream.
//
//	traffic serve FILE               prints "ready <pid> <http> <https> <grpc>", the addresses; SIGTERM ends it
//	traffic drive HTTP HTTPS GRPC    prints "ready <pid>"; SIGTERM ends it
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
		check(serve(arguments[1]))
	case len(arguments) == 4 && arguments[0] == "drive":
		check(drive(arguments[1], arguments[2], arguments[3]))
	default:
		fmt.Fprintln(os.Stderr, "usage: traffic serve FILE | traffic drive HTTP HTTPS GRPC")
		os.Exit(2)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "traffic:", err)
		os.Exit(1)
	}
}
