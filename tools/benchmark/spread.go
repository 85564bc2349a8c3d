package main

import (
	"fmt"
	"slices"
)

// spread is what several measurements came to: the one in the middle, and the last but one of a hundred.
type spread struct {
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
	Least  float64 `json:"least"`
	Count  int     `json:"count"`
}

func of(measured []float64) spread {
	if len(measured) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(measured))
	at := func(percent int) float64 { return sorted[max((len(sorted)*percent+99)/100-1, 0)] }
	return spread{Median: at(50), P99: at(99), Least: sorted[0], Count: len(sorted)}
}

func (s spread) String() string {
	if s.Count == 0 {
		return "-"
	}
	return fmt.Sprintf("%s / %s", milliseconds(s.Median), milliseconds(s.P99))
}

func milliseconds(n float64) string {
	if n < 100 {
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}
