package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// settleLimit bounds the wait for all goroutines to park.
const settleLimit = 60 * time.Second

// kept holds what parked goroutines do not reference themselves but depend on:
// the far end of a pipe, say, which a finalizer would close.
var kept []any

func keep(values ...any) { kept = append(kept, values...) }

// never is a channel that nobody ever sends on.
var never = make(chan struct{})

// scene is the list of goroutines that have to be parked before the program
// calls itself ready.
type scene struct {
	expected []expectation
}

type expectation struct {
	function string // a line of the traceback starts so
	state    string // the first word group of the header's brackets
	count    int
}

// expect says that one more goroutine with function on its stack will be in
// state. The function is as Go prints it; a prefix will do.
func (s *scene) expect(function, state string) {
	for i := range s.expected {
		if s.expected[i].function == function && s.expected[i].state == state {
			s.expected[i].count++
			return
		}
	}
	s.expected = append(s.expected, expectation{function, state, 1})
}

// settle returns when every expected goroutine stands as it should and two
// looks in a row show the same stacks.
func (s *scene) settle() error {
	deadline := time.Now().Add(settleLimit)
	var last []byte
	for {
		now := withoutWaitTimes(allStacks())
		missing := s.missing(string(now))
		if len(missing) == 0 && bytes.Equal(now, last) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %v not parked: %s\n%s", settleLimit, strings.Join(missing, "; "), now)
		}
		last = now
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *scene) missing(stacks string) []string {
	found := make([]int, len(s.expected))
	for _, goroutine := range strings.Split(stacks, "\n\n") {
		header, frames, _ := strings.Cut(goroutine, "\n")
		for i, e := range s.expected {
			if stateOf(header) == e.state && strings.Contains("\n"+frames, "\n"+e.function) {
				found[i]++
			}
		}
	}
	var missing []string
	for i, e := range s.expected {
		if found[i] < e.count {
			missing = append(missing, fmt.Sprintf("%s [%s]: %d of %d", e.function, e.state, found[i], e.count))
		}
	}
	return missing
}

// stateOf reads "chan receive" out of "goroutine 7 [chan receive, 2 minutes]:".
// Waits within a synctest bubble are called durable in ways that differ from
// version to version; that word is left out.
func stateOf(header string) string {
	_, state, _ := strings.Cut(header, "[")
	if end := strings.IndexAny(state, ",]"); end >= 0 {
		state = state[:end]
	}
	return strings.TrimSuffix(state, " (durable)")
}

var waitTime = regexp.MustCompile(`, \d+ minutes`)

func withoutWaitTimes(stacks []byte) []byte { return waitTime.ReplaceAll(stacks, nil) }
