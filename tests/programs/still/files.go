package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// startFiles: pipes, child processes, signals and system calls that block their
// thread.
func startFiles(s *scene) {
	reading, writing, err := os.Pipe()
	check(err)
	keep(writing)
	s.expect("main.readFile(", "IO wait")
	go readFile(reading)

	lines, far, err := os.Pipe()
	check(err)
	keep(far)
	s.expect("main.scanLines(", "IO wait")
	go scanLines(lines)

	full, end, err := os.Pipe()
	check(err)
	keep(full)
	s.expect("main.fillPipe(", "IO wait")
	go fillPipe(end)

	inner, outer := io.Pipe()
	keep(outer)
	s.expect("main.readAll(", "select")
	go readAll(inner)

	// Two readers of one descriptor: the second waits for the fdMutex.
	shared, sharedEnd, err := os.Pipe()
	check(err)
	keep(sharedEnd)
	s.expect("main.readShared(", "IO wait")
	s.expect("main.readShared(", "semacquire")
	go readShared(shared)
	go readShared(shared)

	// cat lives as long as we hold its standard input.
	command := exec.Command("cat")
	stdin, err := command.StdinPipe()
	check(err)
	command.Stdout = &bytes.Buffer{}
	check(command.Start())
	keep(stdin)
	s.expect("main.waitForChild(", "syscall")
	go waitForChild(command)

	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGUSR2)
	s.expect("main.waitForSignal(", "chan receive")
	go waitForSignal(hangups)

	// A blocking descriptor that the poller does not know: the thread waits in
	// the kernel.
	var raw [2]int
	check(syscall.Pipe2(raw[:], syscall.O_CLOEXEC))
	s.expect("main.readRaw(", "syscall")
	go readRaw(raw[0])
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

//go:noinline
func readFile(f *os.File) (int, error) {
	var buffer [16]byte
	return f.Read(buffer[:])
}

//go:noinline
func scanLines(f *os.File) (lines int) {
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		lines++
	}
	return lines
}

//go:noinline
func fillPipe(f *os.File) {
	block := make([]byte, 1<<16)
	for {
		if _, err := f.Write(block); err != nil {
			panic(err)
		}
	}
}

//go:noinline
func readAll(r io.Reader) ([]byte, error) { return io.ReadAll(r) }

//go:noinline
func readShared(f *os.File) (int, error) {
	var buffer [1]byte
	return f.Read(buffer[:])
}

//go:noinline
func waitForChild(command *exec.Cmd) error { return command.Wait() }

//go:noinline
func waitForSignal(signals chan os.Signal) os.Signal { return <-signals }

//go:noinline
func readRaw(fd int) (int, error) {
	var buffer [8]byte
	for {
		n, err := syscall.Read(fd, buffer[:])
		if err != syscall.EINTR {
			return n, err
		}
	}
}
