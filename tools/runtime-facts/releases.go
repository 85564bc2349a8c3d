package main

import (
	"fmt"
)

// A release is Go 1.minor.patch.
type release struct{ minor, patch int }

func (r release) String() string { return fmt.Sprintf("go1.%d.%d", r.minor, r.patch) }

// version is that of the module golang.org/toolchain which holds the release.
func (r release) version() string { return fmt.Sprintf("v0.0.1-%v.linux-amd64", r) }

func parseReleases(names []string) ([]release, error) {
	var found []release
	for _, name := range names {
		var r release
		if n, err := fmt.Sscanf(name, "go1.%d.%d", &r.minor, &r.patch); n != 2 || err != nil || r.String() != name {
			return nil, fmt.Errorf("%q is no release: they have names like go1.26.6", name)
		}
		found = append(found, r)
	}
	return found, nil
}
