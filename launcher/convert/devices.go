package convert

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/virtplane/virtplane/launcher/qemu"
	"github.com/virtplane/virtplane/pkg/machine"
)

func (b *builder) add(d qemu.Device) { b.m.Devices = append(b.m.Devices, d) }

func (b *builder) transitional() bool { return isTrue(b.domain.Devices.UseVirtioTransitional) }

// devices adds all but disks and interfaces. The order decides the PCI addresses and so must not change.
func (b *builder) devices() {
	d := &b.domain.Devices
	if unlessFalse(d.AutoattachSerialConsole) {
		b.add(&qemu.SerialConsole{Socket: filepath.Join(b.Paths.Sockets, machine.SerialSocket)})
	}
	if unlessFalse(d.AutoattachGraphicsDevice) {
		g := &qemu.Graphics{Socket: filepath.Join(b.Paths.Sockets, machine.VNCSocket), Model: "vga"}
		if on, _ := b.uefi(); on {
			g.Model = "bochs"
		}
		if d.Video != nil && d.Video.Type != "" {
			g.Model = d.Video.Type
		}
		b.add(g)
	} else if b.m.UEFI == nil {
		b.m.FirmwareOnSerial = true
		if d.Video != nil && d.Video.Type != "" {
			b.invalid("spec.domain.devices.video.type", "needs autoattachGraphicsDevice")
		}
	}
	b.add(&qemu.AgentChannel{Socket: filepath.Join(b.Paths.Private, AgentSocket), Transitional: b.transitional()})
	if d.Rng != nil {
		b.add(&qemu.RNG{Transitional: b.transitional()})
	}
	if unlessFalse(d.AutoattachMemBalloon) {
		b.add(&qemu.Balloon{FreePageReporting: true, Transitional: b.transitional()})
	}
	b.watchdog()
	b.panicDevices()
	b.inputs()
}

func (b *builder) watchdog() {
	w := b.domain.Devices.Watchdog
	if w == nil {
		return
	}
	if w.I6300ESB == nil {
		b.invalid("spec.domain.devices.watchdog", "must have i6300esb")
		return
	}
	action := string(w.I6300ESB.Action)
	if action == "" {
		action = "reset"
	}
	b.add(&qemu.Watchdog{Name: w.Name, Action: action})
}

func (b *builder) panicDevices() {
	for i, p := range b.domain.Devices.PanicDevices {
		model := map[string]string{"": "isa", "isa": "isa", "pvpanic": "pci"}[p.Model]
		if model == "" {
			b.unsupported(fmt.Sprintf("spec.domain.devices.panicDevices[%d].model", i), "%q is not supported, must be isa or pvpanic", p.Model)
			continue
		}
		b.add(&qemu.PanicDevice{Model: model})
	}
}

func (b *builder) inputs() {
	inputs := b.domain.Devices.Inputs
	if len(inputs) == 0 && isTrue(b.domain.Devices.AutoattachInputDevice) {
		b.add(&qemu.Tablet{Name: "default", Bus: qemu.BusUSB})
	}
	for i, in := range inputs {
		field := fmt.Sprintf("spec.domain.devices.inputs[%d]", i)
		if in.Type != "tablet" {
			b.unsupported(field+".type", "%q is not supported, must be tablet", in.Type)
			continue
		}
		bus := qemu.Bus(strings.ToLower(string(in.Bus)))
		if bus == "" {
			bus = qemu.BusUSB
		}
		if bus != qemu.BusUSB && bus != qemu.BusVirtio {
			b.invalid(field+".bus", "%q must be usb or virtio", in.Bus)
			continue
		}
		b.add(&qemu.Tablet{Name: in.Name, Bus: bus, Transitional: b.transitional()})
	}
}
