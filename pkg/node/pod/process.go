package pod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// maxAncestors bounds the walk from the launcher to the first process of its pod.
const maxAncestors = 16

// Process is a process of a launcher pod, held by a handle.
type Process struct {
	pid, handle int
}

func openProcess(pid int) (*Process, error) {
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("opening process %d: %w", pid, err)
	}
	return &Process{pid: pid, handle: handle}, nil
}

// Close gives the handle back.
func (p *Process) Close() {
	if p != nil {
		_ = unix.Close(p.handle)
	}
}

// Alive is an error once the process has ended.
func (p *Process) Alive() error {
	if err := unix.PidfdSendSignal(p.handle, 0, nil, 0); err != nil {
		return fmt.Errorf("process %d: %w", p.pid, err)
	}
	return nil
}

// NetworkNamespace opens the process's network namespace. Its Name leads to it as long as the file is open.
func (p *Process) NetworkNamespace() (*os.File, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", p.pid))
	if err == nil {
		err = p.Alive()
	}
	if err != nil {
		if file != nil {
			_ = file.Close()
		}
		return nil, fmt.Errorf("opening the pod's network namespace: %w", err)
	}
	return file, nil
}

// InPod says whether a process belongs to a pod, by the cgroup in which the container runtime put it; no process of a
// pod can leave that by itself.
func InPod(pid int, pod types.UID) error {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("its process has ended: %w", ErrNotListening)
	}
	if err != nil {
		return fmt.Errorf("reading cgroups of process %d: %w", pid, err)
	}
	if !inPod(string(data), pod) {
		return fmt.Errorf("%w: process %d is not in a cgroup of the pod", ErrUntrusted, pid)
	}
	return nil
}

// inPod reads /proc/PID/cgroup. The directory of a pod is called podUID, or kubepods-QOS-podUID.slice with underscores,
// as the kubelet's cgroup driver has it.
func inPod(cgroups string, pod types.UID) bool {
	plain, underscores := "pod"+string(pod), "pod"+strings.ReplaceAll(string(pod), "-", "_")+".slice"
	for line := range strings.Lines(cgroups) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for dir := range strings.SplitSeq(parts[2], "/") {
			if dir == plain || dir == underscores || strings.HasPrefix(dir, "kubepods-") && strings.HasSuffix(dir, "-"+underscores) {
				return true
			}
		}
	}
	return false
}

// KillPod ends all processes of the container to which p belongs, by killing the first process of its pid namespace.
// It is for a launcher that does not answer: the kernel takes QEMU along.
func (p *Process) KillPod(cgroups func(pid int, pod types.UID) error, pod types.UID) error {
	pid := p.pid
	for range maxAncestors {
		inner, parent, err := identity(pid)
		if err != nil {
			return err
		}
		if inner == 1 {
			return killFirst(pid, cgroups, pod)
		}
		pid = parent
	}
	return fmt.Errorf("found no first process above %d", p.pid)
}

func killFirst(pid int, cgroups func(pid int, pod types.UID) error, pod types.UID) error {
	first, err := openProcess(pid)
	if err != nil {
		return err
	}
	defer first.Close()
	if err := cgroups(pid, pod); err != nil {
		return err
	}
	if err := unix.PidfdSendSignal(first.handle, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	return nil
}

// identity reads the number that a process has in its own pid namespace, and its parent's here.
func identity(pid int) (inner, parent int, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the status of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch key {
		case "NSpid":
			inner, err = strconv.Atoi(fields[len(fields)-1])
		case "PPid":
			parent, err = strconv.Atoi(fields[0])
		}
		if err != nil {
			return 0, 0, fmt.Errorf("reading the status of process %d: %w", pid, err)
		}
	}
	if parent <= 0 && inner != 1 {
		return 0, 0, fmt.Errorf("process %d has no parent here", pid)
	}
	return inner, parent, nil
}

// deviceNumbers are the device nodes that the node's device plugin hands to pods, by their path below /dev.
var deviceNumbers = map[string]uint64{
	"kvm":       unix.Mkdev(10, 232),
	"net/tun":   unix.Mkdev(10, 200),
	"vhost-net": unix.Mkdev(10, 238),
}

// OwnDevices gives the device nodes in the pod's own /dev to user and group, as far as they are there: container runtimes
// make them as they are on the node, for root alone.
func (p *Process) OwnDevices(user, group int) error {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", p.pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(root)
		err = p.Alive()
	}
	if err != nil {
		return fmt.Errorf("opening the pod's root: %w", err)
	}
	for name, number := range deviceNumbers {
		if err := ownDevice(root, name, number, user, group); err != nil {
			return fmt.Errorf("giving /dev/%s of the pod to user %d: %w", name, user, err)
		}
	}
	return nil
}

func ownDevice(root int, name string, number uint64, user, group int) error {
	fd, err := openBeneath(root, filepath.Join("dev", name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFCHR || stat.Rdev != number {
		return fmt.Errorf("%w: it is not the device %d:%d", ErrUntrusted, unix.Major(number), unix.Minor(number))
	}
	if int(stat.Uid) != user || int(stat.Gid) != group {
		if err := unix.Fchownat(fd, "", user, group, unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("changing the owner: %w", err)
		}
	}
	if stat.Mode&0o600 != 0o600 {
		if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), stat.Mode&0o7777|0o600); err != nil {
			return fmt.Errorf("changing the mode: %w", err)
		}
	}
	return nil
}
