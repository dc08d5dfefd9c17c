// Package virtualmachineinstance is the policy of the resource virtualmachineinstances: defaults at creation, the spec
// that nobody edits, the status whose parts have one writer each (decision 7), and what can be selected. The package must
// do no I/O: the store is in the package storage below it.
package virtualmachineinstance

import (
	"context"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apis/kubevirt/validation"
	"github.com/virtplane/virtplane/pkg/machine/support"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	"github.com/virtplane/virtplane/pkg/registry/strategy"
	"github.com/virtplane/virtplane/pkg/registry/writer"
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

// PrepareForCreate enters the first phase, holds the object until its guest is gone, and fills in the defaults that depend
// on the cluster. Doing it here saves the controllers a write for each instance.
func (s Strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	vmi := obj.(*virtv1.VirtualMachineInstance)
	vmi.Generation = 1
	hold(vmi)
	vmi.Status = virtv1.VirtualMachineInstanceStatus{
		Phase: virtv1.Pending,
		PhaseTransitionTimestamps: []virtv1.VirtualMachineInstancePhaseTransitionTimestamp{
			{Phase: virtv1.Pending, PhaseTransitionTimestamp: metav1.NewTime(s.env.Clock.Now())},
		},
	}
	setDefaults(vmi, s.env)
}

// Validate checks a new object.
func (s Strategy) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	return validation.ValidateVirtualMachineInstance(obj.(*virtv1.VirtualMachineInstance), s.env.Validation(ctx))
}

// WarningsOnCreate tells what is allowed and probably not meant, and what of it is not served. The system's own components are
// told nothing: whoever made the machine was.
func (s Strategy) WarningsOnCreate(ctx context.Context, obj runtime.Object) []string {
	vmi, options := obj.(*virtv1.VirtualMachineInstance), s.env.Validation(ctx)
	if options.Trusted {
		return nil
	}
	return append(validation.VirtualMachineInstanceWarnings(vmi, options), support.Warnings(support.Instance(vmi.Annotations, &vmi.Spec, s.env.Installation()))...)
}

// PrepareForUpdate keeps the status and what mirrors it, counts changes of the spec, and keeps the finalizer until deletion.
func (s Strategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	vmi, was := obj.(*virtv1.VirtualMachineInstance), old.(*virtv1.VirtualMachineInstance)
	vmi.Status = was.Status
	// A label that a user has set to something else is left for validation to refuse: to put it back would tell the user that it was
	// set. One that is left out, as in a manifest that replaces the object, is put back.
	if label, there := vmi.Labels[virtv1.NodeNameLabel]; !there || label == was.Labels[virtv1.NodeNameLabel] || s.env.Namespace.From(ctx) != writer.User {
		mirrorNodeName(vmi)
	}
	if !apiequality.Semantic.DeepEqual(vmi.Spec, was.Spec) {
		vmi.Generation = was.Generation + 1
	}
	if vmi.DeletionTimestamp == nil {
		hold(vmi)
	}
}

// ValidateUpdate checks a changed object.
func (s Strategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.ValidateVirtualMachineInstanceUpdate(obj.(*virtv1.VirtualMachineInstance), old.(*virtv1.VirtualMachineInstance), s.env.Validation(ctx))
}

// CheckGracefulDelete makes no deletion graceful: the guest has the time that its spec says. Whoever asks for another is told so.
func (Strategy) CheckGracefulDelete(ctx context.Context, _ runtime.Object, options *metav1.DeleteOptions) bool {
	strategy.WarnOfGracePeriod(ctx, options)
	return false
}

// hold adds the finalizer under which virt-controller waits for the end of the guest.
func hold(vmi *virtv1.VirtualMachineInstance) {
	if !slices.Contains(vmi.Finalizers, virtv1.VirtualMachineInstanceFinalizer) {
		vmi.Finalizers = append(vmi.Finalizers, virtv1.VirtualMachineInstanceFinalizer)
	}
}

// GraceStrategy is the policy of the server's own write of the grace period, before it stops a guest. No request reaches it
// with an object of its own.
type GraceStrategy struct{ Strategy }

// ValidateUpdate checks nothing: an instance that a newer rule would refuse can still be stopped.
func (GraceStrategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}

// SelectableFields gives the values that field selectors compare.
func SelectableFields(vmi *virtv1.VirtualMachineInstance) fields.Set {
	target := ""
	if vmi.Status.MigrationState != nil {
		target = vmi.Status.MigrationState.TargetNode
	}
	return strategy.MetaFields(&vmi.ObjectMeta, fields.Set{
		virtv1.VirtualMachineInstancePhaseField:      string(vmi.Status.Phase),
		virtv1.VirtualMachineInstanceNodeField:       vmi.Status.NodeName,
		virtv1.VirtualMachineInstanceTargetNodeField: target,
	})
}

// NodeName is the value that the cache keeps an index on, so that the watch of one node's agent costs only its own
// instances (decision 9).
func NodeName(vmi *virtv1.VirtualMachineInstance) string { return vmi.Status.NodeName }
