package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericrequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/stream"
)

// Streams are the ways to running guests, below the names of their resources: upgraded connections, and the screenshot that
// stands below vnc. verb is what they need, also where it is not that of the request's method.
func (s *Stores) Streams(verb string, methods ...string) map[string]rest.Storage {
	guests := s.Guests
	instances := func(find finder) *StreamREST {
		return &StreamREST{find: find, kind: "VirtualMachineInstance", object: func() runtime.Object { return &virtv1.VirtualMachineInstance{} },
			authorizer: s.Environment.Authorizer, verb: verb, methods: methods}
	}
	console := instances(func(ctx context.Context, name string, _ []string, query url.Values) (*url.URL, http.RoundTripper, error) {
		return guests.Console(ctx, name, query.Get("history"))
	})
	vnc := instances(func(ctx context.Context, name string, _ []string, query url.Values) (*url.URL, http.RoundTripper, error) {
		return guests.VNC(ctx, name, query.Get("preserveSession"))
	})
	vnc.subpath, vnc.screenshot = true, guests.Screenshot
	usbredir := instances(func(ctx context.Context, name string, _ []string, _ url.Values) (*url.URL, http.RoundTripper, error) {
		return guests.USBRedir(ctx, name)
	})
	vsock := instances(func(ctx context.Context, name string, _ []string, query url.Values) (*url.URL, http.RoundTripper, error) {
		return guests.VSOCK(ctx, name, query.Get("port"), query.Get("tls"))
	})
	portforward := instances(s.portForward)
	portforward.subpath = true
	ofMachine := instances(s.portForwardMachine)
	ofMachine.subpath, ofMachine.kind, ofMachine.object = true, "VirtualMachine", func() runtime.Object { return &virtv1.VirtualMachine{} }
	return map[string]rest.Storage{
		"virtualmachineinstances/console":     console,
		"virtualmachineinstances/vnc":         vnc,
		"virtualmachineinstances/usbredir":    usbredir,
		"virtualmachineinstances/vsock":       vsock,
		"virtualmachineinstances/portforward": portforward,
		"virtualmachines/portforward":         ofMachine,
	}
}

func (s *Stores) portForward(ctx context.Context, name string, path []string, _ url.Values) (*url.URL, http.RoundTripper, error) {
	switch len(path) {
	case 0:
		return nil, nil, apierrors.NewBadRequest("port must not be empty")
	case 1:
		path = append(path, "")
	case 2:
	default:
		return nil, nil, apierrors.NewBadRequest("the path must end with PORT or PORT/PROTOCOL")
	}
	return s.Guests.PortForward(ctx, name, path[0], path[1])
}

// portForwardMachine leads to the instance of a machine.
func (s *Stores) portForwardMachine(ctx context.Context, name string, path []string, query url.Values) (*url.URL, http.RoundTripper, error) {
	_, err := s.VirtualMachines.Get(ctx, name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		err = apierrors.NewNotFound(virtv1.Resource("virtualmachine"), name) // whichever group was asked
	}
	if err != nil {
		return nil, nil, err
	}
	location, transport, err := s.portForward(ctx, name, path, query)
	if apierrors.IsNotFound(err) {
		err = apierrors.NewConflict(virtv1.Resource("virtualmachine"), name, errors.New("VMI is not started"))
	}
	return location, transport, err
}

// finder says where the stream of an object is; path is what follows the name of the subresource.
type finder func(ctx context.Context, name string, path []string, query url.Values) (*url.URL, http.RoundTripper, error)

// StreamREST serves a stream of objects as an upgraded connection.
type StreamREST struct {
	find   finder
	kind   string
	object func() runtime.Object
	// subpath says that something may follow the name of the subresource.
	subpath bool
	// screenshot, if set, is served as an image below the stream.
	screenshot func(ctx context.Context, name, moveCursor string) (io.ReadCloser, error)
	// authorizer is asked for what kube-apiserver cannot have checked: the verb, where it is not that of the request's
	// method, and names of two parts.
	authorizer authorizer.UnconditionalAuthorizer
	verb       string
	methods    []string
}

var (
	_ rest.Connecter                = &StreamREST{}
	_ rest.GroupVersionKindProvider = &StreamREST{}
)

// New makes an empty object of the kind that the stream belongs to.
func (r *StreamREST) New() runtime.Object { return r.object() }

// Destroy does nothing.
func (*StreamREST) Destroy() {}

// GroupVersionKind is that of the object.
func (r *StreamREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return virtv1.SchemeGroupVersion.WithKind(r.kind)
}

// ConnectMethods are the methods by which a client may come.
func (r *StreamREST) ConnectMethods() []string { return r.methods }

// NewConnectOptions has none; what a path and its query say is read by Connect.
func (r *StreamREST) NewConnectOptions() (runtime.Object, bool, string) { return nil, r.subpath, "" }

// Connect finds the stream and relays it.
func (r *StreamREST) Connect(ctx context.Context, name string, _ runtime.Object, responder rest.Responder) (http.Handler, error) {
	path, err := r.path(ctx)
	if err != nil {
		return nil, err
	}
	if len(path) == 1 && path[0] == "screenshot" && r.screenshot != nil {
		// An image is looked at: no more than get is needed, in either group.
		if err := RequireSubresource(ctx, r.authorizer, "vnc/screenshot"); err != nil {
			return nil, err
		}
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			image, err := r.screenshot(ctx, name, req.URL.Query().Get("moveCursor"))
			if err != nil {
				responder.Error(err)
				return
			}
			send(w, image)
		}), nil
	}
	if err := RequireVerb(ctx, r.authorizer, r.verb); err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		location, transport, err := r.find(ctx, name, path, req.URL.Query())
		if err != nil {
			responder.Error(err)
			return
		}
		stream.Handler(location, transport, responder).ServeHTTP(w, req)
	}), nil
}

// path is what follows the name of the subresource.
func (r *StreamREST) path(ctx context.Context) ([]string, error) {
	info, ok := genericrequest.RequestInfoFrom(ctx)
	if !ok {
		return nil, apierrors.NewInternalError(errors.New("the request has no information about itself"))
	}
	const before = 3 // resource, name, subresource
	if !r.subpath || len(info.Parts) <= before {
		return nil, nil
	}
	path := info.Parts[before:]
	if r.screenshot != nil && (len(path) != 1 || path[0] != "screenshot") {
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: info.APIGroup, Resource: info.Resource + "/" + info.Subresource + "/" + strings.Join(path, "/")}, info.Name)
	}
	return path, nil
}

// send passes an image on. A part of one must not be taken for the whole.
func send(w http.ResponseWriter, image io.ReadCloser) {
	defer func() { _ = image.Close() }()
	w.Header().Set("Content-Type", "image/png")
	w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(w, image); err != nil {
		panic(http.ErrAbortHandler)
	}
}
