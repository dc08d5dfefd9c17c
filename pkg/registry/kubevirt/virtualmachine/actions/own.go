package actions

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// manager is who owns what actions write, in the book-keeping of server-side apply.
const manager = "virt-api"

// serverUser is how the server's own writes are known.
var serverUser = &user.DefaultInfo{Name: "system:apiserver", Groups: []string{user.SystemPrivilegedGroup}}

// own records that an action and not its former owner has set the run strategy. Whoever applies the machine again with
// another value learns of it by a conflict, instead of stopping a machine that somebody has just started.
func own(vm, was *virtv1.VirtualMachine, now time.Time) error {
	changed := fieldpath.NewSet()
	if vm.Spec.RunStrategy != was.Spec.RunStrategy {
		changed.Insert(fieldpath.MakePathOrDie("spec", "runStrategy"))
	}
	if !ptr.Equal(vm.Spec.Running, was.Spec.Running) {
		changed.Insert(fieldpath.MakePathOrDie("spec", "running"))
	}
	if changed.Empty() || len(vm.ManagedFields) == 0 {
		return nil
	}
	owned := changed
	var entries []metav1.ManagedFieldsEntry
	for _, e := range vm.ManagedFields {
		if e.Subresource != "" || e.FieldsV1 == nil {
			entries = append(entries, e)
			continue
		}
		set := &fieldpath.Set{}
		if err := set.FromJSON(e.FieldsV1.GetRawReader()); err != nil {
			return fmt.Errorf("reading managed fields of %s: %w", e.Manager, err)
		}
		if e.Manager == manager && e.Operation == metav1.ManagedFieldsOperationUpdate {
			owned = owned.Union(set)
			continue
		}
		left := set.Difference(changed)
		if left.Size() == set.Size() {
			entries = append(entries, e)
			continue
		}
		if left.Empty() {
			continue
		}
		raw, err := left.ToJSON()
		if err != nil {
			return fmt.Errorf("writing managed fields of %s: %w", e.Manager, err)
		}
		e.FieldsV1 = metav1.NewFieldsV1(string(raw))
		entries = append(entries, e)
	}
	raw, err := owned.ToJSON()
	if err != nil {
		return fmt.Errorf("writing managed fields of %s: %w", manager, err)
	}
	at := metav1.NewTime(now)
	vm.ManagedFields = slices.Concat(entries, []metav1.ManagedFieldsEntry{{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: virtv1.SchemeGroupVersion.String(),
		Time: &at, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(string(raw)),
	}})
	return nil
}
