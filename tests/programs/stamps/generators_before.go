//go:build !go1.23

package main

// generators came with Go 1.23.
func generators(int) {}
