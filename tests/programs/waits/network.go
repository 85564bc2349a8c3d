package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func startNetwork() {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	accepted := make(chan net.Conn, 4)
	parks(func() {
		for i := 0; i < 2; i++ {
			accepted <- must(listener.Accept())
		}
		says("accept", "IO wait", wait{"net accept", false, nil, descriptor(fdOf(listener.(*net.TCPListener)))})
		_, _ = listener.Accept()
	})
	client := must(net.Dial("tcp", listener.Addr().String())).(*net.TCPConn)
	server := (<-accepted).(*net.TCPConn)
	parks(func() {
		deadline := time.Now().Add(6 * time.Hour)
		if err := client.SetReadDeadline(deadline); err != nil {
			panic(err)
		}
		detail := map[string]any{"fd": fdOf(client), "deadline_unix_ns": deadline.UnixNano()}
		says("read with deadline", "IO wait", wait{"net read", false, nil, detail})
		_, _ = client.Read(make([]byte, 1))
	})
	parks(func() {
		says("read", "IO wait", wait{"net read", false, nil, descriptor(fdOf(server))})
		_, _ = server.Read(make([]byte, 1))
	})
	writer := must(net.Dial("tcp", listener.Addr().String())).(*net.TCPConn)
	reader := (<-accepted).(*net.TCPConn)
	parks(func() {
		says("write", "IO wait", wait{"net write", false, nil, descriptor(fdOf(writer))})
		_, _ = writer.Write(make([]byte, 64<<20))
	})
	// Both ways at once on one descriptor.
	parks(func() {
		says("read beside a write", "IO wait", wait{"net read", false, nil, descriptor(fdOf(writer))})
		_, _ = writer.Read(make([]byte, 1))
	})
	open = append(open, reader)
	udp := must(net.ListenPacket("udp", "127.0.0.1:0")).(*net.UDPConn)
	parks(func() {
		says("udp", "IO wait", wait{"net read", false, nil, descriptor(fdOf(udp))})
		_, _, _ = udp.ReadFrom(make([]byte, 1))
	})
	folder := must(os.MkdirTemp("", "waits"))
	unix := must(net.Listen("unix", filepath.Join(folder, "socket")))
	parks(func() {
		says("accept, unix", "IO wait", wait{"net accept", false, nil, descriptor(fdOf(unix.(*net.UnixListener)))})
		_, _ = unix.Accept()
	})
	_ = os.Remove(filepath.Join(folder, "socket"))
	_ = os.Remove(folder)
	startConnect()
}

// startConnect has a goroutine wait for a connection that nobody takes: the queue of the listener is full.
func startConnect() {
	fd := must(syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0))
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		panic(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		panic(err)
	}
	port := must(syscall.Getsockname(fd)).(*syscall.SockaddrInet4).Port
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for {
		if _, err := net.DialTimeout("tcp", address, 300*time.Millisecond); err != nil {
			break
		}
	}
	number := make(chan int, 1)
	parks(func() {
		dialer := net.Dialer{Control: func(_, _ string, conn syscall.RawConn) error {
			return conn.Control(func(fd uintptr) {
				number <- int(fd)
				says("connect", "IO wait", wait{"net connect", false, nil, descriptor(int(fd))})
			})
		}}
		_, _ = dialer.Dial("tcp", address)
	})
	<-number
}
