package validation

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of how much a machine has room for.
var (
	RulePCIUnique    = rule("pci-address-unique", "no two devices have one PCI address, or a slot of it where one has function 0")
	RulePCIRoom      = rule("pci-room", "a machine has 30 PCI slots, for its devices and the controllers of those that need one")
	RuleSerialUnique = rule("disk-serial-unique", "serial numbers of disks differ in what a guest sees of them")
	RuleUSBRoom      = rule("usb-room", "a machine has 15 USB ports")
)

const (
	// pciSlots are those that a PC's own chips leave.
	pciSlots = 30
	usbPorts = 15
	// usbPlugs are for devices of clients.
	usbPlugs = 4
	// sataPorts is how many disks a SATA controller has; a q35 machine has one that takes no slot.
	sataPorts = 6
)

// room checks that the devices of a machine have their places.
func (r *report) room(spec *virtv1.VirtualMachineInstanceSpec, p *field.Path) {
	r.pciAddresses(spec, p)
	usb, fixed := 0, 0
	for _, i := range spec.Domain.Devices.Inputs {
		usb += count(i.Bus != "virtio")
		fixed += count(i.Bus == "virtio")
	}
	buses := map[string]int{}
	for _, d := range allDisks(spec) {
		buses[virtv1.DiskBus(&d)]++
	}
	usb += buses["usb"]
	if d := &spec.Domain.Devices; len(d.Inputs) == 0 && isTrue(d.AutoattachInputDevice) {
		usb++
	}
	if spec.Domain.Devices.ClientPassthrough != nil {
		usb += usbPlugs
	}
	if usb > usbPorts {
		r.forbidden(RuleUSBRoom, p, "has %d devices on USB, and a machine has %d ports: move disks to virtio or scsi", usb, usbPorts)
	}
	sata := (buses["sata"] + sataPorts - 1) / sataPorts
	if virtv1.IsQ35(&spec.Domain) {
		sata = max(sata-1, 0)
	}
	n := fixed + pciDevices(spec) + buses["virtio"] + sata + count(buses["scsi"] > 0, usb > 0)
	if n > pciSlots {
		r.forbidden(RulePCIRoom, p, "needs %d PCI slots, and a machine has %d: move disks to the bus scsi, which takes one slot for all of them", n, pciSlots)
	}
}

// pciDevices counts the devices on PCI that are neither disks nor inputs, the guest agent's channel among them.
func pciDevices(spec *virtv1.VirtualMachineInstanceSpec) int {
	d := &spec.Domain.Devices
	display := enabled(d.AutoattachGraphicsDevice) && (d.Video == nil || d.Video.Type != "ramfb")
	n := 1 + count(display, d.Rng != nil, enabled(d.AutoattachMemBalloon), d.Watchdog != nil, d.Sound != nil, isTrue(d.AutoattachVSOCK)) + len(d.Filesystems)
	for _, panics := range d.PanicDevices {
		n += count(panics.Model == "pvpanic")
	}
	for _, i := range d.Interfaces {
		n += count(i.State != "absent")
	}
	if len(d.Interfaces) == 0 && len(spec.Networks) == 0 {
		n += count(enabled(d.AutoattachPodInterface)) // the one that is added by default
	}
	return n
}

// allDisks are the disks of a machine, with those that volumes get which no disk names.
func allDisks(spec *virtv1.VirtualMachineInstanceSpec) []virtv1.Disk {
	used := map[string]bool{}
	var out []virtv1.Disk
	metrics := map[string]bool{}
	for _, v := range spec.Volumes {
		metrics[v.Name] = v.DownwardMetrics != nil
	}
	for _, d := range spec.Domain.Devices.Disks {
		used[d.Name] = true
		if metrics[d.Name] && (d.Disk == nil || d.Disk.Bus == "") {
			d.Disk = &virtv1.DiskTarget{Bus: virtv1.MetricsDiskBus}
		}
		out = append(out, d)
	}
	for _, f := range spec.Domain.Devices.Filesystems {
		used[f.Name] = true
	}
	for _, v := range spec.Volumes {
		if used[v.Name] || v.MemoryDump != nil {
			continue
		}
		d := virtv1.Disk{Name: v.Name, Disk: &virtv1.DiskTarget{}}
		if v.DownwardMetrics != nil {
			d.Disk.Bus = virtv1.MetricsDiskBus
		}
		out = append(out, d)
	}
	return out
}

// pciAddresses checks that the addresses that are given are different ones, and free.
func (r *report) pciAddresses(spec *virtv1.VirtualMachineInstanceSpec, p *field.Path) {
	type owner struct{ path, address string }
	slots := map[string][]owner{}
	take := func(address string, p *field.Path) {
		if !pciAddress.MatchString(address) {
			return // told already
		}
		address = strings.ToLower(address)
		slot, function, _ := strings.Cut(address, ".")
		if !virtv1.IsQ35(&spec.Domain) && slot == "0000:00:01" {
			r.invalid(RulePCIUnique, p, address, "is a place of the machine's own chips: take a slot from 02 to 1e")
		}
		for _, o := range slots[slot] {
			_, other, _ := strings.Cut(o.address, ".")
			if o.address == address || function == "0" || other == "0" {
				r.invalid(RulePCIUnique, p, address, "the slot is that of %s, which has the address %s: take another", o.path, o.address)
				return
			}
		}
		slots[slot] = append(slots[slot], owner{p.String(), address})
	}
	for i := range spec.Domain.Devices.Disks {
		if d := &spec.Domain.Devices.Disks[i]; d.Disk != nil && d.Disk.PCIAddress != "" && virtv1.DiskBus(d) == "virtio" {
			take(d.Disk.PCIAddress, p.Child("disks").Index(i).Child("disk", "pciAddress"))
		}
	}
	for i := range spec.Domain.Devices.Interfaces {
		if f := &spec.Domain.Devices.Interfaces[i]; f.PCIAddress != "" && f.State != "absent" {
			take(f.PCIAddress, p.Child("interfaces").Index(i).Child("pciAddress"))
		}
	}
}

// serials refuses serial numbers that a guest cannot tell apart because it sees only their beginning.
func (r *report) serials(disks []virtv1.Disk, p *field.Path) {
	type owner struct{ path, serial string }
	seen := map[string]owner{}
	for i := range disks {
		d, p := &disks[i], p.Index(i).Child("serial")
		if d.Serial == "" {
			continue
		}
		bus := virtv1.DiskBus(d)
		most := virtv1.MaxSerial(bus)
		key := fmt.Sprintf("%s/%.*s", bus, most, d.Serial)
		switch first, ok := seen[key]; {
		case !ok:
			seen[key] = owner{p.String(), d.Serial}
		case first.serial == d.Serial:
			r.warn(p, "%q is that of %s too: the guest cannot tell the disks apart by it", d.Serial, first.path)
		default:
			r.invalid(RuleSerialUnique, p, d.Serial, "differs from that of %s only after %d characters, which is all that a guest sees of it on %s: take shorter ones", first.path, most, bus)
		}
	}
}
