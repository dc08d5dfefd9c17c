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
		if !ok && d.Cdrom == nil { // a drive may be empty
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
		b.blockSize(&d, out, image, field)
		b.serial(out, field)
		if out.IO == "" && image.Block && out.Cache == qemu.CacheNone {
			// A device takes requests without a thread that waits for each; of files not all do.
			out.IO = "native"
		}
		if out.Bus == qemu.BusVirtio {
			out.IOThread = b.threads.of(&d)
			if isTrue(b.domain.Devices.BlockMultiQueue) {
				out.Queues = b.m.CPU.Count()
			}
		}
		b.add(out)
	}
}

// target is how the disk looks to the guest. SATA is the default as in the reference.
func target(d *virtv1.Disk) (qemu.DiskKind, qemu.Bus) {
	kind, bus, usual := qemu.KindDisk, "", qemu.BusSATA
	switch {
	case d.Cdrom != nil:
		kind, bus = qemu.KindCDROM, string(d.Cdrom.Bus)
		if bus == string(qemu.BusVirtio) {
			kind = qemu.KindDisk // there are no such drives: the guest sees a disk that it can only read
		}
	case d.Lun != nil:
		// No other bus takes SCSI commands.
		kind, bus, usual = qemu.KindLUN, string(d.Lun.Bus), qemu.BusSCSI
	case d.Disk != nil:
		bus = string(d.Disk.Bus)
	}
	if bus == "" {
		return kind, usual
	}
	return kind, qemu.Bus(bus)
}

func (b *builder) diskTarget(d *virtv1.Disk, out *qemu.Disk, field string) {
	out.Kind, out.Bus = target(d)
	switch {
	case d.Cdrom != nil && (d.Disk != nil || d.Lun != nil), d.Disk != nil && d.Lun != nil:
		b.invalid(field, "disk, cdrom and lun exclude one another")
	case d.Cdrom != nil:
		switch drive := out.Kind == qemu.KindCDROM; {
		case d.Cdrom.Tray == "" || d.Cdrom.Tray == "closed":
			if !drive && out.Image.Path == "" {
				b.invalid(field+".cdrom.bus", "%q is not possible for an empty drive, must be sata, scsi or usb", d.Cdrom.Bus)
			}
		case !drive:
			b.invalid(field+".cdrom.tray", "a disk on bus %s has none, must be sata, scsi or usb", out.Bus)
		case d.Cdrom.Tray == "open":
			b.result.OpenTrays = append(b.result.OpenTrays, out.ID())
		default:
			b.invalid(field+".cdrom.tray", "%q must be open or closed", d.Cdrom.Tray)
		}
		if !unlessFalse(d.Cdrom.Readonly) {
			b.warn("%s.cdrom.readonly: has no effect, a guest never writes to a CD-ROM", field)
		}
	case d.Disk != nil && d.Disk.PCIAddress != "":
		address, err := qemu.ParsePCIAddress(d.Disk.PCIAddress)
		if err != nil {
			b.invalid(field+".disk.pciAddress", "%v", err)
		}
		out.PCI = address
	}
}

// serial cuts a serial number to what the guest can see of it.
func (b *builder) serial(out *qemu.Disk, field string) {
	if most := out.MaxSerial(); len(out.Serial) > most {
		b.warn("%s.serial: the guest sees the first %d characters only, a disk on %s has no room for more", field, most, out.Bus)
		out.Serial = out.Serial[:most]
	}
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
	case isTrue(d.Shareable) && out.Cache != qemu.CacheNone:
		b.invalid(field+".cache", "must be none for a disk that several guests write to")
	case out.Kind == qemu.KindCDROM && out.Image.Path == "":
	case out.Cache == qemu.CacheNone && !direct:
		b.invalid(field+".cache", "none is not possible, the file system of the volume knows no direct input and output")
	}
}

func (b *builder) blockSize(d *virtv1.Disk, out *qemu.Disk, image Image, field string) {
	if d.BlockSize == nil {
		return
	}
	if out.Kind != qemu.KindDisk {
		b.invalid(field+".blockSize", "only a disk has one, not a CD-ROM or LUN")
		return
	}
	c := d.BlockSize.Custom
	switch match := feature(d.BlockSize.MatchVolume); {
	case match && c != nil:
		b.invalid(field+".blockSize", "custom and matchVolume exclude one another")
		return
	case match:
		out.LogicalBlock, out.PhysicalBlock = image.LogicalBlock, image.PhysicalBlock
		if out.Bus == qemu.BusSATA {
			// Such a disk has logical blocks of one size.
			out.LogicalBlock = 0
		}
		return
	case c == nil:
		return
	}
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
