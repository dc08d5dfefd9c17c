package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/virtplane/virtplane/test/bench/pods"
)

// meter reads what processes have used, by program.
type meter struct{ pids map[string][]int }

// serverName is what a process is counted as; the store is virt-api's program with a command of its own.
func serverName(command []string) string {
	if len(command) == 0 {
		return ""
	}
	name := filepath.Base(command[0])
	if name == "virt-api" && len(command) > 1 && command[1] == "store" {
		return "virt-store"
	}
	return name
}

// newMeter finds the servers among the processes of this PID namespace. /proc is the host's, so that the numbers that
// programs were started with mean nothing there.
func newMeter(servers []string) (meter, error) {
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return meter{}, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return meter{}, err
	}
	m := meter{pids: map[string][]int{}}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if ns, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns/pid")); err != nil || ns != own {
			continue
		}
		command, err := pods.Command(pid)
		if err != nil {
			continue
		}
		if name := serverName(command); slices.Contains(servers, name) {
			m.pids[name] = append(m.pids[name], pid)
		}
	}
	for _, name := range servers {
		if len(m.pids[name]) == 0 {
			return meter{}, fmt.Errorf("there is no process %s to measure", name)
		}
	}
	return m, nil
}

// each sums up a reading of every process by program.
func (m meter) each(what string, read func(pid int) (float64, error)) (map[string]float64, error) {
	out := map[string]float64{}
	for name, pids := range m.pids {
		for _, pid := range pids {
			v, err := read(pid)
			if err != nil {
				return nil, fmt.Errorf("%s of %s: %w", what, name, err)
			}
			out[name] += v
		}
	}
	return out, nil
}

// cpu is the processor time that each server has used, in seconds.
func (m meter) cpu() (map[string]float64, error) {
	const ticks = 100 // USER_HZ, the same on every architecture that Go runs on
	return m.each("processor time", func(pid int) (float64, error) {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		const user, system = 11, 12 // fields 14 and 15 of the line
		if len(fields) <= system {
			return 0, fmt.Errorf("stat has %d fields after the name", len(fields))
		}
		u, err := strconv.ParseUint(fields[user], 10, 64)
		if err != nil {
			return 0, err
		}
		s, err := strconv.ParseUint(fields[system], 10, 64)
		return float64(u+s) / ticks, err
	})
}

// resident is the memory that each server holds, in MiB.
func (m meter) resident() (map[string]float64, error) {
	return m.each("memory", func(pid int) (float64, error) {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		for line := range strings.SplitSeq(string(raw), "\n") {
			if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "VmRSS:" {
				kib, err := strconv.ParseInt(fields[1], 10, 64)
				return mib(kib), err
			}
		}
		return 0, fmt.Errorf("process %d has none", pid)
	})
}

// sum of what all servers have used between two readings; before may be nil.
func sum(after, before map[string]float64) float64 {
	total := 0.0
	for name, v := range after {
		total += v - before[name]
	}
	return total
}
