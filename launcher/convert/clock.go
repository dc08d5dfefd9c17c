package convert

import (
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"time"
	_ "time/tzdata" // the launcher's image need not have the world's time zones
)

// clockFormat is how QEMU reads a moment.
const clockFormat = "2006-01-02T15:04:05"

func (b *builder) clock() {
	b.m.Clock.Base = "utc"
	c := b.domain.Clock
	if c == nil {
		return
	}
	switch {
	case c.UTC != nil && c.Timezone != "":
		b.invalid("spec.domain.clock", "utc and timezone exclude one another")
	case c.UTC != nil && c.UTC.OffsetSeconds != nil && *c.UTC.OffsetSeconds != 0:
		b.m.Clock.Base = b.Now.UTC().Add(time.Duration(*c.UTC.OffsetSeconds) * time.Second).Format(clockFormat)
	case c.Timezone != "":
		zone, err := time.LoadLocation(string(c.Timezone))
		if err != nil || c.Timezone == "Local" {
			b.invalid("spec.domain.clock.timezone", "%q is no time zone", c.Timezone)
			return
		}
		b.m.Clock.Base = b.Now.In(zone).Format(clockFormat)
	}
	if c.Timer != nil {
		b.timers(c.Timer)
	}
}

func (b *builder) timers(t *virtv1.Timer) {
	const field = "spec.domain.clock.timer"
	if h := t.HPET; h != nil {
		b.m.NoHPET = !unlessFalse(h.Present)
		if h.TickPolicy != "" && h.TickPolicy != "delay" {
			b.unsupported(field+".hpet.tickPolicy", "%q is not supported, must be delay", h.TickPolicy)
		}
	}
	if k := t.KVM; k != nil && k.Present != nil {
		b.kvmFeature("kvmclock", *k.Present, field+".kvm")
	}
	if h := t.Hyperv; h != nil && unlessFalse(h.Present) {
		b.kvmFeature("hv-time", true, field+".hyperv")
	}
	if p := t.PIT; p != nil {
		b.m.NoPIT = !unlessFalse(p.Present)
		switch p.TickPolicy {
		case "", "delay", "discard":
			b.m.PITTickPolicy = string(p.TickPolicy)
		default:
			b.unsupported(field+".pit.tickPolicy", "%q is not supported, must be delay or discard", p.TickPolicy)
		}
	}
	if r := t.RTC; r != nil {
		if !unlessFalse(r.Present) {
			b.unsupported(field+".rtc.present", "a machine without clock is not supported")
		}
		switch r.TickPolicy {
		case "", "delay":
		case "catchup":
			b.m.Clock.DriftFix = "slew"
		default:
			b.unsupported(field+".rtc.tickPolicy", "%q is not supported, must be delay or catchup", r.TickPolicy)
		}
		switch r.Track {
		case "":
		case "guest":
			b.m.Clock.Follows = "vm"
		case "wall":
			b.m.Clock.Follows = "host"
		default:
			b.invalid(field+".rtc.track", "%q must be guest or wall", r.Track)
		}
	}
}
