package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/pkg/node/network"
)

// observe computes an instance's status from what is known of its guest, as far as the node agent owns it (decision 7).
// It never moves a phase back.
func observe(vmi *virtv1.VirtualMachineInstance, v view, now metav1.Time) virtv1.VirtualMachineInstanceStatus {
	status := *vmi.Status.DeepCopy()
	if final(status.Phase) {
		return status
	}
	observeSync(&status, v, now)
	observeReturn(&status, v, now)
	if v.event == nil {
		return status
	}
	switch {
	case ended(v.event):
		observeEnd(&status, vmi, v.event, now)
	case lives(v.event) && !scheduled(status.Phase):
		// The guest is not held up by what the kubelet has yet to tell of its pod, but nobody is told that it runs before.
	case lives(v.event):
		observeGuest(&status, vmi, v, now)
	case status.Phase == virtv1.Running:
		set(&status, virtv1.VirtualMachineInstanceSynchronized, corev1.ConditionFalse, ReasonGuestLost,
			"the launcher knows nothing of the guest that ran; it may have lost its state", now)
	case v.start.failure != nil && v.start.failure.final && vmi.DeletionTimestamp == nil:
		enter(&status, virtv1.Failed, now)
		status.Reason = v.start.failure.reason
		set(&status, virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse, virtv1.GuestNotRunningReason, "the guest could not be started: "+v.start.failure.message, now)
	}
	return status
}

// passing are the reasons that end when the launcher is back.
var passing = []string{ReasonLauncherAway, ReasonLauncherUntrusted, ReasonGuestLost}

// observeSync tells whether the guest is as the spec says. A failure stays until a later try succeeds; the absence of the
// launcher ends when it is back.
func observeSync(status *virtv1.VirtualMachineInstanceStatus, v view, now metav1.Time) {
	if f := v.start.failure; f != nil {
		set(status, virtv1.VirtualMachineInstanceSynchronized, corev1.ConditionFalse, f.reason, f.message, now)
		return
	}
	c := condition(status, virtv1.VirtualMachineInstanceSynchronized)
	if c != nil && v.event != nil && (v.start.generation > 0 || slices.Contains(passing, c.Reason)) {
		remove(status, virtv1.VirtualMachineInstanceSynchronized)
	}
}

// observeReturn takes back what virt-controller has said of the guest while this agent was silent. It says itself what the
// launcher tells; the guest that is on its way down was said to be ready when it began, unless it is paused.
func observeReturn(status *virtv1.VirtualMachineInstanceStatus, v view, now metav1.Time) {
	if c := condition(status, virtv1.VirtualMachineInstanceReady); c == nil || c.Reason != virtv1.NodeUnreachableReason {
		return
	}
	if v.event.GetState() == launcher.DomainState_DOMAIN_STATE_STOPPING && condition(status, virtv1.VirtualMachineInstancePaused) == nil {
		set(status, virtv1.VirtualMachineInstanceReady, corev1.ConditionTrue, "", "", now)
		return
	}
	set(status, virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse, virtv1.GuestNotRunningReason, "virt-handler answers again and knows of no guest that runs", now)
}

func observeEnd(status *virtv1.VirtualMachineInstanceStatus, vmi *virtv1.VirtualMachineInstance, e *launcher.Event, now metav1.Time) {
	phase, reason := virtv1.Succeeded, e.GetReason()
	switch {
	case e.GetState() == launcher.DomainState_DOMAIN_STATE_CRASHED:
		phase = virtv1.Failed
	case e.GetPodTerminated() && vmi.DeletionTimestamp == nil:
		// The guest is still wanted: it has not done its work, however orderly it went.
		phase, reason = virtv1.Failed, ReasonPodTerminated
	}
	// How a guest that never ran has ended is why it is not as its spec says, whatever was known of the start before.
	if e.GetState() == launcher.DomainState_DOMAIN_STATE_CRASHED && (status.Phase != virtv1.Running || condition(status, virtv1.VirtualMachineInstanceSynchronized) != nil) {
		set(status, virtv1.VirtualMachineInstanceSynchronized, corev1.ConditionFalse, e.GetReason(), e.GetMessage(), now)
	}
	enter(status, phase, now)
	status.Reason = reason
	remove(status, virtv1.VirtualMachineInstancePaused)
	remove(status, virtv1.VirtualMachineInstanceAgentConnected)
	remove(status, virtv1.VirtualMachineInstanceDegraded)
	message := "the guest has ended"
	if reason == ReasonPodTerminated {
		message += " because its pod was told to, by a drain, an eviction, a deletion or its liveness probe"
	}
	if m := e.GetMessage(); m != "" {
		message += ": " + m
	}
	set(status, virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse, virtv1.GuestNotRunningReason, message, now)
}

