package strategy

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"k8s.io/apiserver/pkg/warning"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Base is what the policies of all kinds have in common. Each embeds it.
type Base struct {
	runtime.ObjectTyper
	names.NameGenerator
}

// NewBase makes the common part; typer tells the kinds of an object.
func NewBase(typer runtime.ObjectTyper) Base {
	return Base{ObjectTyper: typer, NameGenerator: names.SimpleNameGenerator}
}

// NamespaceScoped is true: all kinds of the group live in namespaces.
func (Base) NamespaceScoped() bool { return true }

// DefaultGarbageCollectionPolicy deletes what belongs to an object with it (row P2-VMI-06).
func (Base) DefaultGarbageCollectionPolicy(context.Context) rest.GarbageCollectionPolicy {
	return rest.DeleteDependents
}

// WarnOfGracePeriod tells who deletes a machine or an instance with a grace period that it is not what decides.
func WarnOfGracePeriod(ctx context.Context, options *metav1.DeleteOptions) {
	if options == nil || options.GracePeriodSeconds == nil {
		return
	}
	warning.AddWarning(ctx, "", "gracePeriodSeconds has no effect: the guest has the time of its spec.terminationGracePeriodSeconds to shut down, and a deletion waits for it. "+
		"To end it at once: virtctl stop NAME --force --grace-period=0")
}

// Canonicalize changes nothing.
func (Base) Canonicalize(runtime.Object) {}

// AllowCreateOnUpdate is false: an update of an object that is gone must not bring it back.
func (Base) AllowCreateOnUpdate(context.Context) bool { return false }

// AllowUnconditionalUpdate is false: two writers of an object must notice one another.
func (Base) AllowUnconditionalUpdate(context.Context) bool { return false }

// WarningsOnCreate has none.
func (Base) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }

// WarningsOnUpdate has none.
func (Base) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string { return nil }

// GetResetFields says that the main endpoint ignores the status.
func (Base) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set { return Reset("status") }
