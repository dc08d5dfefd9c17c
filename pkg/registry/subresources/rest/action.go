package rest

import (
	"context"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/subresources/body"
)

// actionREST serves an action by PUT, as stock clients call it. The body may be missing, and is JSON or YAML whatever its
// content type says, which many clients leave out; so the request does not go through the server's own decoding.
type actionREST[T runtime.Object] struct {
	kind  string
	empty func() T
	run   func(ctx context.Context, name string, options T) error
	// code is the answer when it is done.
	code int
}

var (
	_ rest.Connecter                = &actionREST[*virtv1.StartOptions]{}
	_ rest.GroupVersionKindProvider = &actionREST[*virtv1.StartOptions]{}
)

func (a *actionREST[T]) New() runtime.Object                             { return a.empty() }
func (*actionREST[T]) Destroy()                                          {}
func (*actionREST[T]) ConnectMethods() []string                          { return []string{http.MethodPut} }
func (*actionREST[T]) NewConnectOptions() (runtime.Object, bool, string) { return nil, false, "" }
func (a *actionREST[T]) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return virtv1.SchemeGroupVersion.WithKind(a.kind)
}

// Connect makes the handler that does the action.
func (a *actionREST[T]) Connect(ctx context.Context, name string, _ runtime.Object, responder rest.Responder) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		options := a.empty()
		if err := body.Options(r, options); err != nil {
			responder.Error(err)
			return
		}
		if err := a.run(ctx, name, options); err != nil {
			responder.Error(err)
			return
		}
		w.WriteHeader(a.code)
	}), nil
}
