package vmi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

func TestProbes(t *testing.T) {
	get := &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(1500), HTTPHeaders: []corev1.HTTPHeader{{Name: "Custom-Header", Value: "Awesome"}}}
	tcp := &corev1.TCPSocketAction{Port: intstr.FromInt32(1500)}
	for _, tc := range []struct {
		name string
		in   *virtv1.Probe
		want *corev1.Probe
	}{
		{"none", nil, nil},
		{"http with all numbers", &virtv1.Probe{HTTPGet: get, InitialDelaySeconds: ptr.To(int32(120)), PeriodSeconds: ptr.To(int32(20)), TimeoutSeconds: ptr.To(int32(10)), FailureThreshold: ptr.To(int32(4)), SuccessThreshold: ptr.To(int32(2))},
			&corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get}, InitialDelaySeconds: 120, PeriodSeconds: 20, TimeoutSeconds: 10, FailureThreshold: 4, SuccessThreshold: 2}},
		{"tcp", &virtv1.Probe{TCPSocket: tcp}, &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: tcp}}},
		{"ping", &virtv1.Probe{GuestAgentPing: &virtv1.GuestAgentPing{}, TimeoutSeconds: ptr.To(int32(10))},
			&corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/usr/bin/virt-launcher", "probe", "--timeout=10s"}}}, TimeoutSeconds: 11}},
		{"exec", &virtv1.Probe{Exec: &corev1.ExecAction{Command: []string{"cat", "--", "/tmp/a b"}}},
			&corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/usr/bin/virt-launcher", "probe", "--timeout=1s", "--", "cat", "--", "/tmp/a b"}}}, TimeoutSeconds: 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, probe(tc.in)); diff != "" {
				t.Errorf("probe (-want +got):\n%s", diff)
			}
		})
	}
	spec.Covers(t, "P4-PROBE-05", "P4-PROBE-09", "P4-PROBE-16", "P4-PROBE-20", "P4-PROBE-10")
}

// TestProbeIsTold follows a readiness probe through a guest's life. Writes are few: nothing is told before it has passed, and
// nothing twice.
func TestProbeIsTold(t *testing.T) {
	vmi := pending()
	vmi.Spec.ReadinessProbe = &virtv1.Probe{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(1500)}}
	vmi.Status.Phase, vmi.Status.NodeName = virtv1.Running, "node-1"
	pod := Pod(vmi, 0, emulation(true))
	pod.Spec.NodeName = "node-1"
	step := func(what string, ready corev1.ConditionStatus, want string) {
		t.Helper()
		pod.Status.Conditions = nil
		if ready != "" {
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.ContainersReady, Status: ready, Reason: "ContainersNotReady", Message: "containers with unready status: [compute]"}}
		}
		vmi.Status = observe(vmi, pod, wait{}, metav1.NewTime(noon), emulation(true))
		got := ""
		if c := conditionOf(&vmi.Status, virtv1.VirtualMachineInstanceReadinessProbe); c != nil {
			got = string(c.Status) + " " + c.Reason
		}
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		if c := conditionOf(&vmi.Status, virtv1.VirtualMachineInstanceReady); c != nil {
			t.Errorf("%s: virt-controller wrote Ready: %+v", what, c)
		}
	}
	step("a new pod", "", "")
	step("a probe that has not passed", corev1.ConditionFalse, "")
	step("a probe that has passed", corev1.ConditionTrue, "True ")
	step("one that fails again", corev1.ConditionFalse, "False ContainersNotReady")
	step("one that passes again", corev1.ConditionTrue, "True ")
	vmi.Spec.ReadinessProbe = nil
	vmi.Status.Conditions = nil
	step("no probe", corev1.ConditionTrue, "")
}
