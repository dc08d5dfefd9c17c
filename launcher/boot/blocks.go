package boot

import (
	"fmt"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/convert"
)

// blocks adds the sizes of the storage's blocks to an image, if its disk is to have the same.
func (r *request) blocks(volume string, image convert.Image) (convert.Image, error) {
	for i := range r.vmi.Spec.Domain.Devices.Disks {
		d := &r.vmi.Spec.Domain.Devices.Disks[i]
		if d.Name != volume || d.BlockSize == nil || d.BlockSize.MatchVolume == nil {
			continue
		}
		logical, physical, err := blockSizes(image.Path, image.Block)
		if err != nil {
			return image, api.Wrap(fmt.Errorf("spec.domain.devices.disks[%d].blockSize.matchVolume: %w", i, err), codes.Unavailable, api.ReasonStartFailed)
		}
		image.LogicalBlock, image.PhysicalBlock = logical, physical
	}
	return image, nil
}

// blockSizes asks a device for its blocks, or a file system for those that it writes at once.
func blockSizes(path string, device bool) (logical, physical int, err error) {
	if !device {
		var s unix.Statfs_t
		if err := unix.Statfs(path, &s); err != nil {
			return 0, 0, fmt.Errorf("asking %s for its block size: %w", path, err)
		}
		return int(s.Bsize), int(s.Bsize), nil
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("opening %s: %w", path, err)
	}
	defer unix.Close(fd)
	if logical, err = unix.IoctlGetInt(fd, unix.BLKSSZGET); err != nil {
		return 0, 0, fmt.Errorf("asking %s for its logical block size: %w", path, err)
	}
	size, err := unix.IoctlGetUint32(fd, unix.BLKPBSZGET)
	if err != nil {
		return 0, 0, fmt.Errorf("asking %s for its physical block size: %w", path, err)
	}
	return logical, int(size), nil
}
