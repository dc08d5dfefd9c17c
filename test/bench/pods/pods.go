// Package pods finds the processes and sockets of a pod on this machine and reads what memory it holds. It works from the
// host, beside the nodes of the local cluster, and needs root. It must disturb nothing: what it waits for, the kernel tells.
package pods

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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

// Program is the path of the program that a process runs, as the process itself sees it.
func Program(pid int) (string, error) { return os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)) }

// Inside is a command in the root directory of a process: with the files of its container.
func Inside(ctx context.Context, pid int, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Path, cmd.Err = program, nil // it is looked for over there
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: fmt.Sprintf("/proc/%d/root", pid)}
	return cmd
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
	return parseMemory(f, guestKiB)
}

func parseMemory(smaps io.Reader, guestKiB int64) (Memory, error) {
	var m Memory
	var executable bool
	var size int64
	scanner := bufio.NewScanner(smaps)
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
