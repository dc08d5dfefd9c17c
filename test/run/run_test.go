package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/spec"
)

func TestCollector(t *testing.T) {
	skips := reasonList{{"mixed", "TestListed", "the kernel has no VLANs"}, {"mixed", "TestTable/*", "the kernel has no VLANs"}}
	for _, tc := range []struct {
		file     string
		passed   int
		skipped  []string
		failed   []string
		contains string // of the first failure
		progress string
	}{
		{"mixed", 4, []string{"TestListed", "TestTable/c"}, []string{"TestFail", "TestUnlisted", "TestTable/b", "TestParentOnly"}, "it broke", "FAIL    9 tests"},
		{"panics", 0, nil, []string{"TestOuter/inner"}, "panic: boom", "FAIL    1 tests"},
		{"broken", 0, nil, []string{""}, "undefined: undefined", "FAIL    0 tests"},
		{"exits", 1, nil, []string{""}, "teardown broke", "FAIL    1 tests"},
		{"empty", 0, nil, nil, "", ""},
	} {
		t.Run(tc.file, func(t *testing.T) {
			f, err := os.Open(filepath.Join("testdata", tc.file+".jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var out strings.Builder
			c := newCollector("example.com/toy", skips, &out, false)
			if err := c.read(f); err != nil {
				t.Fatal(err)
			}
			c.unfinished()
			if c.results.Passed != tc.passed {
				t.Errorf("%d passed, want %d", c.results.Passed, tc.passed)
			}
			var skipped, failed []string
			for _, s := range c.results.Skipped {
				skipped = append(skipped, s.Name)
			}
			for _, f := range c.results.Failures {
				failed = append(failed, f.Name)
			}
			if diff := cmp.Diff(tc.skipped, skipped); diff != "" {
				t.Errorf("skipped (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.failed, failed); diff != "" {
				t.Errorf("failed (-want +got):\n%s", diff)
			}
			if tc.contains != "" && !strings.Contains(c.results.Failures[0].Output, tc.contains) {
				t.Errorf("first failure says %q, want %q in it", c.results.Failures[0].Output, tc.contains)
			}
			if !strings.HasPrefix(out.String(), tc.progress) || tc.progress == "" && out.Len() > 0 {
				t.Errorf("progress %q, want %q first", out.String(), tc.progress)
			}
		})
	}
}

func TestCollectorTorn(t *testing.T) {
	// go test was killed: one test ended, one was running.
	stream := `{"Action":"run","Package":"example.com/toy/a","Test":"TestDone"}
{"Action":"pass","Package":"example.com/toy/a","Test":"TestDone"}
{"Action":"run","Package":"example.com/toy/a","Test":"TestRunning"}
{"Action":"start","Package":"example.com/toy/b"}
`
	c := newCollector("example.com/toy", nil, io.Discard, true)
	if err := c.read(strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	c.unfinished()
	if diff := cmp.Diff([]failure{{"a", "TestRunning", "the test never ended\n"}}, c.results.Failures); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	if c.results.Passed != 1 {
		t.Errorf("%d passed, want 1", c.results.Passed)
	}
}

func TestParseReasons(t *testing.T) {
	list, err := parseReasons("skips.txt", "# comment\n\ncni-plugin/bridge TestVLAN needs the module 8021q\na TestTable/* waits for three things\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		pkg, test, want string
	}{
		{"cni-plugin/bridge", "TestVLAN", "needs the module 8021q"},
		{"cni-plugin/bridge", "TestVLAN/sub", ""},
		{"cni-plugin/other", "TestVLAN", ""},
		{"a", "TestTable/one", "waits for three things"},
		{"a", "TestTable", ""},
	} {
		if got, _ := list.reason(tc.pkg, tc.test); got != tc.want {
			t.Errorf("reason(%s, %s) = %q, want %q", tc.pkg, tc.test, got, tc.want)
		}
	}
	for line, want := range map[string]string{
		"a TestX flaky":        "skips.txt:1: want PACKAGE TEST REASON, the reason in at least three words",
		"a TestX":              "skips.txt:1: want PACKAGE TEST REASON, the reason in at least three words",
		"a X needs the module": `skips.txt:1: "X" is not the name of a test`,
	} {
		if _, err := parseReasons("skips.txt", line); err == nil || err.Error() != want {
			t.Errorf("%q gave error %v, want %s", line, err, want)
		}
	}
}

func TestFinish(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name  string
		ctx   context.Context
		total results
		ok    bool
		want  string
	}{
		{"all passed", t.Context(), results{Passed: 3}, true, "3 passed, 0 failed, 0 skipped\n"},
		{"skipped", t.Context(), results{Passed: 3, Skipped: []skipped{{"a", "TestX", "needs a module"}}}, true,
			"skipped a TestX: needs a module\n3 passed, 0 failed, 1 skipped\n"},
		{"failed", t.Context(), results{Passed: 3, Failures: []failure{{"a", "TestX", "it broke"}}}, false,
			"\n=== FAILED a TestX\nit broke\n3 passed, 1 failed, 0 skipped\n"},
		{"nothing ran", t.Context(), results{}, false, "\n=== FAILED run\nno test ran\n0 passed, 1 failed, 0 skipped\n"},
		{"interrupted", over, results{Passed: 1}, false,
			"\n=== FAILED run\ninterrupted before all tests had run\n1 passed, 1 failed, 0 skipped\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			r := runner{out: &out, total: tc.total}
			if ok := r.finish(tc.ctx); ok != tc.ok {
				t.Errorf("finish = %v, want %v", ok, tc.ok)
			}
			if diff := cmp.Diff(tc.want, out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFirstAndLast(t *testing.T) {
	for in, want := range map[string]string{
		"":                "",
		"a\nb\n":          "a\nb\n",
		"a\nb":            "a\nb\n",
		"a\nb\nc\nd\n":    "a\nb\nc\nd\n",
		"a\nb\nc\nd\ne\n": "a\n… 1 lines\nc\nd\ne\n",
	} {
		if got := firstAndLast(in, 1, 3); got != want {
			t.Errorf("firstAndLast(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestProvedRows(t *testing.T) {
	c := newCollector("module", reasonList{{"p", "TestSkips", "no KVM here"}, {"p", "TestTable/*", "no vsock here"}}, io.Discard, false)
	row := func(test, id string) event {
		return event{Action: "attr", Test: test, Key: spec.Attribute, Value: id}
	}
	for _, e := range []event{
		row("TestPass", "P2-EFI-01"),
		{Action: "attr", Test: "TestPass", Key: "other", Value: "P2-EFI-09"},
		{Action: "pass", Test: "TestPass"},
		row("TestFail", "P2-EFI-02"),
		{Action: "fail", Test: "TestFail"},
		row("TestSkips", "P2-EFI-04"),
		{Action: "skip", Test: "TestSkips"},
		row("TestSkipsUnlisted", "P2-EFI-05"),
		{Action: "skip", Test: "TestSkipsUnlisted"},
		row("TestTable", "P2-EFI-06"),
		row("TestTable/passes", "P2-EFI-07"),
		{Action: "pass", Test: "TestTable/passes"},
		{Action: "skip", Test: "TestTable/skips"},
		{Action: "pass", Test: "TestTable"},
		row("TestPanics", "P2-EFI-03"),
		{Action: "fail"},
	} {
		e.Package = "p"
		c.event(e)
	}
	want := []spec.Record{
		{Row: "P2-EFI-01", Package: "p", Test: "TestPass"},
		{Row: "P2-EFI-04", Package: "p", Test: "TestSkips", Skipped: "no KVM here", MaySkip: true},
		{Row: "P2-EFI-06", Package: "p", Test: "TestTable", Skipped: "no vsock here", MaySkip: true},
		{Row: "P2-EFI-07", Package: "p", Test: "TestTable/passes", MaySkip: true},
	}
	if diff := cmp.Diff(want, c.results.Proved); diff != "" {
		t.Errorf("proved rows (-want +got):\n%s", diff)
	}
	file := filepath.Join(t.TempDir(), "record")
	if err := writeRecords(file, c.results.Proved[:2]); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"row":"P2-EFI-01","package":"p","test":"TestPass"}` + "\n" +
		`{"row":"P2-EFI-04","package":"p","test":"TestSkips","skipped":"no KVM here","maySkip":true}` + "\n"; string(got) != want {
		t.Errorf("wrote %s, want %s", got, want)
	}
}

// TestUnitRuns tells packages by what their tests can start, wherever the start is.
func TestUnitRuns(t *testing.T) {
	root, err := spec.Root()
	if err != nil {
		t.Fatal(err)
	}
	r := runner{options: options{root: root}}
	const guest, launcher, names, self, boot = module + "/test/guest", module + "/cmd/virt-launcher/app", module + "/pkg/logging", module + "/test/run", module + "/launcher/boot"
	got, err := r.unitRuns(t.Context(), []string{names, self, boot, guest, launcher})
	if err != nil {
		t.Fatal(err)
	}
	outside, err := fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []testRun{{packages: []string{launcher, guest, boot}, flags: []string{"-skip=^outside-" + outside + "$"}}, {packages: []string{self}, anew: true}, {packages: []string{names}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(testRun{})); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}

func TestEndRace(t *testing.T) {
	const before = "fuzz: elapsed: 2s, execs: 9996 (4955/sec), new interesting: 22 (total: 32)\n"
	for out, want := range map[string]bool{
		before + "--- FAIL: FuzzX (2.02s)\n    context deadline exceeded\nFAIL\n":                                                                           true,
		before + "--- FAIL: FuzzX (2.02s)\n    --- FAIL: FuzzX (0.00s)\n        x_test.go:9: context deadline exceeded\n    \n    Failing input: a\nFAIL\n": false,
		before + "--- FAIL: FuzzX (2.02s)\n    fuzzing process hung or terminated unexpectedly: exit status 2\n    Failing input: a\nFAIL\n":                false,
		before + "--- FAIL: FuzzX (2.02s)\n    context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzX/a\nFAIL\n":                       false,
		before + "PASS\n":                    false,
		"panic: context deadline exceeded\n": false,
	} {
		if got := endRace([]byte(out)); got != want {
			t.Errorf("%v, want %v, of:\n%s", got, want, out)
		}
	}
}

func TestFindFuzzTests(t *testing.T) {
	root := t.TempDir()
	for file, content := range map[string]string{
		"a/a_test.go":          "package a\nfunc FuzzOne(f *testing.F) {}\nfunc FuzzHelper() {}\nfunc TestX(t *testing.T) {}\n",
		"a/b_test.go":          "package a\nfunc FuzzTwo(f *testing.F) {}\n",
		"a/c.go":               "package a\nfunc FuzzNot(f *testing.F) {}\n",
		"b/testdata/x_test.go": "package x\nfunc FuzzNot(f *testing.F) {}\n",
		"c/go.mod":             "module other\n",
		"c/c_test.go":          "package c\nfunc FuzzNot(f *testing.F) {}\n",
	} {
		file = filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := findFuzzTests(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].dir != "a" || cmp.Diff([]string{"FuzzOne", "FuzzTwo"}, got[0].tests) != "" {
		t.Errorf("found %v, want FuzzOne and FuzzTwo in a", got)
	}
}

// TestStream runs a real go test of a module of its own.
func TestStream(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for file, content := range map[string]string{
		"go.mod":    "module example.com/toy\n\ngo 1.26\n",
		"a_test.go": "package a\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { t.Run(\"sub\", func(*testing.T) {}) }\n",
	} {
		if err := os.WriteFile(filepath.Join(root, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	r := runner{options: options{root: root}, out: &out}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := newCollector("example.com/toy", nil, &out, true)
	if err := r.stream(ctx, c, nil, []string{"test", "-json", "./..."}); err != nil {
		t.Fatal(err)
	}
	if c.results.Passed != 1 || len(c.results.Failures) != 0 || !strings.Contains(out.String(), "  pass TestX/sub (") {
		t.Errorf("results %+v, output:\n%s", c.results, out.String())
	}
	if err := r.stream(ctx, newCollector("example.com/toy", nil, &out, true), nil, []string{"test", "-json", "-mod=bogus"}); err == nil {
		t.Error("a go test that cannot start gave no error")
	}
}

func TestRunRefuses(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "no stage named"},
		{[]string{"units"}, `no stage "units": there are all, unit, fuzz, integration, e2e`},
	} {
		if _, err := run(t.Context(), tc.args, io.Discard); err == nil || err.Error() != tc.want {
			t.Errorf("run(%v) gave error %v, want %s", tc.args, err, tc.want)
		}
	}
}

// TestRepositoryLists keeps test/skips.txt and test/budget.txt true: each line names a test that exists.
func TestRepositoryLists(t *testing.T) {
	root, err := spec.Root()
	if err != nil {
		t.Fatal(err)
	}
	exists := func(pkg, name string) bool {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), "func "+name+"(") {
				return true
			}
		}
		return false
	}
	for _, file := range []string{"skips.txt", "budget.txt"} {
		list, err := readReasons(filepath.Join(root, "test", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if name, _, _ := strings.Cut(e.test, "/"); !exists(e.pkg, name) {
				t.Errorf("test/%s lists %s %s, which does not exist", file, e.pkg, e.test)
			}
		}
	}
}

func TestKeepLogs(t *testing.T) {
	root := t.TempDir()
	from := filepath.Join(root, ".cluster", "logs", "node-1")
	if err := os.MkdirAll(from, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "kubelet.log"), []byte("why\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// There is no kubectl: its part says so instead.
	var out strings.Builder
	r := runner{options: options{root: root, records: filepath.Join(root, ".test")}, out: &out}
	for range 2 { // the second run replaces what the first kept
		r.keepLogs(t.Context(), site{name: "two-nodes", dir: plan.Dir(filepath.Join(root, ".cluster"))})
	}
	kept := filepath.Join(root, ".test", "logs", "two-nodes")
	for file, want := range map[string]string{"node-1/kubelet.log": "why", "events.txt": "no such file or directory"} {
		data, err := os.ReadFile(filepath.Join(kept, file))
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s holds %q (error %v), want %q", file, data, err, want)
		}
	}
	if want := "logs, objects and events of the cluster are in " + kept + "\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("output %q, want %q at its end", out.String(), want)
	}
}
