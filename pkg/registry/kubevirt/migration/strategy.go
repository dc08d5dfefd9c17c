// Package migration is the policy of the resource virtualmachineinstancemigrations. It must do no I/O.
//
// It sets no finalizer: whoever removes it, the controller of migrations, is also who sets it.
package migration

import (
	"context"
	"maps"
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

// InstanceLabel is set to the name of the instance that moves: clients find the migrations of an instance by it.
const InstanceLabel = "kubevirt.io/vmi-name"

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

// PrepareForCreate enters the first phase and labels the object.
func (s Strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	m := obj.(*virtv1.VirtualMachineInstanceMigration)
	m.Generation = 1
	m.Status = virtv1.VirtualMachineInstanceMigrationStatus{
		Phase: virtv1.MigrationPending,
		PhaseTransitionTimestamps: []virtv1.VirtualMachineInstanceMigrationPhaseTransitionTimestamp{
			{Phase: virtv1.MigrationPending, PhaseTransitionTimestamp: metav1.NewTime(s.env.Clock.Now())},
		},
	}
	// A name that is too long for a label is still found by the field selector on spec.vmiName.
	if n := len(m.Spec.VMIName); n > 0 && n <= 63 {
		m.Labels = maps.Clone(m.Labels)
		if m.Labels == nil {
			m.Labels = map[string]string{}
		}
		m.Labels[InstanceLabel] = m.Spec.VMIName
	}
}

// Validate checks a new object.
func (s Strategy) Validate(_ context.Context, obj runtime.Object) field.ErrorList {
	errs := validation.ValidateMigration(obj.(*virtv1.VirtualMachineInstanceMigration))
	if !s.env.Migrations {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "vmiName"), support.NoMigrations))
	}
	return errs
}

// PrepareForUpdate keeps the status and counts changes of the spec. A finalizer that an earlier release has set, and that nobody
// would remove, goes.
func (s Strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	m, was := obj.(*virtv1.VirtualMachineInstanceMigration), old.(*virtv1.VirtualMachineInstanceMigration)
	m.Status = was.Status
	if !apiequality.Semantic.DeepEqual(m.Spec, was.Spec) {
		m.Generation = was.Generation + 1
	}
	if !s.env.Migrations {
		m.Finalizers = slices.DeleteFunc(slices.Clone(m.Finalizers), func(f string) bool { return f == virtv1.VirtualMachineMigrationFinalizer })
	}
}

// ValidateUpdate checks a changed object.
func (Strategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.ValidateMigrationUpdate(obj.(*virtv1.VirtualMachineInstanceMigration), old.(*virtv1.VirtualMachineInstanceMigration))
}

// StatusStrategy is the policy of /status.
type StatusStrategy struct{ Strategy }

// GetResetFields names what a writer of the status cannot change.
func (StatusStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return strategy.ResetForStatus()
}

// PrepareForUpdate lets only the status through.
func (StatusStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	m, was := obj.(*virtv1.VirtualMachineInstanceMigration), old.(*virtv1.VirtualMachineInstanceMigration)
	m.Spec = was.Spec
	strategy.KeepMetadata(&m.ObjectMeta, &was.ObjectMeta)
}

// ValidateUpdate accepts any status.
func (StatusStrategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}

// SelectableFields gives the values that field selectors compare.
func SelectableFields(m *virtv1.VirtualMachineInstanceMigration) fields.Set {
	return strategy.MetaFields(&m.ObjectMeta, fields.Set{
		virtv1.MigrationInstanceField: m.Spec.VMIName,
		virtv1.MigrationPhaseField:    string(m.Status.Phase),
	})
}
