package kvmprobe

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The test program plays the child when it is called as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == Subcommand {
		os.Stdout.Write(Child(os.Args[2]))
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "hang" {
		time.Sleep(time.Minute)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestJudge(t *testing.T) {
	for _, tc := range []struct {
		name, out, stderr string
		err               error
		want              Result
	}{
		{"fast", `{"nanoseconds":[950000]}`, "", nil, Result{Usable: true, Reason: "Fast", Best: 950 * time.Microsecond, Message: "a loop of 1000000 iterations took 950µs"}},
		{"the best counts", `{"nanoseconds":[300000000,99000000]}`, "", nil, Result{Usable: true, Reason: "Fast", Best: 99 * time.Millisecond, Message: "a loop of 1000000 iterations took 99ms"}},
		{"slow", `{"nanoseconds":[2000000000,1900000000,1950000000]}`, "", nil, Result{Reason: "TooSlow", Best: 1900 * time.Millisecond,
			Message: "a loop of 1000000 iterations took 1.9s, the limit is 100ms: this machine emulates guest instructions"}},
		{"no device", `{"error":"opening the device: no such file"}`, "", nil, Result{Reason: "Unavailable", Message: "opening the device: no such file"}},
		{"crash", "", "segmentation fault", os.ErrClosed, Result{Reason: "Unavailable", Message: "the probe ended without a report: file already closed: segmentation fault"}},
		{"nothing measured", `{}`, "", nil, Result{Reason: "Unavailable", Message: "the probe reported no time"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, judge([]byte(tc.out), tc.stderr, tc.err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRunWithoutDevice(t *testing.T) {
	got := Run(context.Background(), time.Minute, self(t), Subcommand, filepath.Join(t.TempDir(), "kvm"))
	if got.Usable || got.Reason != ReasonUnavailable || !strings.Contains(got.Message, "opening the device") {
		t.Errorf("got %+v", got)
	}
}

func TestRunEndsAtTheDeadline(t *testing.T) {
	got := Run(context.Background(), 50*time.Millisecond, self(t), "hang")
	want := Result{Reason: ReasonDeadline, Message: "the loop of 1000000 iterations did not end within 50ms"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestRealDevice proves that the loop really runs in a guest: whatever the device's speed, the sum is checked.
func TestRealDevice(t *testing.T) {
	device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs /dev/kvm: %v", err)
	}
	device.Close()
	got := Run(context.Background(), time.Minute, self(t), Subcommand, "/dev/kvm")
	t.Logf("%+v", got)
	if got.Reason != ReasonFast && got.Reason != ReasonTooSlow {
		t.Errorf("the probe could not judge the device: %+v", got)
	}
	if got.Usable != (got.Best <= Limit) {
		t.Errorf("usable=%v after %s", got.Usable, got.Best)
	}
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
