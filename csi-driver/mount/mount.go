// Package mount shows a volume to a pod: a bind mount of the volume's directory below the kubelet's directory. It uses the kernel's file-descriptor mount calls, so that no path is resolved twice and a mount
// appears with all its flags at once; it needs no mount program. It knows nothing of volumes or pools.
package mount

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// State is what is at a target.
type State int

const (
	// Absent means that nothing is mounted there.
	Absent State = iota
	// Mounted means that the source is mounted there.
	Mounted
	// Foreign means that something else is mounted there.
	Foreign
)

// ErrOutside is returned for a target that is not below the kubelet's directory.
var ErrOutside = errors.New("path is not below the kubelet's directory")

// maxStacked bounds how many mounts on one target Unmount takes away.
const maxStacked = 32

// Mounts are the mounts below the kubelet's directory.
type Mounts struct {
	path string
	root *os.Root
}

// Open confines all targets to the kubelet's directory.
func Open(kubeletDir string) (*Mounts, error) {
	path, err := filepath.EvalSymlinks(kubeletDir)
	if err != nil {
		return nil, fmt.Errorf("opening the kubelet's directory: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening the kubelet's directory: %w", err)
	}
	return &Mounts{path: path, root: root}, nil
}

// Close gives the directory free.
func (m *Mounts) Close() error { return m.root.Close() }

// local turns a target into a path below the kubelet's directory.
func (m *Mounts) local(target string) (string, error) {
	rel, err := filepath.Rel(m.path, target)
	if err != nil || !filepath.IsAbs(target) || filepath.Clean(target) != target || rel == "." || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("%q: %w (%s)", target, ErrOutside, m.path)
	}
	return rel, nil
}

// Bind mounts an open directory at target, which it makes if need be. Nothing must be mounted there; ask State before.
func (m *Mounts) Bind(source *os.File, target string, readOnly bool) error {
	rel, err := m.local(target)
	if err != nil {
		return err
	}
	if err := m.root.MkdirAll(rel, 0o750); err != nil {
		return fmt.Errorf("making mount point %s: %w", target, err)
	}
	point, err := m.root.Open(rel)
	if err != nil {
		return fmt.Errorf("opening mount point %s: %w", target, err)
	}
	defer func() { _ = point.Close() }()
	tree, err := unix.OpenTree(int(source.Fd()), "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("preparing the mount of %s: %w", target, err)
	}
	// Before it is attached, the tree is nobody's: closing it takes it away, and a pod can never see it writable for a moment.
	defer func() { _ = unix.Close(tree) }()
	if readOnly {
		attributes := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
		if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attributes); err != nil {
			return fmt.Errorf("preparing the read-only mount of %s: %w", target, err)
		}
	}
	if err := unix.MoveMount(tree, "", int(point.Fd()), "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("mounting at %s: %w", target, err)
	}
	return nil
}

// State says what is mounted at target, and whether it is read-only.
func (m *Mounts) State(source *os.File, target string) (state State, readOnly bool, err error) {
	rel, err := m.local(target)
	if err != nil {
		return Absent, false, err
	}
	point, err := m.root.Open(rel)
	if errors.Is(err, fs.ErrNotExist) {
		return Absent, false, nil
	}
	if err != nil {
		return Absent, false, fmt.Errorf("looking at %s: %w", target, err)
	}
	defer func() { _ = point.Close() }()
	there, err := statx(int(point.Fd()), "")
	if err != nil {
		return Absent, false, fmt.Errorf("looking at %s: %w", target, err)
	}
	if !isMountRoot(there) {
		return Absent, false, nil
	}
	mine, err := statx(int(source.Fd()), "")
	if err != nil {
		return Absent, false, fmt.Errorf("looking at the volume of %s: %w", target, err)
	}
	if !sameInode(mine, there) {
		return Foreign, false, nil
	}
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(point.Fd()), &stat); err != nil {
		return Absent, false, fmt.Errorf("looking at %s: %w", target, err)
	}
	return Mounted, stat.Flags&unix.ST_RDONLY != 0, nil
}

