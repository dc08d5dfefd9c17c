package qemu

import "fmt"

// RNG gives the guest random numbers of the host.
type RNG struct {
	Transitional bool
	PCI          PCIAddress
}

func (r *RNG) pciAddress() *PCIAddress { return &r.PCI }
func (r *RNG) pciName() string         { return "rng" }

// Validate tells what QEMU would not take.
func (r *RNG) Validate() error { return nil }

// Args gives the source and the device. The built-in source needs no file of the host.
func (r *RNG) Args() []string {
	return []string{
		"-object", newProps("qom-type", "rng-builtin").set("id", "rng0-source").String(),
		"-device", newProps("driver", virtio("virtio-rng", r.Transitional)).set("id", "rng0").set("addr", r.PCI.String()).set("rng", "rng0-source").String(),
	}
}

// Balloon lets the host see the guest's memory use and take back what the guest has freed.
type Balloon struct {
	FreePageReporting bool
	Transitional      bool
	PCI               PCIAddress
}

func (b *Balloon) pciAddress() *PCIAddress { return &b.PCI }
func (b *Balloon) pciName() string         { return "memory balloon" }

// Validate tells what QEMU would not take.
func (b *Balloon) Validate() error { return nil }

// Args gives the device.
func (b *Balloon) Args() []string {
	p := newProps("driver", virtio("virtio-balloon", b.Transitional)).set("id", "balloon0").set("addr", b.PCI.String())
	return []string{"-device", p.maybe("free-page-reporting", b.FreePageReporting).String()}
}

// Watchdog resets or stops a guest that does not feed it.
type Watchdog struct {
	Name string
	// Action is "reset", "poweroff" or "shutdown".
	Action string
	PCI    PCIAddress
}

func (w *Watchdog) pciAddress() *PCIAddress { return &w.PCI }
func (w *Watchdog) pciName() string         { return "watchdog " + w.Name }

// Validate tells what QEMU would not take.
func (w *Watchdog) Validate() error {
	switch w.Action {
	case "reset", "poweroff", "shutdown":
	default:
		return fmt.Errorf("watchdog %s: action %q must be reset, poweroff or shutdown", w.Name, w.Action)
	}
	return checkID("watchdog", "watchdog-"+w.Name)
}

// Args gives the device; the machine gives the action.
func (w *Watchdog) Args() []string {
	return []string{"-device", newProps("driver", "i6300esb").set("id", "watchdog-"+w.Name).set("addr", w.PCI.String()).String()}
}

// PanicDevice lets the guest tell that it has panicked.
type PanicDevice struct {
	// Model is "isa" or "pci".
	Model string
	PCI   PCIAddress
}

func (d *PanicDevice) pciAddress() *PCIAddress {
	if d.Model != "pci" {
		return nil
	}
	return &d.PCI
}
func (d *PanicDevice) pciName() string { return "panic device" }

// Validate tells what QEMU would not take.
func (d *PanicDevice) Validate() error {
	if d.Model != "isa" && d.Model != "pci" {
		return fmt.Errorf("panic device: model %q must be isa or pci", d.Model)
	}
	return nil
}

// Args gives the device.
func (d *PanicDevice) Args() []string {
	if d.Model == "pci" {
		return []string{"-device", newProps("driver", "pvpanic-pci").set("id", "pvpanic-pci0").set("addr", d.PCI.String()).String()}
	}
	return []string{"-device", newProps("driver", "pvpanic").set("id", "pvpanic0").String()}
}

// Tablet is a pointer that gives absolute positions, so that it stays under that of a VNC client.
type Tablet struct {
	Name string
	// Bus is BusUSB or BusVirtio.
	Bus          Bus
	Transitional bool
	PCI          PCIAddress
}

func (t *Tablet) pciAddress() *PCIAddress {
	if t.Bus != BusVirtio {
		return nil
	}
	return &t.PCI
}
func (t *Tablet) pciName() string { return "input " + t.Name }

// Validate tells what QEMU would not take.
func (t *Tablet) Validate() error {
	if t.Bus != BusUSB && t.Bus != BusVirtio {
		return fmt.Errorf("input %s: bus %q must be usb or virtio", t.Name, t.Bus)
	}
	return checkID("input", "input-"+t.Name)
}

// Args gives the device.
func (t *Tablet) Args() []string {
	id := "input-" + t.Name
	if t.Bus == BusVirtio {
		// There is no legacy form of it.
		return []string{"-device", newProps("driver", "virtio-tablet-pci").set("id", id).set("addr", t.PCI.String()).String()}
	}
	return []string{"-device", newProps("driver", "usb-tablet").set("id", id).set("bus", usbBus).String()}
}

// Names of the controllers that the machine adds when a device needs them.
const (
	usbBus  = "usb.0"
	scsiBus = "scsi0.0"
)

// USB controllers have a few ports unless told otherwise, and at most maxUSBPorts.
const (
	usualUSBPorts = 4
	maxUSBPorts   = 15
)

// controller is a bus on PCI.
type controller struct {
	driver, id string
	// ports is how many devices are on a USB controller.
	ports int
	// thread is the disk thread of a SCSI controller, 0 for none.
	thread int
	pci    PCIAddress
}

func (c *controller) pciAddress() *PCIAddress { return &c.pci }
func (c *controller) pciName() string         { return "controller " + c.id }

// Validate tells what QEMU would not take.
func (c *controller) Validate() error { return nil }

// Args gives the device.
func (c *controller) Args() []string {
	p := newProps("driver", c.driver).set("id", c.id).set("addr", c.pci.String())
	if c.ports > usualUSBPorts {
		p.set("p2", c.ports).set("p3", c.ports)
	}
	if c.thread > 0 {
		p.set("iothread", ioThread(c.thread))
	}
	return []string{"-device", p.String()}
}
