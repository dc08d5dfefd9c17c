// Package strategy holds the few lines that the strategies of all kinds share: which fields an endpoint resets, which
// metadata a status writer may touch, and how objects are matched to selectors. It must know no kind.
package strategy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Reset names top-level fields that an endpoint ignores, for every version of the group.
func Reset(names ...string) map[fieldpath.APIVersion]*fieldpath.Set {
	set := fieldpath.NewSet()
	for _, name := range names {
		set.Insert(fieldpath.MakePathOrDie(name))
	}
	return everyVersion(set)
}

// ResetForStatus names what /status ignores: the spec and the metadata that KeepMetadata keeps.
func ResetForStatus() map[fieldpath.APIVersion]*fieldpath.Set {
	return everyVersion(fieldpath.NewSet(
		fieldpath.MakePathOrDie("spec"),
		fieldpath.MakePathOrDie("metadata", "labels"),
		fieldpath.MakePathOrDie("metadata", "annotations"),
		fieldpath.MakePathOrDie("metadata", "finalizers"),
		fieldpath.MakePathOrDie("metadata", "ownerReferences"),
	))
}

func everyVersion(set *fieldpath.Set) map[fieldpath.APIVersion]*fieldpath.Set {
	return map[fieldpath.APIVersion]*fieldpath.Set{
		fieldpath.APIVersion(virtv1.SchemeGroupVersion.String()):     set,
		fieldpath.APIVersion(virtv1.DeprecatedGroupVersion.String()): set,
	}
}

// KeepMetadata restores the metadata that a writer of the status has no say in: whoever may write the status of an object
// could otherwise re-label it, or remove the finalizers that protect it.
func KeepMetadata(obj, old *metav1.ObjectMeta) {
	obj.Labels = old.Labels
	obj.Annotations = old.Annotations
	obj.Finalizers = old.Finalizers
	obj.OwnerReferences = old.OwnerReferences
}

// MetaFields adds the name and the namespace to the selectable fields of an object.
func MetaFields(m *metav1.ObjectMeta, set fields.Set) fields.Set {
	if set == nil {
		set = fields.Set{}
	}
	set["metadata.name"] = m.Name
	set["metadata.namespace"] = m.Namespace
	return set
}

// Attributes makes the function by which a cache knows labels and selectable fields of the objects of a kind.
func Attributes[T runtime.Object](selectable func(T) fields.Set) storage.AttrFunc {
	return func(obj runtime.Object) (labels.Set, fields.Set, error) {
		typed, ok := obj.(T)
		if !ok {
			return nil, nil, fmt.Errorf("selecting: unexpected type %T", obj)
		}
		accessor, err := meta.Accessor(obj)
		if err != nil {
			return nil, nil, err
		}
		return accessor.GetLabels(), selectable(typed), nil
	}
}

// Match makes the function that turns selectors into a predicate; indexed fields have an index in the cache.
func Match(attributes storage.AttrFunc, indexed ...string) func(labels.Selector, fields.Selector) storage.SelectionPredicate {
	return func(label labels.Selector, field fields.Selector) storage.SelectionPredicate {
		return storage.SelectionPredicate{Label: label, Field: field, GetAttrs: attributes, IndexFields: indexed}
	}
}
