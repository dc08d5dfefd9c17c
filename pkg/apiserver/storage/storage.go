// Package storage connects the registries to the store: one client, one compactor and one codec for all resources, and a
// watch cache for each.
//
// It does not decide whether the store may be read: the guard of pkg/store, whose KV it is given, does.
package storage

import (
	"context"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	etcdkubernetes "go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/feature"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	flowcontrolrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// SchemaVersion is the newest schema that this program writes. Raise it with a change that an older program would lose
// when it writes an object back, such as a new field.
const SchemaVersion = 1

// DefaultPrefix is where the objects lie in the store.
const DefaultPrefix = "/virtplane"

// Config says how objects are stored.
type Config struct {
	// Client reaches the store, and KV reads and writes it: the guard's.
	Client *clientv3.Client
	KV     clientv3.KV
	Prefix string
	// InProcess is true when Client calls a member in this process.
	InProcess bool

	Codec           runtime.Codec
	EncodeVersioner runtime.GroupVersioner

	// CompactionInterval is how long old revisions are kept. Zero never drops them.
	CompactionInterval      time.Duration
	DeleteCollectionWorkers int
	ObjectCountTracker      flowcontrolrequest.StorageObjectCountTracker
}

// Backend gives each resource its storage.
type Backend struct {
	config    Config
	client    *etcdkubernetes.Client
	compactor interface {
		etcd3.Compactor
		Stop()
	}
}

var _ generic.RESTOptionsGetter = &Backend{}

// New makes the backend. It takes the client over: its calls go through the guard from here on.
func New(ctx context.Context, c Config) *Backend {
	c.Client.KV = etcd3.NewETCDLatencyTracker(c.KV)
	b := &Backend{config: c, client: &etcdkubernetes.Client{Client: c.Client}}
	b.client.Kubernetes = b.client
	if c.CompactionInterval > 0 {
		b.compactor = etcd3.NewCompactor(c.Client, c.CompactionInterval, clock.RealClock{}, func() {})
	}
	if c.InProcess {
		// The check of the features goes through endpoints, of which a client without sockets has none.
		feature.DefaultFeatureSupportChecker.CheckClient(ctx, inProcess{c.Client}, storage.RequestWatchProgress)
		feature.DefaultFeatureSupportChecker.MarkUnsupported(storage.RangeStream)
	}
	return b
}

type inProcess struct{ *clientv3.Client }

func (inProcess) Endpoints() []string { return []string{"in-process"} }

// Stop ends the compactor. The client is closed by who made it.
func (b *Backend) Stop() {
	if b.compactor != nil {
		b.compactor.Stop()
	}
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (b *Backend) GetRESTOptions(resource schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	base := storagebackend.NewDefaultConfig(b.config.Prefix, b.config.Codec)
	base.EncodeVersioner = b.config.EncodeVersioner
	base.StorageObjectCountTracker = b.config.ObjectCountTracker
	return generic.RESTOptions{
		StorageConfig:             base.ForResource(resource),
		Decorator:                 b.decorate,
		EnableGarbageCollection:   true,
		DeleteCollectionWorkers:   b.config.DeleteCollectionWorkers,
		ResourcePrefix:            resource.Group + "/" + resource.Resource,
		CountMetricPollPeriod:     time.Minute,
		StorageObjectCountTracker: b.config.ObjectCountTracker,
	}, nil
}

// decorate makes a resource's storage, with a watch cache in front.
func (b *Backend) decorate(config *storagebackend.ConfigForResource, resourcePrefix string, keyFunc func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, attrs storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	versioner := storage.APIObjectVersioner{}
	var compactor etcd3.Compactor
	if b.compactor != nil {
		compactor = b.compactor
	}
	raw, err := etcd3.New(b.client, compactor, config.Codec, newFunc, newListFunc, config.Prefix, resourcePrefix, config.GroupResource,
		identity.NewEncryptCheckTransformer(), config.LeaseManagerConfig, etcd3.NewDefaultDecoder(config.Codec, versioner), versioner)
	if err != nil {
		return nil, nil, fmt.Errorf("making the storage of %s: %w", config.GroupResource, err)
	}
	c, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage:             raw,
		Versioner:           versioner,
		GroupResource:       config.GroupResource,
		EventsHistoryWindow: config.EventsHistoryWindow,
		ResourcePrefix:      resourcePrefix,
		KeyFunc:             keyFunc,
		NewFunc:             newFunc,
		NewListFunc:         newListFunc,
		GetAttrsFunc:        attrs,
		IndexerFuncs:        triggers,
		Indexers:            indexers,
		Codec:               config.Codec,
	})
	if err != nil {
		raw.Close()
		return nil, nil, fmt.Errorf("making the cache of %s: %w", config.GroupResource, err)
	}
	delegator := cacher.NewCacheDelegator(c, raw)
	var once sync.Once
	return delegator, func() {
		once.Do(func() {
			delegator.Stop()
			c.Stop()
			raw.Close()
		})
	}, nil
}
