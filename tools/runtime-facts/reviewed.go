package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// A text that was read: what it is of, in which architecture, and its hash.
type reviewedText struct{ name, arch, hash string }

const reviewedHead = `# Texts of Go's source that Stillframe's code was compared with: name, architecture, hash of the text without comments,
# and a release that has it. Written by
#
#   runtime-facts review
#
# which is to be run when each text that ` + "`runtime-facts check`" + ` listed was read.
`

// readReviewed is empty where there is no such file yet.
func readReviewed(path string) (map[reviewedText]bool, error) {
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	known := map[reviewedText]bool{}
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 4 {
			return nil, fmt.Errorf("%s: not of the form `name architecture hash release`: %q", path, line)
		}
		known[reviewedText{fields[0], fields[1], fields[2]}] = true
	}
	return known, nil
}

// writeReviewed keeps the first release of each text.
func writeReviewed(path string, first map[reviewedText]release) error {
	var lines []string
	for text, r := range first {
		lines = append(lines, fmt.Sprintf("%s %s %s %v\n", text.name, text.arch, text.hash, r))
	}
	slices.Sort(lines)
	return os.WriteFile(path, []byte(reviewedHead+strings.Join(lines, "")), 0o644)
}
