package vmi

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// agentProbeMargin is what the kubelet waits beyond the probe's own timeout, in seconds, so that the launcher says what went
// wrong and is not cut off.
const agentProbeMargin = 1

// probe renders a check of the guest as one of its pod, which the kubelet makes. Whatever reaches the pod by network reaches
// the guest; what goes through the guest agent is asked of the launcher.
func probe(p *virtv1.Probe) *corev1.Probe {
	if p == nil {
		return nil
	}
	out := &corev1.Probe{
		InitialDelaySeconds: ptr.Deref(p.InitialDelaySeconds, 0), PeriodSeconds: ptr.Deref(p.PeriodSeconds, 0), TimeoutSeconds: ptr.Deref(p.TimeoutSeconds, 0),
		SuccessThreshold: ptr.Deref(p.SuccessThreshold, 0), FailureThreshold: ptr.Deref(p.FailureThreshold, 0),
	}
	switch {
	case p.HTTPGet != nil:
		out.HTTPGet = p.HTTPGet.DeepCopy()
	case p.TCPSocket != nil:
		out.TCPSocket = p.TCPSocket.DeepCopy()
	case p.Exec != nil:
		throughAgent(out, p.Exec.Command)
	case p.GuestAgentPing != nil:
		throughAgent(out, nil)
	}
	return out
}

func throughAgent(p *corev1.Probe, command []string) {
	timeout := max(p.TimeoutSeconds, 1)
	all := []string{"/usr/bin/virt-launcher", "probe", fmt.Sprintf("--timeout=%ds", timeout)}
	if len(command) > 0 {
		all = append(append(all, "--"), command...)
	}
	p.Exec = &corev1.ExecAction{Command: all}
	p.TimeoutSeconds = timeout + agentProbeMargin
}

// observeProbe tells what the kubelet says of the readiness probe. virt-handler, which owns Ready, sees no pods. As long as it
// has not passed once there is nothing to tell.
func observeProbe(status *virtv1.VirtualMachineInstanceStatus, vmi *virtv1.VirtualMachineInstance, pod *corev1.Pod, now metav1.Time) {
	if vmi.Spec.ReadinessProbe == nil || final(status.Phase) {
		return
	}
	for _, c := range pod.Status.Conditions {
		switch told := conditionOf(status, virtv1.VirtualMachineInstanceReadinessProbe); {
		case c.Type != corev1.ContainersReady: // the pod's Ready tells of a pause too
		case c.Status == corev1.ConditionTrue:
			setCondition(status, virtv1.VirtualMachineInstanceReadinessProbe, corev1.ConditionTrue, "", "", now)
		case told != nil:
			setCondition(status, virtv1.VirtualMachineInstanceReadinessProbe, corev1.ConditionFalse, c.Reason, c.Message, now)
		}
	}
}
