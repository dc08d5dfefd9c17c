package pool

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// backend makes what a volume consists of, and measures it. Ways to fill a new volume from an old one, by reflink or by copy, are other backends.
type backend interface {
	// Make makes an empty volume of that size at a name that is free. It may leave half of one behind when it fails.
	Make(files files, name string, size int64) error
	// Measure returns what the volume at that name takes from the pool.
	Measure(ctx context.Context, root *os.Root, name string) (Usage, error)
}

// Usage is what a volume takes from its pool.
type Usage struct {
	Bytes  int64
	Inodes int64
}

// blockSize is the unit in which stat counts, on every file system.
const blockSize = 512

// directories keeps a volume as a directory.
type directories struct{}

// volumeMode is the least with which the usual pods work. It belongs to root, so a container that runs as root uses it as it is. For any other the kubelet gives it to the pod's fsGroup and adds what the group
// needs (the CSIDriver object says fsGroupPolicy: File); a pod without root and without fsGroup gets nothing, as on a freshly made file system.
const volumeMode = 0o770

func (directories) Make(files files, name string, _ int64) error {
	return files.Mkdir(name, volumeMode)
}

func (directories) Measure(ctx context.Context, root *os.Root, name string) (Usage, error) {
	var usage Usage
	linked := map[uint64]bool{}
	err := fs.WalkDir(root.FS(), name, func(path string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// Pods make and remove files while we look: what has just gone is no error.
		if os.IsNotExist(err) && path != name {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("%s: the file system tells no blocks", path)
		}
		if !entry.IsDir() && stat.Nlink > 1 {
			if linked[stat.Ino] {
				return nil
			}
			linked[stat.Ino] = true
		}
		usage.Bytes += stat.Blocks * blockSize
		usage.Inodes++
		return nil
	})
	return usage, err
}
