// Package storage keeps VirtualMachineInstances: the store, its /status, its index of nodes and its table.
package storage

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/virtualmachineinstance"
	"github.com/virtplane/virtplane/pkg/registry/store"
)

// New makes the storage of the objects and of their status.
func New(typer runtime.ObjectTyper, env environment.Environment, options generic.RESTOptionsGetter) (*store.REST, *store.StatusREST, error) {
	policy := virtualmachineinstance.NewStrategy(typer, env)
	return store.Build(store.Kind[*virtv1.VirtualMachineInstance]{
		Plural: "virtualmachineinstances", Singular: "virtualmachineinstance", ShortNames: []string{"vmi", "vmis"},
		New:     func() runtime.Object { return &virtv1.VirtualMachineInstance{} },
		NewList: func() runtime.Object { return &virtv1.VirtualMachineInstanceList{} },
		Policy:  policy, Status: virtualmachineinstance.StatusStrategy{Strategy: policy},
		Table: newTable(), Fields: virtualmachineinstance.SelectableFields,
		Index: virtv1.VirtualMachineInstanceNodeField, IndexKey: virtualmachineinstance.NodeName,
	}, options)
}
