package qemu

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Bus is what a disk hangs on.
type Bus string

// Buses.
const (
	BusVirtio Bus = "virtio"
	BusSCSI   Bus = "scsi"
	BusSATA   Bus = "sata"
	BusUSB    Bus = "usb"
)

// DiskKind is what the guest takes a disk for.
type DiskKind string

// Kinds of disks.
const (
	KindDisk  DiskKind = "disk"
	KindCDROM DiskKind = "cdrom"
	// KindLUN passes the guest's SCSI commands to a host block device.
	KindLUN DiskKind = "lun"
)

// Cache is the mode of the host's page cache.
type Cache string

// Cache modes.
const (
	CacheNone         Cache = "none"
	CacheWriteback    Cache = "writeback"
	CacheWritethrough Cache = "writethrough"
)

// Format is that of an image file.
type Format string

// Image formats.
const (
	FormatRaw   Format = "raw"
	FormatQcow2 Format = "qcow2"
)

// Image is a file or block device that holds a disk. A CD-ROM drive without Path is empty.
type Image struct {
	Path   string
	Format Format
	// Block says that Path is a block device.
	Block bool
	// Backing is what an overlay lies over. It is opened read-only and through the host's page cache, because
	// several guests of one node share it. Naming it here keeps QEMU from believing the overlay's header.
	Backing *Image
}

// Disk is a disk of the guest.
type Disk struct {
	// Name is that of the volume.
	Name      string
	Bus       Bus
	Kind      DiskKind
	Image     Image
	ReadOnly  bool
	Shareable bool
	Serial    string
	// BootIndex is the place in the boot order, 0 for none.
	BootIndex int
	Cache     Cache
	// IO is "threads", "native" or "io_uring"; empty means threads.
	IO string
	// ErrorPolicy is "stop", "ignore", "report" or "enospace".
	ErrorPolicy string
	// LogicalBlock, PhysicalBlock and DiscardGranularity are in bytes, 0 for QEMU's own.
	LogicalBlock, PhysicalBlock, DiscardGranularity int
	// Queues is the number of virtio queues, 0 for QEMU's own.
	Queues int
	// IOThread is the thread that serves a disk on virtio, counted from 1, or 0 for QEMU's own.
	IOThread int
	// Transitional has a virtio disk speak the legacy protocol as well.
	Transitional bool
	PCI          PCIAddress

	// unit is the place on a SCSI, SATA or USB bus; bus is its name. The machine gives them out.
	bus  string
	unit int
}

// maxNodeName is the length of the name of a block node that QEMU takes, its final zero apart.
const maxNodeName = 31

// nodeName makes the name of a block node from that of a volume, which may be longer.
func nodeName(volume, suffix string) string {
	name := "disk-" + volume
	if len(name)+len(suffix) <= maxNodeName {
		return name + suffix
	}
	sum := sha256.Sum256([]byte(volume))
	return name[:maxNodeName-len(suffix)-9] + "-" + hex.EncodeToString(sum[:4]) + suffix
}

// maxID is the length of the name of a device that QEMU takes.
const maxID = 128

// ID is the name of the device.
func (d *Disk) ID() string { return deviceID("disk-", d.Name) }

// deviceID makes the name of a device from that of a volume, which may be longer.
func deviceID(prefix, volume string) string {
	id := prefix + volume
	if len(id) <= maxID {
		return id
	}
	sum := sha256.Sum256([]byte(volume))
	return id[:maxID-9] + "-" + hex.EncodeToString(sum[:4])
}

// NodeName is the name of the block node that the device reads and writes.
func (d *Disk) NodeName() string { return nodeName(d.Name, "") }

func (d *Disk) pciAddress() *PCIAddress {
	if d.Bus != BusVirtio {
		return nil // it hangs on a controller
	}
	return &d.PCI
}
func (d *Disk) pciName() string { return "disk " + d.Name }

