package vm

import (
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// ownConditions are the condition types that this controller makes up itself; all others are copied from the instance.
var ownConditions = []virtv1.VirtualMachineConditionType{virtv1.VirtualMachineReady, virtv1.VirtualMachineFailure, virtv1.VirtualMachineRestartRequired, virtv1.VirtualMachineEnded}

// synchronized is a condition of the machine only while it is false: of what its instance, or it, asks for and cannot have.
const synchronized = virtv1.VirtualMachineConditionType(virtv1.VirtualMachineInstanceSynchronized)

// reasonClaimNotFound is that of an instance that waits for a claim.
const reasonClaimNotFound = "PersistentVolumeClaimNotFound"

// notCopied are conditions of an instance that say nothing about the machine, or not as they are.
var notCopied = []virtv1.VirtualMachineInstanceConditionType{virtv1.VirtualMachineInstanceReady, virtv1.VirtualMachineInstanceProvisioning, "PodScheduled", virtv1.VirtualMachineInstanceSynchronized}

// failure is what stands in the way of the machine, for its Failure condition; the zero value says nothing does.
type failure struct{ reason, message string }

// Reasons of the Failure condition for what is wrong outside of an instance. They end with their cause.
const (
	reasonNotOwned     = "InstanceNotOwned"
	reasonFailedCreate = "FailedCreate"
)

// reasonInstanceFailed is the reason of an instance that gives none for its failure.
const reasonInstanceFailed = "InstanceFailed"

// failureOf says why an instance has failed; the zero value says that it has not. virt-handler leaves the words of a try
// to start or change a guest in Synchronized, and those about a guest's end in Ready, as virt-controller does.
func failureOf(vmi *virtv1.VirtualMachineInstance) failure {
	if vmi == nil || vmi.Status.Phase != virtv1.Failed {
		return failure{}
	}
	f := failure{reason: vmi.Status.Reason}
	for _, t := range []virtv1.VirtualMachineInstanceConditionType{virtv1.VirtualMachineInstanceSynchronized, virtv1.VirtualMachineInstanceReady} {
		c := find(vmi, t)
		if c == nil || c.Status != corev1.ConditionFalse || t == virtv1.VirtualMachineInstanceSynchronized && f.reason != "" && c.Reason != f.reason {
			continue
		}
		if f.reason == "" {
			f.reason = c.Reason
		}
		if f.message == "" {
			f.message = c.Message
		}
	}
	if f.reason == "" {
		f.reason = reasonInstanceFailed
	}
	return f
}

// standing is the failure that the machine's status tells from now on: a problem of the moment, the failure of the
// instance, or that of the last one as long as it counts, although the instance is gone.
func standing(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, d decision, problem failure) failure {
	if problem != (failure{}) {
		return problem
	}
	if f := failureOf(vmi); f != (failure{}) && !interrupted(vmi) {
		return f
	}
	if vmi != nil && vmi.Status.Phase == virtv1.Running {
		return failure{} // of a machine that runs, the failure of an earlier instance only counts
	}
	if c := failureCondition(&vm.Status); d.startFailure != nil && c != nil && c.Reason != reasonNotOwned && c.Reason != reasonFailedCreate {
		return failure{c.Reason, c.Message}
	}
	return failure{}
}

// stale says whether the words of an earlier try to start a guest, in a condition, are not why the instance is not ready now: it
// has ended since, for its own reason, or it was ready since.
func stale(c *virtv1.VirtualMachineInstanceCondition, vmi *virtv1.VirtualMachineInstance) bool {
	ready := find(vmi, virtv1.VirtualMachineInstanceReady)
	return final(vmi) || ready != nil && ready.LastTransitionTime.After(c.LastTransitionTime.Time)
}

func failureCondition(status *virtv1.VirtualMachineStatus) *virtv1.VirtualMachineCondition {
	for i := range status.Conditions {
		if status.Conditions[i].Type == virtv1.VirtualMachineFailure {
			return &status.Conditions[i]
		}
	}
	return nil
}

// summarize computes the status of a machine from its instance (nil if none exists).
func summarize(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, d decision, f failure, now metav1.Time) virtv1.VirtualMachineStatus {
	status := *vm.Status.DeepCopy()
	status.ObservedGeneration = observedGeneration(vm, vmi)
	status.DesiredGeneration = vm.Generation
	status.RunStrategy = RunStrategy(&vm.Spec)
	status.StateChangeRequests = d.requests
	status.StartFailure = d.startFailure
	status.Created = vmi != nil
	status.Ready = vmi != nil && vmi.Status.Phase == virtv1.Running && isTrue(vmi, virtv1.VirtualMachineInstanceReady) && !lost(vmi) && !leaving(vmi)
	status.PrintableStatus = printable(vm, vmi, d, f, now.Time)
	status.Conditions = conditions(vm, vmi, status, standing(vm, vmi, d, f), d, now)
	return status
}

// observedGeneration is that of the spec which the machine's instance follows: the one that it was made from, as long as the
// template is another one now and waits for a restart.
func observedGeneration(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance) int64 {
	if vmi == nil {
		return vm.Generation
	}
	if hash, err := templateHash(vm); err == nil && vmi.Annotations[templateHashAnnotation] == hash {
		return vm.Generation
	}
	made, err := strconv.ParseInt(vmi.Annotations[virtv1.VirtualMachineGeneration], 10, 64)
	if err != nil {
		return vm.Generation // made by hand, or its annotation was edited
	}
	return made
}

// lost says that nobody knows any more how the guest is: its pod should be gone, and its node does not say that it is.
func lost(vmi *virtv1.VirtualMachineInstance) bool {
	c := find(vmi, virtv1.VirtualMachineInstanceBlocked)
	return c != nil && c.Reason == virtv1.PodTerminatingReason
}

// leaving says that the pod of a guest is on its way out, although the instance is not: with its namespace, by a drain.
func leaving(vmi *virtv1.VirtualMachineInstance) bool {
	c := find(vmi, virtv1.VirtualMachineInstanceContainersReady)
	return c != nil && c.Status == corev1.ConditionFalse && c.Reason == virtv1.PodTerminatingReason
}

func conditions(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, status virtv1.VirtualMachineStatus, f failure, d decision, now metav1.Time) []virtv1.VirtualMachineCondition {
	var out []virtv1.VirtualMachineCondition
	set := func(c virtv1.VirtualMachineCondition) {
		i := slices.IndexFunc(vm.Status.Conditions, func(o virtv1.VirtualMachineCondition) bool { return o.Type == c.Type })
		if c.LastTransitionTime.IsZero() {
			c.LastTransitionTime = now
			if i >= 0 && vm.Status.Conditions[i].Status == c.Status {
				c.LastTransitionTime = vm.Status.Conditions[i].LastTransitionTime
			}
		}
		out = append(out, c)
	}
	ready := virtv1.VirtualMachineCondition{Type: virtv1.VirtualMachineReady, Status: corev1.ConditionFalse, Reason: "VMINotExists", Message: "VMI does not exist"}
	if vmi != nil {
		ready.Reason, ready.Message = virtv1.GuestNotRunningReason, "Guest VM is not reported as running"
		if c := find(vmi, virtv1.VirtualMachineInstanceReady); c != nil && (status.Ready || c.Status != corev1.ConditionTrue) {
			ready.Status, ready.Reason, ready.Message = c.Status, c.Reason, c.Message
		}
		// What an instance waits for or fails at is the machine's answer to "why is it not ready".
		if c := find(vmi, virtv1.VirtualMachineInstanceSynchronized); c != nil && c.Status == corev1.ConditionFalse && ready.Status != corev1.ConditionTrue && !stale(c, vmi) {
			ready.Reason, ready.Message = c.Reason, c.Message
		}
		if e := failureOf(vmi); e != (failure{}) && e.message != "" {
			ready.Reason, ready.Message = e.reason, e.message
		}
		if c := find(vmi, virtv1.VirtualMachineInstanceProvisioning); c != nil {
			ready.Reason, ready.Message = c.Reason, c.Message
			if c.Reason == reasonClaimNotFound && d.unmade != (failure{}) {
				ready.Reason, ready.Message = d.unmade.reason, d.unmade.message
			}
		}
		if leaving(vmi) && !final(vmi) {
			c := find(vmi, virtv1.VirtualMachineInstanceContainersReady)
			ready.Status, ready.Reason, ready.Message = c.Status, c.Reason, c.Message
		}
		if c := find(vmi, virtv1.VirtualMachineInstanceBlocked); c != nil && ready.Status != corev1.ConditionTrue {
			ready.Reason, ready.Message = c.Reason, c.Message
		}
	}
	set(ready)
	if f != (failure{}) {
		set(virtv1.VirtualMachineCondition{Type: virtv1.VirtualMachineFailure, Status: corev1.ConditionTrue, Reason: f.reason, Message: f.message})
	}
	if d.unmade != (failure{}) {
		set(virtv1.VirtualMachineCondition{Type: synchronized, Status: corev1.ConditionFalse, Reason: d.unmade.reason, Message: d.unmade.message})
	} else if c := findIn(vmi, virtv1.VirtualMachineInstanceSynchronized); c != nil && c.Status == corev1.ConditionFalse {
		set(virtv1.VirtualMachineCondition{Type: synchronized, Status: c.Status, Reason: c.Reason, Message: c.Message, LastTransitionTime: c.LastTransitionTime})
	}
	if e := d.ended; e != (end{}) {
		set(virtv1.VirtualMachineCondition{Type: virtv1.VirtualMachineEnded, Status: corev1.ConditionTrue, Reason: e.reason, Message: e.message})
	}
	if vmi == nil {
		return out
	}
	if hash, err := templateHash(vm); err == nil && vmi.DeletionTimestamp == nil && !final(vmi) {
		if made, ok := vmi.Annotations[templateHashAnnotation]; ok && made != hash {
			set(virtv1.VirtualMachineCondition{Type: virtv1.VirtualMachineRestartRequired, Status: corev1.ConditionTrue, Reason: "TemplateChanged",
				Message: "spec.template has changed since the machine started: restart it to apply the change"})
		}
	}
	for _, c := range vmi.Status.Conditions {
		if slices.Contains(notCopied, c.Type) || slices.Contains(ownConditions, virtv1.VirtualMachineConditionType(c.Type)) {
			continue
		}
		set(virtv1.VirtualMachineCondition{Type: virtv1.VirtualMachineConditionType(c.Type), Status: c.Status, Reason: c.Reason, Message: c.Message,
			LastProbeTime: c.LastProbeTime, LastTransitionTime: c.LastTransitionTime})
	}
	return out
}

// waits maps what an instance's Provisioning condition waits for to the word that the table shows.
var waits = map[string]virtv1.VirtualMachinePrintableStatus{
	"Unschedulable": virtv1.VirtualMachineStatusUnschedulable,
	// The kubelet's words for an image that it does not get or cannot use.
	"ErrImagePull":              virtv1.VirtualMachineStatusErrImagePull,
	"ImagePullBackOff":          virtv1.VirtualMachineStatusImagePullBackOff,
	"InvalidImageName":          virtv1.VirtualMachineStatusErrImagePull,
	"ErrImageNeverPull":         virtv1.VirtualMachineStatusErrImagePull,
	"ImageInspectError":         virtv1.VirtualMachineStatusErrImagePull,
	"ImageVolumeMountFailed":    virtv1.VirtualMachineStatusErrImagePull,
	"RegistryUnavailable":       virtv1.VirtualMachineStatusErrImagePull,
	"SignatureValidationFailed": virtv1.VirtualMachineStatusErrImagePull,
	// Its words for a container that it cannot start and tries again.
	"CrashLoopBackOff":           virtv1.VirtualMachineStatusCrashLoopBackOff,
	"CreateContainerConfigError": virtv1.VirtualMachineStatusCrashLoopBackOff,
	"CreateContainerError":       virtv1.VirtualMachineStatusCrashLoopBackOff,
	"CreatePodSandboxError":      virtv1.VirtualMachineStatusCrashLoopBackOff,
	"ConfigPodSandboxError":      virtv1.VirtualMachineStatusCrashLoopBackOff,
	"PostStartHookError":         virtv1.VirtualMachineStatusCrashLoopBackOff,
	"PreCreateHookError":         virtv1.VirtualMachineStatusCrashLoopBackOff,
	"PreStartHookError":          virtv1.VirtualMachineStatusCrashLoopBackOff,
	"RROUnsupported":             virtv1.VirtualMachineStatusCrashLoopBackOff,
	"RunContainerError":          virtv1.VirtualMachineStatusCrashLoopBackOff,
	reasonClaimNotFound:          virtv1.VirtualMachineStatusPvcNotFound,
	"WaitingForVolumeBinding":    virtv1.VirtualMachineStatusWaitingForVolumeBinding,
}

func printable(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, d decision, f failure, now time.Time) virtv1.VirtualMachinePrintableStatus {
	switch {
	case vm.DeletionTimestamp != nil:
		return virtv1.VirtualMachineStatusTerminating
	case vmi == nil && (f.reason == reasonNotOwned || d.refused):
		return virtv1.VirtualMachineStatusStopped
	case vmi == nil && d.retryIn > 0:
		return virtv1.VirtualMachineStatusCrashLoopBackOff
	case vmi == nil && (d.action == start || len(d.requests) > 0):
		return virtv1.VirtualMachineStatusStarting
	case vmi == nil:
		return virtv1.VirtualMachineStatusStopped
	case vmi.DeletionTimestamp != nil || d.action == stop:
		if final(vmi) && backoffLeft(d.startFailure, now) > 0 && vmi.Status.Phase == virtv1.Failed && RunStrategy(&vm.Spec) != virtv1.RunStrategyHalted {
			return virtv1.VirtualMachineStatusCrashLoopBackOff
		}
		return virtv1.VirtualMachineStatusStopping
	case final(vmi):
		return virtv1.VirtualMachineStatusStopped
	}
	if c := find(vmi, virtv1.VirtualMachineInstanceSynchronized); c != nil && c.Status == corev1.ConditionFalse && (vmi.Status.Phase == virtv1.Pending || vmi.Status.Phase == virtv1.VmPhaseUnset) {
		return virtv1.VirtualMachineStatusProvisioning // it gets no pod
	}
	if c := find(vmi, virtv1.VirtualMachineInstanceProvisioning); c != nil && c.Status == corev1.ConditionTrue {
		if word, ok := waits[c.Reason]; ok {
			return word
		}
		return virtv1.VirtualMachineStatusProvisioning
	}
	switch {
	case leaving(vmi):
		return virtv1.VirtualMachineStatusStopping
	case isTrue(vmi, virtv1.VirtualMachineInstancePaused):
		return virtv1.VirtualMachineStatusPaused
	case vmi.Status.Phase == virtv1.Running:
		if m := vmi.Status.MigrationState; m != nil && m.StartTimestamp != nil && !m.Completed && !m.Failed {
			return virtv1.VirtualMachineStatusMigrating
		}
		return virtv1.VirtualMachineStatusRunning
	case vmi.Status.Phase == virtv1.WaitingForSync:
		return virtv1.VirtualMachineStatusWaitingForReceiver
	case vmi.Status.Phase == virtv1.Unknown:
		return virtv1.VirtualMachineStatusUnknown
	}
	return virtv1.VirtualMachineStatusStarting
}

// findIn is find for an instance that there may be none of.
func findIn(vmi *virtv1.VirtualMachineInstance, t virtv1.VirtualMachineInstanceConditionType) *virtv1.VirtualMachineInstanceCondition {
	if vmi == nil {
		return nil
	}
	return find(vmi, t)
}

func find(vmi *virtv1.VirtualMachineInstance, t virtv1.VirtualMachineInstanceConditionType) *virtv1.VirtualMachineInstanceCondition {
	for i := range vmi.Status.Conditions {
		if vmi.Status.Conditions[i].Type == t {
			return &vmi.Status.Conditions[i]
		}
	}
	return nil
}

func isTrue(vmi *virtv1.VirtualMachineInstance, t virtv1.VirtualMachineInstanceConditionType) bool {
	c := find(vmi, t)
	return c != nil && c.Status == corev1.ConditionTrue
}
