// Package registrytest runs the registries as they run in virt-api, on an etcd of the test process, without authentication,
// admission or a Kubernetes in front. Only tests may import it.
package registrytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	genericapiserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	utilcompatibility "k8s.io/apiserver/pkg/util/compatibility"
	restclient "k8s.io/client-go/rest"
	testingclock "k8s.io/utils/clock/testing"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/pkg/generated/openapi"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	kubevirtrest "github.com/virtplane/virtplane/pkg/registry/kubevirt/rest"
	"github.com/virtplane/virtplane/pkg/registry/subresources/body"
	subresourcesrest "github.com/virtplane/virtplane/pkg/registry/subresources/rest"
)

// Names that the tests use.
const (
	// Namespace is where the components run.
	Namespace = "kubevirt"
	// Controller and Handler are the users of the components; Admin is a person who may do everything.
	Controller = "system:serviceaccount:kubevirt:kubevirt-controller"
	Handler    = "system:serviceaccount:kubevirt:kubevirt-handler"
	Admin      = "admin"
)

// Now is the time that the server's clock shows.
var Now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// NewScheme makes a scheme as virt-api has it.
func NewScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(virtv1.AddToScheme(scheme))
	for _, gv := range []schema.GroupVersion{virtv1.DeprecatedGroupVersion, virtv1.InternalGroupVersion} {
		scheme.AddKnownTypes(gv, virtv1.KnownTypes()...)
	}
	for _, gv := range []schema.GroupVersion{virtv1.DeprecatedGroupVersion, virtv1.SubresourceGroupVersion, virtv1.DeprecatedSubresourceGroupVersion} {
		metav1.AddToGroupVersion(scheme, gv)
	}
	utilruntime.Must(scheme.SetVersionPriority(virtv1.SchemeGroupVersion, virtv1.DeprecatedGroupVersion))
	utilruntime.Must(scheme.SetVersionPriority(virtv1.SubresourceGroupVersion, virtv1.DeprecatedSubresourceGroupVersion))
	core := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, core)
	scheme.AddUnversionedTypes(core, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	return scheme
}

// Nodes is a fake of the way to nodes: every node is reached at one address.
type Nodes struct {
	mu        sync.Mutex
	location  *url.URL
	transport http.RoundTripper
	err       error
}

// Set says where nodes are reached.
func (n *Nodes) Set(location string, transport http.RoundTripper) {
	u, err := url.Parse(location)
	if err != nil {
		panic(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.location, n.transport, n.err = u, transport, nil
}

// Fail says that nodes are not reached.
func (n *Nodes) Fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
}

// NodeConnection implements environment.NodeConn.
func (n *Nodes) NodeConnection(context.Context, string) (*url.URL, http.RoundTripper, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.location, n.transport, n.err
}

// Config is a fake of the cluster's configuration.
type Config struct {
	mu       sync.Mutex
	kubeVirt *virtv1.KubeVirt
}

// Set replaces the configuration.
func (c *Config) Set(k *virtv1.KubeVirt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kubeVirt = k
}

// KubeVirt implements environment.ClusterConfig.
func (c *Config) KubeVirt() *virtv1.KubeVirt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kubeVirt
}

// Authorizer is a fake that allows everything but some verbs of some users.
type Authorizer struct {
	mu     sync.Mutex
	denied map[string]bool
}

// Deny refuses a verb to a user, on everything or, after a space, on one subresource.
func (a *Authorizer) Deny(name, verb string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.denied == nil {
		a.denied = map[string]bool{}
	}
	a.denied[name+" "+verb] = true
}

// DenySubresource refuses a subresource to everybody.
func (a *Authorizer) DenySubresource(name string) { a.Deny("", name) }

// Authorize implements authorizer.Authorizer.
func (a *Authorizer) Authorize(_ context.Context, attributes authorizer.Attributes) (authorizer.Decision, string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := attributes.GetUser().GetName() + " " + attributes.GetVerb()
	if a.denied[asked] || a.denied[" "+attributes.GetSubresource()] || a.denied[asked+" "+attributes.GetSubresource()] {
		return authorizer.DecisionNoOpinion, "denied by the test", nil
	}
	return authorizer.DecisionAllow, "", nil
}

// ConditionsAwareAuthorize implements authorizer.Authorizer without conditions.
func (a *Authorizer) ConditionsAwareAuthorize(ctx context.Context, attributes authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(a.Authorize(ctx, attributes))
}

// EvaluateConditions implements authorizer.Authorizer without conditions.
func (a *Authorizer) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision, authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

// Server is a running server.
type Server struct {
	URL        string
	Scheme     *runtime.Scheme
	Stores     *kubevirtrest.Stores
	Nodes      *Nodes
	Config     *Config
	Authorizer *Authorizer
	Clock      *testingclock.FakePassiveClock
	Generic    *genericapiserver.GenericAPIServer
	t          testing.TB
}

// WithMigrations is a server beside which a controller moves instances.
func WithMigrations(e *environment.Environment) { e.Migrations = true }

