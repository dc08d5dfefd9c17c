// Package storage keeps VirtualMachineInstanceMigrations: the store, its /status and its table.
package storage

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/migration"
	"github.com/virtplane/virtplane/pkg/registry/store"
	"github.com/virtplane/virtplane/pkg/registry/table"
)

type object = *virtv1.VirtualMachineInstanceMigration

// New makes the storage of the objects and of their status.
func New(typer runtime.ObjectTyper, env environment.Environment, options generic.RESTOptionsGetter) (*store.REST, *store.StatusREST, error) {
	policy := migration.NewStrategy(typer, env)
	return store.Build(store.Kind[object]{
		Plural: "virtualmachineinstancemigrations", Singular: "virtualmachineinstancemigration", ShortNames: []string{"vmim", "vmims"},
		New:     func() runtime.Object { return &virtv1.VirtualMachineInstanceMigration{} },
		NewList: func() runtime.Object { return &virtv1.VirtualMachineInstanceMigrationList{} },
		Policy:  policy, Status: migration.StatusStrategy{Strategy: policy},
		Table: table.New(
			table.Column[object]{Name: "Phase", Type: "string", Description: "Where the migration stands.",
				Cell: func(m object) any { return string(m.Status.Phase) }},
			table.Column[object]{Name: "VMI", Type: "string", Description: "Instance that moves.",
				Cell: func(m object) any { return m.Spec.VMIName }},
		),
		Fields: migration.SelectableFields,
	}, options)
}
