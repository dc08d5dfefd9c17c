package virtualmachineinstance

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apis/kubevirt/validation"
	"github.com/virtplane/virtplane/pkg/registry/strategy"
)

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

// PrepareForUpdate lets only the status through, gives back to its owner what the writer does not own, and derives what
// follows from the status.
func (s StatusStrategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	vmi, was := obj.(*virtv1.VirtualMachineInstance), old.(*virtv1.VirtualMachineInstance)
	vmi.Spec = was.Spec
	strategy.KeepMetadata(&vmi.ObjectMeta, &was.ObjectMeta)
	restore(&vmi.Status, &was.Status, s.env.Namespace.From(ctx))
	mirrorNodeName(vmi)
	stampPhase(vmi, was, metav1.NewTime(s.env.Clock.Now()))
}

// ValidateUpdate checks the status.
func (StatusStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.ValidateVirtualMachineInstanceStatusUpdate(obj.(*virtv1.VirtualMachineInstance), old.(*virtv1.VirtualMachineInstance))
}

// mirrorNodeName keeps the label by which users select the instances of a node in step with the status.
func mirrorNodeName(vmi *virtv1.VirtualMachineInstance) {
	if vmi.Labels[virtv1.NodeNameLabel] == vmi.Status.NodeName {
		return
	}
	labels := make(map[string]string, len(vmi.Labels)+1)
	for k, v := range vmi.Labels {
		labels[k] = v
	}
	if vmi.Status.NodeName == "" {
		delete(labels, virtv1.NodeNameLabel)
	} else {
		labels[virtv1.NodeNameLabel] = vmi.Status.NodeName
	}
	vmi.Labels = labels
}

// stampPhase records when a phase was entered, if the writer left it out.
func stampPhase(vmi, was *virtv1.VirtualMachineInstance, now metav1.Time) {
	if vmi.Status.Phase == was.Status.Phase {
		return
	}
	for _, t := range vmi.Status.PhaseTransitionTimestamps {
		if t.Phase == vmi.Status.Phase {
			return
		}
	}
	vmi.Status.PhaseTransitionTimestamps = append(vmi.Status.PhaseTransitionTimestamps,
		virtv1.VirtualMachineInstancePhaseTransitionTimestamp{Phase: vmi.Status.Phase, PhaseTransitionTimestamp: now})
}