func observeGuest(status *virtv1.VirtualMachineInstanceStatus, vmi *virtv1.VirtualMachineInstance, v view, now metav1.Time) {
	e := v.event
	enter(status, virtv1.Running, now)
	switch e.GetState() {
	case launcher.DomainState_DOMAIN_STATE_RUNNING:
		remove(status, virtv1.VirtualMachineInstancePaused)
		observeReady(status, vmi, e, now)
	case launcher.DomainState_DOMAIN_STATE_PAUSED:
		message := e.GetMessage()
		if message == "" {
			message = "the guest's CPUs are stopped"
		}
		set(status, virtv1.VirtualMachineInstancePaused, corev1.ConditionTrue, e.GetReason(), message, now)
		set(status, virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse, virtv1.GuestNotRunningReason, "the guest is paused", now)
	}
	observeTermination(status, now)
	if e.GetEmulation() {
		set(status, virtv1.VirtualMachineInstanceSoftwareEmulation, corev1.ConditionTrue, "SoftwareEmulation", "the guest runs without hardware virtualization, many times slower", now)
	} else {
		remove(status, virtv1.VirtualMachineInstanceSoftwareEmulation)
	}
	observeAgent(status, vmi, e, now)
	observeCredentials(status, e.GetCredentials(), now)
	observeShortfalls(status, e.GetShortfalls(), now)
	reason, message := notMigratable(vmi)
	set(status, virtv1.VirtualMachineInstanceIsMigratable, corev1.ConditionFalse, reason, message, now)
	status.MigrationMethod = migrationMethod(vmi)

	if e.GetMachineType() != "" {
		status.Machine = &virtv1.Machine{Type: e.GetMachineType()}
	}
	status.CurrentCPUTopology = topology(vmi.Spec.Domain.CPU)
	observeMemory(status, vmi)
	status.Interfaces = interfaces(vmi, status.Interfaces, v)
	status.VolumeStatus = volumes(vmi, status.VolumeStatus)
}

// observeMemory tells what the guest has; what was asked for is virt-controller's to write.
func observeMemory(status *virtv1.VirtualMachineInstanceStatus, vmi *virtv1.VirtualMachineInstance) {
	guest := machine.GuestMemory(&vmi.Spec)
	if guest.IsZero() || status.Memory != nil && status.Memory.GuestCurrent != nil {
		return
	}
	if status.Memory == nil {
		status.Memory = &virtv1.MemoryStatus{}
	}
	guest = guest.DeepCopy()
	status.Memory.GuestCurrent = &guest
}

func topology(cpu *virtv1.CPU) *virtv1.CPUTopology {
	if cpu == nil {
		cpu = &virtv1.CPU{}
	}
	return &virtv1.CPUTopology{Sockets: max(cpu.Sockets, 1), Cores: max(cpu.Cores, 1), Threads: max(cpu.Threads, 1)}
}

// interfaces lists those of the spec and then those that only the guest knows of.
func interfaces(vmi *virtv1.VirtualMachineInstance, before []virtv1.VirtualMachineInstanceNetworkInterface, v view) []virtv1.VirtualMachineInstanceNetworkInterface {
	var all []virtv1.VirtualMachineInstanceNetworkInterface
	for i := range vmi.Spec.Domain.Devices.Interfaces {
		iface := &vmi.Spec.Domain.Devices.Interfaces[i]
		one := virtv1.VirtualMachineInstanceNetworkInterface{Name: iface.Name, MAC: iface.MACAddress, InfoSource: "domain", PodInterfaceName: network.Uplink}
		var pod []netip.Addr
		if v.start.network != nil {
			pod = v.start.network.PodIPs
		}
		if len(pod) > 0 {
			one.IPAddress = pod[0].String()
			for _, ip := range pod {
				one.IPAddresses = append(one.IPAddresses, ip.String())
			}
		} else if at := slices.IndexFunc(before, func(b virtv1.VirtualMachineInstanceNetworkInterface) bool { return b.Name == iface.Name }); at >= 0 {
			// An agent that has just been started has not looked into the pod yet.
			one.IPAddress, one.IPAddresses = before[at].IPAddress, before[at].IPAddresses
		}
		if at := slices.IndexFunc(v.event.GetInterfaces(), func(g *launcher.GuestInterface) bool { return g.GetName() == iface.Name }); at >= 0 {
			merge(&one, v.event.GetInterfaces()[at])
		}
		all = append(all, one)
	}
	for _, g := range v.event.GetInterfaces() {
		if g.GetName() != "" {
			continue
		}
		one := virtv1.VirtualMachineInstanceNetworkInterface{InfoSource: "guest-agent", IPAddresses: g.GetIpAddresses()}
		if len(g.GetIpAddresses()) > 0 {
			one.IPAddress = g.GetIpAddresses()[0]
		}
		merge(&one, g)
		all = append(all, one)
	}
	return all
}

