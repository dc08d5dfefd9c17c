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
	// HugePage is the size in bytes of the node's huge pages that the memory is on, 0 for ordinary ones. All of them are
	// taken at the start: a guest that finds none left later would be killed.
	HugePage int64
	// NUMA divides memory and virtual processors; without it they are one.
	NUMA []NUMANode

	SMBIOS SMBIOS
	// ACPITables are more tables for the guest, such as a licence of Windows.
	ACPITables []ACPITable
	Clock      Clock
	UEFI       *UEFI
	Kernel     *Kernel
	Monitor    Monitor

	// SMM is System Management Mode; without it the firmware starts faster.
	SMM bool
	// NoACPI takes the guest's ACPI tables away; it then cannot be asked to power down.
	NoACPI bool
	NoHPET bool
	NoPIT  bool
	// PITTickPolicy is "delay" or "discard", empty for QEMU's own.
	PITTickPolicy string
	// FirmwareOnSerial has SeaBIOS speak on the serial port in place of a display.
	FirmwareOnSerial bool
	// ExitOnReboot has QEMU end when the guest reboots.
	ExitOnReboot bool
	// BootMenu has the firmware wait for a choice of what to boot.
	BootMenu bool

	// IOThreads is the number of threads that serve disks beside QEMU's own; SCSIThread is the one of the SCSI
	// controller, counted from 1, or 0 for none.
	IOThreads, SCSIThread int

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
	if m.IOThreads < 0 || m.IOThreads > maxIOThreads || m.SCSIThread > m.IOThreads {
		add(fmt.Errorf("disk threads: must be from 0 to %d, not %d", maxIOThreads, m.IOThreads))
	}
	switch m.PITTickPolicy {
	case "", "delay", "discard":
	default:
		add(fmt.Errorf("pit tick policy %q must be delay or discard", m.PITTickPolicy))
	}
	if err := m.CPU.Validate(); err != nil {
		add(err)
	} else if m.CPU.Most() > MaxVCPUs(m.Accel, m.Type) {
		add(fmt.Errorf("cpu: more than %d virtual processors need kvm and machine type q35", UsualVCPUs))
	}
	add(m.checkMemory())
	for _, t := range m.ACPITables {
		add(t.Validate())
	}
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
		if disk, ok := d.(*Disk); ok && disk.IOThread > m.IOThreads {
			add(fmt.Errorf("disk %s: there is no disk thread %d", disk.Name, disk.IOThread))
		}
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
	case *USBRedirect:
		id = d.ID()
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
	need := map[string]*controller{}
	want := func(driver, id string) *controller {
		if need[id] == nil {
			need[id] = &controller{driver: driver, id: id}
			controllers = append(controllers, need[id])
		}
		return need[id]
	}
	sata, scsi := 0, 0
	for _, d := range m.Devices {
		switch d := d.(type) {
		case *Tablet:
			if d.Bus == BusUSB {
				want("qemu-xhci", "usb").ports++
			}
		case *USBRedirect:
			want("qemu-xhci", "usb").ports++
		case *Disk:
			switch d.Bus {
			case BusUSB:
				want("qemu-xhci", "usb").ports++
				d.bus = usbBus
			case BusSCSI:
				want(virtio("virtio-scsi", d.Transitional), "scsi0").thread = m.SCSIThread
				d.bus, d.unit = scsiBus, scsi
				scsi++
			case BusSATA:
				d.bus = m.sataBus(sata, want)
				sata++
			}
		}
	}
	if c := need["usb"]; c != nil && c.ports > maxUSBPorts {
		return nil, fmt.Errorf("usb: %d devices are more than the %d ports of the controller", c.ports, maxUSBPorts)
	}
	// A controller more must not move what was there before.
	err := place(append(slices.Clone(m.Devices), controllers...), m.reserved())
	return append(controllers, m.Devices...), err
}

// sataPorts is how many disks an AHCI controller takes.
const sataPorts = 6

// sataBus names the port of the nth SATA disk. The south bridge of a q35 has a controller already.
func (m *Machine) sataBus(n int, want func(driver, id string) *controller) string {
	if m.q35() && n < sataPorts {
		return fmt.Sprintf("ide.%d", n)
	}
	id := fmt.Sprintf("sata%d", n/sataPorts)
	want("ich9-ahci", id)
	return fmt.Sprintf("%s.%d", id, n%sataPorts)
}
