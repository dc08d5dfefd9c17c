package vm

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

func with(vmi *virtv1.VirtualMachineInstance, t virtv1.VirtualMachineInstanceConditionType, s corev1.ConditionStatus, reason string) *virtv1.VirtualMachineInstance {
	vmi.Status.Conditions = append(vmi.Status.Conditions, virtv1.VirtualMachineInstanceCondition{Type: t, Status: s, Reason: reason, Message: "because"})
	return vmi
}

func TestPrintableStatus(t *testing.T) {
	always := virtv1.RunStrategyAlways
	for _, tc := range []struct {
		name    string
		vmi     *virtv1.VirtualMachineInstance
		deleted bool
		failed  *virtv1.VirtualMachineStartFailure
		want    string
	}{
		{name: "about to start", want: "Starting"},
		{name: "deleted", deleted: true, vmi: inst(virtv1.Running, 0), want: "Terminating"},
		{name: "scheduling", vmi: inst(virtv1.Scheduling, 0), want: "Starting"},
		{name: "running", vmi: inst(virtv1.Running, 0), want: "Running"},
		{name: "paused", vmi: with(inst(virtv1.Running, 0), virtv1.VirtualMachineInstancePaused, corev1.ConditionTrue, "PausedByUser"), want: "Paused"},
		{name: "stopping", vmi: deleting(inst(virtv1.Running, 0)), want: "Stopping"},
		{name: "no node", vmi: with(inst(virtv1.Pending, 0), virtv1.VirtualMachineInstanceProvisioning, corev1.ConditionTrue, "Unschedulable"), want: "ErrorUnschedulable"},
		{name: "image missing", vmi: with(inst(virtv1.Scheduling, 0), virtv1.VirtualMachineInstanceProvisioning, corev1.ConditionTrue, "ErrImagePull"), want: "ErrImagePull"},
		{name: "image missing for long", vmi: with(inst(virtv1.Scheduling, 0), virtv1.VirtualMachineInstanceProvisioning, corev1.ConditionTrue, "ImagePullBackOff"), want: "ImagePullBackOff"},
		{name: "claim missing", vmi: with(inst(virtv1.Pending, 0), virtv1.VirtualMachineInstanceProvisioning, corev1.ConditionTrue, "PersistentVolumeClaimNotFound"), want: "ErrorPvcNotFound"},
		{name: "claim not bound", vmi: with(inst(virtv1.Pending, 0), virtv1.VirtualMachineInstanceProvisioning, corev1.ConditionTrue, "WaitingForVolumeBinding"), want: "WaitingForVolumeBinding"},
		{name: "containers not created", vmi: with(inst(virtv1.Scheduling, 0), virtv1.VirtualMachineInstanceProvisioning, corev1.ConditionTrue, "ContainersWaiting"), want: "Provisioning"},
		{name: "failing again and again", failed: &virtv1.VirtualMachineStartFailure{ConsecutiveFailCount: ptr.To(int32(2)), RetryAfterTimestamp: ptr.To(metav1.NewTime(noon.Add(time.Minute)))}, want: "CrashLoopBackOff"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm := &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{RunStrategy: always}}
			vm.Status.StartFailure = tc.failed
			if tc.deleted {
				vm.DeletionTimestamp = ptr.To(metav1.NewTime(noon))
			}
			got := summarize(vm, tc.vmi, decide(vm, tc.vmi, noon), failure{}, metav1.NewTime(noon))
			if string(got.PrintableStatus) != tc.want {
				t.Errorf("got %s, want %s", got.PrintableStatus, tc.want)
			}
		})
	}
	spec.Covers(t, "P2-STATE-09")
}

// TestKubeletsReasonsHaveAStatus: whatever the kubelet says of a container that does not start has a word in the table.
func TestKubeletsReasonsHaveAStatus(t *testing.T) {
	for want, reasons := range map[string][]string{
		"ErrImagePull":     {"ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed", "ImageVolumeMountFailed"},
		"ImagePullBackOff": {"ImagePullBackOff"},
		"CrashLoopBackOff": {"CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError",
			"CreatePodSandboxError", "ConfigPodSandboxError", "RROUnsupported"},
	} {
		for _, reason := range reasons {
			vm, vmi := machine(virtv1.RunStrategyAlways), with(inst(virtv1.Scheduling, 0), virtv1.VirtualMachineInstanceProvisioning, corev1.ConditionTrue, reason)
			if got := summarize(vm, vmi, decide(vm, vmi, noon), failure{}, metav1.NewTime(noon)).PrintableStatus; string(got) != want {
				t.Errorf("%s: %s, want %s", reason, got, want)
			}
		}
	}
}

