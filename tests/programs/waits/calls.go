package main

import (
	"syscall"
	"unsafe"
)

// On no stack, which would be moved.
var buffer [16]byte

func startCalls() {
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		panic(err)
	}
	parks(func() {
		arguments := []string{hex(uint64(pipe[0])), hex(*at(&buffer)), hex(16)}
		detail := map[string]any{"name": "read", "number": syscall.SYS_READ, "arguments": arguments}
		says("system call", "syscall", wait{"syscall", false, nil, detail})
		_, _, _ = syscall.Syscall(syscall.SYS_READ, uintptr(pipe[0]), uintptr(unsafe.Pointer(&buffer)), 16)
	})
}

func hex(value uint64) string {
	const digits = "0123456789abcdef"
	text := ""
	for ; value > 0; value /= 16 {
		text = string(digits[value%16]) + text
	}
	return "0x" + text
}
