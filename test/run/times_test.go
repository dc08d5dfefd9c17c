package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/e2e/harness/contract"
)

// TestTimes shares a process's time among the tests that ran, and gives pods' to the test that made their namespace.
func TestTimes(t *testing.T) {
	ts := newTimes()
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	tell := func(seconds int, action, test string) { ts.event("a", event{Action: action, Test: test}, at(seconds)) }
	look := func(seconds, used int) {
		ts.look(map[string]time.Duration{"a": time.Duration(used) * time.Second}, at(seconds))
	}
	tell(0, "run", "TestAlone")
	ts.event("a", event{Action: "attr", Test: "TestAlone/sub", Key: contract.Namespace, Value: "e2e-1"}, at(1))
	look(2, 4) // all TestAlone's
	ts.event("a", event{Action: "pass", Test: "TestAlone", Elapsed: 2}, at(2))
	tell(2, "run", "TestWaits")
	tell(2, "pause", "TestWaits")
	tell(2, "run", "TestOther")
	look(4, 6) // TestOther's
	tell(4, "cont", "TestWaits")
	look(6, 10) // half each
	look(7, 1)  // another process
	ts.event("a", event{Action: "fail", Test: "TestOther", Elapsed: 5}, at(7))
	ts.pods(map[string]time.Duration{"e2e-1": 10 * time.Second, "kube-system": time.Hour})
	want := []testTime{{"a", "TestAlone", 2, 14}, {"a", "TestOther", 5, 4}}
	if diff := cmp.Diff(want, ts.taken()); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
}

func TestMergeTimes(t *testing.T) {
	old := []testTime{{"a", "TestGone", 1, 90}, {"a", "TestStays", 1, 80}, {"b", "TestRemembered", 1, 70}}
	now := []testTime{{"a", "TestStays", 2, 10}}
	for _, tc := range []struct {
		whole bool
		want  []testTime
	}{
		{true, []testTime{{"b", "TestRemembered", 1, 70}, {"a", "TestStays", 2, 10}}},
		{false, []testTime{{"a", "TestGone", 1, 90}, {"b", "TestRemembered", 1, 70}, {"a", "TestStays", 2, 10}}},
	} {
		if diff := cmp.Diff(tc.want, mergeTimes(old, now, tc.whole)); diff != "" {
			t.Errorf("whole %v (-want +got):\n%s", tc.whole, diff)
		}
	}
}

func TestKeepTimes(t *testing.T) {
	dir := t.TempDir()
	var out strings.Builder
	if err := os.MkdirAll(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "a_test.go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "times.json"), []byte(`[{"package":"gone","test":"TestGone","wall":1,"cpu":99}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &runner{out: &out, options: options{root: dir, records: dir}, budget: reasonList{{"a", "TestAllowed", "it boots a whole distribution"}},
		taken: []testTime{{"a", "TestAllowed", 5, 61}, {"a", "TestDear", 5, 121}, {"a", "TestCostly", 5, 61}, {"a", "TestCheap", 70, 60}}}
	for range 2 { // the second time there is a file of its own
		r.total = results{}
		if err := r.keepTimes(); err != nil {
			t.Fatal(err)
		}
		if len(r.total.Failures) != 1 || r.total.Failures[0].Name != "TestDear" || !strings.Contains(r.total.Failures[0].Output, "test/budget.txt: a TestDear REASON") {
			t.Errorf("failures %+v, want one of TestDear", r.total.Failures)
		}
	}
	if !strings.Contains(out.String(), "costly: a TestCostly took 61 seconds of processor time; make it cheaper, or say why in test/budget.txt: a TestCostly REASON\n") {
		t.Errorf("output does not name the costly test:\n%s", out.String())
	}
	if strings.Contains(out.String(), "costly: a TestAllowed") || strings.Contains(out.String(), "costly: a TestCheap") {
		t.Errorf("output names what may take so long:\n%s", out.String())
	}
	if !strings.Contains(out.String(), "   61.0     5.0  a TestAllowed\n") || strings.Contains(out.String(), "TestGone") {
		t.Errorf("output:\n%s", out.String())
	}
	if err := os.WriteFile(filepath.Join(dir, "times.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.keepTimes(); err == nil || !strings.Contains(err.Error(), "times.json") {
		t.Errorf("a torn file gave error %v", err)
	}
}

func TestParseStat(t *testing.T) {
	p, ok := parseStat(7, []byte("7 (a) b) S 3 7 7 0 -1 4194304 1 1 0 0 100 20 300 4 20 0 1 0 5 6 7"))
	if want := (process{pid: 7, parent: 3, used: 4240 * time.Millisecond}); !ok || p != want {
		t.Errorf("got %+v, %v; want %+v", p, ok, want)
	}
	for _, bad := range []string{"", "7 (a S 3", "7 (a) S 3", "7 (a) S x 7 7 0 -1 4194304 1 1 0 0 100 20 300 4"} {
		if _, ok := parseStat(7, []byte(bad)); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestTestProcesses(t *testing.T) {
	s := time.Second
	got := testProcesses("/src", []process{
		{pid: 1, used: 9 * s, program: "/sbin/init"},
		{pid: 10, parent: 1, used: 1 * s, program: "/tmp/b/app.test", dir: "/src/cmd/app"},
		{pid: 11, parent: 10, used: 2 * s, program: "/usr/bin/qemu-system-x86_64"},
		{pid: 12, parent: 11, used: 4 * s, program: "/usr/bin/swtpm"},
		{pid: 20, parent: 1, used: 5 * s, program: "/tmp/c/other.test", dir: "/elsewhere"},
		{pid: 30, parent: 31, used: 5 * s, program: "/usr/bin/cat"}, // its parent has just ended
	})
	if diff := cmp.Diff(map[string]time.Duration{"cmd/app": 7 * s}, got); diff != "" {
		t.Errorf("used (-want +got):\n%s", diff)
	}
	own := testProcesses("/", readProcesses("/proc"))
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := own[strings.TrimPrefix(wd, "/")]; !ok {
		t.Errorf("this very test is not among %v", own)
	}
}

func TestReadPods(t *testing.T) {
	root := t.TempDir()
	dir := plan.Dir(filepath.Join(root, "c"))
	const uid = "0d3a2e0c-1111-4222-8333-444455556666"
	usage := filepath.Join(root, "cg/cpu", dir.Cgroup(), "node-1/kubepods/pod"+uid, "cpuacct.usage")
	for file, content := range map[string]string{
		filepath.Join(root, "cg/cpu/cgroup.procs"):  "",
		filepath.Join(root, "cg/cpu/cpuacct.usage"): "9",
		usage: "2000000000\n",
		filepath.Join(dir.MachineLogs("node-1"), "pods/e2e-1_virt-launcher-a_"+uid, "compute"): "",
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pods := map[string]podUsage{}
	readPods(filepath.Join(root, "cg"), dir, pods)
	if err := os.RemoveAll(filepath.Dir(usage)); err != nil {
		t.Fatal(err)
	}
	readPods(filepath.Join(root, "cg"), dir, pods) // what is gone stays known
	if diff := cmp.Diff(map[string]podUsage{uid: {"e2e-1", 2 * time.Second}}, pods, cmp.AllowUnexported(podUsage{})); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
}
