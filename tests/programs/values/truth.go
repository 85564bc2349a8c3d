package main

import (
	"bufio"
	"encoding/json"
	"os"
	"reflect"
	"runtime"
	"sync"
)

// fact is what an expression holds.
type fact struct {
	expression string
	// The static type as reflect prints it.
	of string
	// Asked when all goroutines are parked: waiters of a lock come late.
	tree func() any
}

// is: the expression holds this value.
func is[T any](expression string, value T) fact {
	copied := new(T)
	*copied = value
	return at(expression, copied)
}

// at: the expression holds what is there.
func at[T any](expression string, place *T) fact {
	value := reflect.ValueOf(place).Elem()
	return fact{expression, value.Type().String(), func() any { return treeOf(value) }}
}

// none: the expression holds nothing now that anybody may give.
func none(expression, why string) fact {
	return fact{expression, "", func() any { return tree{"none": why} }}
}

// fails: the expression cannot be had, for a reason that says this.
func fails(expression, reason string) fact {
	return fact{expression, "", func() any { return tree{"fails": reason} }}
}

// line is one of the file.
type line struct {
	Goid       uint64 `json:"goid"`
	Function   string `json:"function"`
	Frame      int    `json:"frame"`
	Expression string `json:"expression"`
	Type       string `json:"type"`
	Truth      any    `json:"truth"`
	tree       func() any
}

var (
	linesLock sync.Mutex
	lines     []line
)

// tell writes down what the calling function's expressions hold.
//
//go:noinline
func tell(facts ...fact) {
	function, frame := caller()
	record(goid(), function, frame, facts)
}

// tellOf writes down what a function is about to hold that the calling goroutine
// will call, once.
//
//go:noinline
func tellOf(function string, facts ...fact) {
	record(goid(), function, 0, facts)
}

func record(goid uint64, function string, frame int, facts []fact) {
	linesLock.Lock()
	defer linesLock.Unlock()
	for _, f := range facts {
		lines = append(lines, line{goid, function, frame, f.expression, f.of, nil, f.tree})
	}
}

// caller names the function that called the caller, as Go prints it, and counts
// the frames of the same function that are further out.
func caller() (string, int) {
	pcs := make([]uintptr, 1000)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	first, more := frames.Next()
	further := 0
	for more {
		var next runtime.Frame
		next, more = frames.Next()
		if next.Function == first.Function {
			further++
		}
	}
	return first.Function, further
}

// writeTruth writes all that was told.
func writeTruth(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	buffer := bufio.NewWriter(file)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	linesLock.Lock()
	defer linesLock.Unlock()
	for _, l := range lines {
		l.Truth = l.tree()
		if err := encoder.Encode(l); err != nil {
			return err
		}
	}
	return buffer.Flush()
}
