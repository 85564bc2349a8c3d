// runtime-facts reads the source of Go releases and says what Stillframe needs to know of their runtimes.
//
//	runtime-facts layouts > nodes/golang/src/layout_table.txt
//	runtime-facts check
//	runtime-facts check go1.26.6 go1.27.3
//	runtime-facts review
//
// `layouts` prints the structures of all releases. `check` compares what Stillframe's code assumes (see annotations.go) with
// all releases or those named, and lists what differs. `review` notes that each text which `check` lists was read. They are
// run in tools/runtime-facts.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runtime-facts:", err)
		os.Exit(1)
	}
}

const usage = "usage: runtime-facts layouts, runtime-facts check [go1.26.6 ...], or runtime-facts review"

// Of the folder that this module is in.
const (
	root         = "../.."
	reviewedFile = "reviewed.txt"
)

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New(usage)
	}
	verb, named := arguments[0], arguments[1:]
	oldest, newest, err := supported(root)
	if err != nil {
		return err
	}
	c, err := openCache()
	if err != nil {
		return err
	}
	releases, err := parseReleases(named)
	if err != nil {
		return err
	}
	if len(releases) == 0 {
		if releases, err = c.releases(oldest, newest); err != nil {
			return err
		}
	}
	switch {
	case verb == "layouts" && len(named) == 0:
		table, err := layoutTable(c, releases, progress)
		if err != nil {
			return err
		}
		_, err = os.Stdout.WriteString(table)
		return err
	case verb == "check":
		known, err := readReviewed(reviewedFile)
		if err != nil {
			return err
		}
		checked, err := checkReleases(c, releases, known, oldest, newest)
		if err != nil {
			return err
		}
		return report(checked, len(releases))
	case verb == "review" && len(named) == 0:
		checked, err := checkReleases(c, releases, nil, oldest, newest)
		if err != nil {
			return err
		}
		return writeReviewed(reviewedFile, checked.texts)
	}
	return errors.New(usage)
}

func progress(now string) { fmt.Fprintln(os.Stderr, now) }

func checkReleases(c *cache, releases []release, known map[reviewedText]bool, oldest, newest int) (*checker, error) {
	made, err := assumptions(root, oldest, newest)
	if err != nil {
		return nil, err
	}
	if len(made) == 0 {
		return nil, fmt.Errorf("no assumption was found below %s", filepath.Clean(root))
	}
	checked := newChecker(made, known)
	for _, r := range releases {
		progress(r.String())
		src, err := c.source(r)
		if err != nil {
			return nil, err
		}
		if err := checked.check(src, r); err != nil {
			return nil, err
		}
	}
	return checked, nil
}

func report(c *checker, releases int) error {
	for _, d := range c.found {
		fmt.Println(d)
	}
	fmt.Printf("%d assumptions, %d releases, %d facts compared, %d disagreements\n",
		len(c.assumptions), releases, c.facts, len(c.found))
	if len(c.found) > 0 {
		return errors.New("the code assumes what Go's source does not say: correct it, or read the texts listed and run `runtime-facts review`")
	}
	return nil
}
