// Package cgroup makes, joins and removes the control groups of the local cluster's machines, on machines
// with version 1 controllers, with version 2, or with both mounted side by side.
//
// It must touch no group but those below the name it is given.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Mounts is where the host has its hierarchies.
const Mounts = "/sys/fs/cgroup"

// Hierarchies lists the mounted hierarchies below mounts; for a pure version 2 host that is mounts itself.
func Hierarchies(mounts string) ([]string, error) {
	if isV2(mounts) {
		return []string{mounts}, nil
	}
	entries, err := os.ReadDir(mounts)
	if err != nil {
		return nil, fmt.Errorf("reading control group hierarchies: %w", err)
	}
	var found []string
	for _, e := range entries {
		dir := filepath.Join(mounts, e.Name())
		// Links such as cpu,cpuacct name a hierarchy a second time.
		if !e.IsDir() {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
			found = append(found, dir)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no control group hierarchy is mounted", mounts)
	}
	return found, nil
}

func isV2(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "cgroup.controllers"))
	return err == nil
}

// Create makes the group name, such as /cluster/node-1/system, in every hierarchy.
func Create(mounts, name string) error {
	hierarchies, err := Hierarchies(mounts)
	if err != nil {
		return err
	}
	for _, h := range hierarchies {
		dir := h
		for _, part := range strings.Split(strings.Trim(name, "/"), "/") {
			if err := prepareParent(h, dir); err != nil {
				return err
			}
			parent := dir
			dir = filepath.Join(dir, part)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("making control group: %w", err)
			}
			if err := inheritCpuset(parent, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepareParent hands the controllers of a version 2 group down to its children.
func prepareParent(hierarchy, dir string) error {
	if !isV2(hierarchy) {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, c := range strings.Fields(string(b)) {
		// Some cannot be handed down (cpu while real-time processes run in the root); the kubelet says what it misses.
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0o644)
	}
	return nil
}

// inheritCpuset fills a new version 1 cpuset group, which has neither processors nor memory at first and
// takes no process in that state.
func inheritCpuset(parent, dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		want, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			continue // another controller, or version 2 where empty means the parent's
		}
		have, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || strings.TrimSpace(string(have)) != "" || strings.TrimSpace(string(want)) == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, file), want, 0o644); err != nil {
			return fmt.Errorf("filling control group: %w", err)
		}
	}
	return nil
}

// Join puts the calling process into the group name in every hierarchy.
func Join(mounts, name string) error {
	hierarchies, err := Hierarchies(mounts)
	if err != nil {
		return err
	}
	for _, h := range hierarchies {
		file := filepath.Join(h, name, "cgroup.procs")
		if err := os.WriteFile(file, []byte("0"), 0o644); err != nil {
			return fmt.Errorf("joining control group: %w", err)
		}
	}
	return nil
}

// Remove kills what still runs in the group name or below it, in any hierarchy, and removes the groups. It
// is no error that the group does not exist.
func Remove(ctx context.Context, mounts, name string) error {
	hierarchies, err := Hierarchies(mounts)
	if err != nil {
		return err
	}
	for {
		left := ""
		for _, h := range hierarchies {
			if err := removeTree(filepath.Join(h, name)); err != nil {
				left = err.Error()
			}
		}
		if left == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("removing control group %s: %w: %s", name, ctx.Err(), left)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func removeTree(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir():
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	sort.Sort(sort.Reverse(sort.StringSlice(dirs))) // children before parents
	var failed error
	for _, d := range dirs {
		thaw(d)
		kill(d)
		if err := os.Remove(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = err
		}
	}
	return failed
}

// thaw lets frozen processes run, for the kill would wait in them.
func thaw(dir string) {
	for file, value := range map[string]string{"freezer.state": "THAWED", "cgroup.freeze": "0"} {
		file = filepath.Join(dir, file)
		if _, err := os.Stat(file); err == nil {
			_ = os.WriteFile(file, []byte(value), 0o644)
		}
	}
}

func kill(dir string) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return
	}
	for _, f := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(f); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}
