package vmi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// podScheduled is the condition type of pods, copied to an instance while its pod finds no node.
const podScheduled virtv1.VirtualMachineInstanceConditionType = "PodScheduled"

// Reasons of the Provisioning condition and of the events that go with it: what an instance waits for.
const (
	ReasonClaimNotFound   = "PersistentVolumeClaimNotFound"
	ReasonClaimLost       = "PersistentVolumeClaimLost"
	ReasonClaimPending    = "WaitingForVolumeBinding"
	ReasonUnschedulable   = "Unschedulable"
	ReasonContainers      = "ContainersWaiting"
	ReasonPodCreateFailed = "FailedCreate"
	ReasonPodGone         = "PodGone"
	ReasonGuestEnded      = "GuestEnded"
	// ReasonPodTerminated says that someone deleted or evicted the pod of a guest that was wanted.
	ReasonPodTerminated = "PodTerminated"
	// ReasonPodNotOwned says that a pod of the launcher pod's name lacks the owner or the label of one.
	ReasonPodNotOwned = "PodNotOwned"
)

// reportNotStarted is the reason in the report of a launcher pod that was told to end before it had a guest.
const reportNotStarted = "NotStarted"

// wait says why an instance does not go on; without a reason nothing holds it up.
type wait struct {
	reason, message string
	// again is when to look again although nothing may bring us back, zero if something will.
	again time.Duration
}

// soonest is the shortest of some times to wait, of which zero is none.
func soonest(waits ...time.Duration) time.Duration {
	var out time.Duration
	for _, w := range waits {
		if w > 0 && (out == 0 || w < out) {
			out = w
		}
	}
	return out
}

// terminationReport is what the first process of a launcher pod leaves as its termination message.
type terminationReport struct {
	Reason   string `json:"reason"`
	Message  string `json:"message"`
	ExitCode int    `json:"exitCode"`
	// PodTerminated says that the pod was told to end while its guest still ran, or before there was one.
	PodTerminated bool `json:"podTerminated"`
}

// observe returns the status that follows from the pod as far as virt-controller owns it (decision 7). It never moves a
// phase back and touches nothing that virt-handler writes.
func observe(vmi *virtv1.VirtualMachineInstance, pod *corev1.Pod, waiting wait, now metav1.Time, o RenderOptions) virtv1.VirtualMachineInstanceStatus {
	status := *vmi.Status.DeepCopy()
	if final(status.Phase) {
		return status
	}
	if pod == nil {
		if status.NodeName != "" {
			conclude(&status, ending{virtv1.Failed, ReasonPodGone, "the launcher pod is gone"}, virtv1.PodNotExistsReason, now)
		}
		setWait(&status, virtv1.VirtualMachineInstanceProvisioning, waiting, now)
		return status
	}
	if node := pod.Spec.NodeName; node != "" && status.NodeName == "" {
		enter(&status, virtv1.Scheduling, now)
		status.NodeName = node
		status.ActivePods = map[types.UID]string{pod.UID: node}
		qos := pod.Status.QOSClass
		status.QOSClass = &qos
		status.RuntimeUser = machine.QEMUUser
		status.VSOCKCID = o.CID
		status.VirtualMachineRevisionName = startRevision(vmi)
		status.LauncherContainerImageVersion = o.LauncherImage
		overhead := machine.MemoryOverhead(&vmi.Spec, machine.Options{Emulation: o.emulation(), Ratio: o.Config.AdditionalGuestMemoryOverheadRatio})
		guest := machine.GuestMemory(&vmi.Spec)
		status.Memory = &virtv1.MemoryStatus{GuestAtBoot: clone(guest), GuestRequested: clone(guest), MemoryOverhead: &overhead}
		if claim, ok := o.Claims[stateClaim(vmi)]; ok {
			status.VolumeStatus = append(status.VolumeStatus, virtv1.VolumeStatus{Name: claim.Name, PersistentVolumeClaimInfo: claimInfo(claim)})
		}
		for _, v := range vmi.Spec.Volumes {
			if claim, ok := o.Claims[claimOf(v)]; ok {
				status.VolumeStatus = append(status.VolumeStatus, virtv1.VolumeStatus{Name: v.Name, PersistentVolumeClaimInfo: claimInfo(claim)})
			}
		}
	}
	if e, over := outcome(pod); over {
		conclude(&status, e, virtv1.GuestNotRunningReason, now)
		waiting = wait{}
	} else if before(status.Phase, virtv1.Scheduled) {
		if waiting.reason == ReasonUnschedulable {
			enter(&status, virtv1.Scheduling, now)
			setCondition(&status, podScheduled, corev1.ConditionFalse, ReasonUnschedulable, waiting.message, now)
		}
		if prepared(vmi, pod) {
			enter(&status, virtv1.Scheduled, now)
			waiting = wait{}
		}
	} else {
		waiting = wait{} // the node has it; our pod may be older than that
	}
	if status.NodeName != "" {
		status.Conditions = slices.DeleteFunc(status.Conditions, func(c virtv1.VirtualMachineInstanceCondition) bool { return c.Type == podScheduled })
	}
	setWait(&status, virtv1.VirtualMachineInstanceProvisioning, waiting, now)
	observeProbe(&status, vmi, pod, now)
	observeContainers(&status, vmi, pod, now)
	return status
}

