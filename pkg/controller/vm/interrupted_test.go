package vm

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	naming "github.com/virtplane/virtplane/pkg/machine"
)

// TestTakenPodIsNoCrash is an instance that ends soon after its start because its pod is taken away.
func TestTakenPodIsNoCrash(t *testing.T) {
	target := func(reason string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason}}
		}
	}
	deletedWith := func(change func(*corev1.Pod)) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.DeletionTimestamp, p.Finalizers = ptr.To(metav1.NewTime(noon)), []string{"test/stays"}
			change(p)
		}
	}
	none := func(*corev1.Pod) {}
	for _, tc := range []struct {
		name string
		// reason is that of the instance; pod is what became of its pod, nil if that is gone.
		reason string
		pod    func(*corev1.Pod)
		crash  string
	}{
		{"evicted by the API, as a drain does", "PodTerminated", deletedWith(target("EvictionByEvictionAPI")), ""},
		{"evicted by a taint", "PodTerminated", deletedWith(target("DeletionByTaintManager")), ""},
		{"preempted by the scheduler", "PodTerminated", deletedWith(target("PreemptionByScheduler")), ""},
		{"deleted by a user", "PodTerminated", deletedWith(none), ""},
		{"deleted by a user by force", "PodTerminated", nil, ""},
		{"evicted by its node in order", "PodTerminated", func(p *corev1.Pod) { p.Status.Reason = "Evicted" }, ""},
		{"evicted by its node, not yet told", "PodTerminated", target("TerminationByKubelet"), ""},
		{"killed by its node for lack of memory", "Evicted", func(p *corev1.Pod) { p.Status.Reason = "Evicted" }, ""},
		{"killed for a critical pod", "Preempting", none, ""},
		{"its node shuts down", "Terminated", none, ""},
		{"its node was deleted", "PodGone", nil, ""},
		{"its liveness probe failed", "PodTerminated", none, "ContainerKilled"},
		{"refused by the kubelet", "UnexpectedAdmissionError", none, "UnexpectedAdmissionError"},
		{"its QEMU was killed", "QEMUKilled", none, "QEMUKilled"},
		{"its QEMU failed while it was drained", "QEMUFailed", deletedWith(none), "QEMUFailed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, machine(virtv1.RunStrategyAlways))
			w.reconcile()
			first := w.vmi().UID
			if tc.pod != nil {
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: naming.LauncherPodName(key.Namespace, key.Name, first, 0)}}
				if err := w.server.Create(t.Context(), pod); err != nil {
					t.Fatal(err)
				}
				w.podSeen = func(p *corev1.Pod) { tc.pod(p) }
			}
			w.report(func(s *virtv1.VirtualMachineInstanceStatus) {
				*s = inst(virtv1.Failed, 5*time.Second).Status
				s.Reason = tc.reason
			})
			w.told()
			w.reconcile()
			// Its pod goes with the deleted instance.
			w.podSeen = deletedWith(none)
			w.reconcile()
			w.letGo()
			w.reconcile()
			vm, told := w.vm(), w.told()
			failed := conditionOf(vm, virtv1.VirtualMachineFailure)
			if tc.crash == "" {
				if now := w.vmi(); now == nil || now.UID == first {
					t.Error("another instance does not follow at once")
				}
				if vm.Status.StartFailure != nil || failed.Type != "" {
					t.Errorf("counted as a failure: %+v, %+v", vm.Status.StartFailure, failed)
				}
				if strings.Contains(told, "Warning") || strings.Contains(told, "failed") {
					t.Errorf("events:\n%s", told)
				}
				return
			}
			if w.vmi() != nil || vm.Status.PrintableStatus != virtv1.VirtualMachineStatusCrashLoopBackOff || failed.Reason != tc.crash {
				t.Errorf("status %s, failure %+v", vm.Status.PrintableStatus, failed)
			}
			if strings.Count(told, "Warning InstanceFailed") != 1 {
				t.Errorf("events:\n%s", told)
			}
		})
	}
}

// TestTakenPodKeepsTheCount: a crash loop is none the less one when an eviction comes between.
func TestTakenPodKeepsTheCount(t *testing.T) {
	vm := machine(virtv1.RunStrategyAlways)
	vm.Status.StartFailure = &virtv1.VirtualMachineStartFailure{ConsecutiveFailCount: ptr.To(int32(3)), LastFailedVMIUID: "old"}
	for ran, want := range map[time.Duration]bool{5 * time.Second: true, 2 * time.Minute: false} {
		vmi := inst(virtv1.Failed, ran)
		vmi.Status.Reason = "Evicted"
		if got := decide(vm, vmi, noon).startFailure; (got != nil) != want || got != nil && *got.ConsecutiveFailCount != 3 {
			t.Errorf("after %v: %+v", ran, got)
		}
	}
}
