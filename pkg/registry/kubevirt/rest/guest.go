package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/objectgraph"
	"github.com/virtplane/virtplane/pkg/registry/subresources/body"
)

// CallOptions are what a request for an action on a guest may say. None of it has a kind of its own.
type CallOptions struct {
	// DryRun is what the body or the query says of it.
	DryRun []string `json:"dryRun,omitempty"`
	// UnfreezeTimeout is that of a freeze.
	UnfreezeTimeout *metav1.Duration `json:"unfreezeTimeout,omitempty"`
	// EvacuationNodeName is that of a cancelled evacuation.
	EvacuationNodeName string `json:"evacuationNodeName,omitempty"`
}

// CallREST serves an action whose body may be missing and has no kind. The two groups differ in method and answer only.
type CallREST struct {
	// Kind of the objects that it belongs to, which are stored.
	Kind   string
	Method string
	// Done is what has been done, for an answer in words; without, the answer is empty.
	Done string
	Call func(ctx context.Context, name string, options *CallOptions) error
	// Below is what must follow the action's name in the path, as in evacuate/cancel. kube-apiserver has authorized the
	// first part only, so that Authorizer is asked for the whole.
	Below      string
	Authorizer authorizer.UnconditionalAuthorizer
}

var (
	_ rest.Connecter                = &CallREST{}
	_ rest.GroupVersionKindProvider = &CallREST{}
)

// New makes an empty object of the kind that the action belongs to.
func (r *CallREST) New() runtime.Object { return emptyOf(r.Kind) }

// Destroy does nothing.
func (*CallREST) Destroy() {}

// GroupVersionKind is that of the object.
func (r *CallREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return virtv1.SchemeGroupVersion.WithKind(r.Kind)
}

// ConnectMethods is the one method.
func (r *CallREST) ConnectMethods() []string { return []string{r.Method} }

// NewConnectOptions has none but what may follow in the path.
func (r *CallREST) NewConnectOptions() (runtime.Object, bool, string) {
	return nil, r.Below != "", "path"
}

// Connect makes the handler that does the action.
func (r *CallREST) Connect(ctx context.Context, name string, _ runtime.Object, responder rest.Responder) (http.Handler, error) {
	if err := r.allowed(ctx); err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		options := &CallOptions{}
		if err := body.Options(req, options); err != nil {
			responder.Error(err)
			return
		}
		if err := r.Call(ctx, name, options); err != nil {
			responder.Error(err)
			return
		}
		if r.Done == "" {
			w.WriteHeader(http.StatusOK)
			return
		}
		responder.Object(http.StatusCreated, &metav1.Status{Status: metav1.StatusSuccess, Message: fmt.Sprintf("%s %s", name, r.Done)})
	}), nil
}

// allowed checks what follows the action's name.
func (r *CallREST) allowed(ctx context.Context) error {
	if r.Below == "" {
		return nil
	}
	info, ok := request.RequestInfoFrom(ctx)
	if !ok || len(info.Parts) < 3 {
		return apierrors.NewInternalError(fmt.Errorf("the request has no path"))
	}
	if strings.Join(info.Parts[3:], "/") != r.Below {
		return apierrors.NewNotFound(schema.GroupResource{Group: info.APIGroup, Resource: strings.Join(append([]string{info.Resource}, info.Parts[2:]...), "/")}, info.Name)
	}
	return RequireSubresource(ctx, r.Authorizer, info.Subresource+"/"+r.Below)
}

func emptyOf(kind string) runtime.Object {
	if kind == "VirtualMachine" {
		return &virtv1.VirtualMachine{}
	}
	return &virtv1.VirtualMachineInstance{}
}

// QueryREST serves what is asked of a guest, or worked out for a machine, as an object.
type QueryREST struct {
	Kind  string
	Empty func() runtime.Object
	Query func(ctx context.Context, name string) (runtime.Object, error)
}

var (
	_ rest.Getter                   = &QueryREST{}
	_ rest.GroupVersionKindProvider = &QueryREST{}
)

// New makes an empty answer.
func (r *QueryREST) New() runtime.Object { return r.Empty() }

// Destroy does nothing.
func (*QueryREST) Destroy() {}

// GroupVersionKind is that of the answer.
func (r *QueryREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return virtv1.SchemeGroupVersion.WithKind(r.Kind)
}

// Get asks.
func (r *QueryREST) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	return r.Query(ctx, name)
}

// GraphREST serves the objects that a machine or an instance needs. Clients send what they want of them as the body of a GET.
type GraphREST struct {
	Kind  string
	Graph func(ctx context.Context, name string, options *virtv1.ObjectGraphOptions) (*virtv1.ObjectGraphNode, error)
}

var (
	_ rest.Connecter                = &GraphREST{}
	_ rest.GroupVersionKindProvider = &GraphREST{}
)

// New makes an empty object of the kind whose graph it is.
func (r *GraphREST) New() runtime.Object { return emptyOf(r.Kind) }

// Destroy does nothing.
func (*GraphREST) Destroy() {}

// GroupVersionKind is that of the object.
func (r *GraphREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return virtv1.SchemeGroupVersion.WithKind(r.Kind)
}

// ConnectMethods is GET.
func (*GraphREST) ConnectMethods() []string { return []string{http.MethodGet} }

// NewConnectOptions has none.
func (*GraphREST) NewConnectOptions() (runtime.Object, bool, string) { return nil, false, "" }

// Connect makes the handler that answers with the graph.
func (r *GraphREST) Connect(ctx context.Context, name string, _ runtime.Object, responder rest.Responder) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		options := &virtv1.ObjectGraphOptions{}
		if err := body.Decode(req.Body, options); err != nil {
			responder.Error(err)
			return
		}
		graph, err := r.Graph(ctx, name, options)
		if err != nil {
			responder.Error(err)
			return
		}
		text, err := json.Marshal(graph)
		if err != nil {
			responder.Error(apierrors.NewInternalError(err))
			return
		}
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(text) // the client has gone when this fails
	}), nil
}

