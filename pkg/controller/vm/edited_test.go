package vm

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// edit changes the machine's spec, as the API counts it.
func (w *world) edit(change func(*virtv1.VirtualMachineSpec)) {
	w.t.Helper()
	vm := w.vm()
	change(&vm.Spec)
	vm.Generation++
	if err := w.server.Update(w.t.Context(), vm); err != nil {
		w.t.Fatal(err)
	}
}

// TestEditedMachineIsTriedAtOnce: whoever corrects a machine that fails again and again need not wait for its back-off.
func TestEditedMachineIsTriedAtOnce(t *testing.T) {
	template := func(s *virtv1.VirtualMachineSpec) { s.Template.Spec.Hostname = "corrected" }
	for _, tc := range []struct {
		name string
		// early edits while the failed instance is still there.
		early bool
		edit  func(*virtv1.VirtualMachineSpec)
		runs  bool
	}{
		{"the template", false, template, true},
		{"the template, while the failed instance goes", true, template, true},
		{"the strategy", false, func(s *virtv1.VirtualMachineSpec) { s.RunStrategy = virtv1.RunStrategyRerunOnFailure }, true},
		{"nothing", false, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, machine(virtv1.RunStrategyAlways))
			w.reconcile()
			w.report(refuse)
			w.reconcile()
			if tc.early {
				w.edit(tc.edit)
				w.reconcile()
			}
			w.letGo()
			w.clock.SetTime(noon.Add(time.Second))
			w.reconcile()
			if !tc.early {
				if w.vmi() != nil {
					t.Fatal("it does not back off")
				}
				if tc.edit != nil {
					w.edit(tc.edit)
				}
				w.reconcile()
			}
			if got := w.vmi() != nil; got != tc.runs {
				t.Fatalf("tried %v, want %v", got, tc.runs)
			}
			if vm := w.vm(); tc.runs && (vm.Status.StartFailure != nil || conditionOf(vm, virtv1.VirtualMachineFailure).Type != "") {
				t.Errorf("the old failure stays: %+v", vm.Status)
			}
		})
	}
}

// TestNoDelayWithoutAnotherStart: of a machine that is not started again by itself nobody says when it will be.
func TestNoDelayWithoutAnotherStart(t *testing.T) {
	for strategy, delayed := range map[virtv1.VirtualMachineRunStrategy]bool{
		virtv1.RunStrategyAlways: true, virtv1.RunStrategyRerunOnFailure: true, virtv1.RunStrategyManual: false, virtv1.RunStrategyOnce: false, virtv1.RunStrategyHalted: false,
	} {
		t.Run(string(strategy), func(t *testing.T) {
			vm := machine(virtv1.RunStrategyManual)
			vm.Status.StateChangeRequests = []virtv1.VirtualMachineStateChangeRequest{startReq}
			w := newWorld(t, vm)
			w.reconcile()
			w.choose(strategy)
			w.report(refuse)
			w.told()
			w.reconcile()
			told, status := w.told(), w.vm().Status
			if got := strings.Contains(told, "not to be started again before"); got != delayed {
				t.Errorf("events:\n%s", told)
			}
			if !strings.Contains(told, "Warning InstanceFailed") {
				t.Errorf("the failure is not told:\n%s", told)
			}
			if got := status.StartFailure.RetryAfterTimestamp != nil; got != delayed {
				t.Errorf("record %+v", status.StartFailure)
			}
			if got := status.PrintableStatus == virtv1.VirtualMachineStatusCrashLoopBackOff; got != delayed {
				t.Errorf("status %s", status.PrintableStatus)
			}
		})
	}
}

// TestCorrectedTemplateReplacesAWaitingInstance: an instance that does not start is replaced by one of the corrected template; a
// guest is not.
func TestCorrectedTemplateReplacesAWaitingInstance(t *testing.T) {
	provisioning, sync := virtv1.VirtualMachineInstanceProvisioning, virtv1.VirtualMachineInstanceSynchronized
	for _, tc := range []struct {
		name     string
		strategy virtv1.VirtualMachineRunStrategy
		paused   bool
		instance *virtv1.VirtualMachineInstance
		edited   bool
		replaced bool
	}{
		{"it waits for a claim", virtv1.RunStrategyAlways, false, with(inst(virtv1.Pending, 0), provisioning, corev1.ConditionTrue, "PersistentVolumeClaimNotFound"), true, true},
		{"it waits for an image", virtv1.RunStrategyRerunOnFailure, false, with(inst(virtv1.Scheduling, 0), provisioning, corev1.ConditionTrue, "InvalidImageName"), true, true},
		{"it gets no pod", virtv1.RunStrategyOnce, false, with(inst(virtv1.Pending, 0), sync, corev1.ConditionFalse, "UnsupportedField"), true, true},
		{"started by hand", virtv1.RunStrategyManual, false, with(inst(virtv1.Pending, 0), provisioning, corev1.ConditionTrue, "Unschedulable"), true, true},
		{"started by hand and paused", virtv1.RunStrategyManual, true, with(inst(virtv1.Pending, 0), provisioning, corev1.ConditionTrue, "Unschedulable"), true, true},
		{"nothing was edited", virtv1.RunStrategyAlways, false, with(inst(virtv1.Pending, 0), provisioning, corev1.ConditionTrue, "Unschedulable"), false, false},
		{"it is about to start", virtv1.RunStrategyAlways, false, inst(virtv1.Scheduling, 0), true, false},
		{"its guest is being set up", virtv1.RunStrategyAlways, false, with(inst(virtv1.Scheduled, 0), sync, corev1.ConditionFalse, "SecretMissing"), true, false},
		{"it runs", virtv1.RunStrategyAlways, false, inst(virtv1.Running, 0), true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm := machine(virtv1.RunStrategyManual)
			request := startReq
			if tc.paused {
				request = pausedReq
			}
			vm.Status.StateChangeRequests = []virtv1.VirtualMachineStateChangeRequest{request}
			w := newWorld(t, vm)
			w.reconcile()
			w.choose(tc.strategy)
			first := w.vmi().UID
			w.report(func(s *virtv1.VirtualMachineInstanceStatus) { *s = tc.instance.Status })
			w.reconcile()
			if tc.edited {
				w.edit(func(s *virtv1.VirtualMachineSpec) { s.Template.Spec.Hostname = "corrected" })
			}
			w.reconcile()
			if got := w.vmi().DeletionTimestamp != nil; got != tc.replaced {
				t.Fatalf("replaced %v, want %v", got, tc.replaced)
			}
			if !tc.replaced {
				return
			}
			w.letGo()
			w.reconcile()
			w.reconcile()
			now := w.vmi()
			if now == nil || now.UID == first || now.Spec.Hostname != "corrected" || (now.Spec.StartStrategy != nil) != tc.paused {
				t.Fatalf("instance %+v", now)
			}
			if left := w.vm().Status.StateChangeRequests; len(left) != 0 {
				t.Errorf("requests left: %v", left)
			}
		})
	}
}