// merge adds what the launcher knows. The addresses stay those of the pod: those of the guest behind its NAT reach
// nobody.
func merge(one *virtv1.VirtualMachineInstanceNetworkInterface, g *launcher.GuestInterface) {
	if g.GetMac() != "" {
		one.MAC = g.GetMac()
	}
	one.InterfaceName, one.LinkState = g.GetGuestName(), g.GetLinkState()
	if sources := g.GetSources(); len(sources) > 0 {
		one.InfoSource = strings.Join(sources, ", ")
	}
	if n := int32(g.GetQueueCount()); n > 0 {
		one.QueueCount = &n
	}
}

// notMigratable names the first thing that keeps an instance on its node.
func notMigratable(vmi *virtv1.VirtualMachineInstance) (reason, message string) {
	for _, v := range vmi.Status.VolumeStatus {
		if claim := v.PersistentVolumeClaimInfo; claim != nil && !slices.Contains(claim.AccessModes, corev1.ReadWriteMany) {
			return "DisksNotLiveMigratable", fmt.Sprintf("the claim of volume %q is not shared: it lacks access mode ReadWriteMany", v.Name)
		}
	}
	for _, v := range vmi.Spec.Volumes {
		if v.HostDisk != nil {
			return "DisksNotLiveMigratable", fmt.Sprintf("volume %q is a disk of the node", v.Name)
		}
	}
	if d := vmi.Spec.Domain.Devices; len(d.HostDevices) > 0 || len(d.GPUs) > 0 {
		return "HostDeviceNotLiveMigratable", "a device of the node is passed through"
	}
	if cpu := vmi.Spec.Domain.CPU; cpu != nil && cpu.Model == "host-passthrough" {
		return "CPUModeLiveMigratable", "the CPU model host-passthrough belongs to this node"
	}
	return "MigrationNotSupported", "this version does not migrate running instances yet"
}

func migrationMethod(vmi *virtv1.VirtualMachineInstance) string {
	for _, v := range vmi.Spec.Volumes {
		if v.ContainerDisk != nil || v.EmptyDisk != nil || v.Ephemeral != nil || v.HostDisk != nil {
			return "BlockMigration"
		}
	}
	return "LiveMigration"
}

var order = []virtv1.VirtualMachineInstancePhase{virtv1.VmPhaseUnset, virtv1.Pending, virtv1.Scheduling, virtv1.Scheduled, virtv1.Running, virtv1.Succeeded, virtv1.Failed}

// scheduled says whether virt-controller has seen the containers of the instance's pod run.
func scheduled(phase virtv1.VirtualMachineInstancePhase) bool {
	return slices.Index(order, phase) >= slices.Index(order, virtv1.Scheduled)
}

// enter moves to a later phase and stamps it; an earlier one, or the same, changes nothing.
func enter(status *virtv1.VirtualMachineInstanceStatus, phase virtv1.VirtualMachineInstancePhase, now metav1.Time) {
	if from := slices.Index(order, status.Phase); from < 0 || from >= slices.Index(order, phase) {
		return
	}
	status.Phase = phase
	status.PhaseTransitionTimestamps = append(status.PhaseTransitionTimestamps, virtv1.VirtualMachineInstancePhaseTransitionTimestamp{Phase: phase, PhaseTransitionTimestamp: now})
}

func condition(status *virtv1.VirtualMachineInstanceStatus, kind virtv1.VirtualMachineInstanceConditionType) *virtv1.VirtualMachineInstanceCondition {
	for i := range status.Conditions {
		if status.Conditions[i].Type == kind {
			return &status.Conditions[i]
		}
	}
	return nil
}

// set changes a condition in its place: two writers that reorder the list would never come to rest.
func set(status *virtv1.VirtualMachineInstanceStatus, kind virtv1.VirtualMachineInstanceConditionType, value corev1.ConditionStatus, reason, message string, now metav1.Time) {
	c := condition(status, kind)
	if c == nil {
		status.Conditions = append(status.Conditions, virtv1.VirtualMachineInstanceCondition{Type: kind})
		c = &status.Conditions[len(status.Conditions)-1]
	}
	if c.Status != value {
		c.LastTransitionTime = now
	}
	c.Status, c.Reason, c.Message = value, reason, message
}

func remove(status *virtv1.VirtualMachineInstanceStatus, kind virtv1.VirtualMachineInstanceConditionType) {
	status.Conditions = slices.DeleteFunc(status.Conditions, func(c virtv1.VirtualMachineInstanceCondition) bool { return c.Type == kind })
}
