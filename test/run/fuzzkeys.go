package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// listed is what go list tells of a package.
type listed struct {
	ImportPath, Dir string
	Module          *struct{ Main bool }
	Deps            []string

	GoFiles, CgoFiles, CFiles, HFiles, SFiles, EmbedFiles      []string
	TestGoFiles, XTestGoFiles, TestEmbedFiles, XTestEmbedFiles []string
}

// fuzzKeys gives each folder's fuzz tests a key of all that they are made of: the sources of their package, its seeds and the
// packages of this module that its test program has, the versions of the others and the compiler's.
func fuzzKeys(ctx context.Context, root string, pkgs []fuzzPackage) (map[string]string, error) {
	args := []string{"list", "-test", "-deps", "-json=ImportPath,Dir,Module,Deps,GoFiles,CgoFiles,CFiles,HFiles,SFiles,EmbedFiles,TestGoFiles,XTestGoFiles,TestEmbedFiles,XTestEmbedFiles"}
	for _, p := range pkgs {
		args = append(args, "./"+p.dir)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing what the fuzz tests are made of: %w\n%s", err, stderr.String())
	}
	byPath := map[string]listed{}
	byDir := map[string]string{} // the import path of a folder's package itself
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			return nil, fmt.Errorf("reading what go list prints: %w", err)
		}
		byPath[p.ImportPath] = p
		if rel, err := filepath.Rel(root, p.Dir); err == nil && !strings.ContainsAny(p.ImportPath, " ") && !strings.HasSuffix(p.ImportPath, ".test") {
			byDir[rel] = p.ImportPath
		}
	}
	versions, err := hashFiles(filepath.Join(root, "go.mod"), filepath.Join(root, "go.sum"))
	if err != nil {
		return nil, err
	}
	sources := map[string]string{} // of a package of this module, by its import path
	source := func(path string) (string, error) {
		if sum, ok := sources[path]; ok {
			return sum, nil
		}
		p := byPath[path]
		if p.Module == nil || !p.Module.Main {
			return "", nil
		}
		var files []string
		for _, names := range [][]string{p.GoFiles, p.CgoFiles, p.CFiles, p.HFiles, p.SFiles, p.EmbedFiles} {
			for _, n := range names {
				if !filepath.IsAbs(n) {
					n = filepath.Join(p.Dir, n)
				}
				files = append(files, n)
			}
		}
		sum, err := hashFiles(files...)
		sources[path] = sum
		return sum, err
	}
	keys := map[string]string{}
	for _, pkg := range pkgs {
		path := byDir[pkg.dir]
		program, ok := byPath[path+".test"]
		if !ok {
			return nil, fmt.Errorf("go list tells nothing of the tests in %s", pkg.dir)
		}
		h := sha256.New()
		fmt.Fprintln(h, runtime.Version(), versions, pkg.tests)
		for _, dep := range slices.Sorted(slices.Values(program.Deps)) {
			sum, err := source(dep)
			if err != nil {
				return nil, err
			}
			fmt.Fprintln(h, dep, sum)
		}
		p := byPath[path]
		var files []string
		for _, names := range [][]string{p.TestGoFiles, p.XTestGoFiles, p.TestEmbedFiles, p.XTestEmbedFiles} {
			for _, n := range names {
				files = append(files, filepath.Join(p.Dir, n))
			}
		}
		seeds, err := filesBelow(filepath.Join(p.Dir, "testdata"))
		if err != nil {
			return nil, err
		}
		sum, err := hashFiles(append(files, seeds...)...)
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(h, sum)
		keys[pkg.dir] = hex.EncodeToString(h.Sum(nil)[:16])
	}
	return keys, nil
}

func filesBelow(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// hashFiles sums up names and contents.
func hashFiles(files ...string) (string, error) {
	h := sha256.New()
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", filepath.Base(f), len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
