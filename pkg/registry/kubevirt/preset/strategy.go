// Package preset is the policy of the resource virtualmachineinstancepresets. It must do no I/O.
package preset

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
	"github.com/virtplane/virtplane/pkg/registry/environment"
	"github.com/virtplane/virtplane/pkg/registry/strategy"
)

// Strategy is the policy of the endpoint. Presets have no status.
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

// GetResetFields is empty.
func (Strategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set { return nil }

// PrepareForCreate starts the object at its first generation.
func (Strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	obj.(*virtv1.VirtualMachineInstancePreset).Generation = 1
}

// Validate checks a new object.
func (s Strategy) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	return validation.ValidatePreset(obj.(*virtv1.VirtualMachineInstancePreset), s.env.Validation(ctx))
}

// PrepareForUpdate counts changes of the spec.
func (Strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	p, was := obj.(*virtv1.VirtualMachineInstancePreset), old.(*virtv1.VirtualMachineInstancePreset)
	if !apiequality.Semantic.DeepEqual(p.Spec, was.Spec) {
		p.Generation = was.Generation + 1
	}
}

// ValidateUpdate checks a changed object.
func (s Strategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.ValidatePresetUpdate(obj.(*virtv1.VirtualMachineInstancePreset), old.(*virtv1.VirtualMachineInstancePreset), s.env.Validation(ctx))
}

// SelectableFields gives the values that field selectors compare.
func SelectableFields(p *virtv1.VirtualMachineInstancePreset) fields.Set {
	return strategy.MetaFields(&p.ObjectMeta, nil)
}
