package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What each test reads: a release of its own.
var testRelease = release{26, 6}

const testSource = `package runtime

import "unsafe"

const (
	_Gidle = iota
	_Grunnable
)

type gobuf struct {
	sp uintptr
	pc uintptr
	g  *int
}

type reason uint8

const (
	zero reason = iota
	sleeping
)

var reasons = [...]string{
	sleeping: "sleep",
	zero:     "",
}

type unwinder struct{ frame unsafe.Pointer }

// next goes to the next frame.
func (u *unwinder) next() {
	// A comment.
	u.frame = nil
}

func gogo(buf *gobuf)
`

const testAssembly = `#include "textflag.h"

// func gogo(buf *gobuf)
TEXT runtime·gogo(SB), NOSPLIT, $0-8
	MOVQ	buf+0(FP), BX		// gobuf
	JMP	gogo<>(SB)

TEXT gogo<>(SB), NOSPLIT, $0
	RET

TEXT ·other(SB), NOSPLIT, $0
	RET
`

// writeSource makes a tree of Go's source, and returns its src folder.
func writeSource(t *testing.T, source string) string {
	t.Helper()
	src := filepath.Join(t.TempDir(), "src")
	for name, text := range map[string]string{
		"runtime/runtime.go":       source,
		"runtime/asm_amd64.s":      testAssembly,
		"runtime/asm_arm64.s":      testAssembly,
		"internal/buildcfg/exp.go": "package buildcfg\n\nfunc parse() {\n\tbaseline := Flags{RegabiArgs: true, Other: false}\n}\n",
	} {
		path := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return src
}

// disagreements compares the assumptions of a Rust file's text with a source.
func disagreements(t *testing.T, src, rust string, known map[reviewedText]bool) (*checker, []string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "x.rs"), []byte(rust), 0o644); err != nil {
		t.Fatal(err)
	}
	made, err := assumptions(folder, 25, 27)
	if err != nil {
		t.Fatal(err)
	}
	c := newChecker(made, known)
	if err := c.check(src, testRelease); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, d := range c.found {
		found = append(found, d.String())
	}
	return c, found
}

const right = `
// @go const runtime._Grunnable = 1
// @go const runtime._Gmissing = none
// @go size runtime.gobuf.{sp,pc,g} = 8
// @go size runtime.gobuf = 0x18
// @go offset runtime.gobuf.pc = 8
// @go offset amd64 runtime.gobuf.lr = none
// @go strings runtime.reasons = REASONS
// @go source runtime.(*unwinder).next
// @go source runtime.gogo
const REASONS: [&str; 2] = ["", "sleep"];
`

func TestRightAssumptionsHold(t *testing.T) {
	src := writeSource(t, testSource)
	first, _ := disagreements(t, src, right, nil)
	known := map[reviewedText]bool{}
	for text := range first.texts {
		known[text] = true
	}
	if len(known) != 4 {
		t.Errorf("2 texts for each architecture were expected, not %v", known)
	}
	// A comment and the width of spaces are no change.
	comment := strings.ReplaceAll(testSource, "// A comment.", "// Another\n\t// comment.")
	for _, src := range []string{src, writeSource(t, comment)} {
		c, found := disagreements(t, src, right, known)
		if len(found) != 0 || c.facts != 21 {
			t.Errorf("%d facts, %v", c.facts, found)
		}
	}
}

func TestEachWrongAssumptionIsFound(t *testing.T) {
	src := writeSource(t, testSource)
	for _, wrong := range []string{
		"// @go const runtime._Grunnable = 2",
		"// @go const runtime._Grunnable = none",
		"// @go const runtime._Gmissing = 3",
		"// @go size runtime.gobuf = 16",
		"// @go size runtime.gobuf.pc = 4",
		"// @go size runtime.gobuf.lr = 8",
		"// @go offset runtime.gobuf.pc = 0",
		"// @go offset runtime.missing.pc = 0",
		"// @go source runtime.gogo",
		"// @go source runtime.missing",
		"// @go source runtime.(*unwinder).next (1.27..)",
		"// @go strings runtime.reasons = REASONS\nconst REASONS: [&str; 2] = [\"\", \"slept\"];",
		"// @go strings runtime.reasons = REASONS\nconst REASONS: [&str; 1] = [\"\"];",
	} {
		_, found := disagreements(t, src, wrong, nil)
		if len(found) == 0 || !strings.HasPrefix(found[0], "x.rs:1: ") {
			t.Errorf("%s: %v", wrong, found)
		}
	}
}

func TestAChangedTextIsShownWithItsChange(t *testing.T) {
	first, _ := disagreements(t, writeSource(t, testSource), right, nil)
	c := newChecker(first.assumptions, map[reviewedText]bool{})
	for text := range first.texts {
		c.reviewed[text] = true
	}
	if err := c.check(writeSource(t, testSource), release{26, 5}); err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(testSource, "u.frame = nil", "u.frame = unsafe.Pointer(u)")
	if err := c.check(writeSource(t, changed), testRelease); err != nil {
		t.Fatal(err)
	}
	if len(c.found) != 2 {
		t.Fatalf("one change for each architecture was expected, not %v", c.found)
	}
	text := c.found[0].String()
	for _, part := range []string{"x.rs:9", "go1.26.6", "since go1.26.5", "-u.frame = nil", "+u.frame = unsafe.Pointer(u)"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

func TestAMalformedAssumptionIsRefused(t *testing.T) {
	for _, text := range []string{
		"constant runtime._Gidle = 0",
		"const runtime._Gidle",
		"const runtime._Gidle = 0 (1.25)",
		"const runtime._Gidle = 0 (..1.26), 1 (1.26..)",
		"const runtime._Gidle = 0 (newer)",
		"source runtime.gogo = 1",
	} {
		if made, err := parseAssumption(text, 25, 27); err == nil {
			t.Errorf("%s: %v", text, made)
		}
	}
}
