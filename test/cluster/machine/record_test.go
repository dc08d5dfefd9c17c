package machine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseStartTime(t *testing.T) {
	fields := func(state string) string { return state + strings.Repeat(" 1", 18) + " 4711 9 9\n" }
	for _, tc := range []struct {
		name, stat string
		want       uint64
		bad        bool
	}{
		{name: "plain", stat: "7 (sh) " + fields("S"), want: 4711},
		{name: "a name that looks like fields", stat: "7 (a) S 1 (b) " + fields("R"), want: 4711},
		{name: "zombie", stat: "7 (sh) " + fields("Z"), bad: true},
		{name: "no name", stat: "7 sh S 1", bad: true},
		{name: "cut off", stat: "7 (sh) S 1 1", bad: true},
		{name: "empty", bad: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseStartTime([]byte(tc.stat))
			if got != tc.want || (err != nil) != tc.bad {
				t.Errorf("parseStartTime = %d, %v; want %d", got, err, tc.want)
			}
		})
	}
}

func FuzzParseStartTime(f *testing.F) {
	f.Add([]byte("7 (sh) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 5 1"), "sh", uint64(5))
	f.Add([]byte("7 ) ("), ") Z (", uint64(1<<63))
	f.Fuzz(func(t *testing.T, b []byte, name string, start uint64) {
		_, _ = parseStartTime(b)
		stat := fmt.Sprintf("7 (%s) S%s %d 1", name, strings.Repeat(" 1", 18), start)
		if got, err := parseStartTime([]byte(stat)); err != nil || got != start {
			t.Errorf("%q is read as %d, %v", stat, got, err)
		}
	})
}

func TestRecordNamesOneProcess(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill() })
	r, err := newRecord("m", child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "run", "m.json")
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	if r, err = ReadRecord(file); err != nil {
		t.Fatal(err)
	}
	if !r.Alive() {
		t.Error("a running process counts as ended")
	}
	later, other := r, r
	later.StartTime++
	other.BootID = "another start of the host"
	for _, stranger := range []Record{later, other} {
		if stranger.Alive() {
			t.Errorf("%+v was taken for the process", stranger)
		}
		if err := Stop(t.Context(), stranger); err != nil {
			t.Error(err)
		}
	}
	if !r.Alive() {
		t.Fatal("a process was killed by the record of another")
	}
	if err := Stop(t.Context(), r); err != nil {
		t.Error(err)
	}
	// Not waited for yet: a zombie has its number, but is no machine.
	if r.Alive() {
		t.Error("the process lives after Stop")
	}
	_ = child.Wait()
	if err := Stop(t.Context(), r); err != nil {
		t.Errorf("stopping again: %v", err)
	}
}

func TestRecords(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.json": `{"name":"a","pid":10,"startTime":1,"bootID":"x"}`,
		"b.json": `{"name":"b","pid":1}`,
		"c.json": `{`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Records(dir)
	if len(got) != 1 || got[0].Name != "a" {
		t.Errorf("records = %+v", got)
	}
	if err == nil || !strings.Contains(err.Error(), "pid 1 is not one of a machine") || !strings.Contains(err.Error(), "c.json") {
		t.Errorf("error = %v, want both damaged records named", err)
	}
}

func TestInnerPID(t *testing.T) {
	for status, want := range map[string]int{
		"Name:\tx\nNSpid:\t4711\t12\nNSpgid:\t1\t1\n": 12,
		"NSpid:\t4711\n": 4711,
		"NSpid:\n":       0,
		"Name:\tx\n":     0,
		"NSpid:\tx\n":    0,
	} {
		if got := innerPID(status); got != want {
			t.Errorf("innerPID(%q) = %d, want %d", status, got, want)
		}
	}
}

func TestInitByHand(t *testing.T) {
	if err := Init(nil); err == nil || !strings.Contains(err.Error(), "not by hand") {
		t.Errorf("Init outside of a machine: %v", err)
	}
}

func TestSpecValidation(t *testing.T) {
	service := Service{Name: "a", Args: []string{"a"}}
	for _, tc := range []struct {
		name string
		spec Spec
		ok   bool
	}{
		{"whole", Spec{Name: "m", Root: "/r", Services: []Service{service}}, true},
		{"no root", Spec{Name: "m"}, false},
		{"service twice", Spec{Name: "m", Root: "/r", Services: []Service{service, service}}, false},
		{"service without program", Spec{Name: "m", Root: "/r", Services: []Service{{Name: "a"}}}, false},
	} {
		if err := tc.spec.validate(); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestWriteBase(t *testing.T) {
	root := t.TempDir()
	b := Base{Name: "node-1", Hosts: map[string]string{"registry": "10.0.0.1"}, Nameserver: "10.0.0.2"}
	for range 2 { // an interrupted up may have begun
		if err := WriteBase(root, b); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		"etc/hostname":    "node-1\n",
		"etc/hosts":       "127.0.0.1 localhost\n::1 localhost\n10.0.0.1 registry\n",
		"etc/resolv.conf": "nameserver 10.0.0.2\n",
	} {
		got, err := os.ReadFile(filepath.Join(root, file))
		if err != nil || string(got) != want {
			t.Errorf("%s = %q, %v", file, got, err)
		}
	}
}

func TestWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Wait(ctx, "unix:"+filepath.Join(t.TempDir(), "socket"))
	if err == nil || !strings.Contains(err.Error(), "does not answer") || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("error = %v, want the target and the last answer", err)
	}
}
