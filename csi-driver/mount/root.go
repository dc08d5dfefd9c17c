package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// OnRoot says whether a directory lies on the node's root file system. It can tell from inside of a container too, which has another root, if the container sees the directory at the path that it has on the node.
func OnRoot(path string) (bool, error) {
	dir, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("looking for the file system: %w", err)
	}
	defer func() { _ = dir.Close() }()
	stat, err := statx(int(dir.Fd()), "")
	if err != nil {
		return false, fmt.Errorf("looking for the file system of %s: %w", path, err)
	}
	// Without the symbolic links that may have led here.
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	if err != nil {
		return false, fmt.Errorf("looking for the file system of %s: %w", path, err)
	}
	entries, err := mountTable()
	if err != nil {
		return false, err
	}
	return onRoot(entries, stat.Mnt_id, real), nil
}

// onRoot compares a directory's path inside of its file system with its path on the node. They are the same if the file system is mounted at "/" there.
func onRoot(entries []mountEntry, mount uint64, path string) bool {
	for _, e := range entries {
		if e.id != mount {
			continue
		}
		below, err := filepath.Rel(e.point, path)
		if err != nil || below == ".." || strings.HasPrefix(below, "../") {
			return false
		}
		return filepath.Join(e.root, below) == path
	}
	return false
}
