package rest

import (
	"context"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine/support"
)

// unserved answers an action that this version does not have with why that is so: of an answer that only says that there is no such
// resource, clients show nothing that helps.
type unserved struct {
	action support.Action
	object rest.Getter
	kind   string
	empty  func() runtime.Object
}

var (
	_ rest.Connecter                = &unserved{}
	_ rest.GroupVersionKindProvider = &unserved{}
)

func (u *unserved) New() runtime.Object                             { return u.empty() }
func (*unserved) Destroy()                                          {}
func (*unserved) ConnectMethods() []string                          { return []string{http.MethodPut} }
func (*unserved) NewConnectOptions() (runtime.Object, bool, string) { return nil, false, "" }
func (u *unserved) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return virtv1.SchemeGroupVersion.WithKind(u.kind)
}

// Connect refuses, with the object's own error where there is none: clients then look for another kind of that name.
func (u *unserved) Connect(ctx context.Context, name string, _ runtime.Object, _ rest.Responder) (http.Handler, error) {
	if _, err := u.object.Get(ctx, name, &metav1.GetOptions{}); err != nil {
		return nil, err
	}
	return nil, apierrors.NewBadRequest(u.action.Why)
}

// unserved are the actions that are not there.
func (p StorageProvider) unserved() map[string]rest.Storage {
	out := map[string]rest.Storage{}
	for _, a := range support.Actions {
		u := &unserved{a, p.Stores.VirtualMachines, "VirtualMachine", func() runtime.Object { return &virtv1.VirtualMachine{} }}
		if strings.HasPrefix(a.Resource, "virtualmachineinstances/") {
			u.object, u.kind, u.empty = p.Stores.VirtualMachineInstances, "VirtualMachineInstance", func() runtime.Object { return &virtv1.VirtualMachineInstance{} }
		}
		out[a.Resource] = u
	}
	return out
}
