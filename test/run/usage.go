package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/virtplane/virtplane/test/cluster/cgroup"
	"github.com/virtplane/virtplane/test/cluster/plan"
)

const (
	// lookEvery is how often processor time is read. A test that is shorter shares it with its neighbours.
	lookEvery = 250 * time.Millisecond
	// clockTick is the unit of times in /proc: USER_HZ, which is 100 for every program on Linux.
	clockTick = time.Second / 100
)

// watchUsage shares processor time among the running tests until ctx ends; clusters are those whose pods count.
func (r *runner) watchUsage(ctx context.Context, ts *times, clusters ...plan.Dir) {
	pods := map[string]podUsage{} // by UID
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			used := map[string]time.Duration{}
			for _, p := range pods {
				used[p.namespace] += p.used
			}
			ts.pods(used)
			return
		case <-ticker.C:
		}
		ts.look(testProcesses(r.root, readProcesses("/proc")), time.Now())
		if n%4 == 0 {
			for _, dir := range clusters {
				readPods(cgroup.Mounts, dir, pods)
			}
		}
	}
}

// process is one line of what runs on this machine.
type process struct {
	pid, parent int
	// used is its own processor time and that of the children that it has waited for.
	used time.Duration
	// program and dir are what it runs and where.
	program, dir string
}

// readProcesses reads all processes. One that ends meanwhile is left out.
func readProcesses(proc string) []process {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	var all []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(proc, e.Name(), "stat"))
		if err != nil {
			continue
		}
		p, ok := parseStat(pid, stat)
		if !ok {
			continue
		}
		p.program, _ = os.Readlink(filepath.Join(proc, e.Name(), "exe")) // empty for those of the kernel
		if strings.HasSuffix(p.program, ".test") {
			p.dir, _ = os.Readlink(filepath.Join(proc, e.Name(), "cwd"))
		}
		all = append(all, p)
	}
	return all
}

// parseStat reads a line of /proc/PID/stat (proc_pid_stat(5)).
func parseStat(pid int, stat []byte) (process, bool) {
	end := bytes.LastIndexByte(stat, ')') // the name before it may hold anything
	if end < 0 {
		return process{}, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	const parent, utime, cstime = 1, 11, 14 // fields 4, and 14 to 17, of the line
	if len(fields) <= cstime {
		return process{}, false
	}
	p := process{pid: pid}
	var err error
	if p.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return process{}, false
	}
	for _, f := range fields[utime : cstime+1] {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return process{}, false
		}
		p.used += time.Duration(ticks) * clockTick
	}
	return p, true
}

// testProcesses adds up the processor time of each package's test program with all that it has started. go test runs it in the
// package's folder.
func testProcesses(root string, all []process) map[string]time.Duration {
	byPID := map[int]process{}
	for _, p := range all {
		byPID[p.pid] = p
	}
	// of is the package whose tests a process belongs to: that of the nearest test program above it.
	of := func(p process) string {
		for range len(all) {
			if strings.HasSuffix(p.program, ".test") {
				if rel, err := filepath.Rel(root, p.dir); err == nil && !strings.HasPrefix(rel, "..") {
					return rel
				}
			}
			parent, ok := byPID[p.parent]
			if !ok {
				return ""
			}
			p = parent
		}
		return ""
	}
	used := map[string]time.Duration{}
	for _, p := range all {
		if pkg := of(p); pkg != "" {
			used[pkg] += p.used
		}
	}
	return used
}

// podUsage is the processor time of a pod.
type podUsage struct {
	namespace string
	used      time.Duration
}

// readPods reads the processor time of a cluster's pods from their control groups. What a pod has used stays known once it is
// gone.
func readPods(mounts string, dir plan.Dir, pods map[string]podUsage) {
	// The kubelet names the folder of a pod's logs NAMESPACE_NAME_UID.
	logs, err := filepath.Glob(filepath.Join(dir.Logs(), "*", "pods", "*"))
	if err != nil {
		return
	}
	for _, l := range logs {
		parts := strings.Split(filepath.Base(l), "_")
		if len(parts) == 3 && pods[parts[2]].namespace == "" {
			pods[parts[2]] = podUsage{namespace: parts[0]}
		}
	}
	groups, err := cgroup.Pods(mounts, dir.Cgroup())
	if err != nil {
		return // the cluster is not up yet, or not any more
	}
	for uid, used := range groups {
		if p, ok := pods[uid]; ok && used > p.used {
			pods[uid] = podUsage{p.namespace, used}
		}
	}
}
