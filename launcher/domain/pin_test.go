package domain

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/launcher/api"
)

// placed makes a domain whose guest is pinned and has an open drive, and notes who was put where.
func placed(w *world, fail error) (*Domain, map[int][]int) {
	where := map[int][]int{}
	d := w.domain(func(c *Config) {
		c.Prepare = func(context.Context, *api.SyncRequest) (*Guest, error) {
			g := aGuest()
			g.Pins = &Pins{VCPUs: []int{2, 6}, IOThreads: []int{3}, Emulator: []int{7}}
			g.OpenTrays = []string{"disk-cd"}
			return g, nil
		}
		c.Threads = func(pid int) ([]int, error) {
			if pid != 42 {
				w.t.Errorf("threads of process %d", pid)
			}
			return []int{42, 43, 50, 51, 60, 61}, nil
		}
		c.Affinity = func(thread int, cpus []int) error {
			where[thread] = cpus
			return fail
		}
	})
	return d, where
}

func TestPlacement(t *testing.T) {
	w := newWorld(t)
	d, where := placed(w, nil)
	mustSync(t, d)
	awaitState(t, d, running, "")
	want := map[int][]int{42: {7}, 43: {7}, 50: {2}, 51: {6}, 60: {3}, 61: {7}}
	if diff := cmp.Diff(want, where); diff != "" {
		t.Errorf("threads and their CPUs: %s", diff)
	}
	// All of it before the guest runs.
	if diff := cmp.Diff([]string{"qom-get", "query-chardev", "query-cpus-fast", "query-iothreads", "blockdev-open-tray", "set_link", "cont"}, w.sent()); diff != "" {
		t.Errorf("commands: %s", diff)
	}
}

// A guest that was promised CPUs of its own does not run without them.
func TestPlacementFails(t *testing.T) {
	w := newWorld(t)
	d, _ := placed(w, unix.EINVAL)
	err := d.Sync(t.Context(), aRequest)
	if api.ReasonOf(err) != api.ReasonCPUsUnavailable || !errors.Is(err, unix.EINVAL) {
		t.Errorf("Sync: %v", err)
	}
	if slices.Contains(w.sent(), "cont") {
		t.Error("the guest runs")
	}
}

// TestAffinity asks the kernel.
func TestAffinity(t *testing.T) {
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	self, err := threadsOf(os.Getpid())
	if err != nil || !slices.Contains(self, unix.Gettid()) {
		t.Fatalf("threads: %v, %v", self, err)
	}
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	first := 0
	for !before.IsSet(first) {
		first++
	}
	if err := setAffinity(unix.Gettid(), []int{first}); err != nil {
		t.Fatal(err)
	}
	var now unix.CPUSet
	if err := unix.SchedGetaffinity(0, &now); err != nil || now.Count() != 1 || !now.IsSet(first) {
		t.Errorf("%d CPUs, %v", now.Count(), err)
	}
	if err := setAffinity(1<<30, []int{first}); err != nil {
		t.Errorf("a thread that has ended: %v", err)
	}
	if _, err := threadsOf(1 << 30); err == nil {
		t.Error("a process that does not exist has threads")
	}
}
