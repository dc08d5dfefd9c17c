package pool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// files are the operations on a pool's directory that change it or read from it. Each is durable when it returns. Tests put something between to crash at every one of them.
type files interface {
	// Write makes or replaces a file.
	Write(name string, data []byte) error
	// Rename moves a name, replacing a file.
	Rename(from, to string) error
	// Mkdir makes a directory with exactly that mode, whatever the umask.
	Mkdir(name string, mode fs.FileMode) error
	// RemoveAll removes a name and all below it; a missing one is no error.
	RemoveAll(name string) error
	// Exists says whether there is such a name.
	Exists(name string) (bool, error)
	// Read returns a file's content, at most limit bytes of it being allowed.
	Read(name string, limit int64) ([]byte, error)
	// List returns the names in a directory.
	List(dir string) ([]string, error)
}

// rooted does them below an os.Root, which no symbolic link leads out of.
type rooted struct{ root *os.Root }

func (r rooted) Write(name string, data []byte) (err error) {
	f, err := r.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func (r rooted) Rename(from, to string) error {
	if err := r.root.Rename(from, to); err != nil {
		return err
	}
	if err := r.sync(path.Dir(to)); err != nil || path.Dir(from) == path.Dir(to) {
		return err
	}
	return r.sync(path.Dir(from))
}

func (r rooted) Mkdir(name string, mode fs.FileMode) error {
	if err := r.root.Mkdir(name, mode.Perm()); err != nil {
		return err
	}
	if err := r.root.Chmod(name, mode); err != nil {
		return err
	}
	return r.sync(path.Dir(name))
}

func (r rooted) RemoveAll(name string) error {
	parent, err := r.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer func() { _ = parent.Close() }()
	if err := removeTree(int(parent.Fd()), path.Base(name)); err != nil {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return parent.Sync()
}

func (r rooted) Exists(name string) (bool, error) {
	_, err := r.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (r rooted) Read(name string, limit int64) ([]byte, error) {
	f, err := r.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return data, err
}

func (r rooted) List(dir string) ([]string, error) {
	f, err := r.root.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	return names, errors.Join(err, f.Close())
}

func (r rooted) sync(dir string) error {
	d, err := r.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
