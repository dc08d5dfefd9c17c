package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/utils/clock"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apiserver/filters"
	"github.com/virtplane/virtplane/pkg/apiserver/scheme"
	"github.com/virtplane/virtplane/pkg/apiserver/storage"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	kubevirtrest "github.com/virtplane/virtplane/pkg/registry/kubevirt/rest"
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
	guard := c.Extra.Guard
	generic := c.Generic
	deprecated := map[schema.GroupVersion]schema.GroupVersion{virtv1.DeprecatedGroupVersion: virtv1.SchemeGroupVersion}
	generic.BuildHandlerChainFunc = func(api http.Handler, gc *genericapiserver.Config) http.Handler {
		api = filters.WithDeprecated(api, deprecated)
		api = filters.WithStore(api, guard.Check, needsNoStore, gc.Serializer)
		return genericapiserver.DefaultBuildHandlerChain(api, gc)
	}
	generic.AddReadyzChecks(healthz.NamedCheck("store", func(*http.Request) error { return guard.Check() }))
	return CompletedConfig{&completedConfig{generic.Complete(), &c.Extra}}
}

// needsNoStore is true for requests that are answered without the store.
func needsNoStore(*request.RequestInfo) bool { return false }

// Server is a server that is ready to run.
type Server struct {
	Generic *genericapiserver.GenericAPIServer
	extra   *Extra
	backend *storage.Backend
}

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

	stores := kubevirtrest.NewStores(environment.Environment{
		Namespace:  writer.Namespace(c.Extra.Namespace),
		Authorizer: c.Generic.Authorization.Authorizer,
		Clock:      clock.RealClock{},
	})
	for _, provider := range []StorageProvider{
		kubevirtrest.StorageProvider{Stores: stores},
		subresourcesrest.StorageProvider{Stores: stores},
	} {
		group, err := provider.NewRESTStorage(scheme.Scheme, scheme.ParameterCodec, scheme.Codecs, s.backend)
		if err != nil {
			return nil, fmt.Errorf("assembling group %s: %w", provider.GroupName(), err)
		}
		if err := generic.InstallAPIGroup(&group); err != nil {
			return nil, fmt.Errorf("installing group %s: %w", provider.GroupName(), err)
		}
	}
	return s, nil
}

// Run serves until ctx ends, or something fails that only a new start can repair.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	// The guard outlives the server: requests are served to the end.
	guardCtx, stopGuard := context.WithCancel(context.WithoutCancel(ctx))
	defer stopGuard()
	wg.Go(func() {
		if err := s.extra.Guard.Run(guardCtx); err != nil {
			cancel(err)
		}
	})
	if s.extra.Store.Err != nil {
		wg.Go(func() {
			select {
			case err := <-s.extra.Store.Err:
				cancel(fmt.Errorf("the embedded store ended: %w", err))
			case <-guardCtx.Done():
			}
		})
	}
	err := s.Generic.PrepareRun().RunWithContext(ctx)
	stopGuard()
	wg.Wait()
	s.backend.Stop()
	s.extra.Store.Close()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}
