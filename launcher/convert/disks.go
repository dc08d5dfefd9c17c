package convert

import (
	"fmt"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func (b *builder) disks() {
	for i, d := range disksOf(b.VMI) {
		field := fmt.Sprintf("spec.domain.devices.disks[%d]", i)
		image, ok := b.Images[d.Name]
		if !ok {
			b.invalid(field+".name", "there is no volume %q", d.Name)
			continue
		}
		out := &qemu.Disk{
			Name: d.Name, Kind: qemu.KindDisk, Image: image.Image, ReadOnly: readOnly(&d) || image.ReadOnly, Serial: d.Serial,
			Shareable: isTrue(d.Shareable) || image.Shared, Transitional: b.transitional(), ErrorPolicy: "stop", IO: string(d.IO),
		}
		if d.BootOrder != nil {
			out.BootIndex = int(*d.BootOrder)
		}
		if d.ErrorPolicy != "" {
			out.ErrorPolicy = string(d.ErrorPolicy)
		}
		b.diskTarget(&d, out, field)
		b.diskCache(&d, out, image.Direct, field)
		b.blockSize(&d, out, field)
		if isTrue(b.domain.Devices.BlockMultiQueue) && out.Bus == qemu.BusVirtio {
			out.Queues = b.m.CPU.Count()
		}
		b.add(out)
	}
}

// diskTarget decides how the disk looks to the guest. SATA is the default as in the reference.
func (b *builder) diskTarget(d *virtv1.Disk, out *qemu.Disk, field string) {
	bus := ""
	switch {
	case d.Cdrom != nil && (d.Disk != nil || d.Lun != nil), d.Disk != nil && d.Lun != nil:
		b.invalid(field, "disk, cdrom and lun exclude one another")
	case d.Cdrom != nil:
		out.Kind, bus = qemu.KindCDROM, string(d.Cdrom.Bus)
		if d.Cdrom.Tray == "open" {
			b.unsupported(field+".cdrom.tray", "an open tray is not supported")
		}
		if !unlessFalse(d.Cdrom.Readonly) {
			b.unsupported(field+".cdrom.readonly", "a CD-ROM that can be written to is not supported")
		}
	case d.Lun != nil:
		out.Kind, bus = qemu.KindLUN, string(d.Lun.Bus)
		if bus == "" {
			bus = string(qemu.BusSCSI)
		}
	case d.Disk != nil:
		bus = string(d.Disk.Bus)
		if a := d.Disk.PCIAddress; a != "" {
			address, err := qemu.ParsePCIAddress(a)
			if err != nil {
				b.invalid(field+".disk.pciAddress", "%v", err)
			}
			out.PCI = address
		}
	}
	if bus == "" {
		bus = string(qemu.BusSATA)
	}
	out.Bus = qemu.Bus(bus)
}

// diskCache goes past the page cache where that is possible: the guest has one already, and what the host caches
// counts against the pod.
func (b *builder) diskCache(d *virtv1.Disk, out *qemu.Disk, direct bool, field string) {
	out.Cache = qemu.Cache(d.Cache)
	switch {
	case d.Cache == "" && direct:
		out.Cache = qemu.CacheNone
	case d.Cache == "":
		out.Cache = qemu.CacheWritethrough
	case out.Cache == qemu.CacheNone && !direct:
		b.invalid(field+".cache", "none is not possible, the file system of the volume knows no direct input and output")
	}
}

func (b *builder) blockSize(d *virtv1.Disk, out *qemu.Disk, field string) {
	if d.BlockSize == nil || d.BlockSize.Custom == nil {
		return
	}
	c := d.BlockSize.Custom
	for _, s := range []struct {
		name  string
		value *int32
		to    *int
	}{{"logical", c.Logical, &out.LogicalBlock}, {"physical", c.Physical, &out.PhysicalBlock}, {"discardGranularity", c.DiscardGranularity, &out.DiscardGranularity}} {
		if s.value == nil {
			continue
		}
		*s.to = int(*s.value)
		if v := *s.to; s.name != "discardGranularity" && (v < 512 || v > 2<<20 || v&(v-1) != 0) {
			b.invalid(field+".blockSize.custom."+s.name, "must be a power of two from 512 to 2097152")
		}
	}
	if out.LogicalBlock > out.PhysicalBlock {
		b.invalid(field+".blockSize.custom.logical", "must not be greater than physical")
	}
}
