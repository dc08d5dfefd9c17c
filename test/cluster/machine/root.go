package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sort"

	"golang.org/x/sys/unix"
)

// enterRoot makes the machine's root directory and moves into it: the host's programs read-only, the
// machine's own /etc, /var, /opt, /run and /tmp, and nothing else of the host's files.
func enterRoot(spec *Spec, log *slog.Logger) error {
	// Without this the mounts below would appear on the host.
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	root := spec.Root
	if err := mount(root, root, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	steps := []func(string) error{hostPrograms, devices, kernelFiles}
	for _, step := range steps {
		if err := step(root); err != nil {
			return err
		}
	}
	if err := privateSysctls(root, spec.Sysctls); err != nil {
		return err
	}
	for _, b := range spec.Binds {
		if err := bind(b.Source, filepath.Join(root, b.Target), b.ReadOnly); err != nil {
			return err
		}
	}
	if spec.Disk != nil {
		if err := mountDisk(spec.Disk, filepath.Join(root, spec.Disk.Target)); err != nil {
			log.Warn("Could not make a disk; a plain folder takes its place, without reflinks", "err", err)
		}
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	// The same directory twice: the old root ends up mounted over the new one and is taken off at once.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the host's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	// Mounts made in pods must reach the kubelet and other pods of this machine.
	return mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

// hostPrograms shows /usr read-only and the links or folders beside it that lead to programs.
func hostPrograms(root string) error {
	if err := bind("/usr", filepath.Join(root, "usr"), true); err != nil {
		return err
	}
	for _, name := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		st, err := os.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		target := filepath.Join(root, name)
		if st.Mode().Type() != fs.ModeSymlink {
			if err := bind(name, target, true); err != nil {
				return err
			}
			continue
		}
		link, err := os.Readlink(name)
		if err != nil {
			return err
		}
		if err := os.Symlink(link, target); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func devices(root string) error {
	dev := filepath.Join(root, "dev")
	if err := os.MkdirAll(dev, dirMode); err != nil {
		return err
	}
	if err := mount("/dev", dev, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return mount("tmpfs", filepath.Join(dev, "shm"), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777")
}

// kernelFiles mounts proc and sys anew, so that they show the machine's own processes and links. The control
// groups are the host's: nodes tell theirs apart by name.
func kernelFiles(root string) error {
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"proc", "proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"/sys/fs/cgroup", "sys/fs/cgroup", "", unix.MS_BIND | unix.MS_REC, ""},
		{"tmpfs", "run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
		{"tmpfs", "tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	} {
		target := filepath.Join(root, m.target)
		if m.target != "sys/fs/cgroup" {
			if err := os.MkdirAll(target, dirMode); err != nil {
				return err
			}
		}
		if err := mount(m.source, target, m.kind, m.flags, m.data); err != nil {
			return err
		}
	}
	return nil
}

// privateSysctls puts a file of the machine over settings that are the whole host's.
func privateSysctls(root string, sysctls map[string]string) error {
	dir := filepath.Join(root, "run", "sysctl")
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	names := make([]string, 0, len(sysctls))
	for name := range sysctls {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		target := filepath.Join(root, "proc", "sys", name)
		if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(file, []byte(sysctls[name]+"\n"), 0o644); err != nil {
			return err
		}
		if err := mount(file, target, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// mountDisk mounts an XFS file system, which can share blocks between files. mount(8) makes a loop device
// that goes away with the mount, and the mount goes away with the machine.
func mountDisk(d *Disk, target string) error {
	if err := os.MkdirAll(target, dirMode); err != nil {
		return err
	}
	f, err := os.Create(d.Image)
	if err != nil {
		return err
	}
	err = errors.Join(f.Truncate(d.Size), f.Close())
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"mkfs.xfs", "-q", "-m", "reflink=1", d.Image},
		{"mount", "--no-mtab", "-t", "xfs", "-o", "loop,discard", d.Image, target},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			_ = os.Remove(d.Image)
			return fmt.Errorf("%s: %w: %s", args[0], err, out)
		}
	}
	return nil
}

func bind(source, target string, readOnly bool) error {
	st, err := os.Stat(source)
	if err != nil {
		return err
	}
	if st.IsDir() {
		err = os.MkdirAll(target, dirMode)
	} else if err = os.MkdirAll(filepath.Dir(target), dirMode); err == nil {
		var f *os.File
		if f, err = os.OpenFile(target, os.O_CREATE|os.O_RDONLY, 0o644); err == nil {
			f.Close()
		}
	}
	if err != nil {
		return err
	}
	if err := mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if !readOnly {
		return nil
	}
	return mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", source, target, err)
	}
	return nil
}
