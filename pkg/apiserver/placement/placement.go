// Package placement lets the pods of the store's members start where their data is.
//
// A StatefulSet has one template for all its pods, and the folder of a member lies on one node. So the pods come with a
// scheduling gate, and the leader opens it: for the first start anywhere, later on the node that was recorded then.
package placement

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

const (
	// Gate is the scheduling gate of the members' pods.
	Gate = "virtplane.io/store-placement"
	// Selector finds those pods.
	Selector = "kubevirt.io=virt-store"
)

// Recorded returns the node that a member's data is on, or nothing before its first start.
type Recorded func(ctx context.Context, member string) (node string, err error)

// Sync opens the gates that are closed.
func Sync(ctx context.Context, client kubernetes.Interface, namespace string, recorded Recorded) error {
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: Selector})
	if err != nil {
		return fmt.Errorf("listing the pods of the store: %w", err)
	}
	var errs []error
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp != nil || !gated(&pod) {
			continue
		}
		node, err := recorded(ctx, pod.Name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, err := client.CoreV1().Pods(namespace).Update(ctx, open(&pod, node), metav1.UpdateOptions{}); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("opening the gate of pod %s: %w", pod.Name, err))
			continue
		}
		klog.FromContext(ctx).Info("Let a member of the store start", "pod", klog.KObj(&pod), "node", node)
	}
	return errors.Join(errs...)
}

func isGate(g corev1.PodSchedulingGate) bool { return g.Name == Gate }

func gated(pod *corev1.Pod) bool { return slices.ContainsFunc(pod.Spec.SchedulingGates, isGate) }

// open returns the pod without the gate, bound to the node if there is one.
func open(pod *corev1.Pod, node string) *corev1.Pod {
	pod = pod.DeepCopy()
	pod.Spec.SchedulingGates = slices.DeleteFunc(pod.Spec.SchedulingGates, isGate)
	if node == "" {
		return pod
	}
	if pod.Spec.Affinity == nil {
		pod.Spec.Affinity = &corev1.Affinity{}
	}
	if pod.Spec.Affinity.NodeAffinity == nil {
		pod.Spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	here := corev1.NodeSelectorRequirement{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}
	affinity := pod.Spec.Affinity.NodeAffinity
	if affinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		affinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}}}
	}
	terms := affinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms // one of them must match: bind each
	for i := range terms {
		terms[i].MatchFields = append(terms[i].MatchFields, here)
	}
	return pod
}
