package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/spec"
)

const module = "github.com/virtplane/virtplane"

type runner struct {
	options
	skips, budget reasonList
	out           io.Writer

	// mu guards what tests that run beside each other add to.
	mu    sync.Mutex
	total results
	taken []testTime

	// begun are the sites that have begun before the stage e2e, nil if none has.
	begun *begun
}

// stage runs one stage and adds its results to the total. What goes wrong around
// the tests counts as a failure, so that the last line always tells.
func (r *runner) stage(ctx context.Context, name string) {
	start := time.Now()
	fmt.Fprintf(r.out, "=== %s\n", name)
	var res results
	var err error
	if name == "fuzz" {
		res, err = r.fuzz(ctx, r.all)
	} else {
		res, err = r.goTests(ctx, name)
	}
	if err != nil {
		res.fail(failure{Name: "stage " + name, Output: err.Error() + "\n"})
	}
	fmt.Fprintf(r.out, "=== %s: %d passed, %d failed, %d skipped in %.0fs\n",
		name, res.Passed, len(res.Failures), len(res.Skipped), time.Since(start).Seconds())
	r.total.add(res)
}

func (r *runner) goTests(ctx context.Context, name string) (res results, err error) {
	pkgs, err := r.packages(ctx, name)
	if err != nil {
		return results{}, err
	}
	record := r.recordFile(name)
	if err := os.Remove(record); err != nil && !errors.Is(err, os.ErrNotExist) {
		return results{}, err
	}
	if len(pkgs) == 0 {
		fmt.Fprintf(r.out, "no packages\n")
		return results{}, nil
	}
	switch name {
	case "unit":
		res, err = r.unit(ctx, pkgs)
	case "integration":
		res, err = r.integration(ctx, pkgs)
	case "e2e":
		res, err = r.endToEnd(ctx, pkgs)
	}
	if err == nil && res.Passed+len(res.Failures)+len(res.Skipped) == 0 {
		err = fmt.Errorf("no test ran; the focus is %q", r.focus)
	}
	return res, errors.Join(err, writeRecords(record, res.Proved))
}

func (r *runner) unit(ctx context.Context, pkgs []string) (res results, err error) {
	// Tests boot them; what building them takes must not count as a test's.
	if err := r.command(ctx, "go", "run", "./test/guest/cmd/guests", "build"); err != nil {
		return res, err
	}
	runs, err := r.unitRuns(ctx, pkgs)
	if err != nil {
		return res, err
	}
	for _, run := range runs {
		run.flags = append(run.flags, "-timeout=15m")
		one, oneErr := r.test(ctx, run)
		res.add(one)
		err = errors.Join(err, oneErr)
	}
	return res, err
}

func (r *runner) integration(ctx context.Context, pkgs []string) (results, error) {
	if err := r.foreignPrograms(ctx); err != nil {
		return results{}, err
	}
	// One package at a time: each starts whole clusters, and time limits in them are meant for a machine that does one thing.
	return r.test(ctx, testRun{packages: pkgs, anew: true, each: true, flags: []string{"-timeout=30m", "-p=1"}})
}

// testRun is one call of go test.
type testRun struct {
	packages []string
	// anew says that results that go test remembers do not count.
	anew bool
	// each says that each test is worth a line of progress.
	each bool
	// flags are further ones of go test, environment that of the tests if it is not the runner's.
	flags, environment []string
	// clusters are those whose pods work for the tests.
	clusters []plan.Dir
}

// test calls go test and collects what it tells.
func (r *runner) test(ctx context.Context, run testRun) (results, error) {
	// Without the tables of debuggers: linking each package's tests is a good part of a warm run. Stack traces and reports
	// of races need none. Trimmed paths let another checkout use what was built for this one.
	args := append([]string{"test", "-json", "-race", "-trimpath", "-ldflags=-s -w"}, run.flags...)
	if run.anew {
		args = append(args, "-count=1")
	}
	if r.focus != "" {
		args = append(args, "-run="+r.focus)
	}
	taken := newTimes()
	watched, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { r.watchUsage(watched, taken, run.clusters...) })
	c := newCollector(module, r.skips, r.out, run.each)
	c.times = taken
	err := r.stream(ctx, c, run.environment, append(args, run.packages...))
	stop()
	watching.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = append(r.taken, taken.taken()...)
	return c.results, err
}

// longest are packages whose tests take minutes, on one processor. They come first, so that the others fill the second.
var longest = []string{module + "/cmd/virt-launcher/app", module + "/test/guest"}

