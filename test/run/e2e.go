package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/virtplane/virtplane/test/cluster"
	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/e2e/harness/contract"
)

const (
	chaosPackage = module + "/test/e2e/chaos"
	chaosSite    = "chaos"
)

// endToEnd runs the tests on local clusters with real guests: those that do harm, which wait more than they work, on one of
// three nodes, and beside them the others on one of two. A site that has begun already is waited for.
func (r *runner) endToEnd(ctx context.Context, pkgs []string) (res results, err error) {
	chaos := r.begun
	rest, err := r.begin(ctx, pkgs, func(s site) bool { return s.name != chaosSite || chaos == nil })
	for _, b := range []*begun{chaos, rest} {
		if b != nil {
			err = errors.Join(err, b.wait(&res))
		}
	}
	return res, err
}

// beginChaos begins the tests that do harm before the stage that they belong to.
func (r *runner) beginChaos(ctx context.Context) error {
	pkgs, err := r.packages(ctx, "e2e")
	if err != nil {
		return err
	}
	r.begun, err = r.begin(ctx, pkgs, func(s site) bool { return s.name == chaosSite })
	return err
}

// begun are sites whose tests run.
type begun struct {
	running sync.WaitGroup

	mu  sync.Mutex
	res results
	err error
}

// wait waits for all of them and adds their results.
func (b *begun) wait(res *results) error {
	b.running.Wait()
	res.add(b.res)
	return b.err
}

// begin brings up the clusters of the sites that are wanted and starts their tests.
func (r *runner) begin(ctx context.Context, pkgs []string, wanted func(site) bool) (*begun, error) {
	sites, err := r.sites(pkgs)
	if err != nil {
		return nil, err
	}
	// Once, before two clusters ask for them at the same time.
	if err := r.command(ctx, "go", "run", "./test/image/cmd/images", "build"); err != nil {
		return nil, err
	}
	boots := filepath.Join(r.records, "boots")
	if err := os.MkdirAll(boots, 0o755); err != nil {
		return nil, err
	}
	var b begun
	for _, s := range sites {
		if !wanted(s) {
			continue
		}
		b.running.Go(func() {
			one, err := r.onSite(ctx, s, boots)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.res.add(one)
			if err != nil {
				b.err = errors.Join(b.err, fmt.Errorf("on the cluster in %s: %w", s.dir, err))
			}
		})
	}
	return &b, nil
}

// sites tells packages apart by the cluster that they use. Without tests that match the focus a cluster is not brought up.
func (r *runner) sites(pkgs []string) ([]site, error) {
	sites := []site{
		{name: "two-nodes", dir: plan.Dir(cmp.Or(os.Getenv(cluster.DirVariable), filepath.Join(r.root, ".cluster"))), nodes: 2},
		{name: chaosSite, dir: plan.Dir(filepath.Join(r.root, ".cluster-chaos")), nodes: 3},
	}
	for _, pkg := range pkgs {
		matches, err := r.inFocus(pkg)
		if err != nil {
			return nil, err
		}
		if !matches {
			continue
		}
		at := 0
		if pkg == chaosPackage {
			at = 1
		}
		sites[at].packages = append(sites[at].packages, pkg)
	}
	return slices.DeleteFunc(sites, func(s site) bool { return len(s.packages) == 0 }), nil
}

// test functions, by their declarations.
var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// inFocus says whether a package has a test that matches the focus.
func (r *runner) inFocus(pkg string) (bool, error) {
	focus, _, _ := strings.Cut(r.focus, "/")
	match, err := regexp.Compile(focus)
	if err != nil {
		return false, fmt.Errorf("the focus is no regular expression: %w", err)
	}
	files, err := fs.Glob(os.DirFS(r.root), strings.TrimPrefix(pkg, module+"/")+"/*_test.go")
	if err != nil {
		return false, err
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(r.root, f))
		if err != nil {
			return false, err
		}
		for _, m := range testFunction.FindAllSubmatch(data, -1) {
			if match.Match(m[1]) {
				return true, nil
			}
		}
	}
	return false, nil
}

// onSite brings a cluster up, runs the tests that use it and takes it down.
func (r *runner) onSite(ctx context.Context, s site, boots string) (res results, err error) {
	down, upErr := r.bringUp(ctx, s)
	defer func() { err = errors.Join(err, down(err != nil || len(res.Failures) > 0)) }()
	if upErr != nil {
		return res, upErr
	}
	return r.test(ctx, testRun{packages: s.packages, anew: true, each: true, clusters: []plan.Dir{s.dir}, environment: append(s.environment(), contract.Boots+"="+boots),
		// One package at a time, in one process: tests that are not parallel have the cluster for themselves. Guests wait more than
		// they work, for back-offs, grace periods and leases; how many boot at a time is bounded apart.
		flags: []string{"-timeout=60m", "-p=1", "-parallel=8"}})
}
