package vmi

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// unpaused is the readiness gate of launcher pods, by the reference's name: Services send nothing to a guest that is paused.
const unpaused corev1.PodConditionType = "kubevirt.io/virtual-machine-unpaused"

// tellPause opens the readiness gate of a pod that has a node, and shuts it while its guest is paused.
func (r *Reconciler) tellPause(ctx context.Context, vmi *virtv1.VirtualMachineInstance, pod *corev1.Pod) error {
	if pod == nil || pod.Spec.NodeName == "" || pod.DeletionTimestamp != nil || over(pod) || !gated(pod) || !metav1.IsControlledBy(pod, vmi) {
		return nil
	}
	now := metav1.NewTime(r.Clock.Now())
	want := corev1.PodCondition{Type: unpaused, Status: corev1.ConditionTrue, Reason: "NotPaused", Message: "the virtual machine is not paused", LastTransitionTime: now}
	if c := conditionOf(&vmi.Status, virtv1.VirtualMachineInstancePaused); c != nil && c.Status == corev1.ConditionTrue {
		want.Status, want.Reason, want.Message = corev1.ConditionFalse, "Paused", "the virtual machine is paused"
	}
	updated := pod.DeepCopy()
	told := false
	for i := range updated.Status.Conditions {
		c := &updated.Status.Conditions[i]
		if c.Type != unpaused {
			continue
		}
		if c.Status == want.Status {
			return nil
		}
		*c, told = want, true
	}
	if !told {
		updated.Status.Conditions = append(updated.Status.Conditions, want)
	}
	// Conditions are merged by their type, so that the kubelet's stay what they are.
	if err := r.Client.Status().Patch(ctx, updated, client.StrategicMergeFrom(pod)); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("telling launcher pod %s whether its guest is paused: %w", pod.Name, err)
	}
	return nil
}

func gated(pod *corev1.Pod) bool {
	for _, g := range pod.Spec.ReadinessGates {
		if g.ConditionType == unpaused {
			return true
		}
	}
	return false
}
