package vmi

import (
	"context"
	"fmt"
	"slices"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/controller/vm"
)

const (
	// shownFor is how long the end of an instance that belongs to nobody can be seen after it was deleted.
	shownFor = 4 * time.Second
	// tellFor is how long a deleted instance may wait for its machine to keep its end. It does so at once, as long as it can be
	// written at all.
	tellFor = time.Minute
)

// keptBack is how long a deleted instance whose pod is gone is still to be seen. Of one that belongs to nobody clients that ask
// each second see the end; that of one with an owner, the owner tells. A machine whose end decides what follows, such as
// whether it starts again, must have kept it before the object goes: what has just begun to lead may not have seen it yet.
func (r *Reconciler) keptBack(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (time.Duration, error) {
	now := r.Clock.Now()
	owner := metav1.GetControllerOf(vmi)
	switch {
	case owner == nil && final(vmi.Status.Phase):
		return since(&vmi.Status).Add(shownFor).Sub(now), nil
	case owner == nil || owner.Kind != "VirtualMachine":
		return 0, nil
	}
	var machine virtv1.VirtualMachine
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: vmi.Namespace, Name: owner.Name}, &machine)
	switch {
	case apierrors.IsNotFound(err), err == nil && (machine.UID != owner.UID || machine.DeletionTimestamp != nil || vm.EndTold(&machine, vmi)):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("getting the machine of instance %s: %w", vmi.Name, err)
	}
	from := vmi.DeletionTimestamp.Time
	if at := since(&vmi.Status); at.After(from) {
		from = at
	}
	return from.Add(tellFor).Sub(now), nil
}

// tells are the changes of a machine that may let its instance go.
var tells = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	DeleteFunc:  func(event.DeleteEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		was, is := e.ObjectOld.(*virtv1.VirtualMachine), e.ObjectNew.(*virtv1.VirtualMachine)
		return hasEnded(was) != hasEnded(is) || was.Spec.RunStrategy != is.Spec.RunStrategy || !apiequality.Semantic.DeepEqual(was.Status.StateChangeRequests, is.Status.StateChangeRequests)
	},
}

func hasEnded(vm *virtv1.VirtualMachine) bool {
	return slices.ContainsFunc(vm.Status.Conditions, func(c virtv1.VirtualMachineCondition) bool { return c.Type == virtv1.VirtualMachineEnded })
}