// Validate tells what QEMU would not take.
func (d *Disk) Validate() error {
	what := "disk " + d.Name
	if err := checkID(what, d.ID()); err != nil {
		return err
	}
	switch d.Bus {
	case BusVirtio, BusSCSI, BusSATA, BusUSB:
	default:
		return fmt.Errorf("%s: bus %q must be virtio, scsi, sata or usb", what, d.Bus)
	}
	switch {
	case d.Kind == KindCDROM && d.Bus == BusVirtio:
		return fmt.Errorf("%s: a CD-ROM must be on bus sata, scsi or usb, not %s", what, d.Bus)
	case d.Kind == KindLUN && d.Bus != BusSCSI:
		return fmt.Errorf("%s: a LUN must be on bus scsi, not %s", what, d.Bus)
	case d.Kind == KindLUN && !d.Image.Block:
		return fmt.Errorf("%s: a LUN must be a block volume", what)
	case d.Kind != KindDisk && d.Kind != KindCDROM && d.Kind != KindLUN:
		return fmt.Errorf("%s: kind %q must be disk, cdrom or lun", what, d.Kind)
	case d.Bus != BusVirtio && !d.PCI.isZero():
		return fmt.Errorf("%s: only a disk on bus virtio has a PCI address", what)
	case d.ReadOnly && d.Kind == KindDisk && d.Bus == BusSATA:
		return fmt.Errorf("%s: a disk on bus sata cannot be read-only, a CD-ROM can", what)
	case d.Queues != 0 && d.Bus != BusVirtio:
		return fmt.Errorf("%s: only a disk on bus virtio has queues", what)
	case d.IOThread != 0 && d.Bus != BusVirtio:
		return fmt.Errorf("%s: only a disk on bus virtio has a thread of its own, not one on %s", what, d.Bus)
	case d.LogicalBlock > minBlock && d.Bus == BusSATA:
		return fmt.Errorf("%s: a disk on bus sata has logical blocks of %d bytes, not %d", what, minBlock, d.LogicalBlock)
	}
	switch d.Cache {
	case CacheNone, CacheWriteback, CacheWritethrough:
	default:
		return fmt.Errorf("%s: cache %q must be none, writeback or writethrough", what, d.Cache)
	}
	switch d.IO {
	case "", "threads", "io_uring":
	case "native":
		if d.Cache != CacheNone {
			return fmt.Errorf("%s: io native needs cache none", what)
		}
	default:
		return fmt.Errorf("%s: io %q must be native, threads or io_uring", what, d.IO)
	}
	switch d.ErrorPolicy {
	case "stop", "ignore", "report", "enospace":
	default:
		return fmt.Errorf("%s: error policy %q must be stop, ignore, report or enospace", what, d.ErrorPolicy)
	}
	if err := checkText(what+": serial", d.Serial, d.MaxSerial()); err != nil {
		return err
	}
	return d.checkImages()
}

// minBlock is the size of a block that each guest can use.
const minBlock = 512

// MaxSerial is how much of a serial the guest can see; QEMU cuts or refuses the rest.
func (d *Disk) MaxSerial() int {
	if d.Bus == BusVirtio || d.Bus == BusSATA {
		return 20
	}
	return 36
}

// empty tells whether the drive has no medium.
func (d *Disk) empty() bool { return d.Kind == KindCDROM && d.Image.Path == "" }

func (d *Disk) checkImages() error {
	if d.empty() {
		return nil
	}
	for image, depth := &d.Image, 0; image != nil; image, depth = image.Backing, depth+1 {
		what := fmt.Sprintf("disk %s: image", d.Name)
		if err := checkPath(what, image.Path); err != nil {
			return err
		}
		if image.Format != FormatRaw && image.Format != FormatQcow2 {
			return fmt.Errorf("%s %s: format %q must be raw or qcow2", what, image.Path, image.Format)
		}
		if image.Backing != nil && image.Format != FormatQcow2 {
			return fmt.Errorf("%s %s: only qcow2 has a backing image", what, image.Path)
		}
		if depth > 1 {
			return fmt.Errorf("%s: one backing image is the most", what)
		}
	}
	return nil
}

