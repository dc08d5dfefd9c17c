package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Pods reads the processor time of the pods whose groups stand below the group name, by UID. The kubelet's groups of pods are
// called podUID.
func Pods(mounts, name string) (map[string]time.Duration, error) {
	hierarchies, err := Hierarchies(mounts)
	if err != nil {
		return nil, err
	}
	used := map[string]time.Duration{}
	for _, h := range hierarchies {
		if _, ok := readUsage(h); !ok && !isV2(h) {
			continue // another controller's
		}
		err := filepath.WalkDir(filepath.Join(h, name), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone meanwhile, or in another hierarchy
			}
			if err != nil || !d.IsDir() {
				return err
			}
			uid, is := strings.CutPrefix(d.Name(), "pod")
			if !is {
				return nil
			}
			if spent, ok := readUsage(path); ok {
				used[uid] = max(used[uid], spent)
			}
			return fs.SkipDir
		})
		if err != nil {
			return nil, fmt.Errorf("reading processor time: %w", err)
		}
	}
	return used, nil
}

// readUsage reads the processor time of a group, if its hierarchy counts it.
func readUsage(dir string) (used time.Duration, ok bool) {
	if b, err := os.ReadFile(filepath.Join(dir, "cpuacct.usage")); err == nil {
		n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		return time.Duration(n), err == nil
	}
	b, err := os.ReadFile(filepath.Join(dir, "cpu.stat"))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "usage_usec" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return time.Duration(n) * time.Microsecond, err == nil
		}
	}
	return 0, false
}
