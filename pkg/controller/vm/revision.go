package vm

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	naming "github.com/virtplane/virtplane/pkg/machine"
)

// revisionLabel of a ControllerRevision holds the UID of the machine that it is of.
const revisionLabel = "virtplane.io/machine"

// record keeps the spec that a machine is started with, so that whoever looks at its instance later can tell what it was
// made from although the machine was edited since.
func (r *Reconciler) record(ctx context.Context, vm *virtv1.VirtualMachine) error {
	data, err := json.Marshal(struct {
		Spec *virtv1.VirtualMachineSpec `json:"spec"`
	}{&vm.Spec})
	if err != nil {
		return fmt.Errorf("recording spec: %w", err)
	}
	revision := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: naming.StartRevision(vm.UID, fmt.Sprint(vm.Generation)), Namespace: vm.Namespace,
			Labels:          map[string]string{revisionLabel: string(vm.UID)},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(vm, virtv1.SchemeGroupVersion.WithKind("VirtualMachine"))},
		},
		Data: runtime.RawExtension{Raw: data}, Revision: vm.Generation,
	}
	if err := r.Client.Create(ctx, revision); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("recording spec: %w", err)
	}
	return nil
}

// forget deletes what earlier instances of a machine were made from.
func (r *Reconciler) forget(ctx context.Context, vm *virtv1.VirtualMachine) error {
	var all appsv1.ControllerRevisionList
	// Not through the cache: this is the one use, and a watch of all revisions of the cluster would be dear.
	if err := r.Live.List(ctx, &all, client.InNamespace(vm.Namespace), client.MatchingLabels{revisionLabel: string(vm.UID)}); err != nil {
		return fmt.Errorf("listing recorded specs: %w", err)
	}
	now := naming.StartRevision(vm.UID, fmt.Sprint(vm.Generation))
	for i := range all.Items {
		old := &all.Items[i]
		if old.Name == now || !metav1.IsControlledBy(old, vm) {
			continue
		}
		if err := r.Client.Delete(ctx, old, client.Preconditions{UID: &old.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting recorded spec: %w", err)
		}
	}
	return nil
}
