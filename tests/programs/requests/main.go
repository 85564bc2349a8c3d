// Requests is a server, and the client that keeps it busy. What the server runs
// is not written here: net/http with a handler of a few lines, and gRPC with the
// health service that comes with it.
//
//	requests serve                   prints "ready <pid> <http address> <grpc address>"
//	requests drive HTTP GRPC FILE    prints "ready <pid>"; SIGTERM ends it
//
// The client gives every request an id of its own, and writes a line for each
// that has ended: id, when it began and when it ended (ns since 1970). When it is
// told to end it lets those in flight end first.
package main

import (
	"fmt"
	"os"
)

func main() {
	switch arguments := os.Args[1:]; {
	case len(arguments) == 1 && arguments[0] == "serve":
		check(serve())
	case len(arguments) == 4 && arguments[0] == "drive":
		check(drive(arguments[1], arguments[2], arguments[3]))
	default:
		fmt.Fprintln(os.Stderr, "usage: requests serve | requests drive HTTP GRPC FILE")
		os.Exit(2)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "requests:", err)
		os.Exit(1)
	}
}
