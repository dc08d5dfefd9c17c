// Package storage keeps VirtualMachineInstanceReplicaSets: the store, its /status, its /scale and its table.
package storage

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/replicaset"
	"github.com/virtplane/virtplane/pkg/registry/store"
	"github.com/virtplane/virtplane/pkg/registry/table"
)

type object = *virtv1.VirtualMachineInstanceReplicaSet

// New makes the storage of the objects, of their status and of their scale.
func New(typer runtime.ObjectTyper, env environment.Environment, options generic.RESTOptionsGetter) (*store.REST, *store.StatusREST, *ScaleREST, error) {
	policy := replicaset.NewStrategy(typer, env)
	main, status, err := store.Build(store.Kind[object]{
		Plural: "virtualmachineinstancereplicasets", Singular: "virtualmachineinstancereplicaset", ShortNames: []string{"vmirs", "vmirss"},
		New:     func() runtime.Object { return &virtv1.VirtualMachineInstanceReplicaSet{} },
		NewList: func() runtime.Object { return &virtv1.VirtualMachineInstanceReplicaSetList{} },
		Policy:  policy, Status: replicaset.StatusStrategy{Strategy: policy},
		Table: table.New(
			table.Column[object]{Name: "Desired", Type: "integer", Description: "Number of instances that are wanted.",
				Cell: func(s object) any { return int64(replicas(s)) }},
			table.Column[object]{Name: "Current", Type: "integer", Description: "Number of instances that exist.",
				Cell: func(s object) any { return int64(s.Status.Replicas) }},
			table.Column[object]{Name: "Ready", Type: "integer", Description: "Number of instances whose guest is ready.",
				Cell: func(s object) any { return int64(s.Status.ReadyReplicas) }},
			table.Age[object](),
		),
		Fields: replicaset.SelectableFields,
	}, options)
	if err != nil {
		return nil, nil, nil, err
	}
	return main, status, &ScaleREST{store: main.Store}, nil
}

// replicas is the number of instances that are wanted: one unless the object says otherwise.
func replicas(s object) int32 {
	if s.Spec.Replicas == nil {
		return 1
	}
	return *s.Spec.Replicas
}
