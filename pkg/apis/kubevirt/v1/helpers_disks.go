package v1

import (
	"cmp"
	"strings"
)

// DiskBus is the bus of a disk, or the one that it has by default.
func DiskBus(d *Disk) string {
	bus, usual := "", DefaultDiskBus
	switch {
	case d.Cdrom != nil:
		bus = d.Cdrom.Bus
	case d.Lun != nil:
		bus, usual = d.Lun.Bus, DefaultLUNBus
	case d.Disk != nil:
		bus = d.Disk.Bus
	}
	return cmp.Or(bus, usual)
}

// MaxSerial is how many characters of a serial number a guest can see of a disk on that bus.
func MaxSerial(bus string) int {
	if bus == "virtio" || bus == DefaultDiskBus {
		return 20
	}
	return 36
}

// IsQ35 says whether a machine is of that family, as one is that names no type.
func IsQ35(d *DomainSpec) bool {
	return d.Machine == nil || d.Machine.Type == "" || strings.Contains(d.Machine.Type, "q35")
}