// unitRuns tells packages whose tests can start other programs from the rest. What those do is not in go test's memory. Where
// the programs are Debian's, a result is remembered until a source or one of them changes; where they read this checkout, tests
// run each time. The result of the rest is remembered until a source, a file or a variable that they read changes.
func (r *runner) unitRuns(ctx context.Context, pkgs []string) ([]testRun, error) {
	list, err := r.list(ctx, append([]string{"-test", "-json=ImportPath,Imports,Deps"}, pkgs...)...)
	if err != nil {
		return nil, err
	}
	starters := map[string]bool{} // packages that import os/exec themselves
	deps := map[string][]string{} // of each package's test program
	for dec := json.NewDecoder(bytes.NewReader(list)); dec.More(); {
		var p struct {
			ImportPath    string
			Imports, Deps []string
		}
		if err := dec.Decode(&p); err != nil {
			return nil, fmt.Errorf("reading what go list prints: %w", err)
		}
		if slices.Contains(p.Imports, "os/exec") {
			starters[p.ImportPath] = true
		}
		if pkg, ok := strings.CutSuffix(p.ImportPath, ".test"); ok {
			deps[pkg] = p.Deps
		}
	}
	outside, err := fingerprint(ctx)
	if err != nil {
		return nil, err
	}
	anew, debian, inside := testRun{anew: true}, testRun{flags: []string{remember(outside)}}, testRun{}
	for _, p := range pkgs {
		switch {
		case slices.Contains(readTheTree, p):
			anew.packages = append(anew.packages, p)
		case slices.ContainsFunc(deps[p], func(d string) bool { return starters[d] }):
			debian.packages = append(debian.packages, p)
		default:
			inside.packages = append(inside.packages, p)
		}
	}
	slices.SortStableFunc(debian.packages, func(a, b string) int {
		return cmp.Compare(rank(a), rank(b))
	})
	return slices.DeleteFunc([]testRun{debian, anew, inside}, func(t testRun) bool { return len(t.packages) == 0 }), nil
}

func rank(pkg string) int {
	if i := slices.Index(longest, pkg); i >= 0 {
		return i
	}
	return len(longest)
}

// packages lists what belongs to a stage. Packages that do not load stay in: go
// test then says what is wrong with them.
func (r *runner) packages(ctx context.Context, stage string) ([]string, error) {
	patterns := []string{"./..."}
	if stage != "unit" {
		dir := "test/" + stage
		if _, err := os.Stat(filepath.Join(r.root, dir)); errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		patterns = []string{"./" + dir + "/..."}
	}
	list, err := r.list(ctx, patterns...)
	if err != nil {
		return nil, err
	}
	pkgs := strings.Fields(string(list))
	if stage == "unit" {
		pkgs = slices.DeleteFunc(pkgs, func(p string) bool {
			for _, other := range []string{"integration", "e2e"} {
				if p == module+"/test/"+other || strings.HasPrefix(p, module+"/test/"+other+"/") {
					return true
				}
			}
			return false
		})
	}
	return pkgs, nil
}

func (r *runner) list(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-e"}, args...)...)
	cmd.Dir = r.root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing packages: %w\n%s", err, stderr.String())
	}
	return list, nil
}

// stream runs go test and feeds its events to the collector. A failing exit is an
// error only if no failure explains it.
func (r *runner) stream(ctx context.Context, c *collector, environment, args []string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = r.root
	cmd.Env = environment
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	// A group of its own lets an interruption reach the tests' children too; the
	// tests get time to clean up what they made.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting go test: %w", err)
	}
	readErr := c.read(pipe)
	waitErr := cmd.Wait()
	c.unfinished()
	if waitErr != nil && len(c.results.Failures) == 0 {
		return fmt.Errorf("go test: %w\n%s", waitErr, stderr.String())
	}
	if readErr != nil {
		return fmt.Errorf("reading the output of go test: %w", readErr)
	}
	if stderr.Len() > 0 {
		fmt.Fprintf(r.out, "%s\n", strings.TrimRight(stderr.String(), "\n"))
	}
	return nil
}

func (r *runner) recordFile(stage string) string {
	return filepath.Join(r.records, stage+".jsonl")
}

func writeRecords(file string, records []spec.Record) error {
	var b bytes.Buffer
	for _, rec := range records {
		line, err := json.Marshal(rec)
		if err != nil {
			return err
		}
		b.Write(append(line, '\n'))
	}
	tmp := file + ".tmp"
	if err := os.WriteFile(tmp, b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}

// judgeRows checks the rows against the record when all stages have run in full,
// and keeps that record for "make spec-report".
func (r *runner) judgeRows(stages []string) error {
	for _, s := range stageOrder {
		if !slices.Contains(stages, s) || r.focus != "" {
			return nil
		}
	}
	all := []spec.Record{}
	for _, s := range stageOrder {
		data, err := os.ReadFile(r.recordFile(s))
		if errors.Is(err, os.ErrNotExist) {
			continue // a stage without packages
		}
		if err != nil {
			return err
		}
		of, err := spec.ReadRecords(bytes.NewReader(data))
		if err != nil {
			return err
		}
		all = append(all, of...)
	}
	if err := writeRecords(filepath.Join(r.records, "spec.jsonl"), all); err != nil {
		return err
	}
	rows, err := spec.Load(r.root)
	if err != nil {
		return err
	}
	uses, err := spec.Uses(r.root)
	if err != nil {
		return err
	}
	report := spec.NewReport(rows, uses, all)
	if len(report.Problems) > 0 {
		r.total.fail(failure{Name: "spec report", Output: strings.Join(report.Problems, "\n") + "\n"})
	}
	fmt.Fprintf(r.out, "rows: %s\n", report.Total)
	return report.PrintGaps(r.out)
}
