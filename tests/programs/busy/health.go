package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// report is the answer to /health.
type report struct {
	OK               bool             `json:"ok"`
	Reason           string           `json:"reason,omitempty"` // the first failed check
	Pid              int              `json:"pid"`
	Heartbeat        int64            `json:"heartbeat"` // every 10 ms
	CallfreeProgress int64            `json:"callfree_progress"`
	HTTPRequests     int64            `json:"http_requests"`
	Checks           int64            `json:"checks"` // passed
	CgoCalls         int64            `json:"cgo_calls"`
	MaxGapNs         int64            `json:"max_gap_ns"` // between two readings of the clock
	Loads            map[string]int64 `json:"loads"`      // rounds of each load
}

var (
	heartbeat, callfree, httpRequests, checks, cgoCalls, maxGapNs atomic.Int64

	failure     atomic.Pointer[string]
	progressMu  sync.Mutex
	allProgress []*progress
)

// progress counts the rounds of one load.
type progress struct {
	name   string
	rounds atomic.Int64
}

func newProgress(name string) *progress {
	p := &progress{name: name}
	progressMu.Lock()
	defer progressMu.Unlock()
	allProgress = append(allProgress, p)
	return p
}

func (p *progress) done() { p.rounds.Add(1) }

// verify counts a check that holds; the first one that does not makes the
// program unwell for good.
func (p *progress) verify(holds bool, format string, values ...any) {
	if holds {
		checks.Add(1)
		return
	}
	reason := p.name + ": " + fmt.Sprintf(format, values...)
	if failure.CompareAndSwap(nil, &reason) {
		fmt.Fprintln(os.Stderr, "busy: check failed:", reason)
	}
}

func beat() {
	for {
		time.Sleep(10 * time.Millisecond)
		heartbeat.Add(1)
	}
}

// serveHealth answers with the report; /health?reset=gap starts max_gap_ns anew
// after that.
func serveHealth(w http.ResponseWriter, r *http.Request) {
	answer := report{
		OK:               failure.Load() == nil,
		Pid:              os.Getpid(),
		Heartbeat:        heartbeat.Load(),
		CallfreeProgress: callfree.Load(),
		HTTPRequests:     httpRequests.Load(),
		Checks:           checks.Load(),
		CgoCalls:         cgoCalls.Load(),
		MaxGapNs:         maxGapNs.Load(),
		Loads:            map[string]int64{},
	}
	if reason := failure.Load(); reason != nil {
		answer.Reason = *reason
	}
	progressMu.Lock()
	for _, p := range allProgress {
		answer.Loads[p.name] = p.rounds.Load()
	}
	progressMu.Unlock()
	if r.URL.Query().Get("reset") == "gap" {
		maxGapNs.Store(0)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}
