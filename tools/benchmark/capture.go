package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// probes are about a function that each parked goroutine stands in.
const probes = `
[[probe]]
name = "serving"
function = "main.serve"
capture = [
  { as = "id", expr = "r.id" },
  { as = "tenant", expr = "r.tenant" },
]
`

// ownMax is the longest that nothing is done to see the target's own stall.
const ownMax = 3 * time.Second

// captured is what Stillframe did to a target. Times are in milliseconds.
type captured struct {
	// The same time without a capture.
	Own   spread `json:"own_stall"`
	Stall spread `json:"stall"`
	Outer spread `json:"outer_window"`
	Inner spread `json:"inner_window"`
	// From the order to the finished file.
	Took          spread  `json:"took"`
	ReusedPercent float64 `json:"reused_percent"`
	FileBytes     int64   `json:"file_bytes"`
	// Of the process that captures and writes the file, at its peak.
	MemoryBytes int64 `json:"memory_bytes"`
	// Captures that were not whole, and the last one's reason.
	Partial int    `json:"partial"`
	Refused int    `json:"refused"`
	Reason  string `json:"reason,omitempty"`
}

func captures(t *target, s scene, o *options) (*captured, error) {
	folder, err := os.MkdirTemp("", "stillframe-benchmark-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file, probeFile := filepath.Join(folder, "s.db"), filepath.Join(folder, "probes.toml")
	if err := os.WriteFile(probeFile, []byte(probes), 0o644); err != nil {
		return nil, err
	}
	words := []string{"snapshot", "--max-pause", "5s", "--within", "300s", "--force", "--pack", "none", "--pid", strconv.Itoa(t.pid()), "-o", file}
	if s.Probes {
		words = append(words, "--probes", probeFile)
	}
	told := &captured{}
	var own, stall, outer, inner, tooks []float64
	var reused, total float64
	// The first one is not counted: it reads the executable, and others find it in the cache.
	for i := range o.captures + 1 {
		var output []byte
		command := exec.Command(o.stillframe, words...)
		var failed *exec.ExitError
		seen, took, err := t.during(func() (err error) {
			output, err = command.CombinedOutput()
			failed, _ = err.(*exec.ExitError)
			if failed != nil {
				return nil
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if failed != nil {
			lines := strings.Split(strings.TrimSpace(string(output)), "\n")
			told.Reason = lines[0]
			if failed.ExitCode() != 10 {
				told.Refused++
				continue
			}
			told.Partial++
		}
		if i == 0 {
			continue
		}
		stall, tooks = append(stall, seen), append(tooks, took)
		usage, _ := command.ProcessState.SysUsage().(*syscall.Rusage)
		told.MemoryBytes = max(told.MemoryBytes, usage.Maxrss<<10)
		var of struct{ Goroutines, Reused, Outer, Inner, Probed float64 }
		if err := o.ask(file, &of); err != nil {
			return nil, err
		}
		if of.Goroutines < float64(s.Goroutines) && failed == nil {
			return nil, fmt.Errorf("only %.0f goroutines were captured", of.Goroutines)
		}
		reused, total = reused+of.Reused, total+of.Goroutines
		outer, inner = append(outer, of.Outer/1e6), append(inner, of.Inner/1e6)
		if about, err := os.Stat(file); err == nil {
			told.FileBytes = about.Size()
		}
		alone, _, err := t.during(func() error {
			time.Sleep(min(time.Duration(took*1e6), ownMax))
			return nil
		})
		if err != nil {
			return nil, err
		}
		own = append(own, alone)
	}
	told.Own, told.Stall, told.Outer, told.Inner, told.Took = of(own), of(stall), of(outer), of(inner), of(tooks)
	if total > 0 {
		told.ReusedPercent = 100 * reused / total
	}
	return told, nil
}

// ask has a snapshot's own figures.
func (o *options) ask(file string, into any) error {
	const query = "select goroutines, reused, pause_ns as outer, frozen_ns as inner from processes"
	output, err := exec.Command(o.stillframe, "sql", file, "--json", query).Output()
	if err != nil {
		return fmt.Errorf("stillframe sql: %w", err)
	}
	var rows []json.RawMessage
	if err := json.Unmarshal(output, &rows); err != nil || len(rows) != 1 {
		return fmt.Errorf("stillframe sql said %q: %v", output, err)
	}
	return json.Unmarshal(rows[0], into)
}
