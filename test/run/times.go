package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/virtplane/virtplane/test/e2e/harness/contract"
)

// costly is how much processor time, in seconds, a test may take without a line in test/budget.txt.
const costly = 60

// tooCostly is at how much a run fails for want of that line: a slower machine or an empty cache alone does not reach it.
const tooCostly = 2 * costly

// dearest is how many tests the end of a run lists.
const dearest = 10

// testTime is what a top-level test took, in seconds. CPU is the processor time of the test's own process and its children,
// shared among the tests that ran at that moment, and of the pods in the test's namespaces.
type testTime struct {
	Package string  `json:"package"`
	Test    string  `json:"test"`
	Wall    float64 `json:"wall"`
	CPU     float64 `json:"cpu"`
}

// times takes the time of tests while they run.
type times struct {
	mu    sync.Mutex
	tests map[testKey]*taking
	// namespaces tells which test made a namespace.
	namespaces map[string]testKey
	// used is the processor time of each package's test process at the last look.
	used map[string]time.Duration
}

type testKey struct{ pkg, test string }

// taking is a test whose time is taken.
type taking struct {
	wall, cpu time.Duration
	// ran is for how long it ran since the last look, resumed since when it runs now; zero: it does not.
	ran     time.Duration
	resumed time.Time
	ended   bool
}

func newTimes() *times {
	return &times{tests: map[testKey]*taking{}, namespaces: map[string]testKey{}, used: map[string]time.Duration{}}
}

// event follows what "go test -json" tells, with packages named as below the module. Subtests count as their test.
func (ts *times) event(pkg string, e event, now time.Time) {
	top, _, below := strings.Cut(e.Test, "/")
	if top == "" {
		return
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	key := testKey{pkg, top}
	t := ts.tests[key]
	if t == nil {
		t = &taking{}
		ts.tests[key] = t
	}
	if e.Action == "attr" && e.Key == contract.Namespace {
		ts.namespaces[e.Value] = key
	}
	if below {
		return
	}
	switch e.Action {
	case "run", "cont":
		t.resumed = now
	case "pause":
		t.rest(now)
	case "pass", "fail", "skip":
		t.rest(now)
		t.ended, t.wall = true, time.Duration(e.Elapsed*float64(time.Second))
	}
}

func (t *taking) rest(now time.Time) {
	if !t.resumed.IsZero() {
		t.ran += now.Sub(t.resumed)
		t.resumed = time.Time{}
	}
}

// look shares what each package's test process has used since the last look among the tests that ran meanwhile.
func (ts *times) look(used map[string]time.Duration, now time.Time) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ran := map[string]time.Duration{}
	for key, t := range ts.tests {
		if !t.resumed.IsZero() {
			t.ran += now.Sub(t.resumed)
			t.resumed = now
		}
		ran[key.pkg] += t.ran
	}
	for key, t := range ts.tests {
		// A process that is another one than at the last look begins anew.
		spent := used[key.pkg] - ts.used[key.pkg]
		if spent > 0 && t.ran > 0 {
			t.cpu += time.Duration(float64(spent) * float64(t.ran) / float64(ran[key.pkg]))
		}
		t.ran = 0
	}
	ts.used = used
}

// pods adds what pods have used, by namespace.
func (ts *times) pods(used map[string]time.Duration) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for ns, d := range used {
		if t := ts.tests[ts.namespaces[ns]]; t != nil {
			t.cpu += d
		}
	}
}

// taken are the tests that have ended.
func (ts *times) taken() []testTime {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	var out []testTime
	for key, t := range ts.tests {
		if t.ended {
			out = append(out, testTime{key.pkg, key.test, t.wall.Seconds(), t.cpu.Seconds()})
		}
	}
	sortTimes(out)
	return out
}

// sortTimes puts the dearest test first.
func sortTimes(all []testTime) {
	slices.SortFunc(all, func(a, b testTime) int {
		return cmp.Or(cmp.Compare(b.CPU, a.CPU), strings.Compare(a.Package, b.Package), strings.Compare(a.Test, b.Test))
	})
}

// mergeTimes puts new times in the place of older ones. With whole, tests of a package that ran are forgotten if they did not
// run now: they are gone.
func mergeTimes(old, now []testTime, whole bool) []testTime {
	ran := map[testKey]bool{}
	packages := map[string]bool{}
	for _, t := range now {
		ran[testKey{t.Package, t.Test}] = true
		packages[t.Package] = true
	}
	all := slices.Clone(now)
	for _, t := range old {
		if !ran[testKey{t.Package, t.Test}] && !(whole && packages[t.Package]) {
			all = append(all, t)
		}
	}
	sortTimes(all)
	return all
}

// keepTimes writes .test/times.json and says which tests took more than they may. A result that go test remembers took no
// time now, so what it took when it ran is kept.
func (r *runner) keepTimes() error {
	file := filepath.Join(r.records, "times.json")
	var old []testTime
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &old)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w: remove it", file, err)
	}
	old = slices.DeleteFunc(old, func(t testTime) bool {
		tests, err := filepath.Glob(filepath.Join(r.root, t.Package, "*_test.go"))
		return err == nil && len(tests) == 0 // the package has gone
	})
	all := mergeTimes(old, r.taken, r.focus == "")
	data, err = json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		return err
	}
	r.judgeTimes()
	fmt.Fprintf(r.out, "the dearest tests, in seconds of processor time and of the clock (all are in .test/times.json):\n")
	for _, t := range all[:min(dearest, len(all))] {
		fmt.Fprintf(r.out, "%7.1f %7.1f  %s %s\n", t.CPU, t.Wall, t.Package, t.Test)
	}
	return nil
}

// judgeTimes names tests that have become costly without a reason, and fails those that no slow machine explains.
func (r *runner) judgeTimes() {
	for _, t := range r.taken {
		if _, ok := r.budget.reason(t.Package, t.Test); t.CPU <= costly || ok {
			continue
		}
		text := fmt.Sprintf("took %.0f seconds of processor time; make it cheaper, or say why in test/budget.txt: %s %s REASON\n", t.CPU, t.Package, t.Test)
		if t.CPU > tooCostly {
			r.total.fail(failure{t.Package, t.Test, text})
			continue
		}
		fmt.Fprintf(r.out, "costly: %s %s %s", t.Package, t.Test, text)
	}
}
