package convert

import (
	"fmt"
	"strings"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// States of an interface.
const (
	stateAbsent = "absent"
	stateDown   = "down"
)

func (b *builder) interfaces() {
	networks := map[string]bool{}
	for _, n := range b.spec.Networks {
		networks[n.Name] = true
	}
	for i := range b.domain.Devices.Interfaces {
		iface := &b.domain.Devices.Interfaces[i]
		field := fmt.Sprintf("spec.domain.devices.interfaces[%d]", i)
		if iface.State == stateAbsent {
			continue
		}
		if !networks[iface.Name] {
			b.invalid(field+".name", "there is no network %q", iface.Name)
			continue
		}
		plumbing, ok := b.Interfaces[iface.Name]
		if !ok {
			b.invalid(field, "the node has no tap device for interface %q", iface.Name)
			continue
		}
		b.add(b.nic(iface, plumbing, field))
	}
}

func (b *builder) nic(iface *virtv1.Interface, plumbing Interface, field string) *qemu.NIC {
	n := &qemu.NIC{
		Name: iface.Name, Model: "virtio", MAC: MACOf(b.VMI, iface, plumbing.MAC), Tap: plumbing.Tap, MTU: plumbing.MTU,
		Queues: plumbing.Queues, Vhost: plumbing.Vhost && !b.Emulation, Transitional: b.transitional(),
	}
	if iface.Model != "" {
		n.Model = iface.Model
	}
	if n.Model != "virtio" {
		n.Vhost, n.Queues = false, 0
	}
	if iface.BootOrder != nil {
		n.BootIndex = int(*iface.BootOrder)
	}
	if iface.ACPIIndex != nil {
		n.ACPIIndex = int(*iface.ACPIIndex)
	}
	if iface.PCIAddress != "" {
		address, err := qemu.ParsePCIAddress(iface.PCIAddress)
		if err != nil {
			b.invalid(field+".pciAddress", "%v", err)
		}
		n.PCI = address
	}
	switch iface.State {
	case "", "up":
	case stateDown:
		b.result.LinksDown = append(b.result.LinksDown, n.ID())
	default:
		b.unsupported(field+".state", "%q is not supported, must be up, down or absent", iface.State)
	}
	return n
}

// MACOf is the Ethernet address of an interface: as the VMI says, else as the node says, else the one of its name.
func MACOf(vmi *virtv1.VirtualMachineInstance, iface *virtv1.Interface, node string) string {
	for _, mac := range []string{iface.MACAddress, node} {
		if mac != "" {
			return strings.ReplaceAll(strings.ToLower(mac), "-", ":")
		}
	}
	return MAC(vmi, iface.Name)
}

// places gives the display, the agent's channel and the interfaces their PCI slots, the same whatever other devices
// there are: guests name their interfaces by them. What is left takes the slots behind.
func (b *builder) places() {
	taken := map[int]bool{}
	slots := map[string]*qemu.PCIAddress{}
	for _, d := range b.m.Devices {
		switch d := d.(type) {
		case *qemu.Graphics:
			slots["display"] = &d.PCI
		case *qemu.AgentChannel:
			slots["agent"] = &d.PCI
		case *qemu.NIC:
			slots["interface "+d.Name] = &d.PCI
			taken[d.PCI.Slot] = true
		case *qemu.Disk:
			taken[d.PCI.Slot] = true
		}
	}
	order := []string{"display", "agent"}
	for i := range b.domain.Devices.Interfaces {
		order = append(order, "interface "+b.domain.Devices.Interfaces[i].Name)
	}
	next := 1
	if !strings.Contains(b.m.Type, "q35") {
		next = 2 // the south bridge has slot 1
	}
	for _, name := range order {
		for taken[next] {
			next++
		}
		// A device that is not there keeps its place free.
		if p := slots[name]; p != nil && *p == (qemu.PCIAddress{}) {
			p.Slot = next
		}
		next++
	}
}

// bootOrder lets a machine for which nobody chose one try its disks as they stand in the spec.
func (b *builder) bootOrder() {
	next := 1
	var disks []*qemu.Disk
	for _, d := range b.m.Devices {
		switch d := d.(type) {
		case *qemu.Disk:
			if d.BootIndex > 0 {
				return
			}
			disks = append(disks, d)
		case *qemu.NIC:
			if d.BootIndex > 0 {
				return
			}
		}
	}
	for _, d := range disks {
		d.BootIndex = next
		next++
	}
}
