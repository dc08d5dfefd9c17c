package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

// Args gives QEMU's whole command line, its program apart. The same machine gives the same line each time.
func (m *Machine) Args() ([]string, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	devices, err := m.arrange()
	if err != nil {
		return nil, err
	}
	args := []string{
		"-name", "guest=" + escape(m.Name) + ",debug-threads=on",
		// Nothing comes from a file of the image, nothing is there that was not asked for, nothing runs before cont.
		"-no-user-config", "-nodefaults", "-S",
		"-machine", m.machineArg(),
	}
	args = append(args, m.accelArgs()...)
	args = append(args, m.CPU.Args()...)
	args = append(args, m.memoryArgs()...)
	args = append(args, "-overcommit", "mem-lock=off", "-uuid", m.UUID)
	args = append(args, m.SMBIOS.Args()...)
	for _, t := range m.ACPITables {
		args = append(args, t.Args()...)
	}
	args = append(args, m.Clock.Args()...)
	args = append(args, m.Monitor.Args()...)
	args = append(args,
		// A panic ends QEMU with an exit status, so that it is known even if nobody heard the event.
		"-action", m.actionArg(),
		"-boot", m.bootArg(),
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-display", "none",
		"-msg", "timestamp=on",
	)
	args = append(args, m.globals()...)
	if m.UEFI != nil {
		args = append(args, m.UEFI.Args()...)
	}
	if m.Kernel != nil {
		args = append(args, m.Kernel.Args()...)
	}
	for i := range m.IOThreads {
		args = append(args, "-object", newProps("qom-type", "iothread").set("id", ioThread(i+1)).String())
	}
	if m.CPU.Most() > UsualVCPUs {
		args = append(args, "-device", newProps("driver", "intel-iommu").set("intremap", "on").set("eim", "on").String())
	}
	for _, d := range devices {
		args = append(args, d.Args()...)
	}
	return args, nil
}

// maxIOThreads bounds the threads that serve disks.
const maxIOThreads = 256

// ioThread is the name of a thread that serves disks.
func ioThread(n int) string { return "iothread" + strconv.Itoa(n) }

// bootMenuTime is how long the boot menu waits, in milliseconds.
const bootMenuTime = 10000

func (m *Machine) bootArg() string {
	if m.BootMenu {
		return fmt.Sprintf("strict=on,menu=on,splash-time=%d", bootMenuTime)
	}
	return "strict=on"
}

func (m *Machine) machineArg() string {
	parts := []string{m.Type, "usb=off", "dump-guest-core=off", "vmport=off", "smm=" + onOff(m.SMM)}
	if m.NoACPI {
		parts = append(parts, "acpi=off")
	}
	if m.NoHPET {
		parts = append(parts, "hpet=off")
	}
	if m.NoPIT {
		parts = append(parts, "pit=off")
	}
	if m.CPU.Most() > UsualVCPUs {
		parts = append(parts, "kernel-irqchip=split")
	}
	if m.FirmwareOnSerial {
		parts = append(parts, "graphics=off")
	}
	if m.memoryBacked() {
		parts = append(parts, "memory-backend="+memoryID)
	}
	if m.UEFI != nil {
		parts = append(parts, "pflash0=pflash0", "pflash1=pflash1")
	}
	return strings.Join(parts, ",")
}

func (m *Machine) accelArgs() []string {
	if m.Accel == TCG {
		return []string{"-accel", "tcg,thread=multi,tb-size=" + strconv.Itoa(TranslationBufferMiB)}
	}
	return []string{"-accel", "kvm"}
}

func (m *Machine) actionArg() string {
	reboot := "reset"
	if m.ExitOnReboot {
		reboot = "shutdown"
	}
	action := "reboot=" + reboot + ",shutdown=poweroff,panic=exit-failure"
	for _, d := range m.Devices {
		if w, ok := d.(*Watchdog); ok {
			action += ",watchdog=" + w.Action
		}
	}
	return action
}

func (m *Machine) globals() []string {
	chip := "PIIX4_PM"
	if m.q35() {
		chip = "ICH9-LPC"
	}
	// A guest that suspends could only be woken by a device that it does not have.
	args := []string{"-global", chip + ".disable_s3=1", "-global", chip + ".disable_s4=1"}
	if m.PITTickPolicy != "" && m.Accel == KVM {
		args = append(args, "-global", "kvm-pit.lost_tick_policy="+m.PITTickPolicy)
	}
	return args
}
