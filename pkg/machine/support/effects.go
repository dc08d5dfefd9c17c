package support

import (
	"fmt"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// noEffect are the lines of what a guest is started without.
var noEffect = append([]Row{
	{
		Field: "metadata.annotations[hooks.kubevirt.io/hookSidecars]", Reason: ReasonField, Kind: NoEffect, Why: "hooks are not called: the guest starts without them",
		find: annotation("hooks.kubevirt.io/hookSidecars"),
	},
	{
		Field: "metadata.annotations[kubevirt.io/ignitiondata]", Reason: ReasonField, Kind: NoEffect, Why: "ignition data does not reach the guest: use a cloud-init volume",
		find: annotation("kubevirt.io/ignitiondata"),
	},
	{
		Field: "spec.evictionStrategy", When: "LiveMigrate, LiveMigrateIfPossible, External", Reason: ReasonField, Kind: NoEffect, Why: noMigrates,
		find: once(func(q *query) bool {
			s := q.spec.EvictionStrategy
			return s != nil && *s != "" && *s != virtv1.EvictionStrategyNone
		}),
	},
	{
		Field: "spec.domain.memory.maxGuest", When: "more than the guest starts with", Reason: ReasonField, Kind: NoEffect,
		Why: "memory is not added while the guest runs; more is there when it starts anew",
		find: once(func(q *query) bool {
			m := q.spec.Domain.Memory
			guest := machine.GuestMemory(q.spec)
			return m != nil && m.MaxGuest != nil && m.MaxGuest.Cmp(guest) > 0
		}),
	},
	{
		Field: "spec.domain.cpu.maxSockets", When: "more virtual CPUs than 255", Reason: ReasonField, Kind: NoEffect,
		Why:  fmt.Sprintf("room is left for %d virtual CPUs only", UsualVCPUs),
		find: maxSockets,
	},
	{
		Field: devices + "disks[].cdrom.readonly", When: "false", Reason: ReasonField, Kind: NoEffect, Why: "a guest never writes to a CD-ROM",
		find: each(disks, func(_ *query, _ int, d *virtv1.Disk) (string, bool) {
			return "", d.Cdrom != nil && !enabled(d.Cdrom.Readonly)
		}),
	},
	{
		Field: devices + "disks[].serial", When: "longer than the disk has room for", Reason: ReasonField, Kind: NoEffect,
		Why: fmt.Sprintf("the guest sees the first %d characters only, and %d on scsi and usb", virtv1.MaxSerial("virtio"), virtv1.MaxSerial("scsi")),
		find: each(disks, func(_ *query, _ int, d *virtv1.Disk) (string, bool) {
			most := virtv1.MaxSerial(virtv1.DiskBus(d))
			return fmt.Sprintf("the guest sees the first %d characters only, a disk on %s has no room for more", most, virtv1.DiskBus(d)), len(d.Serial) > most
		}),
	},
	{
		Field: "spec.volumes[].persistentVolumeClaim.hotpluggable", Reason: ReasonField, Kind: NoEffect, Why: "volumes are not added or removed while the guest runs",
	},
	{
		Field: "spec.volumes[].dataVolume.hotpluggable", Reason: ReasonField, Kind: NoEffect, Why: "volumes are not added or removed while the guest runs",
	},
}, emulated...)

// emulated are features that only KVM has.
var emulated = []Row{
	kvmOnly("spec.domain.clock.timer.kvm", func(s *virtv1.VirtualMachineInstanceSpec) bool {
		return timer(s) != nil && timer(s).KVM != nil && timer(s).KVM.Present != nil
	}),
	kvmOnly("spec.domain.clock.timer.hyperv", func(s *virtv1.VirtualMachineInstanceSpec) bool {
		return timer(s) != nil && timer(s).Hyperv != nil && enabled(timer(s).Hyperv.Present)
	}),
	kvmOnly("spec.domain.features.apic.endOfInterrupt", func(s *virtv1.VirtualMachineInstanceSpec) bool {
		return features(s).APIC != nil && features(s).APIC.EndOfInterrupt != nil
	}),
	kvmOnly("spec.domain.features.pvspinlock", func(s *virtv1.VirtualMachineInstanceSpec) bool { return features(s).Pvspinlock != nil }),
	kvmOnly("spec.domain.features.kvm.hidden", func(s *virtv1.VirtualMachineInstanceSpec) bool {
		return features(s).KVM != nil && machine.IsTrue(features(s).KVM.Hidden)
	}),
	kvmOnly("spec.domain.features.hypervPassthrough", func(s *virtv1.VirtualMachineInstanceSpec) bool {
		p := features(s).HypervPassthrough
		return p != nil && enabled(p.Enabled)
	}),
	kvmOnly("spec.domain.features.hyperv", func(s *virtv1.VirtualMachineInstanceSpec) bool { return hyperv(features(s).Hyperv) }),
	{
		Field: devices + "panicDevices[].model", When: "hyperv, under emulation", Reason: ReasonField, Kind: NoEffect, Why: noKVM,
		find: each(func(s *virtv1.VirtualMachineInstanceSpec) []virtv1.PanicDevice { return s.Domain.Devices.PanicDevices },
			func(q *query, _ int, p *virtv1.PanicDevice) (string, bool) {
				return "", q.in.Emulation && p.Model == "hyperv"
			}),
	},
}

func kvmOnly(field string, asks func(*virtv1.VirtualMachineInstanceSpec) bool) Row {
	return Row{
		Field: field, When: "under emulation", Reason: ReasonField, Kind: NoEffect, Why: noKVM,
		find: once(func(q *query) bool { return q.in.Emulation && asks(q.spec) }),
	}
}

func timer(s *virtv1.VirtualMachineInstanceSpec) *virtv1.Timer {
	if s.Domain.Clock == nil {
		return nil
	}
	return s.Domain.Clock.Timer
}

func features(s *virtv1.VirtualMachineInstanceSpec) *virtv1.Features {
	if s.Domain.Features == nil {
		return &virtv1.Features{}
	}
	return s.Domain.Features
}

// hyperv says whether any of the features is on.
func hyperv(h *virtv1.FeatureHyperv) bool {
	if h == nil {
		return false
	}
	for _, f := range []*virtv1.FeatureState{h.EVMCS, h.Frequencies, h.IPI, h.Reenlightenment, h.Relaxed, h.HypervReset, h.Runtime, h.Synic, h.VAPIC, h.Vpindex} {
		if on(f) {
			return true
		}
	}
	return h.Synictimer != nil && enabled(h.Synictimer.Enabled) || h.Tlbflush != nil && enabled(h.Tlbflush.Enabled) ||
		h.Spinlocks != nil && enabled(h.Spinlocks.Enabled) || h.Vendorid != nil && enabled(h.Vendorid.Enabled) && h.Vendorid.Vendorid != ""
}

func annotation(key string) func(*query) []place {
	return once(func(q *query) bool { return q.annotations[key] != "" })
}

// maxSockets finds room that is asked for beyond what a machine has that needs no unit to remap interrupts.
func maxSockets(q *query) []place {
	c := q.spec.Domain.CPU
	if c == nil || machine.IsTrue(c.DedicatedCPUPlacement) || c.MaxSockets <= max(c.Sockets, 1) {
		return nil
	}
	each := uint64(max(c.Cores, 1)) * uint64(max(c.Threads, 1))
	most := UsualVCPUs / each
	if uint64(c.MaxSockets) <= most {
		return nil
	}
	return []place{{why: fmt.Sprintf("%d sockets are the most that this machine can have", max(most, uint64(max(c.Sockets, 1))))}}
}
