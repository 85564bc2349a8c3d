package main

import (
	"bufio"
	"fmt"
	"os"
	"sync"
	"time"
)

// record is the server's own account of its requests, kept in memory until it ends: writing takes time.
type record struct {
	lock  sync.Mutex
	lines []line
}

type line struct {
	kind, method, id string
	began, ended     time.Time
}

// serving says that a handler runs from now on, until what it returns is called.
func (r *record) serving(kind, method, id string) func() {
	began := time.Now()
	return func() {
		ended := time.Now()
		r.lock.Lock()
		r.lines = append(r.lines, line{kind, method, id, began, ended})
		r.lock.Unlock()
	}
}

func (r *record) write(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, line := range r.lines {
		fmt.Fprintln(out, line.kind, line.method, line.id, line.began.UnixNano(), line.ended.UnixNano())
	}
	return out.Flush()
}
