package vmi

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestServicesLeaveAPausedGuestAlone follows the readiness gate of a launcher pod through a pause of its guest.
func TestServicesLeaveAPausedGuestAlone(t *testing.T) {
	w := newWorld(t, pending())
	w.reconcile()
	gate := func() string {
		t.Helper()
		for _, c := range w.pod().Status.Conditions {
			if c.Type == "kubevirt.io/virtual-machine-unpaused" {
				return string(c.Status) + " " + c.Reason
			}
		}
		return ""
	}
	pause := func(conditions ...virtv1.VirtualMachineInstanceCondition) {
		t.Helper()
		vmi := w.vmi()
		vmi.Status.Phase, vmi.Status.Conditions = virtv1.Running, conditions
		if err := w.client.Status().Update(t.Context(), vmi); err != nil {
			t.Fatal(err)
		}
	}
	if got := gate(); got != "" {
		t.Errorf("without a node the gate says %q", got)
	}
	w.updatePod(func(p *corev1.Pod) {
		p.Spec.NodeName = "node-1"
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.ContainersReady, Status: corev1.ConditionTrue}}
	})
	w.reconcile()
	if got := gate(); got != "True NotPaused" {
		t.Errorf("with a node it says %q", got)
	}
	pause(virtv1.VirtualMachineInstanceCondition{Type: virtv1.VirtualMachineInstancePaused, Status: corev1.ConditionTrue, Reason: "PausedByUser"})
	w.reconcile()
	if got := gate(); got != "False Paused" {
		t.Errorf("of a paused guest it says %q", got)
	}
	if n := len(w.pod().Status.Conditions); n != 2 {
		t.Errorf("the pod has %d conditions, want the kubelet's and ours: %+v", n, w.pod().Status.Conditions)
	}
	pause()
	w.reconcile()
	before := w.pod().ResourceVersion
	if got := gate(); got != "True NotPaused" {
		t.Errorf("of a guest that runs again it says %q", got)
	}
	w.reconcile()
	if w.pod().ResourceVersion != before {
		t.Error("the pod was written although nothing has changed")
	}
}

// TestPodThatIsToFail sees that the annotation of tests reaches the first process.
func TestPodThatIsToFail(t *testing.T) {
	for value, want := range map[string]bool{"": true, "true": true, "false": false} {
		vmi := pending()
		vmi.Annotations = map[string]string{virtv1.FailFastAnnotation: value}
		got := false
		for _, arg := range Pod(vmi, 0, emulation(true)).Spec.Containers[0].Command {
			if arg == "--" {
				break
			}
			got = got || arg == "--fail"
		}
		if got != want {
			t.Errorf("%q: --fail is there: %v, want %v", value, got, want)
		}
	}
}
