package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/virtplane/virtplane/launcher/api"
)

func TestEnsureHostFile(t *testing.T) {
	for _, tc := range []struct {
		name    string
		prepare func(t *testing.T, file string)
		h       HostFile
		size    int64
		want    string
	}{
		{"there", fill, HostFile{}, 4096, ""},
		{"there, to be made otherwise", fill, HostFile{Create: true, Capacity: 1 << 30}, 4096, ""},
		{"there, only read", fill, HostFile{ReadOnly: true}, 4096, ""},
		{"made", nil, HostFile{Create: true, Capacity: 3<<20 + 5}, 3 << 20, ""},
		{"missing", nil, HostFile{}, 0, "host disk /data/disk.img: is not there; make it, or use type DiskOrCreate"},
		{"missing, only read", nil, HostFile{Create: true, ReadOnly: true, Capacity: 1 << 30}, 0, "host disk /data/disk.img: is not there, and a disk that is only read is not made"},
		{"missing, without capacity", nil, HostFile{Create: true}, 0, "host disk /data/disk.img: is not there, and cannot be made without a capacity of at least 1048576 bytes"},
		{"empty", func(t *testing.T, file string) { put(t, file, "") }, HostFile{Create: true, Capacity: 1 << 30}, 0, "host disk /data/disk.img: is an empty file; give it a size, or remove it and use type DiskOrCreate"},
		{"folder", func(t *testing.T, file string) {
			if err := os.Mkdir(file, 0o755); err != nil {
				t.Fatal(err)
			}
		}, HostFile{}, 0, "host disk /data/disk.img: is no regular file"},
		{"folder of another", func(t *testing.T, file string) {
			if err := os.RemoveAll(filepath.Dir(file)); err != nil {
				t.Fatal(err)
			}
		}, HostFile{Create: true, Capacity: 1 << 30}, 0, "host disk /data/disk.img: making it: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := tc.h
			h.File, h.Path = filepath.Join(t.TempDir(), "data", "disk.img"), "/data/disk.img"
			if err := os.Mkdir(filepath.Dir(h.File), 0o755); err != nil {
				t.Fatal(err)
			}
			if tc.prepare != nil {
				tc.prepare(t, h.File)
			}
			err := EnsureHostFile(h)
			if tc.want != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tc.want) || api.ReasonOf(err) != api.ReasonHostDiskUnavailable || status.Code(err) != codes.FailedPrecondition {
					t.Errorf("got %v (%s), want %s", err, api.ReasonOf(err), tc.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(h.File)
			if err != nil || info.Size() != tc.size {
				t.Fatalf("%v, %v", info, err)
			}
			if blocks := info.Sys().(*syscall.Stat_t).Blocks; tc.prepare == nil && blocks*512 > 1<<20 {
				t.Errorf("a new disk takes %d bytes", blocks*512)
			}
		})
	}
}

func fill(t *testing.T, file string) { t.Helper(); put(t, file, strings.Repeat("data", 1024)) }

func put(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestHostFileOfAnother is a file that the pod's user has no right to. Root has every right, so it asks as nobody does.
func TestHostFileOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("must run as root, as all tests of the node do")
	}
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(dir, "there"), "data")
	for _, tc := range []struct {
		file string
		h    HostFile
		want string
	}{
		{"there", HostFile{}, fmt.Sprintf("host disk /data/there: user %d may not read and write it: permission denied; on the node: chown 107:107 /data/there", 107)},
		{"there", HostFile{ReadOnly: true}, ""},
		{"new", HostFile{Create: true, Capacity: 1 << 30}, fmt.Sprintf("host disk /data/new: user %d may not make it: on the node: chown 107:107 /data", 107)},
	} {
		h := tc.h
		h.File, h.Path = filepath.Join(dir, tc.file), "/data/"+tc.file
		err := as(t, 107, func() error { return EnsureHostFile(h) })
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// as runs a function on a thread of its own, with the rights of a user.
func as(t *testing.T, user int, do func() error) error {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(user), ^uintptr(0)); errno != 0 {
			done <- errno
			return
		}
		done <- do()
	}()
	return <-done
}
