package main

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// Types whose layout Stillframe may need where an executable has no debug information. runtime.debug is a variable: its
// type has no name.
var layoutTypes = []string{
	"internal/abi.ITab", "runtime.itab", "internal/abi.Type",
	"runtime._defer", "runtime._panic", "runtime.coro", "runtime.debug", "runtime.g", "runtime.gobuf", "runtime.hchan",
	"runtime.m", "runtime.moduledata", "runtime.mutex", "runtime.notifyList", "runtime.p", "runtime.pollDesc",
	"runtime.schedt", "runtime.semaRoot", "runtime.stack", "runtime.sudog", "runtime.synctestBubble",
	"runtime.synctestGroup", "runtime.timer", "runtime.timers", "runtime.waitq",
}

var architectures = []string{"amd64", "arm64"}

// A layout is the size of a type and the offsets of its fields, as text: `88 g=0 next=8`.
type layout string

// layoutOf is empty where the release has no such type.
func (t *tree) layoutOf(name string) (layout, error) {
	object, err := t.lookup(name)
	if err != nil || object == nil {
		return "", err
	}
	structure, ok := object.Type().Underlying().(*types.Struct)
	if !ok {
		return "", fmt.Errorf("%s is no structure", name)
	}
	fields := make([]*types.Var, structure.NumFields())
	for i := range fields {
		fields[i] = structure.Field(i)
		if !known(fields[i].Type()) {
			return "", fmt.Errorf("%s: the type of field %s is not known: %v", name, fields[i].Name(), t.errors)
		}
	}
	text := fmt.Sprint(t.sizes.Sizeof(structure))
	for i, offset := range t.sizes.Offsetsof(fields) {
		if fields[i].Name() != "_" {
			text += fmt.Sprintf(" %s=%d", fields[i].Name(), offset)
		}
	}
	return layout(text), nil
}

// known says whether all parts of a type that its size depends on could be checked.
func known(t types.Type) bool {
	switch t := t.Underlying().(type) {
	case *types.Basic:
		return t.Kind() != types.Invalid
	case *types.Array:
		return known(t.Elem())
	case *types.Struct:
		for i := range t.NumFields() {
			if !known(t.Field(i).Type()) {
				return false
			}
		}
	}
	return true
}

// A span of releases of one minor version in which a type has one layout.
type span struct {
	first, last release
	layouts     [2]layout // by architecture
}

// spans joins neighbours with equal layouts. `layouts` are those of one type, by release and architecture.
func spans(releases []release, layouts map[release][2]layout) []span {
	var found []span
	for _, r := range releases {
		now := layouts[r]
		if now == ([2]layout{}) {
			continue
		}
		if n := len(found); n > 0 && found[n-1].last.minor == r.minor && found[n-1].layouts == now {
			found[n-1].last = r
			continue
		}
		found = append(found, span{r, r, now})
	}
	return found
}

const layoutHead = `# Sizes and field offsets of the Go runtime's types, in bytes, by release. Generated from Go's source by
#
#   tools/runtime-facts layouts
#
# A line: type, first and last release, architecture (any: equal on amd64 and arm64), size, fields.
`

// layoutTable is the text of nodes/golang/src/layout_table.txt.
func layoutTable(c *cache, releases []release, progress func(string)) (string, error) {
	all := map[string]map[release][2]layout{}
	for _, name := range layoutTypes {
		all[name] = map[release][2]layout{}
	}
	for _, r := range releases {
		progress(r.String())
		src, err := c.source(r)
		if err != nil {
			return "", err
		}
		for i, arch := range architectures {
			tree, err := openTree(src, r, arch)
			if err != nil {
				return "", err
			}
			for _, name := range layoutTypes {
				found, err := tree.layoutOf(name)
				if err != nil {
					return "", fmt.Errorf("%v, %s: %w", r, arch, err)
				}
				both := all[name][r]
				both[i] = found
				all[name][r] = both
			}
		}
	}
	lines := []string{}
	for _, name := range slices.Sorted(slices.Values(layoutTypes)) {
		found := spans(releases, all[name])
		if len(found) == 0 {
			return "", fmt.Errorf("no release has a type %s", name)
		}
		for _, s := range found {
			if s.layouts[0] == s.layouts[1] {
				lines = append(lines, fmt.Sprintf("%s %v %v any %s", name, s.first, s.last, s.layouts[0]))
				continue
			}
			for i, arch := range architectures {
				if s.layouts[i] != "" {
					lines = append(lines, fmt.Sprintf("%s %v %v %s %s", name, s.first, s.last, arch, s.layouts[i]))
				}
			}
		}
	}
	return layoutHead + strings.Join(lines, "\n") + "\n", nil
}