// Start runs a server until the test ends.
func Start(t testing.TB, options ...func(*environment.Environment)) *Server {
	t.Helper()
	scheme := NewScheme()
	codecs := serializer.NewCodecFactory(scheme)
	s := &Server{Scheme: scheme, Nodes: &Nodes{}, Config: &Config{}, Authorizer: &Authorizer{}, Clock: testingclock.NewFakePassiveClock(Now), t: t}
	env := environment.Environment{Namespace: Namespace, Nodes: s.Nodes, Config: s.Config, Authorizer: s.Authorizer, Clock: s.Clock}
	for _, option := range options {
		option(&env)
	}
	s.Stores = kubevirtrest.NewStores(env)

	config := genericapiserver.NewRecommendedConfig(codecs)
	namer := openapinamer.NewDefinitionNamer(scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer)
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	config.EffectiveVersion = utilcompatibility.DefaultBuildEffectiveVersion()
	config.LoopbackClientConfig = &restclient.Config{Host: "localhost"}
	config.ExternalAddress = "localhost:443"
	config.Authentication.Authenticator = authenticator.RequestFunc(func(r *http.Request) (*authenticator.Response, bool, error) {
		name := r.Header.Get("X-Test-User")
		if name == "" {
			name = Admin
		}
		return &authenticator.Response{User: &user.DefaultInfo{Name: name}}, true, nil
	})
	config.Authorization.Authorizer = s.Authorizer
	config.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		return genericapiserver.DefaultBuildHandlerChain(body.WithDryRun(api), c)
	}
	server, err := config.Complete().New("test", genericapiserver.NewEmptyDelegate())
	if err != nil {
		t.Fatalf("Making the server: %v", err)
	}
	stores := s.options(codecs)
	group, err := kubevirtrest.StorageProvider{Stores: s.Stores}.NewRESTStorage(scheme, runtime.NewParameterCodec(scheme), codecs, stores)
	if err != nil {
		t.Fatalf("Making the storage of kubevirt.io: %v", err)
	}
	subresources := subresourcesrest.StorageProvider{Stores: s.Stores}
	actions, err := subresources.NewRESTStorage(scheme, runtime.NewParameterCodec(scheme), codecs, stores)
	if err != nil {
		t.Fatalf("Making the storage of subresources.kubevirt.io: %v", err)
	}
	if err := server.InstallAPIGroups(&group, &actions); err != nil {
		t.Fatalf("Installing the groups: %v", err)
	}
	if err := subresources.InstallRoutes(server.Handler.GoRestfulContainer, codecs); err != nil {
		t.Fatalf("Installing routes: %v", err)
	}
	server.PrepareRun()
	s.Generic = server
	front := httptest.NewServer(server.Handler)
	s.URL = front.URL
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		server.Destroy()
	})
	return s
}

func (s *Server) options(codecs serializer.CodecFactory) generic.RESTOptionsGetter {
	s.t.Helper()
	client := testserver.RunEtcd(s.t, nil)
	codec, versioner, err := serverstorage.NewStorageCodec(serverstorage.StorageCodecConfig{
		StorageMediaType:  runtime.ContentTypeProtobuf,
		StorageSerializer: codecs,
		StorageVersion:    virtv1.SchemeGroupVersion,
		MemoryVersion:     virtv1.InternalGroupVersion,
	})
	if err != nil {
		s.t.Fatalf("Making the storage codec: %v", err)
	}
	backend := storagebackend.NewDefaultConfig("/registry", codec)
	backend.EncodeVersioner = versioner
	backend.Transport.ServerList = client.Endpoints()
	return options{*backend}
}

type options struct{ backend storagebackend.Config }

func (o options) GetRESTOptions(resource schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	return generic.RESTOptions{
		StorageConfig:           o.backend.ForResource(resource),
		Decorator:               registry.StorageWithCacher(),
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: 1,
		ResourcePrefix:          resource.Group + "/" + resource.Resource,
	}, nil
}

// Client makes a client of a user.
func (s *Server) Client(name string) versioned.Interface {
	s.t.Helper()
	client, err := versioned.NewForConfig(&restclient.Config{Host: s.URL, QPS: -1, WrapTransport: func(rt http.RoundTripper) http.RoundTripper {
		return as{name, rt}
	}})
	if err != nil {
		s.t.Fatalf("Making a client: %v", err)
	}
	return client
}

type as struct {
	name string
	http.RoundTripper
}

func (a as) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Test-User", a.name)
	return a.RoundTripper.RoundTrip(r)
}

// Answer is what the server says to a plain request.
type Answer struct {
	Code     int
	Header   http.Header
	Body     []byte
	Warnings []string
}

// Message is the message of an answer that is a Status.
func (a Answer) Message() string {
	var status metav1.Status
	if json.Unmarshal(a.Body, &status) != nil || status.Kind != "Status" {
		return fmt.Sprintf("not a Status: %s", a.Body)
	}
	return status.Message
}

// Do sends a plain request as a user.
func (s *Server) Do(name, method, path, contentType, body string) Answer {
	s.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, s.URL+path, reader)
	if err != nil {
		s.t.Fatalf("Making a request: %v", err)
	}
	req.Header.Set("X-Test-User", name)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("Reading the answer to %s %s: %v", method, path, err)
	}
	return Answer{resp.StatusCode, resp.Header, bytes.TrimSpace(data), resp.Header.Values("Warning")}
}
