// Package replicaset is the policy of the resource virtualmachineinstancereplicasets. It must do no I/O.
package replicaset

import (
	"context"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
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

// NewStrategy makes the policy.
func NewStrategy(typer runtime.ObjectTyper, env environment.Environment) Strategy {
	return Strategy{strategy.NewBase(typer), env}
}

// PrepareForCreate starts the object without status, at its first generation.
func (Strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	s := obj.(*virtv1.VirtualMachineInstanceReplicaSet)
	s.Status = virtv1.VirtualMachineInstanceReplicaSetStatus{}
	s.Generation = 1
}

// Validate checks a new object.
func (s Strategy) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	return validation.ValidateReplicaSet(obj.(*virtv1.VirtualMachineInstanceReplicaSet), s.templates(ctx))
}

// WarningsOnCreate tells what of the template is not served.
func (s Strategy) WarningsOnCreate(ctx context.Context, obj runtime.Object) []string {
	set := obj.(*virtv1.VirtualMachineInstanceReplicaSet)
	return append(validation.ReplicaSetWarnings(set, s.templates(ctx)), support.Warnings(support.Template("spec.template", set.Spec.Template, s.env.Installation()))...)
}

// WarningsOnUpdate repeats the warnings of a create when the spec changes.
func (s Strategy) WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	if obj.(*virtv1.VirtualMachineInstanceReplicaSet).Generation == old.(*virtv1.VirtualMachineInstanceReplicaSet).Generation {
		return nil
	}
	return s.WarningsOnCreate(ctx, obj)
}

// PrepareForUpdate keeps the status and counts changes of the spec.
func (Strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	s, was := obj.(*virtv1.VirtualMachineInstanceReplicaSet), old.(*virtv1.VirtualMachineInstanceReplicaSet)
	s.Status = was.Status
	if !apiequality.Semantic.DeepEqual(s.Spec, was.Spec) {
		s.Generation = was.Generation + 1
	}
}

// ValidateUpdate checks a changed object.
func (s Strategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.ValidateReplicaSetUpdate(obj.(*virtv1.VirtualMachineInstanceReplicaSet), old.(*virtv1.VirtualMachineInstanceReplicaSet), s.templates(ctx))
}

func (s Strategy) templates(ctx context.Context) validation.Options {
	options := s.env.Validation(ctx)
	options.Trusted = false
	return options
}

// StatusStrategy is the policy of /status.
type StatusStrategy struct{ Strategy }

// WarningsOnUpdate has none.
func (StatusStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// GetResetFields names what a writer of the status cannot change.
func (StatusStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return strategy.ResetForStatus()
}

// PrepareForUpdate lets only the status through.
func (StatusStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	s, was := obj.(*virtv1.VirtualMachineInstanceReplicaSet), old.(*virtv1.VirtualMachineInstanceReplicaSet)
	s.Spec = was.Spec
	strategy.KeepMetadata(&s.ObjectMeta, &was.ObjectMeta)
}

// ValidateUpdate accepts any status.
func (StatusStrategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}

// SelectableFields gives the values that field selectors compare.
func SelectableFields(s *virtv1.VirtualMachineInstanceReplicaSet) fields.Set {
	return strategy.MetaFields(&s.ObjectMeta, nil)
}
