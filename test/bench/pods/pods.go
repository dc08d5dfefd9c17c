// Package pods finds the processes of a pod on this machine and reads what memory they hold. It works from the host, beside
// the nodes of the local cluster, and needs root.
package pods

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Processes lists the processes in the cgroups of a pod, by its UID.
func Processes(podUID string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var out []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cgroup, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cgroup"))
		if err == nil && strings.Contains(string(cgroup), "pod"+podUID) {
			out = append(out, pid)
		}
	}
	return out, nil
}

// Command is the command line of a process.
func Command(pid int) ([]string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00"), nil
}

// IsQEMU says whether a process is QEMU.
func IsQEMU(pid int) bool {
	args, err := Command(pid)
	return err == nil && len(args) > 0 && strings.HasPrefix(filepath.Base(args[0]), "qemu-system")
}

// Memory is the resident memory of a process, in KiB.
type Memory struct {
	Total int64
	// GuestRAM is the part in the mapping that is the guest's memory.
	GuestRAM int64
	// JIT is the part in the writable and executable mappings of software emulation.
	JIT int64
}

// ReadMemory reads the memory of a process; guestKiB is the size of the guest's memory, 0 for a process without one.
func ReadMemory(pid int, guestKiB int64) (Memory, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return Memory{}, err
	}
	defer f.Close()
	var m Memory
	var executable bool
	var size int64
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 2 {
			continue
		}
		if !strings.HasSuffix(fields[0], ":") {
			executable = strings.HasPrefix(fields[1], "rwx") && (len(fields) < 6 || !strings.HasPrefix(fields[5], "/"))
			continue
		}
		kib, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "Size:":
			size = kib
		case "Rss:":
			m.Total += kib
			switch {
			case guestKiB > 0 && size == guestKiB:
				m.GuestRAM += kib
			case executable:
				m.JIT += kib
			}
		}
	}
	return m, scanner.Err()
}

// WaitFile waits until a path inside the pod's compute container exists and returns it as seen from here.
func WaitFile(ctx context.Context, podUID, path string) (string, error) {
	for {
		pids, err := Processes(podUID)
		if err != nil {
			return "", err
		}
		for _, pid := range pids {
			seen := fmt.Sprintf("/proc/%d/root%s", pid, path)
			if _, err := os.Lstat(seen); err == nil {
				return seen, nil
			} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
				continue
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for %s in pod %s: %w", path, podUID, context.Cause(ctx))
		case <-time.After(3 * time.Millisecond):
		}
	}
}
