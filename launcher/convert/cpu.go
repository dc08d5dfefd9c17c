package convert

import (
	"fmt"
	"strconv"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Models that mean what the host has.
const (
	modelHostModel       = "host-model"
	modelHostPassthrough = "host-passthrough"
)

// minSpinlocks is the least number of retries that Hyper-V's interface takes, and the default.
const minSpinlocks = 4096

func (b *builder) cpu() {
	c := qemu.CPU{Sockets: 1, Cores: 1, Threads: 1}
	model := modelHostModel
	if s := b.domain.CPU; s != nil {
		c.Sockets, c.Cores, c.Threads = int(max(s.Sockets, 1)), int(max(s.Cores, 1)), int(max(s.Threads, 1))
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

// hyperv adds the enlightenments for Windows guests.
func (b *builder) hyperv(h *virtv1.FeatureHyperv) {
	const field = "spec.domain.features.hyperv"
	for _, f := range []struct {
		name, flag string
		state      *virtv1.FeatureState
	}{
		{"relaxed", "hv-relaxed", h.Relaxed}, {"vapic", "hv-vapic", h.VAPIC}, {"vpindex", "hv-vpindex", h.Vpindex},
		{"runtime", "hv-runtime", h.Runtime}, {"synic", "hv-synic", h.Synic}, {"reset", "hv-reset", h.HypervReset},
		{"frequencies", "hv-frequencies", h.Frequencies}, {"reenlightenment", "hv-reenlightenment", h.Reenlightenment},
		{"ipi", "hv-ipi", h.IPI}, {"evmcs", "hv-evmcs", h.EVMCS},
	} {
		if feature(f.state) {
			b.kvmFeature(f.flag, true, field+"."+f.name)
		}
	}
	if s := h.Spinlocks; s != nil && unlessFalse(s.Enabled) {
		retries := uint32(minSpinlocks)
		if s.Spinlocks != nil {
			retries = *s.Spinlocks
		}
		if retries < minSpinlocks {
			b.invalid(field+".spinlocks.spinlocks", "must be at least %d", minSpinlocks)
		}
		b.kvmValue("hv-spinlocks", strconv.FormatUint(uint64(retries), 10), field+".spinlocks")
	}
	if s := h.Synictimer; s != nil && unlessFalse(s.Enabled) {
		b.kvmFeature("hv-stimer", true, field+".synictimer")
		if feature(s.Direct) {
			b.kvmFeature("hv-stimer-direct", true, field+".synictimer.direct")
		}
	}
	if s := h.Tlbflush; s != nil && unlessFalse(s.Enabled) {
		b.kvmFeature("hv-tlbflush", true, field+".tlbflush")
		if feature(s.Direct) {
			b.kvmFeature("hv-tlbflush-direct", true, field+".tlbflush.direct")
		}
		if feature(s.Extended) {
			b.kvmFeature("hv-tlbflush-ext", true, field+".tlbflush.extended")
		}
	}
	if s := h.Vendorid; s != nil && unlessFalse(s.Enabled) && s.Vendorid != "" {
		if len(s.Vendorid) > 12 {
			b.invalid(field+".vendorid.vendorid", "must be no longer than 12 characters")
		}
		b.kvmValue("hv-vendor-id", s.Vendorid, field+".vendorid")
	}
}
