// Package rest assembles the API group kubevirt.io from the registries of its kinds. It must hold no policy.
package rest

import (
	"maps"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	configurationstorage "github.com/virtplane/virtplane/pkg/registry/kubevirt/configuration/storage"
	migrationstorage "github.com/virtplane/virtplane/pkg/registry/kubevirt/migration/storage"
	presetstorage "github.com/virtplane/virtplane/pkg/registry/kubevirt/preset/storage"
	replicasetstorage "github.com/virtplane/virtplane/pkg/registry/kubevirt/replicaset/storage"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/virtualmachine/actions"
	vmstorage "github.com/virtplane/virtplane/pkg/registry/kubevirt/virtualmachine/storage"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/virtualmachineinstance/node"
	vmistorage "github.com/virtplane/virtplane/pkg/registry/kubevirt/virtualmachineinstance/storage"
	"github.com/virtplane/virtplane/pkg/registry/quantity"
	"github.com/virtplane/virtplane/pkg/registry/store"
)

// Stores are the stored kinds of the group, built once and shared by everything that serves them: the group kubevirt.io
// and the actions in subresources.kubevirt.io. A second store of a kind would be a second cache of all its objects.
type Stores struct {
	Environment environment.Environment

	build sync.Once
	err   error

	VirtualMachines              *store.REST
	VirtualMachineStatus         *store.StatusREST
	VirtualMachineInstances      *store.REST
	VirtualMachineInstanceStatus *store.StatusREST
	Migrations                   *store.REST
	MigrationStatus              *store.StatusREST
	ReplicaSets                  *store.REST
	ReplicaSetStatus             *store.StatusREST
	ReplicaSetScale              *replicasetstorage.ScaleREST
	Presets                      *store.REST
	KubeVirts                    *store.REST
	KubeVirtStatus               *store.StatusREST

	// Actions start and stop machines; Guests reaches the guests of instances.
	Actions *actions.Actions
	Guests  *node.Actions
}

// NewStores prepares the stores; the first provider that installs its group builds them.
func NewStores(env environment.Environment) *Stores { return &Stores{Environment: env} }

// Build makes the stores; later calls return the result of the first.
func (s *Stores) Build(scheme *runtime.Scheme, options generic.RESTOptionsGetter) error {
	s.build.Do(func() { s.err = s.make(scheme, options) })
	return s.err
}

func (s *Stores) make(scheme *runtime.Scheme, options generic.RESTOptionsGetter) (err error) {
	if s.VirtualMachines, s.VirtualMachineStatus, err = vmstorage.New(scheme, s.Environment, options); err != nil {
		return err
	}
	if s.VirtualMachineInstances, s.VirtualMachineInstanceStatus, err = vmistorage.New(scheme, s.Environment, options); err != nil {
		return err
	}
	if s.Migrations, s.MigrationStatus, err = migrationstorage.New(scheme, s.Environment, options); err != nil {
		return err
	}
	if s.ReplicaSets, s.ReplicaSetStatus, s.ReplicaSetScale, err = replicasetstorage.New(scheme, s.Environment, options); err != nil {
		return err
	}
	if s.Presets, err = presetstorage.New(scheme, s.Environment, options); err != nil {
		return err
	}
	s.VirtualMachineInstances.BeginCreate = presetstorage.Applier{Presets: s.Presets.Store}.BeginCreate
	if s.KubeVirts, s.KubeVirtStatus, err = configurationstorage.New(scheme, options); err != nil {
		return err
	}
	s.Actions = actions.New(scheme, s.VirtualMachines.Store, s.VirtualMachineInstances.Store, s.Environment)
	s.Guests = node.New(s.VirtualMachineInstances, s.Environment.Nodes)
	return nil
}

// StorageProvider serves the group kubevirt.io.
type StorageProvider struct {
	Stores *Stores
}

// GroupName is the group that the provider serves.
func (StorageProvider) GroupName() string { return virtv1.GroupName }

// NewRESTStorage assembles the group in both of its versions, which serve the same storage.
func (p StorageProvider) NewRESTStorage(scheme *runtime.Scheme, parameterCodec runtime.ParameterCodec, codecs serializer.CodecFactory,
	optsGetter generic.RESTOptionsGetter) (genericapiserver.APIGroupInfo, error) {
	group := genericapiserver.NewDefaultAPIGroupInfo(virtv1.GroupName, scheme, parameterCodec, codecs)
	group.NegotiatedSerializer = quantity.Named(codecs, scheme)
	if err := p.Stores.Build(scheme, optsGetter); err != nil {
		return genericapiserver.APIGroupInfo{}, err
	}
	for _, gv := range []schema.GroupVersion{virtv1.SchemeGroupVersion, virtv1.DeprecatedGroupVersion} {
		group.VersionedResourcesStorageMap[gv.Version] = p.resources()
	}
	return group, nil
}

func (p StorageProvider) resources() map[string]rest.Storage {
	s := p.Stores
	resources := map[string]rest.Storage{
		"virtualmachines":                s.VirtualMachines,
		"virtualmachines/status":         s.VirtualMachineStatus,
		"virtualmachineinstances":        s.VirtualMachineInstances,
		"virtualmachineinstances/status": s.VirtualMachineInstanceStatus,

		"virtualmachineinstancemigrations":         s.Migrations,
		"virtualmachineinstancemigrations/status":  s.MigrationStatus,
		"virtualmachineinstancereplicasets":        s.ReplicaSets,
		"virtualmachineinstancereplicasets/status": s.ReplicaSetStatus,
		"virtualmachineinstancereplicasets/scale":  s.ReplicaSetScale,
		"virtualmachineinstancepresets":            s.Presets,
		"kubevirts":                                s.KubeVirts,
		"kubevirts/status":                         s.KubeVirtStatus,
	}
	maps.Copy(resources, s.actions())
	maps.Copy(resources, s.GuestStorage(http.MethodPost, true, s.Environment.Authorizer))
	// Whoever may only read instances may not type into them: a stream is an act of creation here, also where a client comes
	// with GET, as browsers must (decision 4).
	maps.Copy(resources, s.Streams("create", http.MethodGet, http.MethodPost))
	return resources
}
