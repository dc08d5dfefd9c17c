// Package storage keeps the one KubeVirt object: the store, its /status and its table.
package storage

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/generic/registry"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apis/kubevirt/validation"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/configuration"
	"github.com/virtplane/virtplane/pkg/registry/store"
	"github.com/virtplane/virtplane/pkg/registry/table"
)

// New makes the storage of the object and of its status.
func New(typer runtime.ObjectTyper, options generic.RESTOptionsGetter) (*store.REST, *store.StatusREST, error) {
	policy := configuration.NewStrategy(typer)
	main, status, err := store.Build(store.Kind[*virtv1.KubeVirt]{
		Plural: "kubevirts", Singular: "kubevirt", ShortNames: []string{"kv", "kvs"},
		New:     func() runtime.Object { return &virtv1.KubeVirt{} },
		NewList: func() runtime.Object { return &virtv1.KubeVirtList{} },
		Policy:  policy, Status: configuration.StatusStrategy{Strategy: policy},
		Table: table.New(
			table.Age[*virtv1.KubeVirt](),
			table.Column[*virtv1.KubeVirt]{Name: "Phase", Type: "string", Description: "Where the installation stands.",
				Cell: func(k *virtv1.KubeVirt) any { return string(k.Status.Phase) }},
		),
		Fields: configuration.SelectableFields,
	}, options)
	if err != nil {
		return nil, nil, err
	}
	main.BeginCreate = onlyOne(main.Store)
	return main, status, nil
}

// onlyOne refuses a second object, in whatever namespace: components look for the one there is (row P5-GEN-05). It is a
// guard against mistakes and not against two creations at the same moment, after which the older one counts.
func onlyOne(s *registry.Store) registry.BeginCreateFunc {
	return func(ctx context.Context, obj runtime.Object, _ *metav1.CreateOptions) (registry.FinishFunc, error) {
		k := obj.(*virtv1.KubeVirt)
		found, err := s.List(genericapirequest.WithNamespace(ctx, metav1.NamespaceAll), &internalversion.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("looking for another KubeVirt object: %w", err)
		}
		for _, other := range found.(*virtv1.KubeVirtList).Items {
			if other.Namespace != k.Namespace || other.Name != k.Name {
				return nil, apierrors.NewInvalid(virtv1.Kind("KubeVirt"), k.Name, field.ErrorList{validation.OnlyKubeVirt(other.Namespace, other.Name)})
			}
		}
		return func(context.Context, bool) {}, nil
	}
}
