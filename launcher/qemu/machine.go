package qemu

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Accel is what runs the guest's instructions.
type Accel string

// Accelerators.
const (
	KVM Accel = "kvm"
	TCG Accel = "tcg"
)

// TranslationBufferMiB is the size of QEMU's buffer of translated code under TCG, which is memory beyond the guest's
// that the pod must be granted. QEMU's own default is 1024.
const TranslationBufferMiB = 64

// Device is a part of a machine.
type Device interface {
	// Validate tells what QEMU would not take, in words that name the part.
	Validate() error
	// Args gives the part of the command line. It is called on a valid device that has its place.
	Args() []string
}

// Machine is a whole virtual machine.
type Machine struct {
	Name string
	UUID string
	// Type is a machine type of the q35 or pc family, versioned or not.
	Type  string
	Accel Accel
	CPU   CPU
	// MemoryMiB is the guest's memory.
	MemoryMiB int64
	// SharedMemory lets processes beside QEMU map the guest's memory, as file systems need it.
	SharedMemory bool

	SMBIOS  SMBIOS
	Clock   Clock
	UEFI    *UEFI
	Kernel  *Kernel
	Monitor Monitor

	// SMM is System Management Mode; without it the firmware starts faster.
	SMM bool
	// NoACPI takes the guest's ACPI tables away; it then cannot be asked to power down.
	NoACPI bool
	NoHPET bool
	// PITTickPolicy is "delay" or "discard", empty for QEMU's own.
	PITTickPolicy string
	// FirmwareOnSerial has SeaBIOS speak on the serial port in place of a display.
	FirmwareOnSerial bool
	// ExitOnReboot has QEMU end when the guest reboots.
	ExitOnReboot bool

	// Devices in the order in which they take their places. Controllers are added where devices need them.
	Devices []Device
}

var machineType = regexp.MustCompile(`^(q35|pc|pc-q35-[a-z0-9.+_-]+|pc-i440fx-[a-z0-9.+_-]+)$`)

func (m *Machine) q35() bool { return strings.Contains(m.Type, "q35") }

// reserved names the PCI slots that the machine's own chips take.
func (m *Machine) reserved() map[int]string {
	if m.q35() {
		return map[int]string{0: "host bridge", 0x1f: "south bridge"}
	}
	return map[int]string{0: "host bridge", 1: "south bridge"}
}

// Validate tells all that QEMU would not take.
func (m *Machine) Validate() error {
	var errs []error
	add := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if m.Name == "" {
		add(errors.New("name must be set"))
	}
	add(checkText("name", m.Name, 255))
	if !machineType.MatchString(m.Type) {
		add(fmt.Errorf("machine type %q must be q35, pc or a version of them", m.Type))
	}
	if m.Accel != KVM && m.Accel != TCG {
		add(fmt.Errorf("accelerator %q must be kvm or tcg", m.Accel))
	}
	if m.Accel == TCG && m.CPU.Model == "host" {
		add(errors.New("cpu: model host needs kvm"))
	}
	if m.MemoryMiB < 1 || m.MemoryMiB > 4<<20 {
		add(fmt.Errorf("memory must be from 1 MiB to 4 TiB, not %d MiB", m.MemoryMiB))
	}
	switch m.PITTickPolicy {
	case "", "delay", "discard":
	default:
		add(fmt.Errorf("pit tick policy %q must be delay or discard", m.PITTickPolicy))
	}
	add(m.CPU.Validate())
	add(m.SMBIOS.Validate())
	add(m.Clock.Validate())
	add(m.Monitor.Validate())
	if m.UEFI != nil {
		add(m.UEFI.Validate())
		if m.UEFI.Secure && (!m.SMM || !m.q35()) {
			add(errors.New("uefi: secure boot needs System Management Mode and machine type q35"))
		}
	}
	if m.Kernel != nil {
		add(m.Kernel.Validate())
	}
	seen, boot := map[string]string{}, map[int]string{}
	for _, d := range m.Devices {
		add(d.Validate())
		add(m.checkUnique(d, seen, boot))
	}
	return errors.Join(errs...)
}

// checkUnique refuses a second device of a name, a place in the boot order, or a kind that there is one of.
func (m *Machine) checkUnique(d Device, seen map[string]string, boot map[int]string) error {
	id, index := fmt.Sprintf("%T", d), 0
	switch d := d.(type) {
	case *Disk:
		id, index = d.NodeName(), d.BootIndex
	case *NIC:
		id, index = d.ID(), d.BootIndex
	case *Tablet:
		id = "input-" + d.Name
	case *Filesystem:
		id = d.ID()
	case *PanicDevice:
		id = "panic-" + d.Model
	}
	if seen[id] != "" {
		return fmt.Errorf("%s: is there twice", strings.TrimPrefix(id, "*qemu."))
	}
	seen[id] = id
	if index == 0 {
		return nil
	}
	if boot[index] != "" {
		return fmt.Errorf("%s: boot order %d is that of %s", id, index, boot[index])
	}
	boot[index] = id
	return nil
}

// arrange gives each device its bus, controller and address, and gives all devices, controllers first.
func (m *Machine) arrange() ([]Device, error) {
	var controllers []Device
	need := map[string]bool{}
	want := func(driver, id string) {
		if !need[id] {
			need[id] = true
			controllers = append(controllers, &controller{driver: driver, id: id})
		}
	}
	sata, scsi := 0, 0
	for _, d := range m.Devices {
		switch d := d.(type) {
		case *Tablet:
			if d.Bus == BusUSB {
				want("qemu-xhci", "usb")
			}
		case *Disk:
			switch d.Bus {
			case BusUSB:
				want("qemu-xhci", "usb")
				d.bus = usbBus
			case BusSCSI:
				want(virtio("virtio-scsi", d.Transitional), "scsi0")
				d.bus, d.unit = scsiBus, scsi
				scsi++
			case BusSATA:
				d.bus = m.sataBus(sata, want)
				sata++
			}
		}
	}
	// A controller more must not move what was there before.
	err := place(append(slices.Clone(m.Devices), controllers...), m.reserved())
	return append(controllers, m.Devices...), err
}

// sataPorts is how many disks an AHCI controller takes.
const sataPorts = 6

// sataBus names the port of the nth SATA disk. The south bridge of a q35 has a controller already.
func (m *Machine) sataBus(n int, want func(driver, id string)) string {
	if m.q35() && n < sataPorts {
		return fmt.Sprintf("ide.%d", n)
	}
	id := fmt.Sprintf("sata%d", n/sataPorts)
	want("ich9-ahci", id)
	return fmt.Sprintf("%s.%d", id, n%sataPorts)
}