// TestNewestCauseWins: the words of an earlier try to start the guest do not cover why the machine is not ready now.
func TestNewestCauseWins(t *testing.T) {
	condition := func(c virtv1.VirtualMachineInstanceConditionType, reason, message string, age time.Duration) virtv1.VirtualMachineInstanceCondition {
		return virtv1.VirtualMachineInstanceCondition{Type: c, Status: corev1.ConditionFalse, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(noon.Add(-age))}
	}
	const sync, ready = virtv1.VirtualMachineInstanceSynchronized, virtv1.VirtualMachineInstanceReady
	for _, tc := range []struct {
		name            string
		phase           virtv1.VirtualMachineInstancePhase
		ended           string
		conditions      []virtv1.VirtualMachineInstanceCondition
		reason, message string
	}{
		{"a start that fails", virtv1.Scheduled, "", []virtv1.VirtualMachineInstanceCondition{condition(sync, "StartFailed", "no such device", 0)}, "StartFailed", "no such device"},
		{"a start that fails, never ready", virtv1.Scheduled, "", []virtv1.VirtualMachineInstanceCondition{
			condition(ready, "GuestNotRunning", "not yet", time.Minute), condition(sync, "StartFailed", "no such device", 0)}, "StartFailed", "no such device"},
		{"QEMU's end after a start that lost its connection", virtv1.Failed, "QEMUFailed", []virtv1.VirtualMachineInstanceCondition{
			condition(sync, "StartFailed", "qmp_capabilities: connection reset by peer", 0), condition(ready, "GuestNotRunning", "QEMU failed: no such property", 0)}, "QEMUFailed", "QEMU failed: no such property"},
		{"an end in order after a start that failed once", virtv1.Succeeded, "GuestShutdown", []virtv1.VirtualMachineInstanceCondition{
			condition(sync, "StartFailed", "connection reset by peer", 0), condition(ready, "GuestNotRunning", "the guest has ended", 0)}, "GuestNotRunning", "the guest has ended"},
		{"an end for the reason of the last try", virtv1.Failed, "ImageMissing", []virtv1.VirtualMachineInstanceCondition{
			condition(sync, "ImageMissing", "no disk in /disk", 0), condition(ready, "GuestNotRunning", "the guest could not be started", 0)}, "ImageMissing", "no disk in /disk"},
		{"a probe that fails long after a change that failed", virtv1.Running, "", []virtv1.VirtualMachineInstanceCondition{
			condition(sync, "SyncFailed", "could not change the memory", time.Hour), condition(ready, "ContainersNotReady", "the readiness probe fails", 0)}, "ContainersNotReady", "the readiness probe fails"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm, vmi := machine(virtv1.RunStrategyAlways), inst(tc.phase, 0)
			vmi.Status.Reason, vmi.Status.Conditions = tc.ended, tc.conditions
			for _, c := range summarize(vm, vmi, decide(vm, vmi, noon), failure{}, metav1.NewTime(noon)).Conditions {
				if c.Type == virtv1.VirtualMachineReady && (c.Status != corev1.ConditionFalse || c.Reason != tc.reason || c.Message != tc.message) {
					t.Errorf("ready %+v", c)
				}
			}
		})
	}
}

func TestHaltedMachineIsStopped(t *testing.T) {
	vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
	got := summarize(vm, nil, decide(vm, nil, noon), failure{}, metav1.NewTime(noon))
	want := virtv1.VirtualMachineStatus{ObservedGeneration: 3, DesiredGeneration: 3, RunStrategy: "Halted", PrintableStatus: "Stopped",
		Conditions: []virtv1.VirtualMachineCondition{{Type: "Ready", Status: "False", Reason: "VMINotExists", Message: "VMI does not exist", LastTransitionTime: metav1.NewTime(noon)}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestConditionsAreStableAndCopied(t *testing.T) {
	vm := &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyAlways}}
	vmi := with(with(inst(virtv1.Running, 0), virtv1.VirtualMachineInstanceReady, corev1.ConditionTrue, ""), "LiveMigratable", corev1.ConditionFalse, "DisksNotLiveMigratable")
	first := summarize(vm, vmi, decide(vm, vmi, noon), failure{}, metav1.NewTime(noon))
	if !first.Ready || !first.Created {
		t.Fatalf("ready %v created %v", first.Ready, first.Created)
	}
	vm.Status = first
	second := summarize(vm, vmi, decide(vm, vmi, noon), failure{}, metav1.NewTime(noon.Add(time.Hour)))
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the status changed though nothing happened (-first +second):\n%s", diff)
	}
	var types []string
	for _, c := range second.Conditions {
		types = append(types, string(c.Type))
	}
	if diff := cmp.Diff([]string{"Ready", "LiveMigratable"}, types); diff != "" {
		t.Errorf("condition types (-want +got):\n%s", diff)
	}
}

