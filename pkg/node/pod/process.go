package pod

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

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

// Devices says which of the device nodes a pod has.
type Devices struct{ KVM, Tun, VhostNet, VhostVSOCK bool }

// OwnDevices gives the device nodes in the pod's own /dev to user and group, as far as they are there, and says which are:
// container runtimes make them as they are on the node, for root alone.
func (p *Process) OwnDevices(user, group int) (Devices, error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", p.pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(root)
		err = p.Alive()
	}
	if err != nil {
		return Devices{}, fmt.Errorf("opening the pod's root: %w", err)
	}
	var has Devices
	for _, d := range []struct {
		name   string
		number uint64
		has    *bool
	}{{"kvm", unix.Mkdev(10, 232), &has.KVM}, {"net/tun", unix.Mkdev(10, 200), &has.Tun}, {"vhost-net", unix.Mkdev(10, 238), &has.VhostNet},
		{"vhost-vsock", unix.Mkdev(10, 241), &has.VhostVSOCK}} {
		if *d.has, err = ownDevice(root, d.name, d.number, user, group); err != nil {
			return Devices{}, fmt.Errorf("giving /dev/%s of the pod to user %d: %w", d.name, user, err)
		}
	}
	return has, nil
}

// ownDevice says whether the device is there.
func ownDevice(root int, name string, number uint64, user, group int) (bool, error) {
	fd, err := openBeneath(root, filepath.Join("dev", name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return false, err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFCHR || stat.Rdev != number {
		return false, fmt.Errorf("%w: it is not the device %d:%d", ErrUntrusted, unix.Major(number), unix.Minor(number))
	}
	if int(stat.Uid) != user || int(stat.Gid) != group {
		if err := unix.Fchownat(fd, "", user, group, unix.AT_EMPTY_PATH); err != nil {
			return false, fmt.Errorf("changing the owner: %w", err)
		}
	}
	if stat.Mode&0o600 != 0o600 {
		if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), stat.Mode&0o7777|0o600); err != nil {
			return false, fmt.Errorf("changing the mode: %w", err)
		}
	}
	return true, nil
}

// ReadFile reads a file of the pod as the pod sees it, of at most limit bytes. What it returns is only as true as the
// launcher is: it must go nowhere but back to that pod.
func (p *Process) ReadFile(name string, limit int64) ([]byte, error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", p.pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(root)
		err = p.Alive()
	}
	if err != nil {
		return nil, fmt.Errorf("opening the pod's root: %w", err)
	}
	return readBelow(root, name, limit)
}

func readBelow(root int, name string, limit int64) ([]byte, error) {
	// Links are followed, for the kubelet's Secret volumes are made of them, but none leaves the pod's root. Nonblocking,
	// because opening a pipe would wait for a writer.
	fd, err := unix.Openat2(root, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, fmt.Errorf("opening %s of the pod: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s of the pod is no regular file", errors.Join(ErrUntrusted, err), name)
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s of the pod: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s of the pod is larger than %d bytes", name, limit)
	}
	return data, nil
}
