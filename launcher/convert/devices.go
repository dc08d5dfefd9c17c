package convert

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

func (b *builder) add(d qemu.Device) { b.m.Devices = append(b.m.Devices, d) }

func (b *builder) transitional() bool { return isTrue(b.domain.Devices.UseVirtioTransitional) }

// devices adds all but disks and interfaces. The order decides the PCI addresses and so must not change.
func (b *builder) devices() {
	d := &b.domain.Devices
	if unlessFalse(d.AutoattachSerialConsole) {
		b.add(&qemu.SerialConsole{Socket: filepath.Join(b.Paths.Private, SerialPort)})
		b.result.Serial = true
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
		b.add(&qemu.Balloon{FreePageReporting: b.reportsFreePages(), Transitional: b.transitional()})
	}
	b.watchdog()
	b.panicDevices()
	b.inputs()
	b.tpm()
	b.sound()
	b.vsock()
	b.clientPassthrough()
}

// freePageReportingOff is the annotation that has a guest keep what it has freed.
const freePageReportingOff = "kubevirt.io/free-page-reporting-disabled"

// reportsFreePages tells whether the guest gives pages back that it does not use. Huge pages cannot be taken back in parts,
// and a guest with CPUs of its own wants to do nothing but its work.
func (b *builder) reportsFreePages() bool {
	return b.m.HugePage == 0 && b.result.Pins == nil && b.VMI.Annotations[freePageReportingOff] != "true"
}

// HasTPM tells whether the VMI has a trusted platform module.
func HasTPM(vmi *virtv1.VirtualMachineInstance) bool {
	t := vmi.Spec.Domain.Devices.TPM
	return t != nil && unlessFalse(t.Enabled)
}

func (b *builder) tpm() {
	if !HasTPM(b.VMI) {
		return
	}
	model := "tpm-tis"
	if isTrue(b.domain.Devices.TPM.Persistent) {
		model = "tpm-crb"
	}
	b.add(&qemu.TPM{Model: model, Socket: filepath.Join(b.Paths.Private, TPMSocket)})
}

func (b *builder) sound() {
	s := b.domain.Devices.Sound
	if s == nil {
		return
	}
	model := s.Model
	if model == "" {
		model = "ich9"
	}
	b.add(&qemu.Sound{Model: model})
}

func (b *builder) vsock() {
	if !isTrue(b.domain.Devices.AutoattachVSOCK) {
		return
	}
	cid := b.VMI.Status.VSOCKCID
	if cid == nil {
		b.unsupported("spec.domain.devices.autoattachVSOCK", "the instance was given no address (status.VSOCKCID)")
		return
	}
	b.add(&qemu.VSOCK{CID: *cid, Transitional: b.transitional()})
}

// clientPassthrough adds plugs for USB devices of clients.
func (b *builder) clientPassthrough() {
	if b.domain.Devices.ClientPassthrough == nil {
		return
	}
	for n := range machine.USBRedirections {
		b.add(&qemu.USBRedirect{Number: n, Socket: filepath.Join(b.Paths.Sockets, machine.USBRedirSocket(n))})
	}
}

func (b *builder) watchdog() {
	w := b.domain.Devices.Watchdog
	if w == nil {
		return
	}
	action := "reset"
	if w.I6300ESB != nil && w.I6300ESB.Action != "" {
		action = string(w.I6300ESB.Action)
	}
	b.add(&qemu.Watchdog{Name: w.Name, Action: action})
}

func (b *builder) panicDevices() {
	for i, p := range b.domain.Devices.PanicDevices {
		if p.Model == "hyperv" {
			b.kvmFeature("hv-crash", true, fmt.Sprintf("spec.domain.devices.panicDevices[%d]", i))
			continue
		}
		model := map[string]string{"": "isa", "isa": "isa", "pvpanic": "pci"}[p.Model]
		if model == "" {
			b.unsupported(fmt.Sprintf("spec.domain.devices.panicDevices[%d].model", i), "%q is not supported, must be hyperv, isa or pvpanic", p.Model)
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
