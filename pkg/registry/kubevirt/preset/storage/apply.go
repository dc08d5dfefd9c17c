package storage

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/preset"
)

// Applier applies presets to instances that are about to be created, before their defaults are filled in.
type Applier struct {
	Presets rest.Lister
}

// BeginCreate is the hook of the instances' store. The presets come from the cache of their own store, so that an instance
// costs no request for them; a preset that was created a moment ago may be missed.
func (a Applier) BeginCreate(ctx context.Context, obj runtime.Object, _ *metav1.CreateOptions) (registry.FinishFunc, error) {
	vmi, ok := obj.(*virtv1.VirtualMachineInstance)
	if !ok {
		return nil, fmt.Errorf("%T is no instance", obj)
	}
	nothing := func(context.Context, bool) {}
	if len(vmi.Labels) == 0 {
		return nothing, nil
	}
	ctx = genericapirequest.WithNamespace(ctx, vmi.Namespace)
	list, err := a.Presets.List(ctx, &metainternalversion.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("listing presets: %w", err)
	}
	presets, ok := list.(*virtv1.VirtualMachineInstancePresetList)
	if !ok {
		return nil, fmt.Errorf("presets are listed as %T", list)
	}
	all := make([]*virtv1.VirtualMachineInstancePreset, len(presets.Items))
	for i := range presets.Items {
		all[i] = &presets.Items[i]
	}
	warnings, err := preset.Apply(vmi, all)
	if err != nil {
		return nil, apierrors.NewInvalid(virtv1.SchemeGroupVersion.WithKind("VirtualMachineInstance").GroupKind(), vmi.Name,
			field.ErrorList{field.Invalid(field.NewPath("metadata", "labels"), vmi.Labels, err.Error())})
	}
	for _, w := range warnings {
		warning.AddWarning(ctx, "", w)
	}
	return nothing, nil
}
