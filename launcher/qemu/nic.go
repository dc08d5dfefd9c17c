package qemu

import (
	"fmt"
	"net"
	"regexp"
)

// NIC is a network card on a tap device that exists already.
type NIC struct {
	// Name is that of the interface in the API.
	Name string
	// Model is "virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci" or "pcnet".
	Model string
	MAC   string
	// Tap is the name of the tap device in QEMU's network namespace.
	Tap string
	// MTU is told to a virtio guest, 0 for QEMU's own.
	MTU int
	// Queues is the number of queue pairs, 0 or 1 for one.
	Queues int
	Vhost  bool
	// BootIndex is the place in the boot order, 0 for none: then the card has no boot ROM, which spares the
	// firmware its time.
	BootIndex    int
	ACPIIndex    int
	Transitional bool
	PCI          PCIAddress
}

var (
	nicDrivers = map[string]string{"e1000": "e1000", "e1000e": "e1000e", "rtl8139": "rtl8139", "ne2k_pci": "ne2k_pci", "pcnet": "pcnet"}
	ifname     = regexp.MustCompile(`^[a-zA-Z0-9._@-]{1,15}$`)
)

// ID is the name of the device.
func (n *NIC) ID() string { return "net-" + n.Name }

// NetdevID is the name of what stands behind the device.
func (n *NIC) NetdevID() string { return "host-" + n.ID() }

func (n *NIC) pciAddress() *PCIAddress { return &n.PCI }
func (n *NIC) pciName() string         { return "interface " + n.Name }

// Validate tells what QEMU would not take.
func (n *NIC) Validate() error {
	what := "interface " + n.Name
	if err := checkID(what, n.ID()); err != nil {
		return err
	}
	if n.Model != "virtio" && nicDrivers[n.Model] == "" {
		return fmt.Errorf("%s: model %q must be virtio, e1000, e1000e, rtl8139, ne2k_pci or pcnet", what, n.Model)
	}
	if mac, err := net.ParseMAC(n.MAC); err != nil || len(mac) != 6 {
		return fmt.Errorf("%s: %q is no Ethernet address", what, n.MAC)
	} else if mac[0]&1 != 0 {
		return fmt.Errorf("%s: Ethernet address %s must not be that of a group", what, n.MAC)
	}
	if !ifname.MatchString(n.Tap) {
		return fmt.Errorf("%s: %q is no name of a tap device", what, n.Tap)
	}
	if n.MTU != 0 && (n.MTU < 68 || n.MTU > 65535) {
		return fmt.Errorf("%s: MTU %d must be from 68 to 65535", what, n.MTU)
	}
	if n.Queues < 0 || n.Queues > 256 {
		return fmt.Errorf("%s: %d queues: must be at most 256", what, n.Queues)
	}
	if (n.Queues > 1 || n.Vhost) && n.Model != "virtio" {
		return fmt.Errorf("%s: queues and vhost need model virtio, not %s", what, n.Model)
	}
	return nil
}

// Args gives the host's end and the device.
func (n *NIC) Args() []string {
	host := newProps("type", "tap").set("id", n.NetdevID()).set("ifname", n.Tap).set("script", "no").set("downscript", "no")
	host.maybe("vhost", n.Vhost)
	if n.Queues > 1 {
		host.set("queues", n.Queues)
	}
	driver := nicDrivers[n.Model]
	if n.Model == "virtio" {
		driver = virtio("virtio-net", n.Transitional)
	}
	p := newProps("driver", driver).set("id", n.ID()).set("addr", n.PCI.String()).set("netdev", n.NetdevID()).set("mac", n.MAC)
	if n.Model == "virtio" {
		p.maybe("host_mtu", n.MTU)
		if n.Queues > 1 {
			// One vector for each direction of each queue, one for changes, one for control.
			p.set("mq", true).set("vectors", 2*n.Queues+2)
		}
	}
	p.maybe("acpi-index", n.ACPIIndex)
	if n.BootIndex > 0 {
		p.set("bootindex", n.BootIndex)
	} else {
		p.set("romfile", "")
	}
	return []string{"-netdev", host.String(), "-device", p.String()}
}
