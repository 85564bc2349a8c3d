package main

import (
	"fmt"
	"strings"
)

// print prints what was measured as two tables of Markdown: what a capture costs, and the same of others beside it.
func print(told report) {
	fmt.Printf("%s, %d processors, load average %s before and %s after. Times in ms, median / p99.\n\n", told.When, told.Processors, told.Load, told.LoadAfter)
	line("goroutines", "own stall", "stall", "above own", "outer window", "inner window", "reused %", "to the file s", "file MB", "memory MB", "captures")
	line(dashes(11)...)
	for _, r := range told.Rows {
		if r.Ours == nil {
			line(r.scene.String(), "skipped: "+r.Skipped)
			continue
		}
		c := r.Ours
		captures := fmt.Sprint(c.Stall.Count)
		if c.Partial+c.Refused > 0 {
			captures += fmt.Sprintf(", %d partial, %d refused (%s)", c.Partial, c.Refused, c.Reason)
		}
		line(r.scene.String(), c.Own.String(), c.Stall.String(), milliseconds(c.Stall.Median-c.Own.Median), c.Outer.String(), c.Inner.String(),
			fmt.Sprintf("%.2f", c.ReusedPercent), fmt.Sprintf("%.2f", c.Took.Median/1e3), fmt.Sprintf("%.1f", float64(c.FileBytes)/1e6),
			fmt.Sprintf("%.0f", float64(c.MemoryBytes)/1e6), captures)
	}
	fmt.Println()
	line("goroutines", "by", "stall", "times that of Stillframe", "took s", "MB", "runs", "")
	line(dashes(8)...)
	for _, r := range told.Rows {
		for _, other := range r.Others {
			times := "-"
			if other.Stall.Count > 0 && r.Ours != nil && r.Ours.Stall.Median > 0 {
				times = fmt.Sprintf("%.1f", other.Stall.Median/r.Ours.Stall.Median)
			}
			line(r.scene.String(), other.Name, other.Stall.String(), times, fmt.Sprintf("%.2f", other.Took.Median/1e3),
				fmt.Sprintf("%.1f", float64(other.Bytes)/1e6), fmt.Sprint(other.Stall.Count), other.Note)
		}
	}
}

func line(cells ...string) { fmt.Println("| " + strings.Join(cells, " | ") + " |") }

func dashes(columns int) []string {
	return strings.Split(strings.Repeat("--- ", columns-1)+"---", " ")
}
