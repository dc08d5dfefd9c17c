package convert

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Filesystem is a folder of the pod that the guest mounts by a name. A process beside QEMU serves it on Socket.
type Filesystem struct {
	Name, Dir, Socket string
	ReadOnly          bool
}

// shared tells whether a volume is a file system of the guest; it then needs no disk.
func shared(vmi *virtv1.VirtualMachineInstance, volume string) bool {
	for _, f := range vmi.Spec.Domain.Devices.Filesystems {
		if f.Name == volume {
			return true
		}
	}
	return false
}

// Filesystems plans the VMI's file systems in their order.
func Filesystems(vmi *virtv1.VirtualMachineInstance, paths Paths) ([]Filesystem, error) {
	var p problems
	out := planFilesystems(vmi, paths, &p)
	return out, p.err()
}

func planFilesystems(vmi *virtv1.VirtualMachineInstance, paths Paths, p *problems) []Filesystem {
	var out []Filesystem
	for i, f := range vmi.Spec.Domain.Devices.Filesystems {
		field := fmt.Sprintf("spec.domain.devices.filesystems[%d].name", i)
		at := slices.IndexFunc(vmi.Spec.Volumes, func(v virtv1.Volume) bool { return v.Name == f.Name })
		if at < 0 {
			p.invalid(field, "there is no volume %q", f.Name)
			continue
		}
		// The path of a unix socket is short: the number stands for the name.
		fs := Filesystem{Name: f.Name, Socket: filepath.Join(paths.Private, fmt.Sprintf("virtiofs-%d.sock", i))}
		switch v := &vmi.Spec.Volumes[at]; {
		case v.PersistentVolumeClaim != nil:
			fs.Dir, fs.ReadOnly = filepath.Join(paths.Claims, f.Name), isTrue(v.PersistentVolumeClaim.ReadOnly)
		case v.DataVolume != nil:
			fs.Dir = filepath.Join(paths.Claims, f.Name)
		case planConfig(v, "", paths) != nil:
			fs.Dir, fs.ReadOnly = filepath.Join(paths.Configs, f.Name), true
		default:
			p.unsupported(field, "volume %q is of a kind that cannot be a file system, must be persistentVolumeClaim, dataVolume, configMap, secret, serviceAccount, downwardAPI or sysprep", f.Name)
			continue
		}
		out = append(out, fs)
	}
	return out
}

func (b *builder) filesystems() {
	for _, f := range planFilesystems(b.VMI, b.Paths, &b.problems) {
		b.add(&qemu.Filesystem{Name: f.Name, Socket: f.Socket})
		b.m.SharedMemory = true
	}
}

// MetricsSocket is QEMU's end of the channel on which a guest asks for figures of its node.
const MetricsSocket = "downwardmetrics.sock"

func (b *builder) metricsChannel() {
	if b.domain.Devices.DownwardMetrics != nil {
		b.add(&qemu.MetricsChannel{Socket: filepath.Join(b.Paths.Private, MetricsSocket)})
	}
}
