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
	args = append(args,
		"-m", fmt.Sprintf("%dM", m.MemoryMiB),
		"-overcommit", "mem-lock=off",
		"-uuid", m.UUID,
	)
	args = append(args, m.sharedMemory()...)
	args = append(args, m.SMBIOS.Args()...)
	args = append(args, m.Clock.Args()...)
	args = append(args, m.Monitor.Args()...)
	args = append(args,
		// A panic ends QEMU with an exit status, so that it is known even if nobody heard the event.
		"-action", m.actionArg(),
		"-boot", "strict=on",
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
	for _, d := range devices {
		args = append(args, d.Args()...)
	}
	return args, nil
}

func (m *Machine) machineArg() string {
	parts := []string{m.Type, "usb=off", "dump-guest-core=off", "vmport=off", "smm=" + onOff(m.SMM)}
	if m.NoACPI {
		parts = append(parts, "acpi=off")
	}
	if m.NoHPET {
		parts = append(parts, "hpet=off")
	}
	if m.FirmwareOnSerial {
		parts = append(parts, "graphics=off")
	}
	if m.SharedMemory {
		parts = append(parts, "memory-backend="+sharedMemoryID)
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
