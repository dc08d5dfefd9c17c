// Package configuration is the policy of the resource kubevirts, the cluster's configuration, of which there is one. It
// must do no I/O.
package configuration

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
	"github.com/virtplane/virtplane/pkg/registry/strategy"
)

// Strategy is the policy of the main endpoint.
type Strategy struct{ strategy.Base }

var (
	_ rest.RESTCreateStrategy              = Strategy{}
	_ rest.RESTUpdateStrategy              = Strategy{}
	_ rest.GarbageCollectionDeleteStrategy = Strategy{}
	_ rest.ResetFieldsStrategy             = Strategy{}
)

// NewStrategy makes the policy.
func NewStrategy(typer runtime.ObjectTyper) Strategy { return Strategy{strategy.NewBase(typer)} }

// PrepareForCreate starts the object without status, at its first generation.
func (Strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	k := obj.(*virtv1.KubeVirt)
	k.Status = virtv1.KubeVirtStatus{}
	k.Generation = 1
}

// Validate checks a new object.
func (Strategy) Validate(_ context.Context, obj runtime.Object) field.ErrorList {
	return validation.ValidateKubeVirt(obj.(*virtv1.KubeVirt))
}

// WarningsOnCreate tells what has no effect.
func (Strategy) WarningsOnCreate(_ context.Context, obj runtime.Object) []string {
	return support.Warnings(support.Cluster(&obj.(*virtv1.KubeVirt).Spec))
}

// WarningsOnUpdate repeats the warnings of a create when the spec changes.
func (s Strategy) WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	if obj.(*virtv1.KubeVirt).Generation == old.(*virtv1.KubeVirt).Generation {
		return nil
	}
	return s.WarningsOnCreate(ctx, obj)
}

// PrepareForUpdate keeps the status and counts changes of the spec.
func (Strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	k, was := obj.(*virtv1.KubeVirt), old.(*virtv1.KubeVirt)
	k.Status = was.Status
	if !apiequality.Semantic.DeepEqual(k.Spec, was.Spec) {
		k.Generation = was.Generation + 1
	}
}

// ValidateUpdate checks a changed object.
func (Strategy) ValidateUpdate(_ context.Context, obj, _ runtime.Object) field.ErrorList {
	return validation.ValidateKubeVirt(obj.(*virtv1.KubeVirt))
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
	k, was := obj.(*virtv1.KubeVirt), old.(*virtv1.KubeVirt)
	k.Spec = was.Spec
	strategy.KeepMetadata(&k.ObjectMeta, &was.ObjectMeta)
}

// ValidateUpdate accepts any status.
func (StatusStrategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}

// SelectableFields gives the values that field selectors compare.
func SelectableFields(k *virtv1.KubeVirt) fields.Set {
	return strategy.MetaFields(&k.ObjectMeta, nil)
}
