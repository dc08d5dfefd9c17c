package actions

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// CancelEvacuation keeps the instance of a name on its node, although it was to leave it. Where nothing was to leave, there is
// nothing to do.
func (a *Actions) CancelEvacuation(ctx context.Context, name string, options *virtv1.EvacuateCancelOptions) error {
	if err := validDryRun(options.DryRun); err != nil {
		return err
	}
	vmi, err := a.instance(ctx, name)
	switch {
	case err != nil:
		return err
	case vmi == nil:
		return apierrors.NewNotFound(virtv1.Resource("virtualmachineinstance"), name)
	case vmi.Status.EvacuationNodeName == "":
		return nil
	}
	info := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		out := old.(*virtv1.VirtualMachineInstance).DeepCopy()
		// A client that names no node, as stock ones do, means whichever it is.
		if leaves := out.Status.EvacuationNodeName; options.EvacuationNodeName != "" && leaves != options.EvacuationNodeName {
			return nil, apierrors.NewConflict(virtv1.Resource("virtualmachineinstance"), name, fmt.Errorf("evacuationNodeName is %q, not %q", leaves, options.EvacuationNodeName))
		}
		out.Status.EvacuationNodeName = ""
		return out, nil
	})
	_, _, err = a.evacuating.Update(ctx, name, info, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{DryRun: options.DryRun})
	return err
}

// CancelMachineEvacuation is CancelEvacuation for the instance of a machine.
func (a *Actions) CancelMachineEvacuation(ctx context.Context, name string, options *virtv1.EvacuateCancelOptions) error {
	vm, vmi, err := a.Machine(ctx, name)
	switch {
	case err != nil:
		return err
	case vmi == nil:
		return apierrors.NewConflict(virtv1.Resource("virtualmachine"), vm.Name, errors.New("VMI is not started"))
	}
	return a.CancelEvacuation(ctx, name, options)
}

// Machine reads a machine, and its instance, nil if it has none. An instance of the name that is not the machine's is none.
func (a *Actions) Machine(ctx context.Context, name string) (*virtv1.VirtualMachine, *virtv1.VirtualMachineInstance, error) {
	obj, err := a.machines.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, nil, notFound(name, err)
	}
	vm := obj.(*virtv1.VirtualMachine)
	vmi, err := a.instance(ctx, name)
	if err != nil || vmi != nil && !metav1.IsControlledBy(vmi, vm) {
		return vm, nil, err
	}
	return vm, vmi, nil
}
