package vmi

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestMachineKeepsTheEndFirst: an instance whose end decides whether its machine starts again goes only once the machine has it.
func TestMachineKeepsTheEndFirst(t *testing.T) {
	rerun, once, always := virtv1.RunStrategyRerunOnFailure, virtv1.RunStrategyOnce, virtv1.RunStrategyAlways
	kept := func(vm *virtv1.VirtualMachine) {
		vm.Status.Conditions = []virtv1.VirtualMachineCondition{{Type: virtv1.VirtualMachineEnded, Status: corev1.ConditionTrue, Reason: "GuestShutdown"}}
	}
	for _, tc := range []struct {
		name     string
		strategy virtv1.VirtualMachineRunStrategy
		phase    virtv1.VirtualMachineInstancePhase
		machine  func(*virtv1.VirtualMachine)
		waits    bool
	}{
		{"shut down, unseen", rerun, virtv1.Succeeded, nil, true},
		{"failed, and to be run again", rerun, virtv1.Failed, nil, false},
		{"once, failed, unseen", once, virtv1.Failed, nil, true},
		{"started again in any case", always, virtv1.Succeeded, nil, false},
		{"kept", rerun, virtv1.Succeeded, kept, false},
		{"asked to start again", rerun, virtv1.Succeeded, func(vm *virtv1.VirtualMachine) {
			vm.Status.StateChangeRequests = []virtv1.VirtualMachineStateChangeRequest{{Action: virtv1.StartRequest}}
		}, false},
		{"of a machine that is deleted", rerun, virtv1.Succeeded, func(vm *virtv1.VirtualMachine) {
			vm.DeletionTimestamp, vm.Finalizers = ptr.To(metav1.NewTime(noon)), []string{"test/stays"}
		}, false},
		{"of an earlier machine", rerun, virtv1.Succeeded, func(vm *virtv1.VirtualMachine) { vm.UID = "another" }, false},
		{"before it ran", rerun, virtv1.Scheduling, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			machine := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "vm"}, Spec: virtv1.VirtualMachineSpec{RunStrategy: tc.strategy}}
			machine.Status.RunStrategy = tc.strategy
			if tc.machine != nil {
				tc.machine(machine)
			}
			vmi := pending()
			vmi.OwnerReferences = []metav1.OwnerReference{{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine", Name: "web", UID: "vm", Controller: ptr.To(true)}}
			vmi.DeletionTimestamp = ptr.To(metav1.NewTime(noon))
			enter(&vmi.Status, tc.phase, metav1.NewTime(noon))
			w := newWorld(t, []client.Object{machine, vmi}...)
			result := w.reconcile()
			if got := w.vmi() != nil; got != tc.waits {
				t.Fatalf("it waits %v, want %v", got, tc.waits)
			}
			if !tc.waits {
				return
			}
			if result.RequeueAfter != time.Minute {
				t.Errorf("looked at again in %v", result.RequeueAfter)
			}
			was := machine.DeepCopy()
			kept(machine)
			if !tells.Update(event.UpdateEvent{ObjectOld: was, ObjectNew: machine}) {
				t.Error("nobody looks again when the machine has kept the end")
			}
			w.clock.SetTime(noon.Add(time.Minute))
			w.reconcile()
			if w.vmi() != nil {
				t.Error("it waits for ever")
			}
		})
	}
}
