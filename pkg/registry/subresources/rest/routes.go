package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/emicklei/go-restful/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	componentversion "k8s.io/component-base/version"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
	kubevirtrest "github.com/virtplane/virtplane/pkg/registry/kubevirt/rest"
	"github.com/virtplane/virtplane/pkg/registry/subresources/body"
)

// CompatibleVersion is the release of the reference whose API this server keeps. Stock clients compare its major and minor
// number with their own and warn of a difference.
const CompatibleVersion = "v1.9.0"

// InstallRoutes adds what is neither an object nor belongs to one to the web services of the group, which must be installed
// already. codecs write API errors in the form that the client accepts.
func (p StorageProvider) InstallRoutes(container *restful.Container, codecs runtime.NegotiatedSerializer) error {
	for _, gv := range []schema.GroupVersion{virtv1.SubresourceGroupVersion, virtv1.DeprecatedSubresourceGroupVersion} {
		ws := webService(container, "/apis/"+gv.String())
		if ws == nil {
			return fmt.Errorf("group version %s is not installed", gv)
		}
		fail := func(err error, w http.ResponseWriter, r *http.Request) {
			responsewriters.ErrorNegotiated(err, codecs, gv, w, r)
		}
		ws.Route(ws.GET("/version").To(answer(func(*http.Request) (any, error) { return buildVersion(), nil }, fail)).
			Operation("getVersion").Doc("Get KubeVirt API version.").Produces(runtime.ContentTypeJSON))
		ws.Route(ws.GET("/healthz").To(answer(func(*http.Request) (any, error) {
			return json.RawMessage(machine.Health(p.configVersion())), nil
		}, fail)).
			Operation("getHealth").Doc("Health endpoint").Produces(runtime.ContentTypeJSON))
		ws.Route(ws.GET("/guestfs").To(answer(func(*http.Request) (any, error) { return p.guestfs() }, inWords)).
			Operation("getGuestfs").Doc("Get the image of the tools for disk images.").Produces(runtime.ContentTypeJSON))
		ws.Route(ws.PUT("/namespaces/{namespace}/expand-vm-spec").To(answer(expand, fail)).
			Param(ws.PathParameter("namespace", "Object name and auth scope, such as for teams and projects")).
			Operation("replaceExpandVMSpec").Doc("Expands instancetype and preference into the passed VirtualMachine object.").
			Consumes("*/*").Produces(runtime.ContentTypeJSON))
	}
	return nil
}

func webService(container *restful.Container, root string) *restful.WebService {
	for _, ws := range container.RegisteredWebServices() {
		if ws.RootPath() == root {
			return ws
		}
	}
	return nil
}

// answer makes a route of a function that reads a request and gives an object.
func answer(f func(*http.Request) (any, error), fail func(error, http.ResponseWriter, *http.Request)) restful.RouteFunction {
	return func(req *restful.Request, resp *restful.Response) {
		r := req.Request
		if namespace := req.PathParameter("namespace"); namespace != "" {
			r = r.WithContext(context.WithValue(r.Context(), namespaceKey{}, namespace))
		}
		out, err := f(r)
		if err != nil {
			fail(err, resp.ResponseWriter, r)
			return
		}
		text, err := json.Marshal(out)
		if err != nil {
			fail(apierrors.NewInternalError(err), resp.ResponseWriter, r)
			return
		}
		resp.Header().Set("Content-Type", runtime.ContentTypeJSON)
		resp.WriteHeader(http.StatusOK)
		_, _ = resp.Write(text) // the client has gone when this fails
	}
}

// inWords tells of an error in plain text, with a code by which stock clients show it: they read the image of guestfs without
// decoding errors, and of JSON they show nothing, nor of the codes that they have a text of their own for.
func inWords(err error, w http.ResponseWriter, _ *http.Request) {
	http.Error(w, err.Error(), http.StatusNotImplemented)
}

// configVersion is the version of the cluster's configuration, empty while there is none.
func (p StorageProvider) configVersion() string {
	if k := p.Stores.Environment.Config.KubeVirt(); k != nil {
		return k.ResourceVersion
	}
	return ""
}

type namespaceKey struct{}

// buildVersion is the version in the form that clients of the reference read: the release that this server is compatible
// with, and the build that it is.
func buildVersion() version.Info {
	info := componentversion.Get()
	info.Major, info.Minor, info.GitVersion = "1", "9", CompatibleVersion
	return info
}

// guestfsImage is where clients find the image of the tools for disk images.
type guestfsImage struct {
	Registry    string `json:"registry"`
	Tag         string `json:"tag"`
	Digest      string `json:"digest"`
	ImagePrefix string `json:"imagePrefix"`
	GsImage     string `json:"gsImage"`
}

// errNoGuestfs is said where nobody knows the image.
var errNoGuestfs = errors.New("no registry is known for the image libguestfs-tools: set spec.imageRegistry of the KubeVirt object, or name the image with virtctl guestfs --image")

// guestfs names the image in the registry that the cluster's configuration has images come from. There is none of our own.
func (p StorageProvider) guestfs() (any, error) {
	k := p.Stores.Environment.Config.KubeVirt()
	if k == nil || k.Spec.ImageRegistry == "" {
		return nil, errNoGuestfs
	}
	image := guestfsImage{Registry: k.Spec.ImageRegistry, Tag: CompatibleVersion}
	if k.Spec.ImageTag != "" {
		image.Tag = k.Spec.ImageTag
	}
	return image, nil
}

// expand answers with the machine of the body, in which an instance type and a preference are replaced by what they stand
// for. Machines that name neither are their own expansion.
func expand(r *http.Request) (any, error) {
	vm := &virtv1.VirtualMachine{}
	if err := body.Decode(r.Body, vm); err != nil {
		return nil, err
	}
	if vm.Spec.Template == nil {
		return nil, apierrors.NewBadRequest("Object is not a valid VirtualMachine: spec.template is missing")
	}
	namespace, _ := r.Context().Value(namespaceKey{}).(string)
	switch vm.Namespace {
	case "":
		vm.Namespace = namespace
	case namespace:
	default:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("VM namespace must be empty or %s", namespace))
	}
	if err := kubevirtrest.Expand(vm); err != nil {
		return nil, err
	}
	vm.APIVersion, vm.Kind = virtv1.SchemeGroupVersion.String(), "VirtualMachine"
	return vm, nil
}
