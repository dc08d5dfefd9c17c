package main

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// fuzzPackage is a folder and the fuzz tests in it.
type fuzzPackage struct {
	dir   string // relative to the root
	tests []string
}

// fuzz runs each fuzz test for a while. The binary of a package is built once,
// instrumented; building it takes longer than a short run. With changed, packages that were fuzzed before, and of which nothing
// has changed since, count as passed.
func (r *runner) fuzz(ctx context.Context, changed bool) (results, error) {
	var res results
	pkgs, err := findFuzzTests(r.root)
	if err != nil {
		return res, err
	}
	focus, err := regexp.Compile(r.focus)
	if err != nil {
		return res, fmt.Errorf("the focus is no regular expression: %w", err)
	}
	tmp, err := os.MkdirTemp("", "virtplane-fuzz-")
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(tmp)
	keys, err := fuzzKeys(ctx, r.root, pkgs)
	if err != nil {
		return res, err
	}
	for _, p := range pkgs {
		tests := slices.DeleteFunc(p.tests, func(t string) bool { return !focus.MatchString(t) })
		if len(tests) == 0 {
			continue
		}
		done := filepath.Join(r.cache, "fuzzed", keys[p.dir])
		if _, err := os.Stat(done); err == nil && changed {
			res.Passed += len(tests)
			fmt.Fprintf(r.out, "ok   %4d fuzz  (unchanged)  %s\n", len(tests), p.dir)
			continue
		}
		start := time.Now()
		before := len(res.Failures)
		binary := filepath.Join(tmp, "fuzz.test")
		build := exec.CommandContext(ctx, "go", "test", "-c", "-trimpath", "-fuzz=.", "-o", binary, "./"+p.dir)
		build.Dir = r.root
		if out, err := build.CombinedOutput(); err != nil {
			res.fail(failure{p.dir, "", fmt.Sprintf("building the fuzz tests: %v\n%s", err, out)})
			continue
		}
		for _, t := range tests {
			out, err := r.fuzzOne(ctx, p.dir, binary, t)
			for again := 0; again < 2 && err != nil && endRace(out); again++ {
				out, err = r.fuzzOne(ctx, p.dir, binary, t)
			}
			if err != nil {
				res.fail(failure{p.dir, t, fmt.Sprintf("%s%v\n", out, err)})
			} else {
				res.Passed++
			}
		}
		word := "ok  "
		if len(res.Failures) > before {
			word = "FAIL"
		} else if r.focus == "" {
			if err := keep(done); err != nil {
				return res, err
			}
		}
		fmt.Fprintf(r.out, "%s %4d fuzz  %7.1fs  %s\n", word, len(tests), time.Since(start).Seconds(), p.dir)
	}
	return res, nil
}

// keep leaves an empty file as a note.
func keep(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, nil, 0o644)
}

func (r *runner) fuzzOne(ctx context.Context, dir, binary, test string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.fuzzFor+2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.fuzz=^"+test+"$",
		"-test.fuzztime="+r.fuzzFor.String(), "-test.fuzzcachedir="+filepath.Join(r.records, "fuzz", dir))
	cmd.Dir = filepath.Join(r.root, dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("did not end two minutes after its %s were over", r.fuzzFor)
	}
	return out.Bytes(), err
}

// endRace says whether a run failed only because its time was over: before Go 1.27 the end of a worker may be taken for its
// failure (golang/go#75804). Whatever a test fails on is in its output, and so is what a hanging input was.
func endRace(out []byte) bool {
	_, said, found := bytes.Cut(out, []byte("\n--- FAIL: "))
	if !found {
		return false
	}
	_, said, _ = bytes.Cut(said, []byte("\n"))
	for line := range bytes.Lines(said) {
		switch string(bytes.TrimSpace(line)) {
		case "context deadline exceeded", "FAIL", "":
		default:
			return false
		}
	}
	return bytes.Contains(said, []byte("context deadline exceeded"))
}

// findFuzzTests reads the fuzz tests out of the sources, so that no package has to
// be built to know that it has none.
func findFuzzTests(root string) ([]fuzzPackage, error) {
	byDir := map[string]*fuzzPackage{}
	var order []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != root {
				return filepath.SkipDir // another module
			}
			return nil
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") || len(fn.Type.Params.List) != 1 {
				continue
			}
			if byDir[dir] == nil {
				byDir[dir] = &fuzzPackage{dir: dir}
				order = append(order, dir)
			}
			byDir[dir].tests = append(byDir[dir].tests, fn.Name.Name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var pkgs []fuzzPackage
	for _, dir := range order {
		pkgs = append(pkgs, *byDir[dir])
	}
	return pkgs, nil
}
