// Command run runs the project's tests, stage by stage, and judges them: it counts
// leaf tests, refuses skips that test/skips.txt does not explain, keeps the record of
// the requirement rows that passing tests cover, and ends with the plain line
// "N passed, N failed, N skipped". It takes the time of each test in .test/times.json. It must not decide what a test tests, retry
// one, or hide the output of one that failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/virtplane/virtplane/test/spec"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
	}
	if err != nil || !ok {
		stop()
		os.Exit(1)
	}
}

// stageOrder is what "all" runs.
var stageOrder = []string{"unit", "fuzz", "integration", "e2e"}

type options struct {
	focus   string
	fuzzFor time.Duration
	root    string
	records string // directory of records
	cache   string // directory of what other checkouts may use too
	// all says that all stages run, for which passes of what has not changed are good enough.
	all bool
}

func run(ctx context.Context, args []string, out io.Writer) (bool, error) {
	var o options
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: run [flags] all | %s ...\n", strings.Join(stageOrder, " | "))
		flags.PrintDefaults()
	}
	flags.StringVar(&o.focus, "focus", "", "run only the tests that match this regular expression, as go test -run takes it")
	flags.DurationVar(&o.fuzzFor, "for", 2*time.Second, "how long each fuzz test runs in the stage fuzz")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	names := flags.Args()
	if slices.Equal(names, []string{"all"}) {
		names = stageOrder
		o.all = true
	}
	for _, n := range names {
		if !slices.Contains(stageOrder, n) {
			return false, fmt.Errorf("no stage %q: there are all, %s", n, strings.Join(stageOrder, ", "))
		}
	}
	if len(names) == 0 {
		flags.Usage()
		return false, fmt.Errorf("no stage named")
	}
	var err error
	if o.root, err = spec.Root(); err != nil {
		return false, err
	}
	o.records = filepath.Join(o.root, ".test")
	if err := os.MkdirAll(o.records, 0o755); err != nil {
		return false, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return false, fmt.Errorf("finding the cache folder: %w: set XDG_CACHE_HOME", err)
	}
	o.cache = filepath.Join(cache, "virtplane")
	skips, err := readReasons(filepath.Join(o.root, "test", "skips.txt"))
	if err != nil {
		return false, err
	}

	budget, err := readReasons(filepath.Join(o.root, "test", "budget.txt"))
	if err != nil {
		return false, err
	}

	r := &runner{options: o, skips: skips, budget: budget, out: &lockedWriter{w: out}}
	for _, n := range names {
		if ctx.Err() != nil {
			break
		}
		if n == "integration" && o.all {
			// They wait for long, and their stage for them.
			if err := r.beginChaos(ctx); err != nil {
				r.total.fail(failure{Name: "chaos", Output: err.Error() + "\n"})
			}
		}
		r.stage(ctx, n)
	}
	if r.begun != nil {
		r.begun.running.Wait() // also where their stage has not come to it: until their cluster has gone
	}
	if err := r.judgeRows(names); err != nil {
		return false, err
	}
	if err := r.keepTimes(); err != nil {
		return false, err
	}
	return r.finish(ctx), nil
}

// lockedWriter lets tests that run beside each other tell of themselves, each line whole.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// finish prints what failed and was skipped, and the last line.
func (r *runner) finish(ctx context.Context) bool {
	t := &r.total
	if ctx.Err() != nil {
		t.fail(failure{Name: "run", Output: "interrupted before all tests had run\n"})
	}
	if t.Passed+len(t.Failures)+len(t.Skipped) == 0 {
		t.fail(failure{Name: "run", Output: "no test ran\n"})
	}
	for _, s := range t.Skipped {
		fmt.Fprintf(r.out, "skipped %s %s: %s\n", s.Package, s.Name, s.Reason)
	}
	for _, f := range t.Failures {
		fmt.Fprintf(r.out, "\n=== FAILED %s\n%s", strings.TrimSpace(f.Package+" "+f.Name), firstAndLast(f.Output, 100, 300))
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", t.Passed, len(t.Failures), len(t.Skipped))
	return len(t.Failures) == 0
}

// firstAndLast shortens a long output by its middle: a test's message stands at the end, or at the beginning where what the
// test says of its cluster follows.
func firstAndLast(s string, first, last int) string {
	lines := strings.SplitAfter(s, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	} else {
		lines[len(lines)-1] += "\n"
	}
	if cut := len(lines) - first - last; cut > 0 {
		lines = slices.Concat(lines[:first], []string{fmt.Sprintf("… %d lines\n", cut)}, lines[len(lines)-last:])
	}
	return strings.Join(lines, "")
}
