// Package service is what the shop's services share: how they listen, say that
// they are ready, and find one another.
package service

import (
	"context"
	"expvar"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Context ends at SIGINT and SIGTERM.
func Context() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// ServeGRPC serves until ctx ends. It prints "ready <pid> <address>", and the
// address of /debug/vars after that.
func ServeGRPC(ctx context.Context, address string, register func(*grpc.Server), options ...grpc.ServerOption) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	debug, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /debug/vars", expvar.Handler())
	go http.Serve(debug, mux)

	server := grpc.NewServer(options...)
	register(server)
	context.AfterFunc(ctx, server.Stop)
	fmt.Printf("ready %d %s %s\n", os.Getpid(), listener.Addr(), debug.Addr())
	return server.Serve(listener)
}

// ServeHTTP serves until ctx ends and prints "ready <pid> <address>".
func ServeHTTP(ctx context.Context, address string, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler}
	context.AfterFunc(ctx, func() { server.Close() })
	fmt.Printf("ready %d %s\n", os.Getpid(), listener.Addr())
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// Dial returns a client's connection to another service of the shop.
func Dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// Exit ends the process with status 1 if err says so.
func Exit(name string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}
