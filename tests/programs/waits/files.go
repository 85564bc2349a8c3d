package main

import (
	"os"
	"syscall"
)

func descriptor(fd int) map[string]any { return map[string]any{"fd": fd} }

func fdOf(conn syscall.Conn) int {
	raw, err := conn.SyscallConn()
	number := -1
	if err == nil {
		err = raw.Control(func(fd uintptr) { number = int(fd) })
	}
	if err != nil {
		panic(err)
	}
	return number
}

func startFiles() {
	read, write, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	parks(func() {
		says("pipe, read", "IO wait", wait{"net read", false, nil, descriptor(fdOf(read))})
		_, _ = read.Read(make([]byte, 1))
	})
	unread, full, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	parks(func() {
		says("pipe, write", "IO wait", wait{"net write", false, nil, descriptor(fdOf(full))})
		_, _ = full.Write(make([]byte, 1<<20))
	})
	sleepUntil(func() bool { return blockedWriter(full) })
	parks(func() {
		says("second writer", "semacquire", wait{"semaphore", false, nil, nil})
		_, _ = full.Write(make([]byte, 1))
	})
	open = append(open, write, unread)
}

// blockedWriter tells that a pipe takes nothing more.
func blockedWriter(file *os.File) bool {
	var buffer [1]byte
	_, err := syscall.Write(fdOf(file), buffer[:])
	return err == syscall.EAGAIN
}