// Unmount takes away what is mounted at target and then target itself. A target that is not there is no error; one that holds files of its own is.
func (m *Mounts) Unmount(target string) error {
	rel, err := m.local(target)
	if err != nil {
		return err
	}
	// Only the parent may be held open: an open descriptor of the mount itself would keep it busy.
	parent, err := m.root.Open(filepath.Dir(rel))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unmounting %s: %w", target, err)
	}
	defer func() { _ = parent.Close() }()
	base := filepath.Base(rel)
	through := "/proc/self/fd/" + strconv.Itoa(int(parent.Fd())) + "/" + base
	for range maxStacked {
		there, err := statx(int(parent.Fd()), base)
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unmounting %s: %w", target, err)
		}
		if !isMountRoot(there) {
			if err := m.root.Remove(rel); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("removing mount point %s: %w", target, err)
			}
			return nil
		}
		if err := unix.Unmount(through, unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmounting %s: %w", target, err)
		}
	}
	return fmt.Errorf("unmounting %s: more than %d mounts lie on one another", target, maxStacked)
}

// Targets lists where below the kubelet's directory the source is mounted.
func (m *Mounts) Targets(source *os.File) ([]string, error) {
	mine, err := statx(int(source.Fd()), "")
	if err != nil {
		return nil, fmt.Errorf("looking at the volume: %w", err)
	}
	entries, err := mountTable()
	if err != nil {
		return nil, err
	}
	device := ""
	for _, e := range entries {
		if e.id == mine.Mnt_id {
			device = e.device
		}
	}
	var targets []string
	for _, e := range entries {
		// Mounts of other devices are not even looked at: one of them may be a network file system whose server is gone.
		if e.device != device || !strings.HasPrefix(e.point, m.path+"/") {
			continue
		}
		there, err := statx(unix.AT_FDCWD, e.point)
		if err == nil && isMountRoot(there) && sameInode(mine, there) {
			targets = append(targets, e.point)
		}
	}
	return targets, nil
}

func statx(dir int, name string) (unix.Statx_t, error) {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var stat unix.Statx_t
	if err := unix.Statx(dir, name, flags, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &stat); err != nil {
		return stat, err
	}
	if stat.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 || stat.Mask&unix.STATX_MNT_ID == 0 {
		return stat, errors.New("the kernel does not tell mount points apart: Linux 5.12 or newer is needed")
	}
	return stat, nil
}

func isMountRoot(s unix.Statx_t) bool { return s.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 }

func sameInode(a, b unix.Statx_t) bool {
	return a.Ino == b.Ino && a.Dev_major == b.Dev_major && a.Dev_minor == b.Dev_minor
}

type mountEntry struct {
	id     uint64
	device string
	// root is what of its file system is mounted, at the path point.
	root  string
	point string
}

func mountTable() ([]mountEntry, error) {
	table, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("reading the mount table: %w", err)
	}
	defer func() { _ = table.Close() }()
	return parseMountInfo(bufio.NewScanner(table))
}

// parseMountInfo reads what proc(5) describes as /proc/pid/mountinfo.
func parseMountInfo(lines *bufio.Scanner) ([]mountEntry, error) {
	lines.Buffer(nil, 1<<20)
	var entries []mountEntry
	for lines.Scan() {
		fields := strings.Split(lines.Text(), " ")
		if len(fields) < 7 {
			return nil, fmt.Errorf("reading the mount table: line %q has %d fields", lines.Text(), len(fields))
		}
		id, err := strconv.ParseUint(fields[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("reading the mount table: line %q: %w", lines.Text(), err)
		}
		entries = append(entries, mountEntry{id: id, device: fields[2], root: unescape(fields[3]), point: unescape(fields[4])})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the mount table: %w", err)
	}
	return entries, nil
}

// unescape undoes the kernel's octal escapes of blanks and backslashes.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if code, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
