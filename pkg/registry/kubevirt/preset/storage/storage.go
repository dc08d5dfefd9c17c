// Package storage keeps VirtualMachineInstancePresets.
package storage

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/preset"
	"github.com/virtplane/virtplane/pkg/registry/store"
	"github.com/virtplane/virtplane/pkg/registry/table"
)

// New makes the storage of the objects.
func New(typer runtime.ObjectTyper, env environment.Environment, options generic.RESTOptionsGetter) (*store.REST, error) {
	main, _, err := store.Build(store.Kind[*virtv1.VirtualMachineInstancePreset]{
		Plural: "virtualmachineinstancepresets", Singular: "virtualmachineinstancepreset", ShortNames: []string{"vmipreset", "vmipresets"},
		New:     func() runtime.Object { return &virtv1.VirtualMachineInstancePreset{} },
		NewList: func() runtime.Object { return &virtv1.VirtualMachineInstancePresetList{} },
		Policy:  preset.NewStrategy(typer, env),
		Table:   table.New(table.Age[*virtv1.VirtualMachineInstancePreset]()),
		Fields:  preset.SelectableFields,
	}, options)
	return main, err
}
