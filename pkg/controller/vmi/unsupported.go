package vmi

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine/support"
)

// unsupported says what an instance asks for that this installation cannot do: its pod could not start, so it gets none. The
// cluster's configuration is part of the answer, and its changes bring the instance back.
func unsupported(vmi *virtv1.VirtualMachineInstance, config *virtv1.KubeVirtConfiguration) wait {
	reasons := support.Instance(vmi.Annotations, &vmi.Spec, support.InstallationOf(config))
	reason, message, blocked := support.Synchronized(reasons)
	if !blocked {
		return wait{}
	}
	return wait{reason: reason, message: message}
}

// refusedByUs says whether an instance has no node and was told that it gets no pod. From the node on, the condition is
// virt-handler's.
func refusedByUs(status *virtv1.VirtualMachineInstanceStatus) bool {
	return status.NodeName == "" && synchronizedFalse(status)
}

// refused are the instances that the cluster's configuration may let start now.
func (r *Reconciler) refused(ctx context.Context, _ client.Object) []reconcile.Request {
	var list virtv1.VirtualMachineInstanceList
	if err := r.Client.List(ctx, &list); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list the instances that a new configuration may concern")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if refusedByUs(&list.Items[i].Status) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return out
}

// setRefused keeps the condition of an instance without a node as long as there is something that it cannot have.
func setRefused(status *virtv1.VirtualMachineInstanceStatus, refused wait, now metav1.Time) {
	switch {
	case refused.reason != "":
		setCondition(status, virtv1.VirtualMachineInstanceSynchronized, corev1.ConditionFalse, refused.reason, refused.message, now)
	case refusedByUs(status):
		status.Conditions = slices.DeleteFunc(status.Conditions, func(c virtv1.VirtualMachineInstanceCondition) bool {
			return c.Type == virtv1.VirtualMachineInstanceSynchronized
		})
	}
}
