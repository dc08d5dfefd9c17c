package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/virtplane/virtplane/test/cluster"
	"github.com/virtplane/virtplane/test/cluster/plan"
)

// settings are those of the whole host that a kubelet changes when it is let.
var settings = []string{"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward"}

// traces collects what a cluster could leave on the host: its own network and settings, and everything that
// names the cluster's folder or control group.
func traces(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	for _, args := range [][]string{{"ip", "-brief", "link"}, {"ip", "-brief", "address"}, {"ip", "route"}, {"nft", "list", "tables"}} {
		out, err := exec.Command(args[0], args[1:]...).Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			found = append(found, strings.Join(args, " ")+": "+line)
		}
	}
	for _, s := range settings {
		b, err := os.ReadFile(filepath.Join("/proc/sys", s))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, s+" = "+strings.TrimSpace(string(b)))
	}
	// The count itself is also another cluster's, which may be there beside this one.
	if cluster.HoldsHugePages(plan.Dir(dir)) {
		found = append(found, "huge pages of the host")
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*" + plan.Dir(dir).Cgroup())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range append(groups, "/sys/fs/cgroup"+plan.Dir(dir).Cgroup()) {
		if _, err := os.Stat(g); err == nil {
			found = append(found, "control group "+g)
		}
	}
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range loops {
		if b, err := os.ReadFile(l); err == nil && strings.Contains(string(b), dir) {
			found = append(found, "loop device "+l)
		}
	}
	// A process of the cluster has mounts from the folder, whatever it is called.
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		mounts, _ := os.ReadFile(filepath.Join(p, "mountinfo"))
		command, _ := os.ReadFile(filepath.Join(p, "cmdline"))
		if strings.Contains(string(mounts), dir+"/") || strings.Contains(string(command), dir+"/") {
			found = append(found, fmt.Sprintf("process %s %q", p, command))
		}
	}
	if _, err := os.Stat(dir); err == nil {
		found = append(found, "folder "+dir)
	}
	return found
}

// checkClean compares the host with what it was.
func checkClean(t *testing.T, before []string, dir string) {
	t.Helper()
	var diff string
	// Namespaces are taken apart by the kernel in its own time after the last process ended.
	for range 50 {
		diff = cmp.Diff(before, traces(t, dir), cmpopts.SortSlices(func(a, b string) bool { return a < b }))
		if diff == "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("the cluster left traces (-before +after):\n%s", diff)
}
