package spec

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// Use is one place in a test that names a row.
type Use struct {
	Row  string
	File string // relative to the root of the repository
	Line int
}

const importPath = "github.com/virtplane/virtplane/test/spec"

// Uses finds the rows that the repository's tests name. It looks at files that
// call Covers and takes each string in them that looks like a row's ID, so that
// tables of rows are seen too.
func Uses(root string) ([]Use, error) {
	var uses []Use
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		of, err := usesOfFile(path, rel)
		uses = append(uses, of...)
		return err
	})
	return uses, err
}

func usesOfFile(path, rel string) ([]Use, error) {
	fset := token.NewFileSet()
	head, err := parser.ParseFile(fset, path, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	pkg := ""
	for _, imp := range head.Imports {
		if p, err := strconv.Unquote(imp.Path.Value); err == nil && p == importPath {
			pkg = "spec"
			if imp.Name != nil {
				pkg = imp.Name.Name
			}
		}
	}
	if pkg == "" {
		return nil, nil
	}
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	calls := false
	var uses []Use
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			calls = calls || ok && x.Name == pkg && n.Sel.Name == "Covers"
		case *ast.BasicLit:
			if n.Kind != token.STRING {
				break
			}
			if s, err := strconv.Unquote(n.Value); err == nil && wholeID.MatchString(s) {
				uses = append(uses, Use{Row: s, File: rel, Line: fset.Position(n.Pos()).Line})
			}
		}
		return true
	})
	if !calls {
		return nil, nil
	}
	return uses, nil
}
