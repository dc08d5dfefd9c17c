package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
)

// HostFile is a file of the node that is a disk.
type HostFile struct {
	// File is where the pod has it, Path the name that its user knows it by.
	File, Path string
	ReadOnly   bool
	// Create has it made, sparse, with Capacity bytes, where there is none.
	Create   bool
	Capacity int64
}

// EnsureHostFile sees that the file is there and may be opened. What is there is never touched, whatever its size. The rights
// are those of the pod's user: nothing is given away that the node's administrator has not given.
func EnsureHostFile(h HostFile) error {
	fail := func(format string, args ...any) error {
		return api.Errorf(codes.FailedPrecondition, api.ReasonHostDiskUnavailable, "host disk %s: %w", h.Path, fmt.Errorf(format, args...))
	}
	info, err := os.Stat(h.File)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return fail("is no regular file")
	case err == nil && info.Size() == 0:
		return fail("is an empty file; give it a size, or remove it and use type DiskOrCreate")
	case err == nil:
		access, what := uint32(unix.R_OK|unix.W_OK), "read and write"
		if h.ReadOnly {
			access, what = unix.R_OK, "read"
		}
		if err := unix.Faccessat(unix.AT_FDCWD, h.File, access, unix.AT_EACCESS); err != nil {
			return fail("user %d may not %s it: %w; on the node: chown 107:107 %s", os.Geteuid(), what, err, h.Path)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fail("%w", err)
	case !h.Create:
		return fail("is not there; make it, or use type DiskOrCreate")
	case h.ReadOnly:
		return fail("is not there, and a disk that is only read is not made")
	case h.Capacity < sizeStep:
		return fail("is not there, and cannot be made without a capacity of at least %d bytes", sizeStep)
	}
	folder := filepath.Dir(h.File)
	if err := makeSparse(folder, h.File, h.Capacity/sizeStep*sizeStep); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return fail("user %d may not make it: on the node: chown 107:107 %s", os.Geteuid(), filepath.Dir(h.Path))
		}
		return api.Wrap(fmt.Errorf("host disk %s: making it: %w", h.Path, err), codes.FailedPrecondition, api.ReasonHostDiskUnavailable)
	}
	return nil
}