// Args gives the block node and the device in front of it.
func (d *Disk) Args() []string {
	device := []string{"-device", d.device().String()}
	if d.Bus == BusUSB && d.Kind == KindCDROM {
		// USB storage is a SCSI bus in a plug.
		device = append([]string{"-device", newProps("driver", "usb-bot").set("id", d.usbID()).set("bus", d.bus).String()}, device...)
	}
	if d.empty() {
		return device
	}
	return append([]string{"-blockdev", d.node(&d.Image, d.NodeName(), d.ReadOnly || d.Kind == KindCDROM, false).String()}, device...)
}

func (d *Disk) usbID() string { return deviceID("usb-", d.Name) }

// node describes an image and what it lies over.
func (d *Disk) node(image *Image, name string, readOnly, backing bool) *props {
	driver := "file"
	if image.Block {
		driver = "host_device"
	}
	io := d.IO
	if io == "" || backing {
		io = "threads"
	}
	direct := d.Cache == CacheNone && !backing
	file := newProps("driver", driver).set("filename", image.Path).set("aio", io).set("discard", "unmap").
		set("cache", (&props{}).set("direct", direct).set("no-flush", false)).set("read-only", readOnly)
	n := newProps("driver", string(image.Format)).set("node-name", name).set("read-only", readOnly)
	if !readOnly {
		n.set("discard", "unmap").set("detect-zeroes", "unmap")
	}
	n.set("cache", (&props{}).set("direct", direct).set("no-flush", false)).set("file", file)
	if image.Format != FormatQcow2 {
		return n
	}
	if image.Backing == nil {
		return n.set("backing", nil)
	}
	return n.set("backing", d.node(image.Backing, nodeName(d.Name, "-base"), true, true))
}

func (d *Disk) device() *props {
	var p *props
	switch d.Bus {
	case BusVirtio:
		p = newProps("driver", virtio("virtio-blk", d.Transitional)).set("id", d.ID()).set("addr", d.PCI.String())
		p.maybe("num-queues", d.Queues)
		if d.IOThread > 0 {
			p.set("iothread", ioThread(d.IOThread))
		}
	case BusSCSI:
		driver := map[DiskKind]string{KindDisk: "scsi-hd", KindCDROM: "scsi-cd", KindLUN: "scsi-block"}[d.Kind]
		p = newProps("driver", driver).set("id", d.ID()).set("bus", d.bus).set("channel", 0).set("scsi-id", 0).set("lun", d.unit)
	case BusSATA:
		driver := map[DiskKind]string{KindDisk: "ide-hd", KindCDROM: "ide-cd"}[d.Kind]
		p = newProps("driver", driver).set("id", d.ID()).set("bus", d.bus)
	case BusUSB:
		p = newProps("driver", "usb-storage").set("id", d.ID()).set("bus", d.bus)
		if d.Kind == KindCDROM {
			p = newProps("driver", "scsi-cd").set("id", d.ID()).set("bus", d.usbID()+".0")
		}
	}
	if !d.empty() {
		p.set("drive", d.NodeName())
	}
	p.maybe("serial", d.Serial).maybe("bootindex", d.BootIndex)
	if d.empty() {
		return p
	}
	if d.Kind == KindLUN {
		return p.maybe("share-rw", d.Shareable).set("rerror", d.onReadError()).set("werror", d.onWriteError())
	}
	if d.Kind == KindDisk {
		p.set("write-cache", onOff(d.Cache != CacheWritethrough)).maybe("share-rw", d.Shareable)
		p.maybe("logical_block_size", d.LogicalBlock).maybe("physical_block_size", d.PhysicalBlock)
		granularity := d.DiscardGranularity
		if granularity == 0 && d.LogicalBlock > minBlock {
			granularity = d.LogicalBlock // QEMU's own may be less than a block
		}
		p.maybe("discard_granularity", granularity)
	}
	return p.set("rerror", d.onReadError()).set("werror", d.onWriteError())
}

func (d *Disk) onReadError() string {
	if d.ErrorPolicy == "enospace" {
		return "report"
	}
	return d.ErrorPolicy
}

func (d *Disk) onWriteError() string {
	if d.ErrorPolicy == "enospace" {
		return "enospc"
	}
	return d.ErrorPolicy
}

// virtio is the name of a virtio device on PCI.
func virtio(name string, transitional bool) string {
	if transitional {
		return name + "-pci-transitional"
	}
	return name + "-pci-non-transitional"
}
