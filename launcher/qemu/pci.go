package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

// PCIAddress is a place on the root bus. The zero value means: any free one.
type PCIAddress struct{ Slot, Function int }

// ParsePCIAddress reads the form of the API, "0000:00:0a.0". Only the root bus is known.
func ParsePCIAddress(s string) (PCIAddress, error) {
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == '.' })
	if len(parts) != 4 || strings.Count(s, ":") != 2 || strings.Count(s, ".") != 1 {
		return PCIAddress{}, fmt.Errorf("PCI address %q must have the form 0000:00:0a.0", s)
	}
	var n [4]uint64
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 16, 16)
		if err != nil {
			return PCIAddress{}, fmt.Errorf("PCI address %q must have the form 0000:00:0a.0", s)
		}
		n[i] = v
	}
	if n[0] != 0 || n[1] != 0 {
		return PCIAddress{}, fmt.Errorf("PCI address %q must be on bus 0000:00", s)
	}
	if n[2] < 1 || n[2] > 0x1f || n[3] > 7 {
		return PCIAddress{}, fmt.Errorf("PCI address %q must have a slot from 01 to 1f and a function from 0 to 7", s)
	}
	return PCIAddress{Slot: int(n[2]), Function: int(n[3])}, nil
}

func (a PCIAddress) isZero() bool { return a == PCIAddress{} }

// String is the value of a device's addr property.
func (a PCIAddress) String() string {
	if a.Function == 0 {
		return fmt.Sprintf("0x%x", a.Slot)
	}
	return fmt.Sprintf("0x%x.0x%x", a.Slot, a.Function)
}

// pciDevice is a device that may take a place on the root bus; without an address (nil) it hangs elsewhere.
type pciDevice interface {
	Device
	pciAddress() *PCIAddress
	pciName() string
}

// place gives each PCI device without an address the lowest free slot, in the order of the devices, so that the same
// machine gets the same addresses on each start. Guests name their interfaces by them.
func place(devices []Device, reserved map[int]string) error {
	taken := map[int]string{}
	for slot, by := range reserved {
		taken[slot] = by
	}
	full := map[PCIAddress]string{}
	for _, d := range devices {
		p := onPCI(d)
		if p == nil || p.pciAddress().isZero() {
			continue
		}
		a := *p.pciAddress()
		if by, ok := reserved[a.Slot]; ok {
			return fmt.Errorf("%s: PCI slot %s belongs to the machine's %s", p.pciName(), a, by)
		}
		if by, ok := full[a]; ok {
			return fmt.Errorf("%s: PCI address %s is taken by %s", p.pciName(), a, by)
		}
		full[a], taken[a.Slot] = p.pciName(), p.pciName()
	}
	next := 1
	for _, d := range devices {
		p := onPCI(d)
		if p == nil || !p.pciAddress().isZero() {
			continue
		}
		for taken[next] != "" {
			next++
		}
		if next > 0x1f {
			return fmt.Errorf("%s: no PCI slot is free, a machine has room for %d devices", p.pciName(), 0x20-len(reserved))
		}
		*p.pciAddress() = PCIAddress{Slot: next}
		taken[next] = p.pciName()
	}
	return nil
}

func onPCI(d Device) pciDevice {
	if p, ok := d.(pciDevice); ok && p.pciAddress() != nil {
		return p
	}
	return nil
}
