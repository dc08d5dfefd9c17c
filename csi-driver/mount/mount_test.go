package mount_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/csi-driver/mount"
)

const inside = "MOUNT_TEST_IN_MOUNT_NAMESPACE"

// TestMain gives the tests a mount namespace of their own, so that nothing they mount outlives them.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 || os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	again := exec.Command(os.Args[0], os.Args[1:]...)
	again.Env = append(os.Environ(), inside+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := again.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "running the tests in a mount namespace:", err)
		os.Exit(1)
	}
}

type box struct {
	*mount.Mounts
	kubelet string
	volume  string
	source  *os.File
}

func newBox(t *testing.T) *box {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
	b := &box{kubelet: t.TempDir(), volume: t.TempDir()}
	var err error
	if b.Mounts, err = mount.Open(b.kubelet); err != nil {
		t.Fatal(err)
	}
	if b.source, err = os.Open(b.volume); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = b.source.Close(), b.Close() })
	return b
}

func (b *box) target(name string) string { return filepath.Join(b.kubelet, "pods", name, "mount") }

func (b *box) wantState(t *testing.T, target string, want mount.State, wantReadOnly bool) {
	t.Helper()
	state, readOnly, err := b.State(b.source, target)
	if err != nil || state != want || readOnly != wantReadOnly {
		t.Errorf("state %v, read-only %v, %v; want %v, %v", state, readOnly, err, want, wantReadOnly)
	}
}

func TestLife(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		t.Run(fmt.Sprintf("read-only %v", readOnly), func(t *testing.T) {
			b := newBox(t)
			one, two := b.target("one"), b.target("with blanks\tand \\backslash")
			b.wantState(t, one, mount.Absent, false)
			for _, target := range []string{one, two} {
				if err := b.Bind(b.source, target, readOnly); err != nil {
					t.Fatal(err)
				}
				b.wantState(t, target, mount.Mounted, readOnly)
			}
			err := os.WriteFile(filepath.Join(one, "file"), []byte("x"), 0o600)
			if readOnly != errors.Is(err, syscall.EROFS) {
				t.Errorf("writing: %v", err)
			}
			if err := os.WriteFile(filepath.Join(b.volume, "other"), nil, 0o600); err != nil {
				t.Errorf("the volume itself must stay writable: %v", err)
			}
			targets, err := b.Targets(b.source)
			if diff := cmp.Diff([]string{one, two}, targets); diff != "" || err != nil {
				t.Errorf("targets (-want +got): %v\n%s", err, diff)
			}
			for range 2 {
				if err := b.Unmount(one); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Lstat(one); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the mount point is still there: %v", err)
			}
			if err := b.Unmount(two); err != nil {
				t.Fatal(err)
			}
			if targets, err := b.Targets(b.source); err != nil || len(targets) != 0 {
				t.Errorf("targets after unmounting: %v, %v", targets, err)
			}
			if _, err := os.Stat(filepath.Join(b.volume, "other")); err != nil {
				t.Errorf("unmounting lost content: %v", err)
			}
		})
	}
}

// TestStacked has several mounts on one target, as a crash between a check and a mount may leave them.
func TestStacked(t *testing.T) {
	b := newBox(t)
	target := b.target("pod")
	for range 3 {
		if err := b.Bind(b.source, target, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Unmount(target); err != nil {
		t.Fatal(err)
	}
	b.wantState(t, target, mount.Absent, false)
}

func TestForeign(t *testing.T) {
	b := newBox(t)
	other, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	target := b.target("pod")
	if err := b.Bind(other, target, false); err != nil {
		t.Fatal(err)
	}
	b.wantState(t, target, mount.Foreign, false)
	if targets, err := b.Targets(b.source); err != nil || len(targets) != 0 {
		t.Errorf("targets: %v, %v", targets, err)
	}
	if err := b.Unmount(target); err != nil {
		t.Fatal(err)
	}
}

// TestNotEmpty wants a directory with files in it to be left alone: they are nobody's volume.
func TestNotEmpty(t *testing.T) {
	b := newBox(t)
	target := b.target("pod")
	if err := os.MkdirAll(filepath.Join(target, "precious"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := b.Unmount(target); !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("unmount: %v", err)
	}
}

// TestConfinement tries to reach outside of the kubelet's directory.
func TestConfinement(t *testing.T) {
	b := newBox(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(b.kubelet, "link")); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{
		"", "/", "relative", outside, b.kubelet, b.kubelet + "/", b.kubelet + "x/pod", b.kubelet + "/../pod", b.kubelet + "/pods/../../pod",
	} {
		_, _, stateErr := b.State(b.source, target)
		for what, err := range map[string]error{"bind": b.Bind(b.source, target, false), "state": stateErr, "unmount": b.Unmount(target)} {
			if !errors.Is(err, mount.ErrOutside) {
				t.Errorf("%s %q: %v", what, target, err)
			}
		}
	}
	through := filepath.Join(b.kubelet, "link/pod")
	if err := b.Bind(b.source, through, false); err == nil {
		t.Error("mounted through a link that leads out")
	}
	if err := b.Unmount(through); err == nil {
		t.Error("unmounted through a link that leads out")
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("something was made outside: %v, %v", entries, err)
	}
}

func TestOpenThroughLink(t *testing.T) {
	real := t.TempDir()
	link := filepath.Join(t.TempDir(), "kubelet")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	m, err := mount.Open(link)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := mount.Open(filepath.Join(real, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}