// GuestStorage is what both groups serve of running guests. Each call makes resources of its own: method is that of actions,
// and words says whether they are answered in words.
func (s *Stores) GuestStorage(method string, words bool, review authorizer.UnconditionalAuthorizer) map[string]rest.Storage {
	guests, machines := s.Guests, s.Actions
	const vmKind, vmiKind = "VirtualMachine", "VirtualMachineInstance"
	call := func(kind, done string, do func(context.Context, string, *CallOptions) error) *CallREST {
		if !words {
			done = ""
		}
		return &CallREST{Kind: kind, Method: method, Done: done, Call: do}
	}
	cancelled := func(kind string, do func(context.Context, string, *virtv1.EvacuateCancelOptions) error) *CallREST {
		c := call(kind, "stays on its node", func(ctx context.Context, name string, o *CallOptions) error {
			return do(ctx, name, &virtv1.EvacuateCancelOptions{DryRun: o.DryRun, EvacuationNodeName: o.EvacuationNodeName})
		})
		c.Below, c.Authorizer = "cancel", review
		return c
	}
	return map[string]rest.Storage{
		"virtualmachineinstances/freeze": call(vmiKind, "is frozen", func(ctx context.Context, name string, o *CallOptions) error {
			return guests.Freeze(ctx, name, o.UnfreezeTimeout, o.DryRun)
		}),
		"virtualmachineinstances/unfreeze": call(vmiKind, "is not frozen", func(ctx context.Context, name string, o *CallOptions) error {
			return guests.Unfreeze(ctx, name, o.DryRun)
		}),
		"virtualmachineinstances/reset": call(vmiKind, "was reset", func(ctx context.Context, name string, o *CallOptions) error {
			return guests.Reset(ctx, name, o.DryRun)
		}),
		"virtualmachineinstances/softreboot": call(vmiKind, "was asked to reboot", func(ctx context.Context, name string, o *CallOptions) error {
			return guests.SoftReboot(ctx, name, o.DryRun)
		}),
		"virtualmachineinstances/evacuate": cancelled(vmiKind, machines.CancelEvacuation),
		"virtualmachines/evacuate":         cancelled(vmKind, machines.CancelMachineEvacuation),

		"virtualmachineinstances/guestosinfo": &QueryREST{Kind: "VirtualMachineInstanceGuestAgentInfo",
			Empty: func() runtime.Object { return &virtv1.VirtualMachineInstanceGuestAgentInfo{} },
			Query: func(ctx context.Context, name string) (runtime.Object, error) { return guests.GuestInfo(ctx, name) }},
		"virtualmachineinstances/userlist": &QueryREST{Kind: "VirtualMachineInstanceGuestOSUserList",
			Empty: func() runtime.Object { return &virtv1.VirtualMachineInstanceGuestOSUserList{} },
			Query: func(ctx context.Context, name string) (runtime.Object, error) { return guests.Users(ctx, name) }},
		"virtualmachineinstances/filesystemlist": &QueryREST{Kind: "VirtualMachineInstanceFileSystemList",
			Empty: func() runtime.Object { return &virtv1.VirtualMachineInstanceFileSystemList{} },
			Query: func(ctx context.Context, name string) (runtime.Object, error) { return guests.Filesystems(ctx, name) }},
		"virtualmachines/expand-spec": &QueryREST{Kind: vmKind,
			Empty: func() runtime.Object { return &virtv1.VirtualMachine{} },
			Query: func(ctx context.Context, name string) (runtime.Object, error) {
				vm, _, err := machines.Machine(ctx, name)
				if err != nil {
					return nil, err
				}
				return vm, Expand(vm)
			}},

		"virtualmachineinstances/objectgraph": &GraphREST{Kind: vmiKind, Graph: func(ctx context.Context, name string, o *virtv1.ObjectGraphOptions) (*virtv1.ObjectGraphNode, error) {
			vmi, err := guests.Instance(ctx, name)
			if err != nil {
				return nil, err
			}
			return objectgraph.Instance(vmi, o)
		}},
		"virtualmachines/objectgraph": &GraphREST{Kind: vmKind, Graph: func(ctx context.Context, name string, o *virtv1.ObjectGraphOptions) (*virtv1.ObjectGraphNode, error) {
			vm, vmi, err := machines.Machine(ctx, name)
			if err != nil {
				return nil, err
			}
			return objectgraph.Machine(vm, vmi, o)
		}},
	}
}

// Expand replaces the instance type and the preference of a machine by what they stand for. Machines that name neither, or that
// may do without what a volume has, are their own expansion; the kinds themselves are not served yet.
func Expand(vm *virtv1.VirtualMachine) error {
	if m := vm.Spec.Instancetype; m != nil && (m.InferFromVolume == "" || m.InferFromVolumeFailurePolicy != ignore) {
		return notServed(cmp.Or(m.Kind, "VirtualMachineClusterInstancetype"), cmp.Or(m.Name, m.InferFromVolume))
	}
	if m := vm.Spec.Preference; m != nil && (m.InferFromVolume == "" || m.InferFromVolumeFailurePolicy != ignore) {
		return notServed(cmp.Or(m.Kind, "VirtualMachineClusterPreference"), cmp.Or(m.Name, m.InferFromVolume))
	}
	return nil
}

// ignore is the policy of machines that may do without what is to be inferred from a volume.
const ignore = "Ignore"

func notServed(kind, name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Group: "instancetype.kubevirt.io", Resource: strings.ToLower(kind) + "s"}, name)
}
