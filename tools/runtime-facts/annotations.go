package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// An assumption about Go's source, as a comment of the Rust code that makes it:
//
//	// @go const internal/abi.FuncIDWrapper = 21 (1.21), 22 (1.22..1.24), 23 (1.25..)
//	// @go size runtime.inlinedCall = 16
//	// @go size runtime.g.{goid,m} = 8
//	// @go offset amd64 runtime.sigcontext.rip = 128
//	// @go strings runtime.waitReasonStrings = GO_1_23[..37] (..1.22), GO_1_23 (1.23), GO_1_24 (1.24..)
//	// @go source runtime.(*unwinder).next
//	// @go source runtime.isIdleInSynctest (1.25..)
//
// const is a constant's value, size that of a type or of a field, offset that of a field, strings the elements of an array,
// those that an array in the same Rust file begins with; source stands for a function (or what else a package declares) whose
// text was read, and behaves as the Rust code says: reviewed.txt has the hash of each text. `none` is the value where the
// release has no such thing. Without versions a value holds for all.
type assumption struct {
	place  string // nodes/golang/src/version.rs:81
	file   string
	kind   string
	arch   string // empty: each
	name   string // internal/abi.FuncIDWrapper
	values []valueIn
}

// A value, in the minor versions from first to last.
type valueIn struct {
	text        string
	first, last int
}

const marker = "// @go "

var (
	kinds       = map[string]bool{"const": true, "size": true, "offset": true, "strings": true, "source": true}
	withVersion = regexp.MustCompile(`^(.*?)\s*\(([^()]*)\)$`)
	braces      = regexp.MustCompile(`^(.*)\{([^{}]*)\}(.*)$`)
	parted      = regexp.MustCompile(`,\s+`)
)

// supported reads the minor versions that Stillframe knows from nodes/golang/src/version.rs.
func supported(root string) (oldest, newest int, err error) {
	text, err := os.ReadFile(filepath.Join(root, "nodes/golang/src/version.rs"))
	if err != nil {
		return 0, 0, err
	}
	for name, value := range map[string]*int{"MINOR_OLDEST": &oldest, "MINOR_NEWEST": &newest} {
		found := regexp.MustCompile(name + `: u32 = (\d+);`).FindSubmatch(text)
		if found == nil {
			return 0, 0, fmt.Errorf("nodes/golang/src/version.rs: no constant %s", name)
		}
		*value, _ = strconv.Atoi(string(found[1]))
	}
	return oldest, newest, nil
}

// assumptions are those of all Rust files below the root.
func assumptions(root string, oldest, newest int) ([]assumption, error) {
	var found []assumption
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && path != root || entry.Name() == "target") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".rs") {
			return nil
		}
		of, err := assumptionsOf(root, path, oldest, newest)
		found = append(found, of...)
		return err
	})
	return found, err
}

func assumptionsOf(root, path string, oldest, newest int) ([]assumption, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	relative, err := filepath.Rel(root, path)
	if err != nil {
		return nil, err
	}
	var found []assumption
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		text, is := strings.CutPrefix(strings.TrimSpace(lines.Text()), marker)
		if !is {
			continue
		}
		place := fmt.Sprintf("%s:%d", relative, number)
		made, err := parseAssumption(text, oldest, newest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
		for _, a := range made {
			a.place, a.file = place, path
			found = append(found, a)
		}
	}
	return found, lines.Err()
}

// parseAssumption reads what stands behind the marker; braces make several of it.
func parseAssumption(text string, oldest, newest int) ([]assumption, error) {
	a := assumption{}
	var rest string
	a.kind, rest, _ = strings.Cut(text, " ")
	if !kinds[a.kind] {
		return nil, fmt.Errorf("%q is no kind of assumption: const, size, offset, strings or source", a.kind)
	}
	for _, arch := range architectures {
		if behind, is := strings.CutPrefix(rest, arch+" "); is {
			a.arch, rest = arch, behind
		}
	}
	names, values, hasValue := strings.Cut(rest, " = ")
	if a.kind == "source" {
		if hasValue {
			return nil, fmt.Errorf("source has no value: %q", text)
		}
		// Of the same form as the others: a value that stands for the text.
		names, values = rest, reviewed
		if at := strings.LastIndex(rest, " ("); at >= 0 {
			names, values = rest[:at], reviewed+rest[at:]
		}
	} else if !hasValue {
		return nil, fmt.Errorf("no value: %q", text)
	}
	for _, value := range parted.Split(values, -1) {
		in := valueIn{value, oldest, newest}
		if found := withVersion.FindStringSubmatch(value); found != nil {
			first, last, err := minors(found[2], oldest, newest)
			if err != nil {
				return nil, err
			}
			in = valueIn{found[1], first, last}
		}
		a.values = append(a.values, in)
	}
	for minor := oldest; minor <= newest; minor++ {
		if n := len(a.in(minor)); n > 1 || n == 0 && a.kind != "source" {
			return nil, fmt.Errorf("%d values for Go 1.%d: %q", n, minor, text)
		}
	}
	if found := braces.FindStringSubmatch(names); found != nil {
		var all []assumption
		for _, name := range strings.Split(found[2], ",") {
			each := a
			each.name = found[1] + name + found[3]
			all = append(all, each)
		}
		return all, nil
	}
	a.name = names
	return []assumption{a}, nil
}

// minors reads 1.21, 1.22..1.24, 1.25.. and ..1.23.
func minors(text string, oldest, newest int) (first, last int, err error) {
	from, to, isRange := strings.Cut(text, "..")
	if !isRange {
		to = from
	}
	first, last = oldest, newest
	for value, text := range map[*int]string{&first: from, &last: to} {
		if text == "" && isRange {
			continue
		}
		number, is := strings.CutPrefix(text, "1.")
		if *value, err = strconv.Atoi(number); !is || err != nil {
			return 0, 0, fmt.Errorf("%q is no version of the form 1.26", text)
		}
	}
	if first > last {
		return 0, 0, fmt.Errorf("no version is in %q", text)
	}
	return first, last, nil
}

// in are the values for a minor version.
func (a assumption) in(minor int) []string {
	var found []string
	for _, value := range a.values {
		if value.first <= minor && minor <= value.last {
			found = append(found, value.text)
		}
	}
	return found
}

// expected is the value for a minor version; a source that names other versions is not there.
func (a assumption) expected(minor int) string {
	if found := a.in(minor); len(found) > 0 {
		return found[0]
	}
	return none
}

const (
	none     = "none"
	reviewed = "reviewed"
)
