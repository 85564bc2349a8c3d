package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

// readFiles reads a file whose content is known, through the os package and by
// system calls, and passes it through a pipe.
func readFiles(p *progress) {
	file, err := os.CreateTemp("", "busy")
	if err != nil {
		p.verify(false, "%v", err)
		return
	}
	// The descriptor is enough; nothing is left behind.
	os.Remove(file.Name())
	content := make([]byte, 64<<10)
	for i := range content {
		content[i] = byte(i * 7)
	}
	if _, err := file.Write(content); err != nil {
		p.verify(false, "%v", err)
		return
	}
	sum := checksum(content)
	buffer := make([]byte, len(content))
	reading, writing, err := os.Pipe()
	if err != nil {
		p.verify(false, "%v", err)
		return
	}
	for {
		n, err := file.ReadAt(buffer, 0)
		p.verify(n == len(content) && err == nil && checksum(buffer) == sum, "read %d bytes: %v", n, err)
		n, err = syscall.Pread(int(file.Fd()), buffer[:100], 1000)
		p.verify(n == 100 && err == nil && bytes.Equal(buffer[:100], content[1000:1100]), "pread %d bytes: %v", n, err)
		go writing.Write(content[:5000])
		_, err = io.ReadFull(reading, buffer[:5000])
		p.verify(err == nil && bytes.Equal(buffer[:5000], content[:5000]), "the pipe's content changed: %v", err)
		p.done()
		pause()
	}
}

// callKernel makes raw system calls, which the scheduler does not hear of, and
// blocking ones, which it does.
func callKernel(p *progress) {
	pid := uintptr(os.Getpid())
	for {
		for i := 0; i < 500; i++ {
			got, _, errno := syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
			if got != pid || errno != 0 {
				p.verify(false, "getpid gave %d: %v", got, errno)
			}
		}
		for i := 0; i < 100; i++ {
			if got := syscall.Getppid(); got < 0 {
				p.verify(false, "getppid gave %d", got)
			}
		}
		short := syscall.Timespec{Nsec: 300_000}
		var left syscall.Timespec
		for syscall.Nanosleep(&short, &left) == syscall.EINTR {
			short = left
		}
		checks.Add(1)
		p.done()
		pause()
	}
}

// requestPages is the load client: many requests in parallel, over kept and over
// new connections, with bodies that the server has to add up.
func requestPages(p *progress) {
	const clients = 6
	for number := 0; number < clients; number++ {
		number := number
		go func() {
			transport := &http.Transport{DisableKeepAlives: number%3 == 0}
			client := &http.Client{Transport: transport, Timeout: time.Minute}
			for round := 0; ; round++ {
				requestSum(p, client, number, round)
				time.Sleep(2 * time.Millisecond)
			}
		}()
	}
	select {}
}

func requestSum(p *progress, client *http.Client, number, round int) {
	body := make([]byte, 8*200)
	want := uint64(0)
	for i := 0; i < len(body); i += 8 {
		value := uint64(number*1_000_000 + round + i)
		want += value
		binary.LittleEndian.PutUint64(body[i:], value)
	}
	response, err := client.Post(fmt.Sprintf("http://127.0.0.1:%d/sum", port), "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		p.verify(false, "%v", err)
		return
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	p.verify(err == nil && string(answer) == strconv.FormatUint(want, 10), "the sum is %q, not %d: %v", answer, want, err)
	p.done()
}

func serveSum(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sum := uint64(0)
	for ; len(body) >= 8; body = body[8:] {
		sum += binary.LittleEndian.Uint64(body)
	}
	httpRequests.Add(1)
	fmt.Fprint(w, sum)
}
