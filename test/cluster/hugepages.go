package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// hugePages of 2 MiB are what a guest of 128 MiB takes, and some more. The nodes share those of the host: each tells of all.
	hugePages     = 80
	hugePagesFile = "/proc/sys/vm/nr_hugepages"
	// hugePagesBefore keeps how many there were, in the folder of what runs.
	hugePagesBefore = "hugepages-before"
)

// reserveHugePages sets memory aside before the kubelets start, which look for it only then. A host whose memory is in too
// small pieces gives fewer: tests that need them say so.
func (c *Cluster) reserveHugePages(context.Context) (string, error) {
	before, err := readCount(hugePagesFile)
	if err != nil {
		return "the kernel has none", nil
	}
	if before >= hugePages {
		return fmt.Sprintf("%d are there", before), nil
	}
	if err := os.WriteFile(filepath.Join(c.Dir.Run(), hugePagesBefore), []byte(strconv.Itoa(before)), 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(hugePagesFile, []byte(strconv.Itoa(hugePages)), 0o644); err != nil {
		return "", fmt.Errorf("reserving huge pages: %w", err)
	}
	now, err := readCount(hugePagesFile)
	return fmt.Sprintf("%d of 2 MiB", now), err
}

// releaseHugePages gives back what reserveHugePages took. A note that is empty was not finished: nothing was taken yet.
func (c *Cluster) releaseHugePages() error {
	note := filepath.Join(c.Dir.Run(), hugePagesBefore)
	if info, err := os.Stat(note); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	before, err := readCount(note)
	if err == nil {
		err = os.WriteFile(hugePagesFile, []byte(strconv.Itoa(before)), 0o644)
	}
	if err != nil {
		return fmt.Errorf("giving huge pages back: %w", err)
	}
	return nil
}

func readCount(file string) (int, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}
