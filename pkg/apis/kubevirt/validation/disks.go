package validation

import (
	"regexp"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of disks.
var (
	RuleDiskName        = rule("disk-name", "disks and volumes are named by lower-case letters, digits, hyphens and periods, at most 253 (row P1-VMCREATE-11)")
	RuleDiskDuplicate   = rule("disk-duplicate", "each disk has a name of its own")
	RuleDiskVolume      = rule("disk-volume", "each disk has a volume of its name, but for an empty CD-ROM drive")
	RuleDiskTarget      = rule("disk-target", "a disk is a disk, a LUN or a CD-ROM")
	RuleDiskBus         = rule("disk-bus", "the bus is one that such a disk can sit on: a LUN on SCSI, an empty CD-ROM drive on another than virtio")
	RuleDiskReadonly    = rule("disk-readonly", "hard disks on SATA cannot be read-only")
	RuleDiskLUN         = rule("disk-lun", "a LUN is backed by a claim or a data volume")
	RuleDiskMetrics     = rule("disk-downward-metrics", "downward metrics are a disk on virtio")
	RuleDiskPCIAddress  = rule("disk-pci-address", "PCI addresses are on the root bus and only for virtio")
	RuleDiskSerial      = rule("disk-serial", "serial numbers of disks are at most 256 plain characters")
	RuleDiskCache       = rule("disk-cache", "cache is none, writethrough or writeback")
	RuleDiskShared      = rule("disk-shared", "a disk that several guests write to is not cached")
	RuleDiskIO          = rule("disk-io", "io is native or threads, and native without a cache")
	RuleDiskErrorPolicy = rule("disk-error-policy", "errorPolicy is stop, ignore, report or enospace")
	RuleDiskIOThread    = rule("disk-io-thread", "a dedicated I/O thread needs virtio")
	RuleDiskTray        = rule("disk-tray", "the tray of a CD-ROM is open or closed, and there is none on virtio")
	RuleDiskBlockSize   = rule("disk-block-size", "disks alone have block sizes, powers of two from 512 to 2097152, logical not above physical, and 512 on SATA")
	RuleBootOrder       = rule("boot-order", "boot orders are 1 or more")
	RuleBootOrderUnique = rule("boot-order-unique", "no two disks or interfaces have the same boot order")

	// pciAddress is a place on the root bus but for the slots of the host bridge (00) and the south bridge (1f).
	pciAddress = regexp.MustCompile(`^0000:00:(0[1-9a-fA-F]|1[0-9a-eA-E])\.[0-7]$`)
)

const (
	minBlockSize = 512
	maxBlockSize = 2 << 20
)

func (r *report) disks(spec *virtv1.VirtualMachineInstanceSpec, p *field.Path) {
	volumes := map[string]*virtv1.Volume{}
	for i := range spec.Volumes {
		volumes[spec.Volumes[i].Name] = &spec.Volumes[i]
	}
	seen := map[string]bool{}
	for i := range spec.Domain.Devices.Disks {
		d, p := &spec.Domain.Devices.Disks[i], p.Index(i)
		r.diskName(d.Name, p.Child("name"))
		if seen[d.Name] {
			r.duplicate(RuleDiskDuplicate, p.Child("name"), d.Name)
		}
		seen[d.Name] = true
		volume := volumes[d.Name]
		switch {
		case volume == nil && d.Cdrom == nil:
			r.incomplete(RuleDiskVolume, p.Child("name"), "%q must be the name of a volume in `volumes`: add the volume or remove the disk", d.Name)
		case volume == nil && d.Cdrom.Bus == "virtio":
			r.forbidden(RuleDiskBus, p.Child("cdrom", "bus"), "virtio has no drives that can be empty: set the bus to sata, scsi or usb, or add the volume %q", d.Name)
		}
		if volume != nil && d.Lun != nil && volume.PersistentVolumeClaim == nil && volume.DataVolume == nil {
			r.forbidden(RuleDiskLUN, p.Child("lun"), "can only be mapped to a DataVolume or PersistentVolumeClaim volume")
		}
		if volume != nil && volume.DownwardMetrics != nil {
			switch {
			case d.Disk == nil && (d.Lun != nil || d.Cdrom != nil):
				r.required(RuleDiskMetrics, p.Child("disk"), "DownwardMetrics volume must be mapped to a disk: set `disk` in place of `lun` or `cdrom`")
			case d.Disk != nil && d.Disk.Bus != "" && d.Disk.Bus != "virtio":
				r.invalid(RuleDiskMetrics, p.Child("disk", "bus"), d.Disk.Bus, "DownwardMetrics volume must be mapped to virtio bus: set the bus to virtio or leave it out")
			}
		}
		r.disk(d, p)
	}
	r.serials(spec.Domain.Devices.Disks, p)
}

func (r *report) diskName(name string, p *field.Path) {
	if name == "" {
		r.required(RuleDiskName, p, "must be set")
		return
	}
	for _, msg := range utilvalidation.IsDNS1123Subdomain(name) {
		r.invalid(RuleDiskName, p, name, "%s", msg)
	}
}

func (r *report) disk(d *virtv1.Disk, p *field.Path) {
	if count(d.Disk != nil, d.Lun != nil, d.Cdrom != nil) > 1 {
		r.forbidden(RuleDiskTarget, p, "can only have a single target type defined: `disk`, `lun` or `cdrom`")
	}
	bus, busPath, buses := "", p.Child("disk", "bus"), []string{"virtio", "sata", "scsi", "usb"}
	switch {
	case d.Disk != nil:
		bus = d.Disk.Bus
	case d.Lun != nil:
		// No other bus takes commands of SCSI.
		bus, busPath, buses = d.Lun.Bus, p.Child("lun", "bus"), []string{"scsi"}
	case d.Cdrom != nil:
		bus, busPath = d.Cdrom.Bus, p.Child("cdrom", "bus")
	}
	oneOf(r, RuleDiskBus, busPath, bus, buses...)
	bus = virtv1.DiskBus(d)
	if d.Disk != nil && isTrue(d.Disk.Readonly) && bus == "sata" {
		r.forbidden(RuleDiskReadonly, p.Child("disk", "readonly"), "sata hard-disks do not support read-only: set the bus to virtio, scsi or usb, or make it a `cdrom`")
	}
	if isTrue(d.DedicatedIOThread) && bus != "virtio" {
		r.forbidden(RuleDiskIOThread, p.Child("dedicatedIOThread"), "IOThreads are not supported for disks on a %s bus: set the bus to virtio", bus)
	}
	if d.Disk != nil && d.Disk.PCIAddress != "" {
		if bus != "virtio" {
			r.forbidden(RuleDiskPCIAddress, p.Child("disk", "pciAddress"), "setting a PCI address is only possible with bus type virtio")
		}
		r.pciAddress(RuleDiskPCIAddress, d.Disk.PCIAddress, p.Child("disk", "pciAddress"))
	}
	if d.Lun != nil && isTrue(d.Lun.Reservation) {
		r.gate("PersistentReservation", p.Child("lun", "reservation"), "reserving LUNs for one machine")
	}
	if d.Cdrom != nil {
		oneOf(r, RuleDiskTray, p.Child("cdrom", "tray"), d.Cdrom.Tray, "open", "closed")
		if d.Cdrom.Bus == "virtio" && d.Cdrom.Tray == "open" {
			r.forbidden(RuleDiskTray, p.Child("cdrom", "tray"), "virtio has no trays to open: set the bus to sata, scsi or usb")
		}
	}
	if d.Serial != "" && (len(d.Serial) > maxText || !serialText.MatchString(d.Serial)) {
		r.invalid(RuleDiskSerial, p.Child("serial"), d.Serial, "must be at most %d of the characters [A-Za-z0-9_.+-]", maxText)
	}
	oneOf(r, RuleDiskCache, p.Child("cache"), d.Cache, "none", "writethrough", "writeback")
	if isTrue(d.Shareable) && d.Cache != "" && d.Cache != "none" {
		r.invalid(RuleDiskShared, p.Child("cache"), d.Cache, "must be none for a disk with `shareable`, that several guests write to: they would not see what one another has written")
	}
	oneOf(r, RuleDiskIO, p.Child("io"), d.IO, "native", "threads")
	if d.IO == "native" && d.Cache != "" && d.Cache != "none" {
		r.invalid(RuleDiskIO, p.Child("io"), d.IO, "native needs `cache: none`: set it, or take threads")
	}
	oneOf(r, RuleDiskErrorPolicy, p.Child("errorPolicy"), d.ErrorPolicy, "stop", "ignore", "report", "enospace")
	if d.BlockSize != nil {
		r.blockSize(d, bus, p.Child("blockSize"))
	}
}

func (r *report) pciAddress(rule *Rule, address string, p *field.Path) {
	if !pciAddress.MatchString(address) {
		r.invalid(rule, p, address, "must be a PCI address on bus 0000:00, with a slot from 01 to 1e, such as 0000:00:0a.0")
	}
}

func (r *report) blockSize(d *virtv1.Disk, bus string, p *field.Path) {
	// A CD-ROM on virtio is a disk that the guest can only read.
	if d.Lun != nil || d.Cdrom != nil && bus != "virtio" {
		r.forbidden(RuleDiskBlockSize, p, "only a disk has one, not a CD-ROM or LUN: remove it")
		return
	}
	b := d.BlockSize
	if b.Custom == nil {
		return
	}
	if b.MatchVolume != nil && enabled(b.MatchVolume.Enabled) {
		r.forbidden(RuleDiskBlockSize, p.Child("matchVolume"), "Block size matching can't be enabled together with a custom value")
	}
	p = p.Child("custom")
	logical, physical := ptr.Deref(b.Custom.Logical, 0), ptr.Deref(b.Custom.Physical, 0)
	whole := true
	for _, n := range []named[int32]{{"logical", logical}, {"physical", physical}} {
		if n.value < minBlockSize || n.value > maxBlockSize || n.value&(n.value-1) != 0 {
			r.invalid(RuleDiskBlockSize, p.Child(n.name), n.value, "must be a power of 2 from %d to %d", minBlockSize, maxBlockSize)
			whole = false
		}
	}
	if !whole {
		return
	}
	if logical > physical {
		r.invalid(RuleDiskBlockSize, p.Child("logical"), logical, "must be the same or less than the physical size of %d", physical)
	}
	if bus == "sata" && logical > minBlockSize {
		r.invalid(RuleDiskBlockSize, p.Child("logical"), logical, "must be %d on the bus sata: take virtio or scsi for larger blocks", minBlockSize)
	}
	if g := ptr.Deref(b.Custom.DiscardGranularity, 0); g < 0 || g%logical != 0 {
		r.invalid(RuleDiskBlockSize, p.Child("discardGranularity"), g, "must be a multiple of the logical size of %d", logical)
	}
}

// bootOrder checks the order of boot devices, which disks and interfaces share. Devices without one come last.
func (r *report) bootOrder(spec *virtv1.VirtualMachineInstanceSpec, p *field.Path) {
	seen := map[int32]string{}
	check := func(order *int32, p *field.Path) {
		if order == nil {
			return
		}
		switch {
		case *order < 1:
			r.invalid(RuleBootOrder, p.Child("bootOrder"), *order, "must have a boot order > 0, if supplied")
		case seen[*order] != "":
			r.invalid(RuleBootOrderUnique, p.Child("bootOrder"), *order, "Boot order already set for a different device: %s has it too", seen[*order])
		default:
			seen[*order] = p.String()
		}
	}
	for i := range spec.Domain.Devices.Disks {
		check(spec.Domain.Devices.Disks[i].BootOrder, p.Child("disks").Index(i))
	}
	for i := range spec.Domain.Devices.Interfaces {
		check(spec.Domain.Devices.Interfaces[i].BootOrder, p.Child("interfaces").Index(i))
	}
}
