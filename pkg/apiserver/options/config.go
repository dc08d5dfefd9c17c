package options

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/union"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	utilcompatibility "k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	"k8s.io/utils/clock"

	"github.com/virtplane/virtplane/pkg/apiserver"
	"github.com/virtplane/virtplane/pkg/apiserver/authz"
	"github.com/virtplane/virtplane/pkg/apiserver/certs"
	"github.com/virtplane/virtplane/pkg/apiserver/registration"
	"github.com/virtplane/virtplane/pkg/apiserver/scheme"
	"github.com/virtplane/virtplane/pkg/apiserver/storage"
	"github.com/virtplane/virtplane/pkg/generated/openapi"
	"github.com/virtplane/virtplane/pkg/store"
)

// longRunning are the subresources that carry streams. The front proxy knows only some of the names, but upgraded
// connections of the others survive it.
var longRunning = sets.NewString("console", "vnc", "portforward", "usbredir", "vsock", "log", "attach", "exec", "proxy")

// Config makes the configuration of a server.
func (o *Options) Config(ctx context.Context) (*apiserver.Config, error) {
	if err := o.Recommended.SecureServing.MaybeDefaultWithSelfSignedCerts("localhost",
		[]string{o.Service + "." + o.Namespace + ".svc"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}); err != nil {
		return nil, fmt.Errorf("making a first certificate: %w", err)
	}
	o.Recommended.ExtraAdmissionInitializers = func(*genericapiserver.RecommendedConfig) ([]admission.PluginInitializer, error) {
		return []admission.PluginInitializer{newQuotaInitializer()}, nil
	}

	generic := genericapiserver.NewRecommendedConfig(scheme.Codecs)
	namer := openapinamer.NewDefinitionNamer(scheme.Scheme)
	generic.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer)
	generic.OpenAPIConfig.Info.Title = "Virtplane"
	generic.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	generic.OpenAPIV3Config.Info.Title = "Virtplane"
	// Policies and feature gates go by the version of the libraries, which is Kubernetes' own.
	generic.EffectiveVersion = utilcompatibility.DefaultComponentGlobalsRegistry.EffectiveVersionFor("kube")
	generic.FeatureGate = utilfeature.DefaultFeatureGate
	generic.LongRunningFunc = genericfilters.BasicLongRunningRequestCheck(sets.NewString("watch", "proxy"), longRunning)
	// The server starts while its store is away, and waits for it as long as it takes.
	generic.StorageInitializationTimeout = 10 * time.Second
	generic.LivezGracePeriod = 2 * time.Minute
	generic.ShutdownDelayDuration = o.ShutdownDelay
	generic.ShutdownSendRetryAfter = true

	if err := o.Recommended.ApplyTo(generic); err != nil {
		return nil, fmt.Errorf("applying options: %w", err)
	}
	generic.ClientConfig.QPS, generic.ClientConfig.Burst = 50, 100
	host, err := kubernetes.NewForConfig(generic.ClientConfig)
	if err != nil {
		return nil, err
	}
	services, err := aggregator.NewForConfig(generic.ClientConfig)
	if err != nil {
		return nil, err
	}
	meta, err := metadata.NewForConfig(generic.ClientConfig)
	if err != nil {
		return nil, err
	}

	agents := authz.NewNodeAgents(o.Namespace)
	generic.Authentication.Authenticator = authz.FrontProxy(generic.Authentication.RequestHeaderConfig, generic.Authentication.Authenticator)
	delegated := generic.Authorization.Authorizer
	review, err := union.New(
		union.NamedAuthorizer{AuthorizerName: "virtplane.io/nodes", Authorizer: agents.Authorizer()},
		union.NamedAuthorizer{AuthorizerName: "virtplane.io/delegated", Authorizer: delegated},
	)
	if err != nil {
		return nil, err
	}
	steps := []union.NamedAuthorizer{
		{AuthorizerName: "virtplane.io/direct", Authorizer: authz.OnlyForwarded()},
		{AuthorizerName: "virtplane.io/nodes", Authorizer: agents.Authorizer()},
		{AuthorizerName: "virtplane.io/front-proxy", Authorizer: authz.Reviewed()},
		{AuthorizerName: "virtplane.io/delegated", Authorizer: delegated},
	}
	if o.AllowDirect {
		steps = steps[1:]
	}
	if generic.Authorization.Authorizer, err = union.New(steps...); err != nil {
		return nil, err
	}

	source := certs.NewSource(host, o.Namespace, o.Certificates, generic.SecureServing.Cert)
	if !o.ownCertificate() {
		generic.SecureServing.Cert = source
	}
	store.RegisterMetrics()
	var guard atomic.Pointer[store.Guard]
	opened, err := o.Store.open(ctx, source, func() {
		if g := guard.Load(); g != nil {
			g.Connected()
		}
	})
	if err != nil {
		return nil, err
	}
	guard.Store(store.NewGuard(opened.Client.KV, o.Store.Prefix, storage.SchemaVersion, store.NewConfigMapAnchor(host, o.Namespace)))
	return &apiserver.Config{
		Generic: generic,
		Extra: apiserver.Extra{
			Host:      host,
			Namespace: o.Namespace,
			Service:   o.Service,
			Store:     opened,
			Guard:     guard.Load(),
			Agents:    agents,
			Review:    review,
			NodePort:  o.NodePort,
			Source:    source,
			Manager:   &certs.Manager{Client: host, Namespace: o.Namespace, Service: o.Service, Policy: o.Certificates, Clock: clock.RealClock{}},
			Register:  o.Register,
			Registrar: &registration.Registrar{
				Kubernetes: host.Discovery(),
				Services:   services.ApiregistrationV1().APIServices(),
				Metadata:   meta,
				Versions:   apiserver.Versions,
				Namespace:  o.Namespace,
				Service:    o.Service,
			},
		},
	}, nil
}

// open starts the embedded store, or makes a client of the one at --etcd-servers.
func (o *StoreOptions) open(ctx context.Context, source *certs.Source, connected func()) (apiserver.Store, error) {
	s := apiserver.Store{Prefix: o.Prefix, Compaction: o.Compaction}
	if o.Embedded == "" {
		config, err := o.TLS.ClientConfig()
		if err != nil {
			return s, err
		}
		if config == nil && strings.HasPrefix(o.Servers[0], "https://") {
			config = source.StoreTLS() // members of our own
		}
		client, err := store.Dial(o.Servers, config, connected)
		if err != nil {
			return s, err
		}
		s.Client, s.Close = client, func() { closeClient(client) }
		return s, nil
	}
	alone, err := store.StartAlone(ctx, store.Folder(o.Embedded), o.QuotaBytes)
	if err != nil {
		return s, err
	}
	s.Client, s.InProcess, s.Close, s.Err = alone.Client(), true, alone.Close, alone.Err()
	return s, nil
}

func closeClient(c *clientv3.Client) { _ = c.Close() }
