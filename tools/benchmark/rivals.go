package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

// rivalTold is what another tool did to the same target. Times are in milliseconds.
type rivalTold struct {
	Name  string `json:"name"`
	Stall spread `json:"stall"`
	Took  spread `json:"took"`
	// Of its answer.
	Bytes int64 `json:"bytes"`
	// What is to be known of it: that it was cut, or ended.
	Note string `json:"note,omitempty"`
}

// cut is where runtime/pprof ends the text of debug=2 (writeGoroutineStacks: 64 MB).
const cut = 64 << 20

func pprof(t *target, debug int, o *options) (*rivalTold, error) {
	told := &rivalTold{Name: fmt.Sprintf("debug=%d", debug)}
	address := fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/goroutine?debug=%d", t.port, debug)
	var stalls, tooks []float64
	for began := time.Now(); len(stalls) < o.captures && (len(stalls) == 0 || time.Since(began) < o.rivalTime); {
		stall, took, err := t.during(func() error {
			answer, err := http.Get(address)
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				return fmt.Errorf("%s: %s", address, answer.Status)
			}
			told.Bytes, err = io.Copy(io.Discard, answer.Body)
			return err
		})
		if err != nil {
			return nil, err
		}
		stalls, tooks = append(stalls, stall), append(tooks, took)
	}
	if debug == 2 && told.Bytes >= cut {
		told.Note = "its text is cut at 64 MB"
	}
	told.Stall, told.Took = of(stalls), of(tooks)
	return told, nil
}

// framesMax of one stack; those of the target are not as deep.
const framesMax = 50

// delve has Delve list all goroutines and their stacks. The target is of no use afterwards if it was ended.
func delve(t *target, s scene, o *options) *rivalTold {
	told := &rivalTold{Name: "Delve"}
	var asked int
	var stalls, tooks []float64
	for began := time.Now(); len(stalls) < o.captures && (len(stalls) == 0 || time.Since(began) < o.rivalTime); {
		stall, took, err := t.during(func() (err error) {
			asked, err = listAll(t, s, o)
			return err
		})
		if err != nil {
			told.Note = fmt.Sprintf("ended after %v and %d of the stacks: %v", o.delveTime, asked, err)
			break
		}
		stalls, tooks = append(stalls, stall), append(tooks, took)
	}
	told.Stall, told.Took = of(stalls), of(tooks)
	return told
}

// listAll says how many stacks were told.
func listAll(t *target, s scene, o *options) (int, error) {
	command := exec.Command(o.delve, "attach", fmt.Sprint(t.pid()), "--headless", "--api-version=2",
		"--listen=127.0.0.1:0", "--accept-multiclient", "--check-go-version=false")
	output, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := command.Start(); err != nil {
		return 0, err
	}
	end := time.AfterFunc(o.delveTime, func() { _ = command.Process.Kill() })
	defer func() {
		end.Stop()
		// It has ended if this fails.
		_ = command.Process.Kill()
		_ = command.Wait()
	}()
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("Delve has said %q: %w", line, err)
	}
	words := strings.Fields(line)
	connection, err := net.Dial("tcp", words[len(words)-1])
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	answers := bufio.NewReaderSize(connection, 1<<20)
	call := func(method string, argument, into any) error {
		request, err := json.Marshal(map[string]any{"method": "RPCServer." + method, "params": []any{argument}, "id": 1})
		if err != nil {
			return err
		}
		if _, err := connection.Write(append(request, '\n')); err != nil {
			return err
		}
		text, err := answers.ReadBytes('\n')
		if err != nil {
			return err
		}
		var answer struct {
			Result json.RawMessage
			Error  any
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return err
		}
		if answer.Error != nil {
			return fmt.Errorf("%s: %v", method, answer.Error)
		}
		return json.Unmarshal(answer.Result, into)
	}
	var list struct {
		Goroutines []struct {
			ID int64 `json:"id"`
		}
	}
	if err := call("ListGoroutines", map[string]any{"Start": 0, "Count": 0}, &list); err != nil {
		return 0, err
	}
	if len(list.Goroutines) < s.Goroutines {
		return 0, fmt.Errorf("Delve has found only %d goroutines", len(list.Goroutines))
	}
	for i, goroutine := range list.Goroutines {
		var stack struct{ Locations []json.RawMessage }
		if err := call("Stacktrace", map[string]any{"Id": goroutine.ID, "Depth": framesMax}, &stack); err != nil {
			return i, err
		}
		if len(stack.Locations) == 0 {
			return i, errors.New("Delve has told an empty stack")
		}
	}
	var nothing any
	return len(list.Goroutines), call("Detach", map[string]any{"Kill": false}, &nothing)
}
