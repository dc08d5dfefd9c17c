package virtualmachineinstance

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/writer"
)

type (
	status    = virtv1.VirtualMachineInstanceStatus
	phase     = virtv1.VirtualMachineInstancePhase
	condition = virtv1.VirtualMachineInstanceCondition
)

// owner says which component writes a part of the status.
type owner int

const (
	// byController is written by virt-controller.
	byController owner = iota
	// byHandler is written by virt-handler.
	byHandler
	// handedOver is written by virt-controller until the instance is scheduled, by virt-handler from then on, and by
	// virt-controller again when it ends an instance whose node can no longer do it. See spokenFor for the one exception.
	handedOver
	// byBoth is written by both, in turns that a protocol of its own arranges.
	byBoth
)

// part is a part of the status with the one who writes it.
type part struct {
	name  string
	owner owner
	// keep gives the part back the value it had.
	keep func(is, was *status)
}

func of[T any](name string, o owner, at func(*status) *T) part {
	return part{name, o, func(is, was *status) { *at(is) = *at(was) }}
}

// parts is the table of owners (decision 7). Phases and their timestamps, conditions, memory and volumes follow below.
var parts = []part{
	of("VSOCKCID", byController, func(s *status) **uint32 { return &s.VSOCKCID }),
	{"activePods", byController, func(is, was *status) { is.ActivePods = was.ActivePods }},
	of("changedBlockTracking", byHandler, func(s *status) **virtv1.ChangedBlockTrackingStatus { return &s.ChangedBlockTracking }),
	of("currentCPUTopology", handedOver, func(s *status) **virtv1.CPUTopology { return &s.CurrentCPUTopology }),
	of("evacuationNodeName", byController, func(s *status) *string { return &s.EvacuationNodeName }),
	of("fsFreezeStatus", byHandler, func(s *status) *string { return &s.FSFreezeStatus }),
	of("guestOSInfo", byHandler, func(s *status) *virtv1.VirtualMachineInstanceGuestOSInfo { return &s.GuestOSInfo }),
	{"interfaces", handedOver, func(is, was *status) { is.Interfaces = was.Interfaces }},
	of("kernelBootStatus", byHandler, func(s *status) **virtv1.KernelBootStatus { return &s.KernelBootStatus }),
	of("launcherContainerImageVersion", byController, func(s *status) *string { return &s.LauncherContainerImageVersion }),
	of("machine", byHandler, func(s *status) **virtv1.Machine { return &s.Machine }),
	{"migratedVolumes", byController, func(is, was *status) { is.MigratedVolumes = was.MigratedVolumes }},
	of("migrationMethod", byHandler, func(s *status) *string { return &s.MigrationMethod }),
	of("migrationState", byBoth, func(s *status) **virtv1.VirtualMachineInstanceMigrationState { return &s.MigrationState }),
	of("migrationTransport", byHandler, func(s *status) *string { return &s.MigrationTransport }),
	of("nodeName", handedOver, func(s *status) *string { return &s.NodeName }),
	{"qosClass", byController, func(is, was *status) { is.QOSClass = was.QOSClass }},
	of("reason", handedOver, func(s *status) *string { return &s.Reason }),
	of("runtimeUser", byController, func(s *status) *int64 { return &s.RuntimeUser }),
	of("selinuxContext", handedOver, func(s *status) *string { return &s.SelinuxContext }),
	of("topologyHints", byController, func(s *status) **virtv1.TopologyHints { return &s.TopologyHints }),
	of("virtualMachineRevisionName", byController, func(s *status) *string { return &s.VirtualMachineRevisionName }),
}

