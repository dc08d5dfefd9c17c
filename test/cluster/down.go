package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/cluster/cgroup"
	"github.com/virtplane/virtplane/test/cluster/machine"
)

// downTimeout bounds the removal of a cluster.
const downTimeout = 90 * time.Second

// Down removes the cluster and everything it made, whatever state it is in.
func (c *Cluster) Down(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return c.Print.Step("cluster removed", func() (string, error) {
		removed, err := c.remove(ctx)
		if err == nil && !removed {
			return "there was none", nil
		}
		return "", err
	})
}

// remove tells whether there was anything to remove.
func (c *Cluster) remove(ctx context.Context) (bool, error) {
	_, err := os.Stat(string(c.Dir))
	existed := err == nil
	records, err := machine.Records(c.Dir.Run())
	if err != nil {
		// A record is written whole or not at all, so this is someone's edit; the control groups find the processes.
		c.Print.Line("• %v", err)
	}
	var failed error
	for _, r := range records {
		failed = errors.Join(failed, machine.Stop(ctx, r))
	}
	if failed != nil {
		return existed, failed
	}
	if err := cgroup.Remove(ctx, cgroup.Mounts, c.Dir.Cgroup()); err != nil {
		return existed, err
	}
	if err := c.releaseDisks(ctx); err != nil {
		return existed, err
	}
	if err := c.releaseHugePages(); err != nil {
		return existed, err
	}
	return existed, c.removeFiles()
}

// releaseDisks waits until the kernel has given the disks' loop devices back, which it does by itself once the
// machine's mounts are gone.
func (c *Cluster) releaseDisks(ctx context.Context) error {
	for {
		held, err := loopsBelow(string(c.Dir))
		if err != nil || len(held) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the loop devices %s to be released: %w", strings.Join(held, ", "), ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func loopsBelow(dir string) ([]string, error) {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	var held []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // released just now
		}
		if strings.HasPrefix(string(b), dir+string(filepath.Separator)) {
			held = append(held, "/dev/"+filepath.Base(filepath.Dir(filepath.Dir(f))))
		}
	}
	return held, nil
}

// removeFiles removes the cluster's folder. A mount inside would lead the removal into what is mounted there,
// so there must be none.
func (c *Cluster) removeFiles() error {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	mounts := mountsBelow(string(b), string(c.Dir))
	for i := len(mounts) - 1; i >= 0; i-- {
		if err := unix.Unmount(mounts[i], unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", mounts[i], err)
		}
	}
	if err := os.RemoveAll(string(c.Dir)); err != nil {
		return fmt.Errorf("removing the cluster's files: %w", err)
	}
	return nil
}

// mountsBelow finds the mount points below dir in the text of mountinfo, in the order of mounting.
func mountsBelow(mountinfo, dir string) []string {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []string
	for _, line := range strings.Split(mountinfo, "\n") {
		fields := strings.Fields(line)
		const mountPoint = 4
		if len(fields) <= mountPoint {
			continue
		}
		point := unescape.Replace(fields[mountPoint])
		if point == dir || strings.HasPrefix(point, dir+string(filepath.Separator)) {
			found = append(found, point)
		}
	}
	return found
}
