package vm

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine/support"
)

// machineByTemplate is the field of the cache's index of machines by the names of their dataVolumeTemplates.
const machineByTemplate = "virtplane.dataVolumeTemplate"

func templatesOf(o client.Object) []string {
	var out []string
	for _, t := range o.(*virtv1.VirtualMachine).Spec.DataVolumeTemplates {
		out = append(out, t.Name)
	}
	return out
}

// ofTemplate are the machines that have a template of a claim's name.
func (r *Reconciler) ofTemplate(ctx context.Context, claim client.Object) []reconcile.Request {
	var list virtv1.VirtualMachineList
	if err := r.Client.List(ctx, &list, client.InNamespace(claim.GetNamespace()), client.MatchingFields{machineByTemplate: claim.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list the machines with a template of a claim", "claim", claim.GetName())
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}

// unmade says that nobody makes the claims of a machine's dataVolumeTemplates, as long as one of them does not exist.
func (r *Reconciler) unmade(ctx context.Context, vm *virtv1.VirtualMachine) (failure, error) {
	if len(vm.Spec.DataVolumeTemplates) == 0 {
		return failure{}, nil
	}
	reasons := support.Machine(vm, support.Installation{})
	var out failure
	var texts []string
	for i, t := range vm.Spec.DataVolumeTemplates {
		var claim corev1.PersistentVolumeClaim
		err := r.Client.Get(ctx, client.ObjectKey{Namespace: vm.Namespace, Name: t.Name}, &claim)
		if err != nil && !apierrors.IsNotFound(err) {
			return failure{}, fmt.Errorf("getting claim %s: %w", t.Name, err)
		}
		if reason, told := support.Find(reasons, fmt.Sprintf("%s[%d]", support.DataVolumeTemplates, i)); told && err != nil {
			out.reason = reason.Reason
			texts = append(texts, reason.String())
		}
	}
	out.message = strings.Join(texts, "; ")
	return out, nil
}