// conditions is the table of owners of conditions. A type that is not in it may be written by either component.
var conditions = map[virtv1.VirtualMachineInstanceConditionType]owner{
	virtv1.VirtualMachineInstanceProvisioning: byController,
	"PodScheduled": byController,
	virtv1.VirtualMachineInstanceDataVolumesReady:              byController,
	virtv1.VirtualMachineInstanceMigrationRequired:             byController,
	virtv1.VirtualMachineInstanceEvictionRequested:             byController,
	"DecentralizedLiveMigrationFailure":                        byController,
	virtv1.VirtualMachineInstanceBlocked:                       byController,
	virtv1.VirtualMachineInstanceReadinessProbe:                byController,
	virtv1.VirtualMachineInstanceContainersReady:               byController,
	virtv1.VirtualMachineInstanceReady:                         handedOver,
	virtv1.VirtualMachineInstanceSynchronized:                  byBoth,
	virtv1.VirtualMachineInstancePaused:                        byHandler,
	virtv1.VirtualMachineInstanceAgentConnected:                byHandler,
	virtv1.VirtualMachineInstanceUnsupportedAgent:              byHandler,
	virtv1.VirtualMachineInstanceIsMigratable:                  byHandler,
	virtv1.VirtualMachineInstanceSoftwareEmulation:             byHandler,
	virtv1.VirtualMachineInstanceVCPUChange:                    byBoth,
	virtv1.VirtualMachineInstanceMemoryChange:                  byBoth,
	virtv1.VirtualMachineInstanceVolumesChange:                 byBoth,
	virtv1.VirtualMachineInstanceIsStorageLiveMigratable:       byHandler,
	virtv1.VirtualMachineInstanceAccessCredentialsSynchronized: byHandler,
	virtv1.VirtualMachineInstanceDegraded:                      byHandler,
}

// memoryParts and volumeParts are the tables of owners within memory and within one volume.
var memoryParts = []struct {
	owner owner
	keep  func(is, was *virtv1.MemoryStatus)
}{
	{byController, func(is, was *virtv1.MemoryStatus) {
		is.GuestAtBoot, is.GuestRequested = was.GuestAtBoot, was.GuestRequested
	}},
	{byController, func(is, was *virtv1.MemoryStatus) { is.MemoryOverhead = was.MemoryOverhead }},
	{byHandler, func(is, was *virtv1.MemoryStatus) { is.GuestCurrent = was.GuestCurrent }},
}

var volumeParts = []struct {
	owner owner
	keep  func(is, was *virtv1.VolumeStatus)
}{
	{byController, func(is, was *virtv1.VolumeStatus) {
		is.PersistentVolumeClaimInfo, is.HotplugVolume = was.PersistentVolumeClaimInfo, was.HotplugVolume
	}},
	{byHandler, func(is, was *virtv1.VolumeStatus) {
		is.Target, is.SizeBytes, is.ContainerDiskVolume, is.MemoryDumpVolume = was.Target, was.SizeBytes, was.ContainerDiskVolume, was.MemoryDumpVolume
	}},
	{byBoth, func(is, was *virtv1.VolumeStatus) {
		is.Phase, is.Reason, is.Message = was.Phase, was.Reason, was.Message
	}},
}

// scheduled says whether virt-handler has taken over: the instance stands at Scheduled or has gone beyond.
func scheduled(p phase) bool {
	switch p {
	case virtv1.VmPhaseUnset, virtv1.Pending, virtv1.Scheduling, virtv1.WaitingForSync:
		return false
	}
	return true
}

func ended(p phase) bool { return p == virtv1.Succeeded || p == virtv1.Failed }

// owns says whether a writer may change what an owner has, in an update from one phase to another.
func owns(o owner, w writer.Writer, from, to phase) bool {
	switch w {
	case writer.Controller:
		return o == byController || o == byBoth || o == handedOver && (!scheduled(from) || ended(to))
	case writer.Handler:
		return o == byHandler || o == byBoth || o == handedOver && scheduled(to)
	}
	return true // whoever else may write the status at all repairs it as a whole
}

// mayEnter says whether a writer may move an instance to a phase. Until it is scheduled, and to that, it is virt-controller's;
// from then on it may only end it, which virt-handler does too as long as it lives.
func mayEnter(w writer.Writer, to phase) bool {
	switch w {
	case writer.Controller:
		return !scheduled(to) || to == virtv1.Scheduled || ended(to)
	case writer.Handler:
		return scheduled(to)
	}
	return true
}

// spokenFor is the one word about a guest that virt-controller may say in virt-handler's place: that nobody hears of it,
// because its node is lost. When virt-handler is back it says what it sees, as the owner that it has stayed.
func spokenFor(w writer.Writer, c condition) bool {
	return w == writer.Controller && c.Type == virtv1.VirtualMachineInstanceReady && c.Status == corev1.ConditionFalse && c.Reason == virtv1.NodeUnreachableReason
}

