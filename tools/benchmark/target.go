package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// target is a running tests/programs/benchmark.
type target struct {
	command   *exec.Cmd
	questions io.WriteCloser
	answers   *bufio.Reader
	port      int
	// Of its quota, if it has one.
	group string
}

func start(s scene, program string) (*target, error) {
	command := exec.Command(program, strconv.Itoa(s.Goroutines), strconv.Itoa(s.Turning))
	command.Stderr = os.Stderr
	questions, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	t := &target{command: command, questions: questions, answers: bufio.NewReader(answers)}
	line, err := t.answers.ReadString('\n')
	var pid int
	if err == nil {
		_, err = fmt.Sscanf(line, "ready %d %d", &pid, &t.port)
	}
	if err == nil && s.Quota > 0 {
		err = t.limit(s.Quota)
	}
	if err != nil {
		t.end()
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	return t, nil
}

func (t *target) pid() int { return t.command.Process.Pid }

// limit gives it a part of one processor, in percent (Documentation/admin-guide/cgroup-v2.rst, cpu.max, and
// scheduler/sched-bwc.rst).
func (t *target) limit(percent int) error {
	folder := "/sys/fs/cgroup"
	first := filepath.Join(folder, "cpu")
	_, err := os.Stat(filepath.Join(first, "cpu.cfs_quota_us"))
	isFirst := err == nil
	if isFirst {
		folder = first
	}
	group := filepath.Join(folder, fmt.Sprintf("stillframe-benchmark-%d", t.pid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		return fmt.Errorf("a group with a quota: %w", err)
	}
	t.group = group
	write := func(name, text string) error { return os.WriteFile(filepath.Join(group, name), []byte(text), 0o644) }
	quota := strconv.Itoa(percent * 1000)
	if isFirst {
		if err = write("cpu.cfs_period_us", "100000"); err == nil {
			err = write("cpu.cfs_quota_us", quota)
		}
	} else {
		err = write("cpu.max", quota+" 100000")
	}
	if err == nil {
		err = write("cgroup.procs", strconv.Itoa(t.pid()))
	}
	return err
}

// stall is the longest time in which it could not read its clock since the last call, in milliseconds.
func (t *target) stall() (float64, error) {
	if _, err := io.WriteString(t.questions, "\n"); err != nil {
		return 0, err
	}
	line, err := t.answers.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("the target says no more: %w", err)
	}
	var ns, readings int64
	if _, err := fmt.Sscanf(line, "stall %d %d", &ns, &readings); err != nil {
		return 0, fmt.Errorf("%q: %w", line, err)
	}
	return float64(ns) / 1e6, nil
}

// during is the stall while something is done, and for how long that took, in milliseconds.
func (t *target) during(do func() error) (stall, took float64, err error) {
	if _, err = t.stall(); err != nil {
		return
	}
	began := time.Now()
	if err = do(); err != nil {
		return
	}
	took = float64(time.Since(began)) / 1e6
	stall, err = t.stall()
	return
}

func (t *target) end() {
	// It has ended by itself if this fails.
	_ = t.command.Process.Kill()
	_ = t.command.Wait()
	if t.group == "" {
		return
	}
	for range 1000 {
		// The kernel takes a moment until a process that was killed is out of it.
		if os.Remove(t.group) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Fprintln(os.Stderr, "benchmark:", t.group, "is left")
}