func TestEditedTemplateNeedsRestart(t *testing.T) {
	vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "vm"}, Spec: virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyAlways,
		Template: &virtv1.VirtualMachineInstanceTemplateSpec{}}}
	vmi, err := instance(vm, false)
	if err != nil {
		t.Fatal(err)
	}
	vmi.Status.Phase = virtv1.Running
	required := func() bool {
		for _, c := range summarize(vm, vmi, decide(vm, vmi, noon), failure{}, metav1.NewTime(noon)).Conditions {
			if c.Type == virtv1.VirtualMachineRestartRequired {
				return c.Status == corev1.ConditionTrue
			}
		}
		return false
	}
	if required() {
		t.Error("an untouched template asks for a restart")
	}
	vm.Spec.RunStrategy = virtv1.RunStrategyManual
	if required() {
		t.Error("a new run strategy asks for a restart")
	}
	vm.Spec.Template.Spec.Domain.CPU = &virtv1.CPU{Cores: 2}
	if !required() {
		t.Error("an edited template does not ask for a restart")
	}
	spec.Covers(t, "P2-X-09")
}

// TestObservedGeneration is that of the spec which the instance follows.
func TestObservedGeneration(t *testing.T) {
	vm := machine(virtv1.RunStrategyAlways)
	vm.Generation = 2
	vmi, err := instance(vm, false)
	if err != nil {
		t.Fatal(err)
	}
	observed := func(vmi *virtv1.VirtualMachineInstance, want int64) {
		t.Helper()
		got := summarize(vm, vmi, decide(vm, vmi, noon), failure{}, metav1.NewTime(noon))
		if got.ObservedGeneration != want || got.DesiredGeneration != vm.Generation {
			t.Errorf("generation %d: observed %d, want %d; desired %d", vm.Generation, got.ObservedGeneration, want, got.DesiredGeneration)
		}
	}
	observed(vmi, 2)
	vm.Generation, vm.Spec.RunStrategy = 3, virtv1.RunStrategyRerunOnFailure // concerns no instance
	observed(vmi, 3)
	vm.Generation, vm.Spec.Template.ObjectMeta.Labels = 4, map[string]string{"new": "label"}
	observed(vmi, 2)
	observed(nil, 4)
	vmi.Annotations[virtv1.VirtualMachineGeneration] = "edited by hand"
	observed(vmi, 4)
}

func TestInstanceCarriesTemplate(t *testing.T) {
	vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "n", UID: "vm", Generation: 7}, Spec: virtv1.VirtualMachineSpec{
		Template: &virtv1.VirtualMachineInstanceTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"special": "key"}, Annotations: map[string]string{"x": "y"}}}}}
	vmi, err := instance(vm, true)
	if err != nil {
		t.Fatal(err)
	}
	if vmi.Labels["special"] != "key" || vmi.Annotations["x"] != "y" || vmi.Annotations["kubevirt.io/vm-generation"] != "7" {
		t.Errorf("labels %v annotations %v", vmi.Labels, vmi.Annotations)
	}
	if ref := metav1.GetControllerOf(vmi); ref == nil || ref.Kind != "VirtualMachine" || ref.UID != "vm" || ref.APIVersion != "kubevirt.io/v1" {
		t.Errorf("owner %v", ref)
	}
	if vmi.Spec.StartStrategy == nil || *vmi.Spec.StartStrategy != "Paused" {
		t.Errorf("start strategy %v", vmi.Spec.StartStrategy)
	}
	spec.Covers(t, "P2-VMI-18", "P2-VMI-02")
}

// TestPodOnItsWayOut: a guest whose pod is being ended is neither running nor ready, however long its end takes.
func TestPodOnItsWayOut(t *testing.T) {
	for _, tc := range []struct {
		name      string
		phase     virtv1.VirtualMachineInstancePhase
		status    corev1.ConditionStatus
		reason    string
		ready     bool
		printable string
	}{
		{"its pod is being ended", virtv1.Running, corev1.ConditionFalse, "PodTerminating", false, "Stopping"},
		{"before its guest runs", virtv1.Scheduled, corev1.ConditionFalse, "PodTerminating", false, "Stopping"},
		{"a container is not ready", virtv1.Running, corev1.ConditionFalse, "ContainersNotReady", true, "Running"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm, vmi := machine(virtv1.RunStrategyAlways), with(inst(tc.phase, 0), virtv1.VirtualMachineInstanceReady, corev1.ConditionTrue, "")
			with(vmi, virtv1.VirtualMachineInstanceContainersReady, tc.status, tc.reason)
			got := summarize(vm, vmi, decide(vm, vmi, noon), failure{}, metav1.NewTime(noon))
			if got.Ready != tc.ready || string(got.PrintableStatus) != tc.printable {
				t.Errorf("ready %v, status %s", got.Ready, got.PrintableStatus)
			}
			for _, c := range got.Conditions {
				if c.Type == virtv1.VirtualMachineReady && !tc.ready && (c.Status != corev1.ConditionFalse || c.Reason != tc.reason) {
					t.Errorf("ready %+v", c)
				}
			}
		})
	}
}
