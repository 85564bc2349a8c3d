// benchmark measures what a capture costs a program, beside what people use today. tools/benchmark.sh builds what it needs and
// runs it; see there.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scene is a row: what is captured, and how.
type scene struct {
	Goroutines int  `json:"goroutines"`
	Turning    int  `json:"percent_that_take_turns"`
	Probes     bool `json:"probes"`
	// In percent of one processor; 0: none.
	Quota int `json:"quota_percent"`
	// Whether others are measured as well.
	Rivals bool `json:"rivals"`
}

func (s scene) String() string {
	text := strconv.Itoa(s.Goroutines) + " parked"
	if s.Turning > 0 {
		text = fmt.Sprintf("%d, %d %% in turn running", s.Goroutines, s.Turning)
	}
	if s.Probes {
		text += ", probes"
	}
	if s.Quota > 0 {
		text += fmt.Sprintf(", %d %% of a core", s.Quota)
	}
	return text
}

// row is what came out. Times are in milliseconds.
type row struct {
	scene
	// Why there is nothing.
	Skipped string       `json:"skipped,omitempty"`
	Ours    *captured    `json:"stillframe,omitempty"`
	Others  []*rivalTold `json:"others,omitempty"`
}

type report struct {
	When       string `json:"when"`
	Processors int    `json:"processors"`
	Load       string `json:"load_average_before"`
	LoadAfter  string `json:"load_average_after"`
	Rows       []row  `json:"rows"`
}

// bytesOfGoroutine is what one needs: its stack, its record, what it waits for, twice over while it is captured.
const bytesOfGoroutine = 8 << 10

type options struct {
	stillframe, program, delve string
	captures                   int
	rivalTime, delveTime       time.Duration
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
}

func run() error {
	var o options
	flag.StringVar(&o.stillframe, "stillframe", "", "its release build")
	flag.StringVar(&o.program, "program", "", "the built tests/programs/benchmark")
	flag.StringVar(&o.delve, "delve", "", "dlv; without it Delve is left out")
	flag.IntVar(&o.captures, "captures", 20, "how often each row is captured")
	flag.DurationVar(&o.rivalTime, "rival-time", time.Minute, "after so long a rival is not measured once more")
	flag.DurationVar(&o.delveTime, "delve-time", 2*time.Minute, "after so long Delve is ended")
	quick := flag.Bool("quick", false, "few rows, few captures")
	only := flag.String("rows", "", "only the rows of these names, separated by ;, with a * all that begin so")
	out := flag.String("o", "benchmark.json", "the file for all figures")
	flag.Parse()
	if flag.NArg() > 0 || o.stillframe == "" || o.program == "" {
		return errors.New("it is run by tools/benchmark.sh")
	}
	scenes := all()
	if *quick {
		scenes = []scene{{Goroutines: 1000, Rivals: true}, {Goroutines: 10000, Rivals: true}, {Goroutines: 10000, Turning: 10}}
		o.captures, o.rivalTime, o.delveTime = min(o.captures, 5), 10*time.Second, 20*time.Second
	}
	if *only != "" {
		words := strings.Split(*only, ";")
		scenes = slices.DeleteFunc(scenes, func(s scene) bool {
			return !slices.ContainsFunc(words, func(word string) bool { return fits(s.String(), strings.TrimSpace(word)) })
		})
	}
	told := report{When: time.Now().UTC().Format(time.RFC3339), Processors: runtime.NumCPU(), Load: load()}
	for _, s := range scenes {
		fmt.Fprintf(os.Stderr, "%s: %v\n", time.Now().Format(time.TimeOnly), s)
		r := row{scene: s}
		if reason := noRoom(s); reason != "" {
			r.Skipped = reason
		} else if err := measure(&r, &o); err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
		told.Rows = append(told.Rows, r)
		told.LoadAfter = load()
		// After each row: what was measured is not lost if a later one fails.
		text, err := json.MarshalIndent(told, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(*out, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	print(told)
	return nil
}

// fits says whether a row has this name, or, of a word with a * behind it, begins with it.
func fits(name, word string) bool {
	if begin, isPrefix := strings.CutSuffix(word, "*"); isPrefix {
		return strings.HasPrefix(name, begin)
	}
	return name == word
}

func all() []scene {
	var scenes []scene
	for _, n := range []int{1000, 10000, 100000, 1000000} {
		scenes = append(scenes, scene{Goroutines: n, Rivals: true})
	}
	return append(scenes,
		scene{Goroutines: 10000, Turning: 10, Rivals: true},
		scene{Goroutines: 100000, Turning: 10, Rivals: true},
		scene{Goroutines: 1000, Probes: true},
		scene{Goroutines: 10000, Probes: true},
		scene{Goroutines: 100000, Probes: true},
		scene{Goroutines: 1000, Quota: 50, Rivals: true},
		scene{Goroutines: 10000, Quota: 50, Rivals: true},
		scene{Goroutines: 100000, Quota: 50, Rivals: true},
	)
}

// noRoom says why a row cannot be measured here.
func noRoom(s scene) string {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return err.Error()
	}
	_, after, _ := strings.Cut(string(text), "MemAvailable:")
	var kilobytes int
	if _, err := fmt.Sscan(after, &kilobytes); err != nil {
		return "MemAvailable: " + err.Error()
	}
	if needed := s.Goroutines * bytesOfGoroutine; needed > kilobytes<<10 {
		return fmt.Sprintf("%d MB are available, %d MB are needed", kilobytes>>10, needed>>20)
	}
	return ""
}

func load() string {
	// Only to be told.
	text, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

func measure(r *row, o *options) error {
	target, err := start(r.scene, o.program)
	if err != nil {
		return err
	}
	defer func() { target.end() }()
	if r.Ours, err = captures(target, r.scene, o); err != nil {
		return err
	}
	if !r.Rivals {
		return nil
	}
	for _, debug := range []int{1, 2} {
		told, err := pprof(target, debug, o)
		if err != nil {
			return err
		}
		r.Others = append(r.Others, told)
	}
	if o.delve != "" {
		r.Others = append(r.Others, delve(target, r.scene, o))
	}
	return nil
}