// startRevision names what an instance of a machine was made from.
func startRevision(vmi *virtv1.VirtualMachineInstance) string {
	owner, generation := metav1.GetControllerOf(vmi), vmi.Annotations[virtv1.VirtualMachineGeneration]
	if owner == nil || owner.Kind != "VirtualMachine" || generation == "" {
		return ""
	}
	return machine.StartRevision(owner.UID, generation)
}

// claimInfo is what virt-handler needs to know of a claim to make a disk image in it.
func claimInfo(claim *corev1.PersistentVolumeClaim) *virtv1.PersistentVolumeClaimInfo {
	return &virtv1.PersistentVolumeClaimInfo{
		ClaimName: claim.Name, AccessModes: claim.Spec.AccessModes, VolumeMode: claim.Spec.VolumeMode,
		Capacity: claim.Status.Capacity, Requests: claim.Spec.Resources.Requests, FilesystemOverhead: filesystemOverhead,
	}
}

// filesystemOverhead is the share of a claim that its file system keeps for itself; disk images leave it free.
const filesystemOverhead = "0.06"

func clone(q resource.Quantity) *resource.Quantity { c := q.DeepCopy(); return &c }

const (
	// claimPatience is how long a claim may take to be bound, and creationPatience how long a pod's containers may take to be
	// created, before someone is told. An image may have to be pulled first.
	claimPatience    = 10 * time.Second
	creationPatience = time.Minute
)

// podWait says what holds a pod up: no node fits, a claim is not bound, or a container cannot start.
func podWait(pod *corev1.Pod, claims map[string]*corev1.PersistentVolumeClaim, now time.Time) wait {
	claim := unbound(claims)
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse || c.Reason != corev1.PodReasonUnschedulable {
			continue
		}
		// The scheduler's words when the storage class binds at once: nodes do not matter then.
		if claim != "" && strings.Contains(c.Message, "unbound immediate PersistentVolumeClaims") {
			return wait{reason: ReasonClaimPending, message: fmt.Sprintf("PersistentVolumeClaim %s is not bound to a volume; its events say why", claim)}
		}
		return wait{reason: ReasonUnschedulable, message: c.Message}
	}
	if pod.Spec.NodeName == "" {
		if claim == "" {
			return wait{}
		}
		return after(pod.CreationTimestamp.Time, claimPatience, now,
			wait{reason: ReasonClaimPending, message: fmt.Sprintf("PersistentVolumeClaim %s is not bound to a volume yet; its events say why", claim)})
	}
	for _, c := range pod.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && !creating(w) {
			return wait{reason: w.Reason, message: fmt.Sprintf("container %s of pod %s: %s", c.Name, pod.Name, w.Message)}
		}
	}
	if !slices.ContainsFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Waiting == nil }) {
		return after(bound(pod), creationPatience, now, wait{reason: ReasonContainers,
			message: fmt.Sprintf("node %s has not created the containers of pod %s yet: it may pull an image or wait for a volume; the events of the pod say which", pod.Spec.NodeName, pod.Name)})
	}
	return wait{}
}

// creating says whether a container waits in the ordinary way, which is no reason to worry anyone for a while.
func creating(w *corev1.ContainerStateWaiting) bool {
	return w.Reason == "ContainerCreating" || w.Reason == "PodInitializing" || w.Reason == ""
}

// after is a wait that is told only when it has gone on for some time. Of an unknown beginning it is not told.
func after(begin time.Time, patience time.Duration, now time.Time, w wait) wait {
	switch left := begin.Add(patience).Sub(now); {
	case begin.IsZero():
		return wait{}
	case left > 0:
		return wait{again: left}
	}
	return w
}

// bound is when a pod got its node.
func bound(pod *corev1.Pod) time.Time {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// unbound names a claim that has no volume yet, the first in their order.
func unbound(claims map[string]*corev1.PersistentVolumeClaim) string {
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if claims[name].Status.Phase == corev1.ClaimPending {
			return name
		}
	}
	return ""
}

// ending is how an instance ends.
type ending struct {
	phase           virtv1.VirtualMachineInstancePhase
	reason, message string
}

// conclude ends an instance. Nobody else will take back that it is ready (decision 7).
func conclude(status *virtv1.VirtualMachineInstanceStatus, e ending, notReady string, now metav1.Time) {
	enter(status, e.phase, now)
	status.Reason = e.reason
	setCondition(status, virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse, notReady, e.message, now)
}

// succeeded says whether a pod in which the guest's container has ended has done its work, although another one may run on.
func succeeded(pod *corev1.Pod) bool {
	if ended(pod) {
		return pod.Status.Phase == corev1.PodSucceeded
	}
	s := statusOf(pod.Status.ContainerStatuses, machine.ComputeContainer)
	return s.State.Terminated.ExitCode == 0
}

