package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
)

func startErrors() {
	plain := errors.New("plain")
	start(func() { holdError(nil) })
	start(func() { holdError(plain) })
	start(func() { holdError(io.EOF) })
	start(func() { holdError(fmt.Errorf("wrapped: %w", plain)) })
	start(func() { holdError(fmt.Errorf("two: %w and %w", plain, io.ErrUnexpectedEOF)) })
	start(func() { holdError(errors.Join(plain, io.EOF, &notFound{"order", 5})) })
	start(func() { holdError(&notFound{"user", 7}) })
	start(func() { holdError(code(404)) })
	start(func() { holdError((*notFound)(nil)) })
	start(func() { holdError(fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", &notFound{"x", 1}))) })
	start(func() { holdError(&fs.PathError{Op: "open", Path: "/nowhere", Err: syscall.ENOENT}) })
	start(func() {
		holdError(&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}, Err: os.ErrDeadlineExceeded})
	})
	start(func() { holdFound(&notFound{"custom", 3}) })
}

type notFound struct {
	kind string
	id   int
}

func (n *notFound) Error() string {
	if n == nil {
		return "nothing was not found"
	}
	return fmt.Sprint(n.kind, " ", n.id, " not found")
}

type code int

func (c code) Error() string { return fmt.Sprint("code ", int(c)) }

//go:noinline
func holdError(err error) {
	tell(is("err", err))
	park()
	use(err)
}

//go:noinline
func holdFound(err error) string {
	var found *notFound
	if !errors.As(err, &found) {
		return ""
	}
	tell(is("err", err), at("found", &found), is("found.kind", found.kind), is("err.(*notFound).id", err.(*notFound).id))
	park()
	return found.kind + err.Error()
}
