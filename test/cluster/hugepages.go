package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/cluster/plan"
)

// hugePages of 2 MiB are what a guest of 128 MiB takes, and some more. The nodes share those of the host: each tells of all.
const hugePages = 80

// hostPages are the huge pages of the host, which all clusters on it share: the first that comes takes them from the host, the
// last that goes gives them back.
type hostPages struct {
	// file is the kernel's count.
	file string
	// holders is a folder with a file for each cluster that needs them, which has that cluster's folder in it, and with the
	// count from before the first of them.
	holders string
}

var sharedPages = hostPages{file: "/proc/sys/vm/nr_hugepages", holders: "/run/virtplane-hugepages"}

const pagesBefore = "before"

// HoldsHugePages says whether a cluster has not given back the host's huge pages.
func HoldsHugePages(dir plan.Dir) bool {
	_, err := os.Stat(filepath.Join(sharedPages.holders, dir.ID()))
	return err == nil
}

// reserveHugePages sets memory aside before the kubelets start, which look for it only then. A host whose memory is in too
// small pieces gives fewer: tests that need them say so.
func (c *Cluster) reserveHugePages(context.Context) (string, error) {
	return sharedPages.reserve(c.Dir)
}

// releaseHugePages gives back what reserveHugePages took, if no other cluster needs it.
func (c *Cluster) releaseHugePages() error {
	if err := sharedPages.release(c.Dir); err != nil {
		return fmt.Errorf("giving huge pages back: %w", err)
	}
	return nil
}

func (p hostPages) reserve(dir plan.Dir) (string, error) {
	before, err := readCount(p.file)
	if err != nil {
		return "the kernel has none", nil
	}
	unlock, err := p.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	note := filepath.Join(p.holders, pagesBefore)
	if kept, err := readCount(note); err == nil {
		before = kept
	}
	if before >= hugePages {
		return fmt.Sprintf("%d are there", before), nil
	}
	// Whole or not at all: whoever is killed here must leave nothing that cannot be read.
	if err := errors.Join(os.WriteFile(note+".new", []byte(strconv.Itoa(before)), 0o644), os.Rename(note+".new", note)); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(p.holders, dir.ID()), []byte(dir), 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(p.file, []byte(strconv.Itoa(hugePages)), 0o644); err != nil {
		return "", fmt.Errorf("reserving huge pages: %w", err)
	}
	now, err := readCount(p.file)
	return fmt.Sprintf("%d of 2 MiB", now), err
}

func (p hostPages) release(dir plan.Dir) error {
	if _, err := os.Stat(p.holders); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := p.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(filepath.Join(p.holders, dir.ID())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all, err := os.ReadDir(p.holders)
	if err != nil {
		return err
	}
	note := filepath.Join(p.holders, pagesBefore)
	for _, holder := range all {
		if strings.HasPrefix(holder.Name(), pagesBefore) {
			continue
		}
		cluster, err := os.ReadFile(filepath.Join(p.holders, holder.Name()))
		if err != nil {
			return err
		}
		if _, err := os.Stat(string(cluster)); err == nil {
			return nil // it needs them still
		}
	}
	before, err := readCount(note)
	if err == nil {
		err = os.WriteFile(p.file, []byte(strconv.Itoa(before)), 0o644)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(p.holders)
}

// lock keeps other clusters out, until its result is called.
func (p hostPages) lock() (unlock func(), err error) {
	f, err := os.Open(p.file) // the folder goes with its last holder
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := os.MkdirAll(p.holders, 0o755); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func readCount(file string) (int, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}
