package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/virtplane/virtplane/test/spec"
)

// event is one line of "go test -json".
type event struct {
	Action      string
	Package     string
	Test        string
	Output      string
	Elapsed     float64
	ImportPath  string // of build-output and build-fail
	FailedBuild string // why a package failed without running
	Key, Value  string // of attr
}

type failure struct{ Package, Name, Output string }

type skipped struct{ Package, Name, Reason string }

// results are the leaf tests of one stage or of all: a test with subtests counts
// as its subtests, and as one more failure only if it failed by itself.
type results struct {
	Passed   int
	Failures []failure
	Skipped  []skipped
	// Proved are the rows that tests have named which passed, or skipped as they may, which the record says of each.
	Proved []spec.Record
}

func (r *results) fail(f failure) { r.Failures = append(r.Failures, f) }

func (r *results) add(o results) {
	r.Passed += o.Passed
	r.Failures = append(r.Failures, o.Failures...)
	r.Skipped = append(r.Skipped, o.Skipped...)
	r.Proved = append(r.Proved, o.Proved...)
}

type testState struct {
	outcome string // pass, fail, skip; empty while running
	output  strings.Builder
	elapsed float64
	rows    []string
}

type packageState struct {
	tests  map[string]*testState
	order  []string
	output strings.Builder
}

// collector turns events into results. It writes a line of progress for each
// package and, if each is set, for each leaf test.
type collector struct {
	module string
	skips  reasonList
	out    io.Writer
	each   bool
	times  *times // nil: nobody asks

	packages map[string]*packageState
	builds   map[string]*strings.Builder
	results  results
}

func newCollector(module string, skips reasonList, out io.Writer, each bool) *collector {
	return &collector{module: module, skips: skips, out: out, each: each,
		packages: map[string]*packageState{}, builds: map[string]*strings.Builder{}}
}

// read takes events until the stream ends. Lines that are no events are what a
// tool printed beside them; they are passed on.
func (c *collector) read(stream io.Reader) error {
	r := bufio.NewReader(stream)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if line[0] == '{' && json.Unmarshal(line, &e) == nil && e.Action != "" {
				c.event(e)
			} else {
				fmt.Fprintf(c.out, "%s\n", strings.TrimRight(string(line), "\n"))
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *collector) event(e event) {
	if e.Action == "build-output" || e.Action == "build-fail" {
		b := c.builds[e.ImportPath]
		if b == nil {
			b = &strings.Builder{}
			c.builds[e.ImportPath] = b
		}
		b.WriteString(e.Output)
		return
	}
	if c.times != nil {
		c.times.event(c.short(e.Package), e, time.Now())
	}
	p := c.packages[e.Package]
	if p == nil {
		p = &packageState{tests: map[string]*testState{}}
		c.packages[e.Package] = p
	}
	if e.Test == "" {
		switch e.Action {
		case "output":
			p.output.WriteString(e.Output)
		case "pass", "fail", "skip":
			c.packageEnd(e, p)
		}
		return
	}
	t := p.tests[e.Test]
	if t == nil {
		t = &testState{}
		p.tests[e.Test] = t
		p.order = append(p.order, e.Test)
	}
	switch e.Action {
	case "output":
		t.output.WriteString(e.Output)
	case "attr":
		if e.Key == spec.Attribute {
			t.rows = append(t.rows, e.Value)
		}
	case "pass", "fail", "skip":
		t.outcome, t.elapsed = e.Action, e.Elapsed
		if c.each && (!p.hasSubtests(e.Test) || e.Action == "fail") {
			fmt.Fprintf(c.out, "  %s %s (%.1fs)\n", e.Action, e.Test, e.Elapsed)
		}
	}
}

func (p *packageState) hasSubtests(test string) bool {
	return slices.ContainsFunc(p.order, func(n string) bool { return strings.HasPrefix(n, test+"/") })
}

// failedBelow says whether a test below this one failed, or never ended.
func (p *packageState) failedBelow(test string) bool {
	return slices.ContainsFunc(p.order, func(n string) bool {
		return strings.HasPrefix(n, test+"/") && (p.tests[n].outcome == "fail" || p.tests[n].outcome == "")
	})
}

// around gives, once, what the tests above this one and the package printed: a
// panic's trace is theirs, not the failing test's.
func (p *packageState) around(test string) string {
	var b strings.Builder
	for {
		slash := strings.LastIndexByte(test, '/')
		if slash < 0 {
			break
		}
		test = test[:slash]
		if t := p.tests[test]; t != nil {
			b.WriteString(telling(t.output.String()))
			t.output.Reset()
		}
	}
	b.WriteString(telling(p.output.String()))
	p.output.Reset()
	return b.String()
}

// telling leaves out the lines that only frame a test's output.
func telling(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		trimmed := strings.TrimSpace(line)
		if !slices.ContainsFunc([]string{"=== ", "--- ", "FAIL", "PASS", "ok ", "exit status"}, func(frame string) bool {
			return strings.HasPrefix(trimmed, frame)
		}) {
			b.WriteString(line)
		}
	}
	if strings.TrimSpace(b.String()) == "" {
		return ""
	}
	return b.String()
}

