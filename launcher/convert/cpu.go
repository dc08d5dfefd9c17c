package convert

import (
	"fmt"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Models that mean what the host has.
const (
	modelHostModel       = "host-model"
	modelHostPassthrough = "host-passthrough"
)

func (b *builder) cpu() {
	c := qemu.CPU{Sockets: 1, Cores: 1, Threads: 1}
	model := modelHostModel
	if s := b.domain.CPU; s != nil {
		c.Sockets, c.Cores, c.Threads = int(max(s.Sockets, 1)), int(max(s.Cores, 1)), int(max(s.Threads, 1))
		c.MaxSockets = b.maxSockets(s, c)
		if s.Model != "" {
			model = s.Model
		}
		for i, f := range s.Features {
			c.Features = append(c.Features, b.cpuFeature(f, fmt.Sprintf("spec.domain.cpu.features[%d]", i)))
		}
	}
	c.Model = model
	if model == modelHostModel || model == modelHostPassthrough {
		c.Model = "host"
		if b.Emulation {
			// The most that QEMU can do by itself.
			c.Model = "max"
		}
	}
	b.m.CPU = c
}

// maxSockets leaves room for processors to be added. A guest whose processors are those of the node cannot have more than
// its pod has.
func (b *builder) maxSockets(s *virtv1.CPU, c qemu.CPU) int {
	if isTrue(s.DedicatedCPUPlacement) || int(s.MaxSockets) <= c.Sockets {
		return 0
	}
	// A guest that has few is not given a unit for many, which all its interrupts would pass.
	most := qemu.UsualVCPUs / (c.Cores * c.Threads)
	if int(s.MaxSockets) > most {
		b.warn("spec.domain.cpu.maxSockets: %d sockets are the most that this machine can have", most)
	}
	return max(min(int(s.MaxSockets), most), c.Sockets)
}

// cpuFeature maps a policy. QEMU leaves a feature out that the host lacks, so "require" is no stricter here than
// "optional"; the scheduler has seen to it by the node's labels.
func (b *builder) cpuFeature(f virtv1.CPUFeature, field string) qemu.CPUFeature {
	out := qemu.CPUFeature{Name: f.Name, Value: "on"}
	switch f.Policy {
	case "", "require", "force", "optional":
	case "disable", "forbid":
		out.Value = "off"
	default:
		b.invalid(field+".policy", "%q must be force, require, optional, disable or forbid", f.Policy)
	}
	return out
}

// features adds what stands in spec.domain.features and the timers.
func (b *builder) features() {
	f := b.domain.Features
	if f == nil {
		return
	}
	b.m.NoACPI = !unlessFalse(f.ACPI.Enabled)
	b.m.SMM = feature(f.SMM)
	if f.APIC != nil {
		if !unlessFalse(f.APIC.Enabled) {
			b.unsupported("spec.domain.features.apic.enabled", "a machine without APIC is not supported")
		}
		if f.APIC.EndOfInterrupt != nil {
			b.kvmFeature("kvm-pv-eoi", *f.APIC.EndOfInterrupt, "spec.domain.features.apic.endOfInterrupt")
		}
	}
	if f.Pvspinlock != nil {
		b.kvmFeature("kvm-pv-unhalt", feature(f.Pvspinlock), "spec.domain.features.pvspinlock")
	}
	if f.KVM != nil && isTrue(f.KVM.Hidden) {
		b.kvmFeature("kvm", false, "spec.domain.features.kvm.hidden")
	}
	if f.HypervPassthrough != nil && unlessFalse(f.HypervPassthrough.Enabled) {
		b.kvmFeature("hv-passthrough", true, "spec.domain.features.hypervPassthrough")
	}
	if f.Hyperv != nil {
		b.hyperv(f.Hyperv)
	}
}

// kvmFeature switches something that only KVM has.
func (b *builder) kvmFeature(name string, on bool, field string) {
	value := "off"
	if on {
		value = "on"
	}
	b.kvmValue(name, value, field)
}

func (b *builder) kvmValue(name, value, field string) {
	if b.Emulation {
		b.warn("%s: has no effect under software emulation", field)
		return
	}
	b.m.CPU.Features = append(b.m.CPU.Features, qemu.CPUFeature{Name: name, Value: value})
}
