package boot

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/convert"
	"github.com/virtplane/virtplane/launcher/disk"
	"github.com/virtplane/virtplane/launcher/media"
	"github.com/virtplane/virtplane/launcher/metrics"
	"github.com/virtplane/virtplane/launcher/qemu"
	"github.com/virtplane/virtplane/launcher/supervise"
	"github.com/virtplane/virtplane/pkg/machine"
)

// config writes a disk with files that the kubelet has mounted. It stays as it is while the guest runs.
func (r *request) config(c *convert.Config) (convert.Image, error) {
	files, err := media.Folder(c.Dir)
	if err != nil {
		return convert.Image{}, api.Wrap(fmt.Errorf("files of %s: %w", c.Of, err), codes.FailedPrecondition, api.ReasonVolumeUnavailable)
	}
	if c.Answers && !media.HasAnswers(files) {
		return convert.Image{}, api.Errorf(codes.FailedPrecondition, api.ReasonSysprepInvalid, "%s has no key autounattend.xml or unattend.xml", c.Of)
	}
	if err := makePlace(c.File); err != nil {
		return convert.Image{}, err
	}
	if err := media.WriteFiles(c.File, c.Label, files); err != nil {
		return convert.Image{}, api.Wrap(err, codes.Unavailable, api.ReasonStartFailed)
	}
	return qemuImage(c.File, qemu.FormatRaw), nil
}

func makePlace(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return api.Wrap(fmt.Errorf("making a place for media: %w", err), codes.Unavailable, api.ReasonStartFailed)
	}
	return nil
}

// overlay lays a writable layer over the disk of a claim, which is lost with the pod.
func (r *request) overlay(ctx context.Context, volume string, o *convert.Overlay) (convert.Image, error) {
	base, err := r.claim(ctx, volume, o.Claim)
	if err != nil || o.ReadOnly {
		return base, err
	}
	if err := r.tool.Overlay(ctx, o.File, disk.Info{Path: base.Path, Format: string(base.Format)}); err != nil {
		return convert.Image{}, err
	}
	image := qemuImage(o.File, qemu.FormatQcow2)
	image.Backing = &base.Image
	return image, nil
}

// hostDisk opens a file of the node. It is always taken as raw, like the disk of a claim.
func (r *request) hostDisk(h *convert.HostDisk) (convert.Image, error) {
	err := disk.EnsureHostFile(disk.HostFile{File: h.File, Path: h.Path, ReadOnly: h.ReadOnly, Create: h.Create, Capacity: h.Capacity})
	if err != nil {
		return convert.Image{}, err
	}
	image := qemuImage(h.File, qemu.FormatRaw)
	image.Shared = h.Shared
	return image, nil
}

// metricsDisk makes a disk without figures yet. It goes through the page cache, in which the figures are written.
func (r *request) metricsDisk(m *convert.Metrics) (convert.Image, error) {
	if err := makePlace(m.File); err != nil {
		return convert.Image{}, err
	}
	if err := metrics.CreateDisk(m.File); err != nil {
		return convert.Image{}, api.Wrap(err, codes.Unavailable, api.ReasonStartFailed)
	}
	return convert.Image{Image: qemu.Image{Path: m.File, Format: qemu.FormatRaw}, ReadOnly: true}, nil
}

// fileServerUser is what all users of a guest are to the pod's volumes: the pod has no other, and no right to become one. What
// it owns is root's in the guest.
const fileServerUser = machine.QEMUUser

// filesystems checks that what is to be shared is there, and gives the processes that share it.
func (r *request) filesystems() ([]supervise.Helper, error) {
	list, err := convert.Filesystems(r.vmi, r.Paths)
	if err != nil || len(list) == 0 {
		return nil, specError(err)
	}
	if _, err := os.Stat(r.FileServer); err != nil {
		return nil, api.Wrap(fmt.Errorf("this launcher cannot share file systems: %w", err), codes.FailedPrecondition, api.ReasonVolumeUnavailable)
	}
	var out []supervise.Helper
	for _, f := range list {
		if _, err := os.ReadDir(f.Dir); err != nil {
			return nil, api.Wrap(fmt.Errorf("volume %s: %w", f.Name, err), codes.FailedPrecondition, api.ReasonVolumeUnavailable)
		}
		args := []string{
			fmt.Sprintf("--fd=%d", supervise.HelperFD), "--shared-dir=" + f.Dir,
			// The pod is the sandbox; there are no rights to make another.
			"--sandbox=none", "--cache=auto", "--rlimit-nofile=0", "--log-level=warn",
		}
		for _, kind := range []string{"uid", "gid"} {
			args = append(args, fmt.Sprintf("--translate-%s=squash-guest:0:%d:%d", kind, fileServerUser, uint32(math.MaxUint32)),
				fmt.Sprintf("--translate-%s=host:%d:0:1", kind, fileServerUser))
		}
		if f.ReadOnly {
			args = append(args, "--readonly")
		}
		out = append(out, supervise.Helper{Name: "virtiofsd of volume " + f.Name, Path: r.FileServer, Args: args, Listen: f.Socket})
	}
	return out, nil
}

// metricsOf says what is told to a guest of its node, nil if it asks for nothing.
func (r *request) metricsOf(volumes []convert.Volume, m *qemu.Machine) *metrics.Guest {
	g := metrics.Guest{Node: r.vmi.Status.NodeName, VCPUs: m.CPU.Count(), MemoryKiB: m.MemoryMiB << 10}
	for _, v := range volumes {
		if v.Metrics != nil {
			g.Disk = v.Metrics.File
		}
	}
	for _, d := range m.Devices {
		if c, ok := d.(*qemu.MetricsChannel); ok {
			g.Socket = c.Socket
		}
	}
	if g.Disk == "" && g.Socket == "" {
		return nil
	}
	return &g
}
