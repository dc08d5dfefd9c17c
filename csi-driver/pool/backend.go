package pool

import (
	"context"
	"os"
)

// backend makes what a volume consists of, and measures it. Ways to fill a new volume from an old one, by reflink or by copy, are other backends.
type backend interface {
	// Make makes an empty volume of that size at a name that is free. It may leave half of one behind when it fails.
	Make(files files, name string, size int64) error
	// Measure returns what the volume at that name takes from the pool. It ends when ctx does.
	Measure(ctx context.Context, root *os.Root, name string) (Usage, error)
}

// Usage is what a volume takes from its pool.
type Usage struct {
	Bytes  int64
	Inodes int64
}

// directories keeps a volume as a directory.
type directories struct{}

// volumeMode is the least with which the usual pods work. It belongs to root, so a container that runs as root uses it as it is. For any other the kubelet gives it to the pod's fsGroup and adds what the group
// needs (the CSIDriver object says fsGroupPolicy: File); a pod without root and without fsGroup gets nothing, as on a freshly made file system.
const volumeMode = 0o770

func (directories) Make(files files, name string, _ int64) error {
	return files.Mkdir(name, volumeMode)
}
