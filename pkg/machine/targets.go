package machine

import (
	"cmp"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// DiskTargets are the names of a machine's disks as the reference counts them, by volume: vda, vdb, … on virtio and sda, sdb, … on
// all other buses, in the order of the spec. A guest may count otherwise.
func DiskTargets(spec *virtv1.VirtualMachineInstanceSpec) map[string]string {
	out := map[string]string{}
	count := map[string]int{}
	for i := range spec.Domain.Devices.Disks {
		d := &spec.Domain.Devices.Disks[i]
		prefix := "sd"
		if DiskBus(d) == "virtio" {
			prefix = "vd"
		}
		out[d.Name] = prefix + letters(count[prefix])
		count[prefix]++
	}
	return out
}

// DiskBus is the bus of a disk, or the one that it has by default.
func DiskBus(d *virtv1.Disk) string {
	bus, usual := "", virtv1.DefaultDiskBus
	switch {
	case d.Cdrom != nil:
		bus = d.Cdrom.Bus
	case d.Lun != nil:
		bus, usual = d.Lun.Bus, virtv1.DefaultLUNBus
	case d.Disk != nil:
		bus = d.Disk.Bus
	}
	return cmp.Or(bus, usual)
}

// MaxSerial is how many characters of a serial number the guest can see of a disk on that bus.
func MaxSerial(bus string) int {
	if bus == "virtio" || bus == "sata" {
		return 20
	}
	return 36
}

// letters counts a, b, …, z, aa, ab, …
func letters(n int) string {
	out := ""
	for n++; n > 0; n = (n - 1) / 26 {
		out = string(rune('a'+(n-1)%26)) + out
	}
	return out
}
