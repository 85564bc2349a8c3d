package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// declaration is the text of what a package declares, without comments and with single spaces; empty if there is none. A
// function without a body is the assembly of that name.
//
//	runtime.printquoted  runtime.(*unwinder).next  runtime.gStatusStrings  runtime.gogo
func (t *tree) declaration(name string) (string, error) {
	path, local, err := splitName(name)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(t.src, filepath.FromSlash(path))
	if _, err := os.Stat(folder); os.IsNotExist(err) {
		return "", nil
	}
	files, err := t.parse(path)
	if err != nil {
		return "", err
	}
	for _, file := range files {
		for _, node := range file.Decls {
			declared := declared(node, local)
			if declared == nil {
				continue
			}
			if function, ok := declared.(*ast.FuncDecl); ok && function.Body == nil {
				return t.assembly(path, local)
			}
			var text bytes.Buffer
			if err := printer.Fprint(&text, t.files, declared); err != nil {
				return "", err
			}
			return normal(text.String(), nil), nil
		}
	}
	return t.assembly(path, local)
}

// splitName parts a package's path from a name in it.
func splitName(name string) (path, local string, err error) {
	slash := strings.LastIndexByte(name, '/')
	dot := strings.IndexByte(name[slash+1:], '.')
	if dot < 0 {
		return "", "", fmt.Errorf("%s: a name is a package's path, a dot, and a name in it", name)
	}
	return name[:slash+1+dot], name[slash+1+dot+1:], nil
}

// declared is the declaration of a name within a top-level one: a function, or a type, variable or constant.
func declared(node ast.Decl, local string) ast.Node {
	switch node := node.(type) {
	case *ast.FuncDecl:
		if functionName(node) == local {
			return node
		}
	case *ast.GenDecl:
		for _, spec := range node.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.Name == local {
					return spec
				}
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					if name.Name == local {
						return spec
					}
				}
			}
		}
	}
	return nil
}

// functionName is the name as in tracebacks: (*unwinder).next.
func functionName(function *ast.FuncDecl) string {
	if function.Recv == nil || len(function.Recv.List) == 0 {
		return function.Name.Name
	}
	star := ""
	receiver := function.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		star, receiver = "*", pointer.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	name, ok := receiver.(*ast.Ident)
	if !ok {
		return function.Name.Name
	}
	if star == "" {
		return name.Name + "." + function.Name.Name
	}
	return fmt.Sprintf("(%s%s).%s", star, name.Name, function.Name.Name)
}

var (
	textSymbol      = regexp.MustCompile(`^TEXT\s+([^\s(]+)\(SB\)`)
	assemblyComment = regexp.MustCompile(`//.*$`)
)

// assembly are the TEXT blocks of that name: ·name, runtime·name and name<>.
func (t *tree) assembly(path, name string) (string, error) {
	files, err := t.built(path, ".s")
	if err != nil {
		return "", err
	}
	var blocks []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		inside := false
		for line := range strings.Lines(string(text)) {
			if symbol := textSymbol.FindStringSubmatch(line); symbol != nil {
				local := symbol[1][strings.LastIndex(symbol[1], "·")+1:]
				if at := strings.Index(symbol[1], "·"); at >= 0 {
					local = symbol[1][at+len("·"):]
				}
				local, _, _ = strings.Cut(local, "<")
				inside = local == name
			}
			if inside {
				blocks = append(blocks, line)
			}
		}
	}
	return normal(strings.Join(blocks, ""), assemblyComment), nil
}

// normal drops empty lines, comments, and the width of spaces.
func normal(text string, comment *regexp.Regexp) string {
	var lines []string
	for line := range strings.Lines(text) {
		if comment != nil {
			line = comment.ReplaceAllString(line, "")
		}
		if fields := strings.Fields(line); len(fields) > 0 {
			lines = append(lines, strings.Join(fields, " "))
		}
	}
	return strings.Join(lines, "\n")
}

func hash(text string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:12]
}

// elements are the strings of an array whose elements have constants as keys: {waitReasonZero: "", ...}, in their order. nil
// if nothing has that name.
func (t *tree) elements(name string) ([]string, error) {
	path, local, err := splitName(name)
	if err != nil {
		return nil, err
	}
	files, err := t.parse(path)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		for _, node := range file.Decls {
			spec, ok := declared(node, local).(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				continue
			}
			literal, ok := spec.Values[0].(*ast.CompositeLit)
			if !ok {
				return nil, fmt.Errorf("%s is no list", name)
			}
			return t.elementsOf(path, literal)
		}
	}
	return nil, nil
}

func (t *tree) elementsOf(path string, literal *ast.CompositeLit) ([]string, error) {
	found := make([]string, len(literal.Elts))
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return nil, errors.New("an element has no key")
		}
		key, isName := pair.Key.(*ast.Ident)
		text, isText := pair.Value.(*ast.BasicLit)
		if !isName || !isText || text.Kind != token.STRING {
			return nil, errors.New("an element is not of the form name: string")
		}
		number, err := t.constant(path + "." + key.Name)
		if err != nil {
			return nil, err
		}
		at, err := strconv.Atoi(number)
		if err != nil || at >= len(found) || found[at] != "" {
			return nil, fmt.Errorf("the key %s is %s, of %d", key.Name, number, len(found))
		}
		found[at] = text.Value
	}
	return found, nil
}
