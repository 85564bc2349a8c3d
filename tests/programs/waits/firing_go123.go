//go:build go1.23

package main

// firing is what is told of a timer's channel.
func firing(unixNs int64) map[string]any { return map[string]any{"fires_unix_ns": unixNs} }