// restore gives back to its owner what the writer of an update does not own.
func restore(is, was *status, w writer.Writer) {
	if is.Phase != was.Phase && !mayEnter(w, is.Phase) {
		is.Phase = was.Phase
	}
	keepTimestamps(is, was)
	if w != writer.Controller && w != writer.Handler {
		return
	}
	kept := func(o owner) bool { return !owns(o, w, was.Phase, is.Phase) }
	for _, p := range parts {
		if kept(p.owner) {
			p.keep(is, was)
		}
	}
	is.Conditions = restoreConditions(is.Conditions, was.Conditions, kept, func(c condition) bool { return spokenFor(w, c) })
	if scheduled(is.Phase) && !scheduled(was.Phase) {
		// What its pod waited for is over, whoever wrote that: it need not be taken back by another write.
		is.Conditions = slices.DeleteFunc(is.Conditions, func(c condition) bool { return c.Type == virtv1.VirtualMachineInstanceProvisioning })
	}
	is.Memory = restoreMemory(is.Memory, was.Memory, kept)
	is.VolumeStatus = restoreVolumes(is.VolumeStatus, was.VolumeStatus, kept)
}

// keepTimestamps keeps the moments at which phases were entered: they are history. Those of phases that the instance is not
// in and was not in before are dropped with the phase that was not entered.
func keepTimestamps(is, was *status) {
	times := slices.Clone(was.PhaseTransitionTimestamps)
	for _, t := range is.PhaseTransitionTimestamps {
		known := slices.ContainsFunc(times, func(o virtv1.VirtualMachineInstancePhaseTransitionTimestamp) bool { return o.Phase == t.Phase })
		if !known && !(is.Phase == was.Phase) {
			times = append(times, t)
		}
	}
	is.PhaseTransitionTimestamps = times
}

// restoreConditions keeps the order of the list that was written, so that two writers do not reorder it in turns. A foreign
// condition can be set in the few cases that may tells, and never be taken away.
func restoreConditions(is, was []condition, kept func(owner) bool, may func(condition) bool) []condition {
	foreign := func(c condition) bool {
		o, known := conditions[c.Type]
		return known && kept(o)
	}
	find := func(list []condition, c condition) int {
		return slices.IndexFunc(list, func(o condition) bool { return o.Type == c.Type })
	}
	var out []condition
	for _, c := range is {
		if !foreign(c) || may(c) {
			out = append(out, c)
		} else if i := find(was, c); i >= 0 {
			out = append(out, was[i])
		}
	}
	for _, c := range was {
		if foreign(c) && find(is, c) < 0 {
			out = append(out, c)
		}
	}
	return out
}

func restoreMemory(is, was *virtv1.MemoryStatus, kept func(owner) bool) *virtv1.MemoryStatus {
	if is == nil && was == nil {
		return nil
	}
	var out, old virtv1.MemoryStatus
	if is != nil {
		out = *is
	}
	if was != nil {
		old = *was
	}
	for _, p := range memoryParts {
		if kept(p.owner) {
			p.keep(&out, &old)
		}
	}
	if out == (virtv1.MemoryStatus{}) {
		return nil
	}
	return &out
}

// restoreVolumes keeps the order of the list that was written. A volume that the writer leaves out stays with what others
// know of it.
func restoreVolumes(is, was []virtv1.VolumeStatus, kept func(owner) bool) []virtv1.VolumeStatus {
	find := func(list []virtv1.VolumeStatus, name string) int {
		return slices.IndexFunc(list, func(v virtv1.VolumeStatus) bool { return v.Name == name })
	}
	var out []virtv1.VolumeStatus
	for _, v := range is {
		old := virtv1.VolumeStatus{}
		if i := find(was, v.Name); i >= 0 {
			old = was[i]
		}
		for _, p := range volumeParts {
			if kept(p.owner) {
				p.keep(&v, &old)
			}
		}
		out = append(out, v)
	}
	for _, old := range was {
		if find(is, old.Name) >= 0 {
			continue
		}
		left := virtv1.VolumeStatus{Name: old.Name}
		for _, p := range volumeParts {
			if kept(p.owner) {
				p.keep(&left, &old)
			}
		}
		if left != (virtv1.VolumeStatus{Name: old.Name}) {
			out = append(out, left)
		}
	}
	return out
}
