package convert

import (
	"strconv"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// minSpinlocks is the least number of retries that Hyper-V's interface takes, and the default.
const minSpinlocks = 4096

const hypervField = "spec.domain.features.hyperv"

// enlightenment is one of the features of Hyper-V that Windows knows: on, off by name, or not named at all.
type enlightenment struct {
	name, flag string
	named, on  bool
	// needs are those without which QEMU does not take this one.
	needs []string
}

// hyperv adds the enlightenments for Windows guests, and what they build on.
func (b *builder) hyperv(h *virtv1.FeatureHyperv) {
	of := func(name, flag string, s *virtv1.FeatureState, needs ...string) *enlightenment {
		return &enlightenment{name, flag, s != nil, feature(s), needs}
	}
	part := func(name, flag string, whole bool, s *virtv1.FeatureState, needs ...string) *enlightenment {
		return &enlightenment{name, flag, s != nil, whole && feature(s), needs}
	}
	timer := h.Synictimer != nil && unlessFalse(h.Synictimer.Enabled)
	flush := h.Tlbflush != nil && unlessFalse(h.Tlbflush.Enabled)
	list := []*enlightenment{
		of("relaxed", "hv-relaxed", h.Relaxed), of("vapic", "hv-vapic", h.VAPIC), of("vpindex", "hv-vpindex", h.Vpindex),
		of("runtime", "hv-runtime", h.Runtime), of("synic", "hv-synic", h.Synic, "vpindex"), of("reset", "hv-reset", h.HypervReset),
		of("frequencies", "hv-frequencies", h.Frequencies), of("reenlightenment", "hv-reenlightenment", h.Reenlightenment),
		of("ipi", "hv-ipi", h.IPI, "vpindex"), of("evmcs", "hv-evmcs", h.EVMCS, "vapic"),
		{"synictimer", "hv-stimer", h.Synictimer != nil, timer, []string{"synic"}},
		{"tlbflush", "hv-tlbflush", h.Tlbflush != nil, flush, []string{"vpindex"}},
	}
	if h.Synictimer != nil {
		list = append(list, part("synictimer.direct", "hv-stimer-direct", timer, h.Synictimer.Direct))
	}
	if h.Tlbflush != nil {
		list = append(list, part("tlbflush.direct", "hv-tlbflush-direct", flush, h.Tlbflush.Direct, "vapic"),
			part("tlbflush.extended", "hv-tlbflush-ext", flush, h.Tlbflush.Extended))
	}
	byName := map[string]*enlightenment{}
	for _, e := range list {
		byName[e.name] = e
	}
	for _, e := range list {
		if e.on {
			b.enlighten(e, byName)
		}
	}
	for _, e := range list {
		if e.on {
			b.kvmFeature(e.flag, true, hypervField+"."+e.name)
		}
	}
	b.hypervValues(h)
	if timer {
		b.timerOfHyperv()
	}
}

// enlighten turns on what an enlightenment needs.
func (b *builder) enlighten(e *enlightenment, byName map[string]*enlightenment) {
	for _, name := range e.needs {
		need := byName[name]
		switch {
		case need.on:
			continue
		case need.named:
			b.invalid(hypervField+"."+name+".enabled", "must not be false, %s needs it", e.name)
			continue
		}
		need.on = true
		b.enlighten(need, byName)
	}
}

// hypervValues adds the features that have a value.
func (b *builder) hypervValues(h *virtv1.FeatureHyperv) {
	if s := h.Spinlocks; s != nil && unlessFalse(s.Enabled) {
		retries := uint32(minSpinlocks)
		if s.Spinlocks != nil {
			retries = *s.Spinlocks
		}
		if retries < minSpinlocks {
			b.invalid(hypervField+".spinlocks.spinlocks", "must be at least %d", minSpinlocks)
		}
		b.kvmValue("hv-spinlocks", strconv.FormatUint(uint64(retries), 10), hypervField+".spinlocks")
	}
	if s := h.Vendorid; s != nil && unlessFalse(s.Enabled) && s.Vendorid != "" {
		if len(s.Vendorid) > 12 {
			b.invalid(hypervField+".vendorid.vendorid", "must be no longer than 12 characters")
		}
		b.kvmValue("hv-vendor-id", s.Vendorid, hypervField+".vendorid")
	}
}

// timerOfHyperv adds the reference time that Hyper-V's timers count in, unless the clock has it already.
func (b *builder) timerOfHyperv() {
	c := b.domain.Clock
	if c == nil || c.Timer == nil || c.Timer.Hyperv == nil {
		b.kvmFeature("hv-time", true, hypervField+".synictimer")
		return
	}
	if !unlessFalse(c.Timer.Hyperv.Present) {
		b.invalid("spec.domain.clock.timer.hyperv.present", "must not be false, features.hyperv.synictimer needs it")
	}
}