// packageEnd counts a package once its last event has come.
func (c *collector) packageEnd(e event, p *packageState) {
	short := c.short(e.Package)
	before := len(c.results.Failures)
	ran := 0
	fail := func(name, output, remark string) {
		c.results.fail(failure{short, name, output + p.around(name) + remark})
	}
	for _, name := range p.order {
		t := p.tests[name]
		for _, row := range t.rows {
			if why, may, ok := c.proof(p, short, name); ok {
				c.results.Proved = append(c.results.Proved, spec.Record{Row: row, Package: e.Package, Test: name, Skipped: why, MaySkip: may})
			}
		}
		if p.hasSubtests(name) {
			if t.outcome == "fail" && !p.failedBelow(name) {
				fail(name, t.output.String(), "")
			}
			continue
		}
		ran++
		switch t.outcome {
		case "pass":
			c.results.Passed++
		case "skip":
			if reason, ok := c.skips.reason(short, name); ok {
				c.results.Skipped = append(c.results.Skipped, skipped{short, name, reason})
			} else {
				fail(name, t.output.String(), "a test may skip only with a line in test/skips.txt: "+short+" "+name+" REASON\n")
			}
		case "fail":
			fail(name, t.output.String(), "")
		default:
			fail(name, t.output.String(), "the test never ended\n")
		}
	}
	if e.Action == "fail" && len(c.results.Failures) == before {
		out := p.output.String()
		if b := c.builds[e.FailedBuild]; b != nil {
			out = b.String() + out
		}
		c.results.fail(failure{short, "", out})
	}
	delete(c.packages, e.Package)
	if ran == 0 && e.Action != "fail" {
		return // no test files: nothing to say
	}
	word := "ok  "
	if failed := len(c.results.Failures) - before; failed > 0 {
		word = "FAIL"
	}
	fmt.Fprintf(c.out, "%s %4d tests %7.1fs  %s\n", word, ran, e.Elapsed, short)
}

// short names a package as below the module.
func (c *collector) short(pkg string) string {
	return strings.TrimPrefix(strings.TrimPrefix(pkg, c.module), "/")
}

// proof says what a test is worth for the rows that it names: nothing if it failed, and no proof on this machine if it, or a
// test below it, skipped as it may.
func (c *collector) proof(p *packageState, short, name string) (skipped string, maySkip, ok bool) {
	for _, n := range p.order {
		if n != name && !strings.HasPrefix(n, name+"/") {
			continue
		}
		reason, listed := c.skips.reason(short, n)
		switch p.tests[n].outcome {
		case "pass":
		case "skip":
			if !listed {
				return "", false, false
			}
			skipped = reason
		default:
			return "", false, false
		}
		maySkip = maySkip || listed
	}
	return skipped, maySkip, true
}

// unfinished fails the packages whose end never came, which happens when go test
// itself was killed.
func (c *collector) unfinished() {
	names := make([]string, 0, len(c.packages))
	for name := range c.packages {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		p := c.packages[name]
		if len(p.order) == 0 && p.output.Len() == 0 {
			continue
		}
		c.packageEnd(event{Action: "fail", Package: name}, p)
	}
}
