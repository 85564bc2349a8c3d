package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A disagreement between an assumption and the source of releases.
type disagreement struct {
	assumption  assumption
	arch        string
	first, last release
	what        string
}

func (d disagreement) String() string {
	span := d.first.String()
	if d.first != d.last {
		span += " to " + d.last.String()
	}
	return fmt.Sprintf("%s: %s %s, %s, %s: %s", d.assumption.place, d.assumption.kind, d.assumption.name, span, d.arch, d.what)
}

// A checker compares assumptions with one release after the other.
type checker struct {
	assumptions []assumption
	reviewed    map[reviewedText]bool
	facts       int
	found       []disagreement
	// The first release of each text of the source.
	texts map[reviewedText]release
	// The last text that was known, by name and architecture, to show what changed.
	before map[[2]string]versionedText
}

type versionedText struct {
	text    string
	release release
}

func newChecker(assumptions []assumption, known map[reviewedText]bool) *checker {
	return &checker{
		assumptions: assumptions, reviewed: known,
		texts: map[reviewedText]release{}, before: map[[2]string]versionedText{},
	}
}

func (c *checker) check(src string, r release) error {
	for _, arch := range architectures {
		t, err := openTree(src, r, arch)
		if err != nil {
			return err
		}
		for _, a := range c.assumptions {
			if a.arch != "" && a.arch != arch {
				continue
			}
			if err := c.compare(t, a, arch, r); err != nil {
				return fmt.Errorf("%s: %v, %s: %w", a.place, r, arch, err)
			}
		}
	}
	return nil
}

func (c *checker) compare(t *tree, a assumption, arch string, r release) error {
	fact, err := t.fact(a)
	if err != nil {
		return err
	}
	expected, err := a.value(a.expected(r.minor))
	if err != nil {
		return err
	}
	c.facts++
	if expected == reviewed && fact != none {
		c.compareText(a, arch, r, fact)
		return nil
	}
	// Elements that a release does not have yet do no harm: nothing there has their number.
	isStart := a.kind == "strings" && fact != none && strings.HasPrefix(expected, fact)
	if fact != expected && !isStart {
		c.disagree(disagreement{a, arch, r, r, fmt.Sprintf("Stillframe has %s, Go has %s", expected, short(fact))})
	}
	return nil
}

func (c *checker) compareText(a assumption, arch string, r release, text string) {
	key := reviewedText{a.name, arch, hash(text)}
	if _, ok := c.texts[key]; !ok {
		c.texts[key] = r
	}
	last, ok := c.before[[2]string{a.name, arch}]
	c.before[[2]string{a.name, arch}] = versionedText{text, r}
	if c.reviewed[key] {
		return
	}
	what := "this text was not reviewed:\n" + text
	if ok {
		what = fmt.Sprintf("this change since %v was not reviewed:\n%s", last.release, difference(last.text, text))
	}
	c.disagree(disagreement{a, arch, r, r, what})
}

// disagree joins what is said of neighbours.
func (c *checker) disagree(d disagreement) {
	for i := range c.found {
		f := &c.found[i]
		same := f.assumption.place == d.assumption.place && f.assumption.name == d.assumption.name && f.what == d.what
		if same && f.arch == d.arch {
			f.last = d.last
			return
		}
	}
	c.found = append(c.found, d)
}

func short(text string) string {
	const charactersMax = 2000
	if len(text) > charactersMax {
		return text[:charactersMax] + "..."
	}
	return text
}

// difference is what diff(1) says.
func difference(before, after string) string {
	folder, err := os.MkdirTemp("", "runtime-facts")
	if err != nil {
		return err.Error()
	}
	defer os.RemoveAll(folder)
	var names []string
	for name, text := range map[string]string{"before": before, "now": after} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			return err.Error()
		}
		names = append(names, name)
	}
	command := exec.Command("diff", "-u", "before", "now")
	command.Dir = folder
	// Its status is 1 where the files differ.
	out, err := command.Output()
	if len(out) == 0 {
		return fmt.Sprintf("diff: %v (%s)", err, strings.Join(names, ", "))
	}
	return strings.TrimRight(string(out), "\n")
}
