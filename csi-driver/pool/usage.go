package pool

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// Capacity is what a pool has and can promise, in bytes.
type Capacity struct {
	Total int64
	// Free is what the file system has left, promised or not.
	Free int64
	// Available is what new volumes can still be promised.
	Available int64
	// Promised is the sum of all volumes' sizes.
	Promised int64
	Volumes  int
	// Unmeasured is the number of volumes of which is not known what they hold, because the last measurement failed.
	Unmeasured int
}

// Capacity asks the file system of a pool.
func (p *Pools) Capacity(ctx context.Context, name string) (Capacity, error) {
	one, err := p.pool(ctx, name)
	if err != nil {
		return Capacity{}, err
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.capacityLocked(p.overcommitPercent)
}

// capacityLocked takes off what volumes were promised and do not fill yet. What they fill is known from their last measurement; an unmeasured one counts as empty, which is on the safe side. With overcommitment, promises
// weigh less than what they promise.
func (p *Pool) capacityLocked(overcommitPercent int64) (Capacity, error) {
	if p.root == nil {
		return Capacity{}, fmt.Errorf("%w: pool %q is closed", ErrUnusable, p.Name)
	}
	stat, err := p.statfs()
	if err != nil {
		return Capacity{}, err
	}
	capacity := Capacity{Total: int64(stat.Blocks) * stat.Bsize, Free: int64(stat.Bavail) * stat.Bsize, Volumes: len(p.volumes)}
	var unfilled float64
	for id, r := range p.volumes {
		capacity.Promised += r.Size
		filled := int64(0)
		if m := p.usage[id]; m != nil {
			filled = m.Bytes
			if m.err != nil {
				capacity.Unmeasured++
			}
		}
		unfilled += float64(max(0, r.Size-filled))
	}
	factor := float64(overcommitPercent) / 100
	capacity.Available = max(0, int64((float64(capacity.Free)-unfilled/factor)*factor))
	return capacity, nil
}

func (p *Pool) statfs() (unix.Statfs_t, error) {
	var stat unix.Statfs_t
	dir, err := p.root.Open(".")
	if err == nil {
		err = unix.Fstatfs(int(dir.Fd()), &stat)
		_ = dir.Close()
	}
	if err != nil {
		return stat, fmt.Errorf("%w: pool %q: asking its file system: %w", ErrUnusable, p.Name, err)
	}
	return stat, nil
}

// Inodes returns how many inodes a pool's file system has, and how many of them are free. File systems without a limit say 0.
func (p *Pools) Inodes(ctx context.Context, name string) (total, free int64, err error) {
	one, err := p.pool(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	stat, err := one.statfs()
	return int64(stat.Files), int64(stat.Ffree), err
}

// SharesFileSystem says whether a pool lies on the same file system as a path of the node.
func (p *Pools) SharesFileSystem(ctx context.Context, name, path string) (bool, error) {
	one, err := p.pool(ctx, name)
	if err != nil {
		return false, err
	}
	mine, err := fileSystemOf(one.Path)
	if err != nil {
		return false, fmt.Errorf("looking at pool %q: %w", one.Name, err)
	}
	other, err := fileSystemOf(path)
	if err != nil {
		return false, fmt.Errorf("looking at %s: %w", path, err)
	}
	return mine.same(other), nil
}

type fileSystem struct {
	device uint64
	kind   int64
	// id is the first half of what statfs calls the file system's id.
	id int32
}

func fileSystemOf(path string) (fileSystem, error) {
	var stat unix.Stat_t
	var fs unix.Statfs_t
	if err := again(func() error { return unix.Stat(path, &stat) }); err != nil {
		return fileSystem{}, err
	}
	if err := again(func() error { return unix.Statfs(path, &fs) }); err != nil {
		return fileSystem{}, err
	}
	return fileSystem{device: uint64(stat.Dev), kind: int64(fs.Type), id: fs.Fsid.Val[0]}, nil
}

// same compares devices. Each subvolume of btrfs has a device number of its own, and they share one space; the half of the id that is compared comes from the file system, the other one from the subvolume.
func (f fileSystem) same(other fileSystem) bool {
	return f.device == other.device || f.kind == unix.BTRFS_SUPER_MAGIC && other.kind == f.kind && f.id == other.id
}
