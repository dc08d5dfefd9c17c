package rest

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// parent is a resource without verbs. The generic server serves virtualmachines/start only where virtualmachines itself
// is registered (decision 5); the objects themselves are served by kubevirt.io.
type parent struct {
	kind, singular string
	empty          func() runtime.Object
}

var (
	_ rest.Storage                  = parent{}
	_ rest.Scoper                   = parent{}
	_ rest.SingularNameProvider     = parent{}
	_ rest.GroupVersionKindProvider = parent{}
)

func (p parent) New() runtime.Object     { return p.empty() }
func (parent) Destroy()                  {}
func (parent) NamespaceScoped() bool     { return true }
func (p parent) GetSingularName() string { return p.singular }
func (p parent) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return virtv1.SchemeGroupVersion.WithKind(p.kind)
}
