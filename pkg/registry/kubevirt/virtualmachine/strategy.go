// Package virtualmachine is the policy of the resource virtualmachines: what create and update may change, what is
// checked, and what can be selected. A VirtualMachine is kept as it was sent; defaults belong to the instance that is
// made from it (decision 6). The package must do no I/O: the store is in the package storage below it.
package virtualmachine

import (
	"context"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apis/kubevirt/validation"
	"github.com/virtplane/virtplane/pkg/machine/support"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	"github.com/virtplane/virtplane/pkg/registry/strategy"
)

// Strategy is the policy of the main endpoint.
type Strategy struct {
	strategy.Base
	env environment.Environment
}

var (
	_ rest.RESTCreateStrategy              = Strategy{}
	_ rest.RESTUpdateStrategy              = Strategy{}
	_ rest.GarbageCollectionDeleteStrategy = Strategy{}
	_ rest.ResetFieldsStrategy             = Strategy{}
)

// NewStrategy makes the policy; typer tells the kinds of an object.
func NewStrategy(typer runtime.ObjectTyper, env environment.Environment) Strategy {
	return Strategy{strategy.NewBase(typer), env}
}

// PrepareForCreate starts the object without status, at its first generation, held by the controller's finalizer.
func (Strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	vm := obj.(*virtv1.VirtualMachine)
	vm.Status = virtv1.VirtualMachineStatus{}
	vm.Generation = 1
	hold(vm)
}

// Validate checks a new object.
func (s Strategy) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	return validation.ValidateVirtualMachine(obj.(*virtv1.VirtualMachine), s.templates(ctx))
}

// WarningsOnCreate tells what was read into a manifest that leaves it out, and what of it is not served.
func (s Strategy) WarningsOnCreate(ctx context.Context, obj runtime.Object) []string {
	vm := obj.(*virtv1.VirtualMachine)
	return append(validation.VirtualMachineWarnings(vm, s.templates(ctx)), support.Warnings(support.Machine(vm, s.env.Installation()))...)
}

// PrepareForUpdate keeps the status, counts changes of the spec, and keeps the controller's finalizer until deletion.
func (Strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	vm, was := obj.(*virtv1.VirtualMachine), old.(*virtv1.VirtualMachine)
	vm.Status = was.Status
	if !apiequality.Semantic.DeepEqual(vm.Spec, was.Spec) {
		vm.Generation = was.Generation + 1
	}
	if vm.DeletionTimestamp == nil {
		hold(vm)
	}
}

// ValidateUpdate checks a changed object.
func (s Strategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.ValidateVirtualMachineUpdate(obj.(*virtv1.VirtualMachine), old.(*virtv1.VirtualMachine), s.templates(ctx))
}

// WarningsOnUpdate repeats the warnings of a create when the spec changes.
func (s Strategy) WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	vm, was := obj.(*virtv1.VirtualMachine), old.(*virtv1.VirtualMachine)
	if vm.Generation == was.Generation {
		return nil
	}
	return s.WarningsOnCreate(ctx, vm)
}

// CheckGracefulDelete makes no deletion graceful: the guest has the time that its spec says. Whoever asks for another is told so.
func (Strategy) CheckGracefulDelete(ctx context.Context, _ runtime.Object, options *metav1.DeleteOptions) bool {
	strategy.WarnOfGracePeriod(ctx, options)
	return false
}

// templates are the options for what stands in a template: what is reserved for components has no place there, whoever
// writes it.
func (s Strategy) templates(ctx context.Context) validation.Options {
	options := s.env.Validation(ctx)
	options.Trusted = false
	return options
}

// hold adds the finalizer under which the controller stops the instance before the machine goes. A client that replaces
// the whole object with what it once applied does not take it away by that.
func hold(vm *virtv1.VirtualMachine) {
	if !slices.Contains(vm.Finalizers, virtv1.VirtualMachineControllerFinalizer) {
		vm.Finalizers = append(vm.Finalizers, virtv1.VirtualMachineControllerFinalizer)
	}
}

// StatusStrategy is the policy of /status.
type StatusStrategy struct{ Strategy }

var (
	_ rest.RESTUpdateStrategy  = StatusStrategy{}
	_ rest.ResetFieldsStrategy = StatusStrategy{}
)

// GetResetFields names what a writer of the status cannot change.
func (StatusStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return strategy.ResetForStatus()
}

// PrepareForUpdate lets only the status through.
func (StatusStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	vm, was := obj.(*virtv1.VirtualMachine), old.(*virtv1.VirtualMachine)
	vm.Spec = was.Spec
	strategy.KeepMetadata(&vm.ObjectMeta, &was.ObjectMeta)
}

// ValidateUpdate checks the status.
func (StatusStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.ValidateVirtualMachineStatusUpdate(obj.(*virtv1.VirtualMachine), old.(*virtv1.VirtualMachine))
}

// WarningsOnUpdate has none.
func (StatusStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// SelectableFields gives the values that field selectors compare.
func SelectableFields(vm *virtv1.VirtualMachine) fields.Set {
	return strategy.MetaFields(&vm.ObjectMeta, fields.Set{virtv1.VirtualMachineStatusField: string(vm.Status.PrintableStatus)})
}

// ActionStrategy is the policy of actions, which write spec and status of a machine at once. No request reaches it with an
// object of its own.
type ActionStrategy struct{ Strategy }

// PrepareForUpdate counts changes of the spec.
func (ActionStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	vm, was := obj.(*virtv1.VirtualMachine), old.(*virtv1.VirtualMachine)
	if !apiequality.Semantic.DeepEqual(vm.Spec, was.Spec) {
		vm.Generation = was.Generation + 1
	}
}

// ValidateUpdate checks only what an action changes: a machine that a newer rule would refuse can still be stopped.
func (ActionStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.ValidateVirtualMachineStatusUpdate(obj.(*virtv1.VirtualMachine), old.(*virtv1.VirtualMachine))
}

// WarningsOnUpdate has none.
func (ActionStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}