// outcome says how a pod in which the guest's container has ended leaves its instance. It is asked only while the instance itself
// is not deleted: an end that came from outside is no success then, however orderly it was.
func outcome(pod *corev1.Pod) (ending, bool) {
	if !over(pod) {
		return ending{}, false
	}
	succeeded, r := succeeded(pod), report(pod)
	e := ending{phase: virtv1.Failed, reason: r.Reason}
	switch orderly := succeeded || r.ExitCode == 0 || r.Reason == reportNotStarted; {
	case orderly && r.PodTerminated, succeeded && terminated(pod):
		e.reason, e.message = ReasonPodTerminated, fmt.Sprintf("the launcher pod %s was deleted or evicted, and the guest with it", pod.Name)
		if m := pod.Status.Message; m != "" {
			e.message += ": " + m
		}
		return e, true
	case succeeded && r.Reason != reportNotStarted:
		e.phase = virtv1.Succeeded
	}
	if e.phase == virtv1.Failed && e.reason == "" {
		e.reason = pod.Status.Reason
	}
	if e.phase == virtv1.Failed && e.reason == "" {
		e.reason = ReasonGuestEnded
	}
	e.message = fmt.Sprintf("the launcher pod %s ended", pod.Name)
	for _, more := range []string{e.reason, r.Message} {
		if more != "" {
			e.message += ": " + more
		}
	}
	return e, true
}

// terminated says whether a pod ended because someone asked for it, rather than being deleted after it had ended.
func terminated(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp == nil {
		return false
	}
	asked := pod.DeletionTimestamp.Time
	if s := pod.DeletionGracePeriodSeconds; s != nil {
		asked = asked.Add(-time.Duration(*s) * time.Second)
	}
	for _, c := range pod.Status.ContainerStatuses {
		if t := c.State.Terminated; c.Name == machine.ComputeContainer && t != nil && !t.FinishedAt.IsZero() {
			return !t.FinishedAt.Time.Before(asked)
		}
	}
	return true
}

func report(pod *corev1.Pod) terminationReport {
	var r terminationReport
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == machine.ComputeContainer && c.State.Terminated != nil {
			if json.Unmarshal([]byte(c.State.Terminated.Message), &r) != nil {
				r.Reason = c.State.Terminated.Reason
			}
		}
	}
	return r
}

func final(p virtv1.VirtualMachineInstancePhase) bool {
	return p == virtv1.Succeeded || p == virtv1.Failed
}

var order = []virtv1.VirtualMachineInstancePhase{virtv1.VmPhaseUnset, virtv1.Pending, virtv1.Scheduling, virtv1.Scheduled, virtv1.Running, virtv1.Succeeded, virtv1.Failed}

// before says whether phase a comes before b. An unknown phase comes before none.
func before(a, b virtv1.VirtualMachineInstancePhase) bool {
	i := slices.Index(order, a)
	return i >= 0 && i < slices.Index(order, b)
}

// enter moves to a later phase and stamps it; an earlier or the same phase changes nothing.
func enter(status *virtv1.VirtualMachineInstanceStatus, phase virtv1.VirtualMachineInstancePhase, now metav1.Time) {
	if !before(status.Phase, phase) {
		return
	}
	status.Phase = phase
	status.PhaseTransitionTimestamps = append(status.PhaseTransitionTimestamps, virtv1.VirtualMachineInstancePhaseTransitionTimestamp{Phase: phase, PhaseTransitionTimestamp: now})
}

// setWait keeps a condition as long as something is waited for.
func setWait(status *virtv1.VirtualMachineInstanceStatus, t virtv1.VirtualMachineInstanceConditionType, w wait, now metav1.Time) {
	if w.reason == "" {
		status.Conditions = slices.DeleteFunc(status.Conditions, func(c virtv1.VirtualMachineInstanceCondition) bool { return c.Type == t })
		return
	}
	setCondition(status, t, corev1.ConditionTrue, w.reason, w.message, now)
}

func setCondition(status *virtv1.VirtualMachineInstanceStatus, t virtv1.VirtualMachineInstanceConditionType, s corev1.ConditionStatus, reason, message string, now metav1.Time) {
	i := slices.IndexFunc(status.Conditions, func(c virtv1.VirtualMachineInstanceCondition) bool { return c.Type == t })
	if i < 0 {
		status.Conditions = append(status.Conditions, virtv1.VirtualMachineInstanceCondition{Type: t, LastTransitionTime: now})
		i = len(status.Conditions) - 1
	}
	c := &status.Conditions[i]
	if c.Status != s {
		c.LastTransitionTime = now
	}
	c.Status, c.Reason, c.Message = s, reason, message
}

func sameStatus(a, b *virtv1.VirtualMachineInstanceStatus) bool {
	return apiequality.Semantic.DeepEqual(a, b)
}
