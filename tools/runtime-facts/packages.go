package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
)

// A tree is the source of one release, type-checked for one architecture as its own `go build` would see it.
type tree struct {
	src      string
	context  build.Context
	files    *token.FileSet
	sizes    types.Sizes
	packages map[string]*types.Package
	// Without comments.
	syntax map[string][]*ast.File
	// The first error that is not one of a function's body, of a package.
	errors map[string]error
}

func openTree(src string, r release, arch string) (*tree, error) {
	context := build.Default
	context.GOARCH, context.GOOS, context.CgoEnabled, context.Compiler = arch, "linux", true, "gc"
	context.GOROOT, context.GOPATH = filepath.Dir(src), ""
	context.ReleaseTags = nil
	for minor := 1; minor <= r.minor; minor++ {
		context.ReleaseTags = append(context.ReleaseTags, fmt.Sprintf("go1.%d", minor))
	}
	experiments, err := defaultExperiments(filepath.Join(src, "internal", "buildcfg", "exp.go"))
	if err != nil {
		return nil, err
	}
	context.ToolTags = experiments
	return &tree{
		src: src, context: context, files: token.NewFileSet(), sizes: types.SizesFor("gc", arch),
		packages: map[string]*types.Package{"unsafe": types.Unsafe},
		syntax:   map[string][]*ast.File{},
		errors:   map[string]error{},
	}, nil
}

// defaultExperiments are the build tags of the experiments that a release has on by default: the fields of `baseline` in
// ParseGOEXPERIMENT that are not false. What depends on the architecture is on for amd64 and arm64.
func defaultExperiments(path string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return nil, err
	}
	var tags []string
	ast.Inspect(file, func(node ast.Node) bool {
		assign, ok := node.(*ast.AssignStmt)
		if !ok || len(assign.Lhs) != 1 {
			return true
		}
		name, _ := assign.Lhs[0].(*ast.Ident)
		literal, _ := assign.Rhs[0].(*ast.CompositeLit)
		if name == nil || literal == nil || name.Name != "baseline" {
			return true
		}
		for _, element := range literal.Elts {
			field := element.(*ast.KeyValueExpr)
			if value, ok := field.Value.(*ast.Ident); ok && value.Name == "false" {
				continue
			}
			tags = append(tags, "goexperiment."+strings.ToLower(field.Key.(*ast.Ident).Name))
		}
		return false
	})
	if len(tags) == 0 {
		return nil, fmt.Errorf("%s: no variable baseline that names experiments", path)
	}
	return tags, nil
}

// Import type-checks a package of the tree, without the bodies of its functions.
func (t *tree) Import(path string) (*types.Package, error) {
	if checked, ok := t.packages[path]; ok {
		return checked, nil
	}
	syntax, err := t.parse(path)
	if err != nil {
		return nil, err
	}
	config := types.Config{
		Importer: t, Sizes: t.sizes, IgnoreFuncBodies: true, FakeImportC: true,
		Error: func(err error) {
			if t.errors[path] == nil {
				t.errors[path] = err
			}
		},
	}
	// Errors are in t.errors: a type that is not affected by them is known all the same.
	checked, _ := config.Check(path, t.files, syntax, nil)
	t.packages[path] = checked
	return checked, nil
}

// built are the files of a package, with that extension, that are built for the tree's architecture.
func (t *tree) built(path, extension string) ([]string, error) {
	folder := filepath.Join(t.src, filepath.FromSlash(path))
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if filepath.Ext(name) != extension {
			continue
		}
		if ok, err := t.context.MatchFile(folder, name); err == nil && ok {
			names = append(names, filepath.Join(folder, name))
		}
	}
	return names, nil
}

func (t *tree) parse(path string) ([]*ast.File, error) {
	if syntax, ok := t.syntax[path]; ok {
		return syntax, nil
	}
	names, err := t.built(path, ".go")
	if err != nil {
		return nil, err
	}
	var syntax []*ast.File
	for _, name := range names {
		file, err := parser.ParseFile(t.files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		syntax = append(syntax, file)
	}
	t.syntax[path] = syntax
	return syntax, nil
}

// lookup finds a package-level name such as internal/abi.FuncIDNormal; nil if the release has none.
func (t *tree) lookup(name string) (types.Object, error) {
	path, local, err := splitName(name)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(t.src, filepath.FromSlash(path))); os.IsNotExist(err) {
		return nil, nil
	}
	checked, err := t.Import(path)
	if err != nil {
		return nil, err
	}
	return checked.Scope().Lookup(local), nil
}
