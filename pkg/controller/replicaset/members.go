package replicaset

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// members are the instances of a set, by name. Of those that its selector selects it takes in the ones that nobody owns; it
// lets go of those that it owns and no longer selects.
func (r *Reconciler) members(ctx context.Context, reader client.Reader, set *virtv1.VirtualMachineInstanceReplicaSet, selector labels.Selector) ([]virtv1.VirtualMachineInstance, error) {
	var selected, owned virtv1.VirtualMachineInstanceList
	if err := reader.List(ctx, &selected, client.InNamespace(set.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, fmt.Errorf("listing the instances of the replica set: %w", err)
	}
	// Only the cache has the index; what the set no longer selects needs no newer look.
	if err := r.Client.List(ctx, &owned, client.InNamespace(set.Namespace), client.MatchingFields{instanceBySet: string(set.UID)}); err != nil {
		return nil, fmt.Errorf("listing the instances that the replica set owns: %w", err)
	}
	var out []virtv1.VirtualMachineInstance
	for i := range selected.Items {
		vmi := &selected.Items[i]
		owner := metav1.GetControllerOf(vmi)
		switch {
		case owner != nil && owner.UID == set.UID:
			out = append(out, *vmi)
		case owner == nil && vmi.DeletionTimestamp == nil && set.DeletionTimestamp == nil:
			taken, err := r.take(ctx, set, vmi)
			if err != nil {
				return nil, err
			}
			if taken != nil {
				out = append(out, *taken)
			}
		}
	}
	for i := range owned.Items {
		vmi := &owned.Items[i]
		if selector.Matches(labels.Set(vmi.Labels)) || vmi.DeletionTimestamp != nil || set.DeletionTimestamp != nil {
			continue
		}
		if err := r.letGo(ctx, set, vmi); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b virtv1.VirtualMachineInstance) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// take makes an instance the set's, unless the set is not there any more: its successor of the same name may want it.
func (r *Reconciler) take(ctx context.Context, set *virtv1.VirtualMachineInstanceReplicaSet, vmi *virtv1.VirtualMachineInstance) (*virtv1.VirtualMachineInstance, error) {
	var fresh virtv1.VirtualMachineInstanceReplicaSet
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(set), &fresh); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the replica set before it takes in instance %s: %w", vmi.Name, err)
	} else if err != nil || fresh.UID != set.UID || fresh.DeletionTimestamp != nil {
		return nil, nil
	}
	taken := vmi.DeepCopy()
	taken.OwnerReferences = append(taken.OwnerReferences, owner(set))
	return r.rewrite(ctx, taken)
}

func (r *Reconciler) letGo(ctx context.Context, set *virtv1.VirtualMachineInstanceReplicaSet, vmi *virtv1.VirtualMachineInstance) error {
	freed := vmi.DeepCopy()
	freed.OwnerReferences = slices.DeleteFunc(freed.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == set.UID })
	_, err := r.rewrite(ctx, freed)
	return err
}

// rewrite updates an instance unless somebody else has, in which case there is another time.
func (r *Reconciler) rewrite(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (*virtv1.VirtualMachineInstance, error) {
	err := r.Client.Update(ctx, vmi)
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("changing the owner of instance %s: %w", vmi.Name, err)
	}
	return vmi, nil
}

func owner(set *virtv1.VirtualMachineInstanceReplicaSet) metav1.OwnerReference {
	return *metav1.NewControllerRef(set, virtv1.SchemeGroupVersion.WithKind(kind))
}
