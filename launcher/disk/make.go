package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
)

// Overlay makes a writable layer at path over an accepted image, in place of what may be there.
func (t Tool) Overlay(ctx context.Context, path string, base Info) error {
	return t.create(ctx, path, "-b", base.Path, "-F", base.Format, path)
}

// Empty makes an empty image of a size at path, in place of what may be there.
func (t Tool) Empty(ctx context.Context, path string, size int64) error {
	if size <= 0 {
		return api.Errorf(codes.InvalidArgument, api.ReasonInvalidSpec, "empty disk %s: size must be positive, not %d", path, size)
	}
	return t.create(ctx, path, path, strconv.FormatInt(size, 10))
}

func (t Tool) create(ctx context.Context, path string, args ...string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return api.Wrap(fmt.Errorf("making a place for %s: %w", path, err), codes.Unavailable, api.ReasonStartFailed)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return api.Wrap(fmt.Errorf("removing old %s: %w", path, err), codes.Unavailable, api.ReasonStartFailed)
	}
	if _, err := t.run(ctx, append([]string{"create", "-q", "-f", "qcow2"}, args...)...); err != nil {
		return api.Wrap(fmt.Errorf("making %s: %w", path, errors.Join(err, ignoreMissing(os.Remove(path)))), codes.FailedPrecondition, api.ReasonStartFailed)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// claimFile is the image in a claim with a file system.
const claimFile = "disk.img"

// sizeStep is what the size of a new disk.img is a multiple of.
const sizeStep = 1 << 20

// Claim is a claim with a file system.
type Claim struct {
	// Dir is where it is mounted.
	Dir string
	// Capacity is its size, 0 if unknown; Overhead the part of it, from 0 to 1, that is left to the file system.
	Capacity int64
	Overhead float64
	ReadOnly bool
}

// EnsureClaim gives the path of the claim's image. Only where there is none yet it makes one, sparse; what is there
// belongs to the user and is never touched, whatever it holds.
func EnsureClaim(c Claim) (string, error) {
	path := filepath.Join(c.Dir, claimFile)
	fail := func(err error) (string, error) {
		return "", api.Wrap(fmt.Errorf("claim at %s: %w", c.Dir, err), codes.FailedPrecondition, api.ReasonClaimUnavailable)
	}
	info, err := os.Lstat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return fail(fmt.Errorf("%s is no regular file", claimFile))
	case err == nil && info.Size() == 0:
		return fail(fmt.Errorf("%s is an empty file; remove it, and it is made anew", claimFile))
	case err == nil:
		access := uint32(unix.R_OK | unix.W_OK)
		if c.ReadOnly {
			access = unix.R_OK
		}
		if err := unix.Faccessat(unix.AT_FDCWD, path, access, unix.AT_EACCESS); err != nil {
			return fail(fmt.Errorf("user %d may not open %s: %w", os.Getuid(), claimFile, err))
		}
		return path, nil
	case !errors.Is(err, fs.ErrNotExist):
		return fail(err)
	case c.ReadOnly:
		return fail(fmt.Errorf("has no %s and is read-only", claimFile))
	case c.Capacity <= 0:
		return fail(fmt.Errorf("has no %s, and one cannot be made while the claim's capacity is unknown", claimFile))
	case c.Overhead < 0 || c.Overhead >= 1:
		return fail(fmt.Errorf("file system overhead %v must be at least 0 and below 1", c.Overhead))
	}
	size := int64(float64(c.Capacity)*(1-c.Overhead)) / sizeStep * sizeStep
	if size < sizeStep {
		return fail(fmt.Errorf("capacity of %d bytes is too small for a disk", c.Capacity))
	}
	if err := makeSparse(c.Dir, path, size); err != nil {
		return fail(err)
	}
	return path, nil
}

// makeSparse makes a file of holes. It appears under its name only when it is whole, and never in the place of
// another that came meanwhile.
func makeSparse(dir, path string, size int64) (err error) {
	f, err := os.CreateTemp(dir, "."+claimFile+"-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreMissing(os.Remove(f.Name()))) }()
	defer f.Close()
	if err := f.Chmod(0o660); err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// CheckBlock tells why the device of a block claim cannot be a disk.
func CheckBlock(path string, readOnly bool) error {
	flags := os.O_RDWR
	if readOnly {
		flags = os.O_RDONLY
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return api.Wrap(fmt.Errorf("block claim: %w", err), codes.FailedPrecondition, api.ReasonClaimUnavailable)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return api.Wrap(fmt.Errorf("block claim: %w", err), codes.FailedPrecondition, api.ReasonClaimUnavailable)
	}
	if info.Mode()&(fs.ModeDevice|fs.ModeCharDevice) != fs.ModeDevice {
		return api.Errorf(codes.FailedPrecondition, api.ReasonClaimUnavailable, "block claim: %s is no block device", path)
	}
	return nil
}

// SupportsDirect tells whether a file can be opened past the page cache, which memory file systems may refuse.
func SupportsDirect(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// CheckFile tells why a file cannot be read.
func CheckFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// Copy makes a copy of a small file that only its user may read, whole or not at all.
func Copy(to, from string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	temp := to + ".new"
	if err := writeSynced(temp, raw); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temp)))
	}
	return os.Rename(temp, to)
}

// writeSynced writes a file that is whole on the disk before it gets its name.
func writeSynced(path string, raw []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
