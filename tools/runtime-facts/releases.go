package main

import (
	"fmt"
	"slices"
)

// A release is Go 1.minor.patch.
type release struct{ minor, patch int }

// Minor versions whose runtime Stillframe knows (nodes/golang/src/version.rs).
const (
	minorOldest = 21
	minorNewest = 27
)

func (r release) String() string { return fmt.Sprintf("go1.%d.%d", r.minor, r.patch) }

// version is that of the module golang.org/toolchain which holds the release.
func (r release) version() string { return fmt.Sprintf("v0.0.1-%v.linux-amd64", r) }

// representative are the newest release of each minor version, and those between which layouts are known to differ.
func representative(all []release) []release {
	also := []release{{23, 1}, {24, 3}, {25, 0}, {26, 0}, {27, 0}}
	var chosen []release
	for i, r := range all {
		newest := i+1 == len(all) || all[i+1].minor != r.minor
		if newest || slices.Contains(also, r) {
			chosen = append(chosen, r)
		}
	}
	return chosen
}
