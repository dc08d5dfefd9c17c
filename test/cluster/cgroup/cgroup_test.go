package cgroup

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tree makes files that look like mounted hierarchies.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestHierarchies(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"version 1", map[string]string{"cpu/cgroup.procs": "", "memory/cgroup.procs": "", "other/file": ""}, []string{"cpu", "memory"}},
		{"hybrid", map[string]string{"cpu/cgroup.procs": "", "unified/cgroup.procs": "", "unified/cgroup.controllers": ""}, []string{"cpu", "unified"}},
		{"version 2", map[string]string{"cgroup.controllers": "cpu", "cgroup.procs": "", "system.slice/cgroup.procs": ""}, []string{"."}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tree(t, tc.files)
			found, err := Hierarchies(dir)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range found {
				rel, err := filepath.Rel(dir, f)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, rel)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("hierarchies (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := Hierarchies(t.TempDir()); err == nil {
		t.Error("a folder without hierarchies was accepted")
	}
}

func TestCreateHandsControllersDown(t *testing.T) {
	dir := tree(t, map[string]string{"cgroup.controllers": "cpu memory", "cgroup.subtree_control": ""})
	if err := Create(dir, "/one"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != "+memory" { // the last of two writes; a real file adds them up
		t.Errorf("subtree_control = %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "one")); err != nil {
		t.Error(err)
	}
}

func TestCpusetIsInherited(t *testing.T) {
	dir := tree(t, map[string]string{
		"cpuset/cgroup.procs": "", "cpuset/cpuset.cpus": "0-1\n",
		"cpuset/one/cpuset.cpus": "\n",
	})
	if err := Create(dir, "/one"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "cpuset", "one", "cpuset.cpus"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != "0-1\n" {
		t.Errorf("cpuset.cpus = %q, want the parent's", got)
	}
}

func TestRemoveWithoutGroup(t *testing.T) {
	dir := tree(t, map[string]string{"cpu/cgroup.procs": ""})
	if err := Remove(t.Context(), dir, "/never-made"); err != nil {
		t.Error(err)
	}
}

func TestPods(t *testing.T) {
	const uid = "0d3a2e0c-1111-4222-8333-444455556666"
	for _, tc := range []struct {
		name  string
		files map[string]string
	}{
		{"version 1", map[string]string{
			"cpu/cgroup.procs": "", "cpu/cpuacct.usage": "9", "cpu/c/node-1/kubepods/burstable/pod" + uid + "/cpuacct.usage": "1500000000\n",
			"cpu/c/node-1/kubepods/burstable/pod" + uid + "/podx/cpuacct.usage": "7", "cpu/d/node-1/kubepods/podother/cpuacct.usage": "7",
			"memory/cgroup.procs": "", "memory/c/node-1/kubepods/podempty/memory.usage_in_bytes": "4096",
		}},
		{"version 2", map[string]string{
			"cgroup.controllers": "cpu", "cgroup.procs": "", "c/kubepods/pod" + uid + "/cpu.stat": "usage_usec 1500000\nuser_usec 1\n", "c/kubepods/podempty/cpu.stat": "nothing\n",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Pods(tree(t, tc.files), "/c")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]time.Duration{uid: 1500 * time.Millisecond}, got); diff != "" {
				t.Errorf("pods (-want +got):\n%s", diff)
			}
		})
	}
	if got, err := Pods(tree(t, map[string]string{"cpu/cgroup.procs": "", "cpu/cpuacct.usage": "9"}), "/c"); err != nil || len(got) != 0 {
		t.Errorf("a group that does not exist gave %v, %v", got, err)
	}
}
