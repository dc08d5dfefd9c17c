package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Folder is where a member keeps everything.
type Folder string

// dataDir is what etcd writes.
func (f Folder) dataDir() string { return filepath.Join(string(f), "member-data") }

// restoredDir is a restored store that waits to be taken.
func (f Folder) restoredDir() string { return filepath.Join(string(f), "restored") }

func (f Folder) lockFile() string { return filepath.Join(string(f), "lock") }

// Used is true when a member has written here.
func (f Folder) Used() (bool, error) {
	_, err := os.Stat(filepath.Join(f.dataDir(), "member", "wal"))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// errLocked is returned while a member runs in the folder.
var errLocked = errors.New("a member of the store runs in this folder")

// lock keeps a second process out until the returned function is called, or this process ends.
func (f Folder) lock() (func(), error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, fmt.Errorf("making the store's folder: %w", err)
	}
	file, err := os.OpenFile(f.lockFile(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the store's folder: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("locking the store's folder: %w", err)
	}
	return func() { _ = file.Close() }, nil
}

// takeRestored puts a restored store in the place of what was there, which is kept. The lock must be held.
func (f Folder) takeRestored() (kept string, err error) {
	if _, err := os.Stat(f.restoredDir()); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "", nil
		}
		return "", err
	}
	if _, err := os.Stat(f.dataDir()); err == nil {
		if kept, err = f.aside(); err != nil {
			return "", err
		}
	}
	if err := os.Rename(f.restoredDir(), f.dataDir()); err != nil {
		return kept, fmt.Errorf("taking the restored store: %w", err)
	}
	return kept, f.sync()
}

// aside renames what is there.
func (f Folder) aside() (string, error) {
	for i := 1; ; i++ {
		kept := filepath.Join(string(f), fmt.Sprintf("replaced-%d", i))
		if _, err := os.Stat(kept); err == nil {
			continue
		}
		return kept, os.Rename(f.dataDir(), kept)
	}
}

func (f Folder) sync() error {
	dir, err := os.Open(string(f))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
