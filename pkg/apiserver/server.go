package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/utils/clock"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apiserver/clusterconfig"
	"github.com/virtplane/virtplane/pkg/apiserver/filters"
	"github.com/virtplane/virtplane/pkg/apiserver/nodes"
	"github.com/virtplane/virtplane/pkg/apiserver/scheme"
	"github.com/virtplane/virtplane/pkg/apiserver/storage"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	kubevirtrest "github.com/virtplane/virtplane/pkg/registry/kubevirt/rest"
	"github.com/virtplane/virtplane/pkg/registry/subresources/body"
	subresourcesrest "github.com/virtplane/virtplane/pkg/registry/subresources/rest"
	"github.com/virtplane/virtplane/pkg/registry/writer"
)

// StorageProvider assembles the storage of one API group.
type StorageProvider interface {
	GroupName() string
	NewRESTStorage(scheme *runtime.Scheme, parameterCodec runtime.ParameterCodec, codecs serializer.CodecFactory,
		optsGetter generic.RESTOptionsGetter) (genericapiserver.APIGroupInfo, error)
}

// Complete fills in what the rest of the configuration decides.
func (c *Config) Complete() CompletedConfig {
	extra, generic := &c.Extra, c.Generic
	extra.config = &atomic.Pointer[clusterconfig.Config]{}
	deprecated := map[schema.GroupVersion]schema.GroupVersion{virtv1.DeprecatedGroupVersion: virtv1.SchemeGroupVersion}
	generic.BuildHandlerChainFunc = func(api http.Handler, gc *genericapiserver.Config) http.Handler {
		api = filters.WithDeprecated(api, deprecated)
		api = filters.WithHealth(api, extra.configVersion)
		api = body.WithDryRun(api)
		api = filters.WithStore(api, extra.Guard.Check, needsNoStore, gc.Serializer)
		return filters.WithWholeDiscovery(genericapiserver.DefaultBuildHandlerChain(api, gc))
	}
	generic.AddReadyzChecks(
		healthz.NamedCheck("store", func(*http.Request) error { return extra.Guard.Check() }),
		healthz.NamedCheck("certificates", func(*http.Request) error { return extra.Source.Check() }),
	)
	return CompletedConfig{&completedConfig{generic.Complete(), extra}}
}

// needsNoStore is true for requests that are answered without the store.
func needsNoStore(info *request.RequestInfo) bool {
	return info.APIGroup == virtv1.SubresourceGroupVersion.Group && slices.Contains(withoutStore, info.Resource)
}

const nodeCertificates = "nodecertificates"

var withoutStore = []string{nodeCertificates, "version", "healthz"}

// Server is a server that is ready to run.
type Server struct {
	Generic *genericapiserver.GenericAPIServer
	extra   *Extra
	backend *storage.Backend
	nodes   *nodes.Conn
	config  *clusterconfig.Config
	// registered is nil once kube-apiserver knows this server.
	registered verdict
}

// OnConfiguration has f told of each state of the cluster's KubeVirt object, nil when there is none. To be called before Run.
func (s *Server) OnConfiguration(f func(*virtv1.KubeVirt)) { s.config.Changed = f }

// New assembles the server.
func (c CompletedConfig) New(ctx context.Context) (*Server, error) {
	generic, err := c.Generic.New("virt-api", genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, err
	}
	codec, versioner, err := scheme.StorageCodec()
	if err != nil {
		return nil, fmt.Errorf("making the store's codec: %w", err)
	}
	s := &Server{Generic: generic, extra: c.Extra}
	if c.Extra.Register {
		s.registered.set(errors.New("not looked yet"))
		if err := generic.AddReadyzChecks(healthz.NamedCheck("groups", func(*http.Request) error { return s.registered.get() })); err != nil {
			return nil, err
		}
	}
	s.backend = storage.New(ctx, storage.Config{
		Client:                  c.Extra.Store.Client,
		KV:                      c.Extra.Guard.KV(),
		Prefix:                  c.Extra.Store.Prefix,
		InProcess:               c.Extra.Store.InProcess,
		Codec:                   codec,
		EncodeVersioner:         versioner,
		CompactionInterval:      c.Extra.Store.Compaction,
		DeleteCollectionWorkers: 4,
		ObjectCountTracker:      c.Generic.StorageObjectCountTracker,
	})

	if s.nodes, err = nodes.New(c.Extra.Host, c.Extra.Namespace, c.Extra.NodePort, c.Extra.Source); err != nil {
		return nil, fmt.Errorf("preparing the way to nodes: %w", err)
	}
	loopback, err := versioned.NewForConfig(generic.LoopbackClientConfig)
	if err != nil {
		return nil, fmt.Errorf("making a client of this server: %w", err)
	}
	s.config = clusterconfig.New(loopback, c.Extra.Namespace)
	c.Extra.config.Store(s.config)
	if err := generic.AddReadyzChecks(healthz.NamedCheck("configuration", func(*http.Request) error { return s.config.Check() })); err != nil {
		return nil, err
	}

	stores := kubevirtrest.NewStores(environment.Environment{
		Namespace:  writer.Namespace(c.Extra.Namespace),
		Nodes:      s.nodes,
		Config:     s.config,
		Authorizer: c.Extra.Review,
		Admission:  c.Generic.AdmissionControl,
		Clock:      clock.RealClock{},
	})
	subresources := subresourcesrest.StorageProvider{Stores: stores}
	for _, provider := range []StorageProvider{kubevirtrest.StorageProvider{Stores: stores}, subresources} {
		group, err := provider.NewRESTStorage(scheme.Scheme, scheme.ParameterCodec, scheme.Codecs, s.backend)
		if err != nil {
			return nil, fmt.Errorf("assembling group %s: %w", provider.GroupName(), err)
		}
		if err := generic.InstallAPIGroup(&group); err != nil {
			return nil, fmt.Errorf("installing group %s: %w", provider.GroupName(), err)
		}
	}
	if err := subresources.InstallRoutes(generic.Handler.GoRestfulContainer, scheme.Codecs); err != nil {
		return nil, fmt.Errorf("installing the routes of group %s: %w", subresources.GroupName(), err)
	}
	return s, s.installNodeCertificates()
}

// installNodeCertificates adds the route to the group's web service: it stores nothing, and so needs no storage.
func (s *Server) installNodeCertificates() error {
	handle := nodes.CertificateHandler(s.extra.Source, s.extra.Agents.Node, scheme.Codecs)
	for _, ws := range s.Generic.Handler.GoRestfulContainer.RegisteredWebServices() {
		if ws.RootPath() == "/apis/"+virtv1.SubresourceGroupVersion.String() {
			ws.Route(ws.POST("/" + nodeCertificates).To(func(req *restful.Request, resp *restful.Response) {
				handle(resp.ResponseWriter, req.Request)
			}).Operation("createNodeCertificate").Doc("have the certificate of a node's agent signed"))
			return nil
		}
	}
	return fmt.Errorf("group %s is not installed", virtv1.SubresourceGroupVersion)
}
