package metrics

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc, on all of Linux.
const tick = 10 * time.Millisecond

// cpuTime is what the threads of QEMU that run virtual CPUs have used. QEMU names them, as its command line asks for.
func cpuTime(proc string, pid int) (time.Duration, error) {
	if pid <= 0 {
		return 0, errors.New("QEMU does not run")
	}
	stats, err := filepath.Glob(filepath.Join(proc, strconv.Itoa(pid), "task", "*", "stat"))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	found := false
	for _, file := range stats {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		name, used, err := threadTime(string(raw))
		if err != nil {
			return 0, err
		}
		if strings.HasPrefix(name, "CPU ") {
			sum, found = sum+used, true
		}
	}
	if !found {
		return 0, errors.New("QEMU has no threads of virtual CPUs")
	}
	return sum, nil
}

// threadTime reads the name of a thread and the time that it has used, in user mode and in the kernel.
func threadTime(stat string) (string, time.Duration, error) {
	// The name may hold blanks and brackets; it ends at the last one.
	begin, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if begin < 0 || end < begin {
		return "", 0, fmt.Errorf("stat of a thread %q has no name", stat)
	}
	fields := strings.Fields(stat[end+1:])
	const user, kernel = 11, 12
	if len(fields) <= kernel {
		return "", 0, fmt.Errorf("stat of a thread %q is too short", stat)
	}
	u, err1 := strconv.ParseUint(fields[user], 10, 63)
	k, err2 := strconv.ParseUint(fields[kernel], 10, 63)
	if err := errors.Join(err1, err2); err != nil {
		return "", 0, fmt.Errorf("stat of a thread: %w", err)
	}
	return stat[begin+1 : end], time.Duration(u+k) * tick, nil
}

// hostCPUs tells how many processors the node has and how long they have worked.
func hostCPUs(proc, sys string) []metric {
	var out []metric
	packages := map[string]bool{}
	files, _ := filepath.Glob(filepath.Join(sys, "devices/system/cpu/cpu[0-9]*/topology/physical_package_id")) // the pattern is well formed
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil {
			packages[strings.TrimSpace(string(raw))] = true
		}
	}
	if len(packages) > 0 {
		out = append(out, signed(ofHost, "NumberOfPhysicalCPUs", "", int64(len(packages))))
	}
	raw, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[0] != "cpu" {
			continue
		}
		var ticks uint64
		for _, f := range fields[1:4] { // user, nice, system
			n, err := strconv.ParseUint(f, 10, 64)
			if err != nil {
				return out
			}
			ticks += n
		}
		out = append(out, seconds(ofHost, "TotalCPUTime", (time.Duration(ticks)*tick).Seconds()))
	}
	return out
}

// hostMemory tells how much memory the node has left.
func hostMemory(proc string) []metric {
	var out []metric
	if m := table(filepath.Join(proc, "meminfo")); m != nil {
		less := func(a uint64, b ...uint64) uint64 {
			for _, n := range b {
				a -= min(a, n)
			}
			return a
		}
		out = append(out,
			unsigned(ofHost, "FreePhysicalMemory", "KiB", m["MemFree"]),
			unsigned(ofHost, "FreeVirtualMemory", "KiB", m["MemFree"]+m["SwapFree"]),
			unsigned(ofHost, "MemoryAllocatedToVirtualServers", "KiB", less(m["MemTotal"], m["MemFree"], m["Buffers"], m["Cached"])),
			unsigned(ofHost, "UsedVirtualMemory", "KiB", less(m["MemTotal"]+m["SwapTotal"], m["MemFree"], m["Cached"], m["Buffers"], m["SwapCached"])))
	}
	if v := table(filepath.Join(proc, "vmstat")); v != nil {
		kib := uint64(os.Getpagesize()) / 1024
		out = append(out, unsigned(ofHost, "PagedInMemory", "KiB", v["pswpin"]*kib), unsigned(ofHost, "PagedOutMemory", "KiB", v["pswpout"]*kib))
	}
	return out
}

// table reads lines of a name and a number, nil if there is no such file.
func table(file string) map[string]uint64 {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	out := map[string]uint64{}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if n, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
			out[strings.TrimSuffix(fields[0], ":")] = n
		}
	}
	return out
}
