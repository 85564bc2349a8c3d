package main

import (
	"fmt"
	"go/constant"
	"go/types"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// fact is what the source of a tree says of an assumption, in the form of its value; `none` where there is no such thing.
func (t *tree) fact(a assumption) (string, error) {
	switch a.kind {
	case "const":
		return t.constant(a.name)
	case "size", "offset":
		return t.place(a.kind, a.name)
	case "strings":
		found, err := t.elements(a.name)
		if err != nil || found == nil {
			return none, err
		}
		return strings.Join(found, ", "), nil
	case "source":
		text, err := t.declaration(a.name)
		if err != nil || text == "" {
			return none, err
		}
		return text, nil
	}
	panic("no such kind of assumption: " + a.kind)
}

func (t *tree) constant(name string) (string, error) {
	object, err := t.lookup(name)
	if err != nil || object == nil {
		return none, err
	}
	value, ok := object.(*types.Const)
	if !ok {
		return "", fmt.Errorf("%s is no constant", name)
	}
	number := constant.ToInt(value.Val())
	if number.Kind() != constant.Int {
		return "", fmt.Errorf("%s is no number", name)
	}
	return number.ExactString(), nil
}

// place is the size of a type or of a field, or a field's offset. A field's name stands behind its type's.
func (t *tree) place(kind, name string) (string, error) {
	path, local, err := splitName(name)
	if err != nil {
		return "", err
	}
	parts := strings.Split(local, ".")
	object, err := t.lookup(path + "." + parts[0])
	if err != nil || object == nil {
		return none, err
	}
	now, offset := object.Type(), int64(0)
	for _, part := range parts[1:] {
		structure, ok := now.Underlying().(*types.Struct)
		if !ok {
			return "", fmt.Errorf("%s: no structure holds %s", name, part)
		}
		fields := make([]*types.Var, structure.NumFields())
		at := -1
		for i := range fields {
			fields[i] = structure.Field(i)
			if fields[i].Name() == part {
				at = i
			}
			if !known(fields[i].Type()) {
				return "", fmt.Errorf("%s: the type of field %s is not known: %v", name, fields[i].Name(), t.errors)
			}
		}
		if at < 0 {
			return none, nil
		}
		now, offset = fields[at].Type(), offset+t.sizes.Offsetsof(fields)[at]
	}
	if kind == "offset" {
		return fmt.Sprint(offset), nil
	}
	if !known(now) {
		return "", fmt.Errorf("%s: its type is not known: %v", name, t.errors)
	}
	return fmt.Sprint(t.sizes.Sizeof(now)), nil
}

// value turns an assumption's text into what `fact` gives: numbers to decimal ones, names of Rust arrays to their elements.
func (a assumption) value(text string) (string, error) {
	switch {
	case text == none || a.kind == "source":
		return text, nil
	case a.kind == "strings":
		return rustArray(a.file, text)
	}
	number, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return "", fmt.Errorf("%q is no number", text)
	}
	return fmt.Sprint(number), nil
}

var (
	arrayName    = regexp.MustCompile(`^([A-Z0-9_]+)(?:\[\.\.(\d+)\])?$`)
	arrayElement = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

// rustArray are the elements of an array of strings, or the first of them: NAME or NAME[..37].
func rustArray(file, name string) (string, error) {
	found := arrayName.FindStringSubmatch(name)
	if found == nil {
		return "", fmt.Errorf("%q is no name of an array", name)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	array := regexp.MustCompile(`const ` + found[1] + `: \[&str; \d+\] = \[([^\]]*)\];`).FindSubmatch(text)
	if array == nil {
		return "", fmt.Errorf("no constant array of strings has the name %s", found[1])
	}
	elements := arrayElement.FindAllString(string(array[1]), -1)
	if found[2] != "" {
		length, err := strconv.Atoi(found[2])
		if err != nil || length > len(elements) {
			return "", fmt.Errorf("%s has %d elements", found[1], len(elements))
		}
		elements = elements[:length]
	}
	return strings.Join(elements, ", "), nil
}
