// Package install copies the running program into a node's CNI directory, for a DaemonSet that brings the plugin to every node. It replaces atomically, because a container runtime may execute the
// old file at any moment; it must not write configuration, which belongs to whoever set up the cluster's network.
package install

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const mode = 0o755

// Self copies the running executable into dir under the given name and returns the path of the copy.
func Self(dir, name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the running program: %w", err)
	}
	return File(self, dir, name)
}

// File copies a program into dir under the given name.
func File(program, dir, name string) (path string, err error) {
	if name != filepath.Base(name) || name == "." || name == ".." {
		return "", fmt.Errorf("name %q: must be a file name without a directory", name)
	}
	from, err := os.Open(program)
	if err != nil {
		return "", fmt.Errorf("opening program: %w", err)
	}
	defer func() { _ = from.Close() }()
	// The temporary file stands in the same directory: a rename is atomic only within one file system. The leading dot keeps runtimes from taking it for a plugin.
	to, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return "", fmt.Errorf("making a temporary file in the CNI directory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(to.Name()))
		}
	}()
	_, copyErr := io.Copy(to, from)
	if err := errors.Join(copyErr, to.Chmod(mode), to.Sync(), to.Close()); err != nil {
		return "", fmt.Errorf("copying %s to %s: %w", program, dir, err)
	}
	path = filepath.Join(dir, name)
	if err := os.Rename(to.Name(), path); err != nil {
		return "", fmt.Errorf("replacing %s: %w", path, err)
	}
	return path, syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening %s to flush it: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("flushing %s: %w", dir, err)
	}
	return nil
}
