// Package storage keeps VirtualMachines: the store, its /status and its table.
package storage

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/virtualmachine"
	"github.com/virtplane/virtplane/pkg/registry/store"
)

// New makes the storage of the objects and of their status.
func New(typer runtime.ObjectTyper, env environment.Environment, options generic.RESTOptionsGetter) (*store.REST, *store.StatusREST, error) {
	policy := virtualmachine.NewStrategy(typer, env)
	return store.Build(store.Kind[*virtv1.VirtualMachine]{
		Plural: "virtualmachines", Singular: "virtualmachine", ShortNames: []string{"vm", "vms"},
		New:     func() runtime.Object { return &virtv1.VirtualMachine{} },
		NewList: func() runtime.Object { return &virtv1.VirtualMachineList{} },
		Policy:  policy, Status: virtualmachine.StatusStrategy{Strategy: policy},
		Table: newTable(), Fields: virtualmachine.SelectableFields,
	}, options)
}
