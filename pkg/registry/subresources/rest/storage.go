// Package rest assembles the API group subresources.kubevirt.io: the actions and streams of virtual machines under the
// paths, verbs and answers that stock clients expect. It must hold no action itself: those are shared with kubevirt.io.
package rest

import (
	"maps"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	kubevirtrest "github.com/virtplane/virtplane/pkg/registry/kubevirt/rest"
)

// StorageProvider serves the group subresources.kubevirt.io.
type StorageProvider struct {
	// Stores are those that the group kubevirt.io serves.
	Stores *kubevirtrest.Stores
}

// GroupName is the group that the provider serves.
func (StorageProvider) GroupName() string { return virtv1.SubresourceGroupVersion.Group }

// NewRESTStorage assembles the group in both of its versions.
func (p StorageProvider) NewRESTStorage(scheme *runtime.Scheme, parameterCodec runtime.ParameterCodec, codecs serializer.CodecFactory,
	optsGetter generic.RESTOptionsGetter) (genericapiserver.APIGroupInfo, error) {
	group := genericapiserver.NewDefaultAPIGroupInfo(p.GroupName(), scheme, parameterCodec, codecs)
	if err := p.Stores.Build(scheme, optsGetter); err != nil {
		return genericapiserver.APIGroupInfo{}, err
	}
	for _, gv := range []schema.GroupVersion{virtv1.SubresourceGroupVersion, virtv1.DeprecatedSubresourceGroupVersion} {
		group.VersionedResourcesStorageMap[gv.Version] = p.resources()
	}
	return group, nil
}

func (p StorageProvider) resources() map[string]rest.Storage {
	machines, guests := p.Stores.Actions, p.Stores.Guests
	resources := map[string]rest.Storage{
		"virtualmachines": parent{"VirtualMachine", "virtualmachine", func() runtime.Object { return &virtv1.VirtualMachine{} }},
		"virtualmachines/start": &actionREST[*virtv1.StartOptions]{kind: "StartOptions", run: machines.Start, code: http.StatusAccepted,
			empty: func() *virtv1.StartOptions { return &virtv1.StartOptions{} }},
		"virtualmachines/stop": &actionREST[*virtv1.StopOptions]{kind: "StopOptions", run: machines.Stop, code: http.StatusAccepted,
			empty: func() *virtv1.StopOptions { return &virtv1.StopOptions{} }},
		"virtualmachines/restart": &actionREST[*virtv1.RestartOptions]{kind: "RestartOptions", run: machines.Restart, code: http.StatusAccepted,
			empty: func() *virtv1.RestartOptions { return &virtv1.RestartOptions{} }},

		"virtualmachineinstances": parent{"VirtualMachineInstance", "virtualmachineinstance", func() runtime.Object { return &virtv1.VirtualMachineInstance{} }},
		"virtualmachineinstances/pause": &actionREST[*virtv1.PauseOptions]{kind: "PauseOptions", run: guests.Pause, code: http.StatusOK,
			empty: func() *virtv1.PauseOptions { return &virtv1.PauseOptions{} }},
		"virtualmachineinstances/unpause": &actionREST[*virtv1.UnpauseOptions]{kind: "UnpauseOptions", run: guests.Unpause, code: http.StatusOK,
			empty: func() *virtv1.UnpauseOptions { return &virtv1.UnpauseOptions{} }},
	}
	maps.Copy(resources, p.unserved())
	maps.Copy(resources, p.Stores.GuestStorage(http.MethodPut, false, p.Stores.Environment.Authorizer))
	// In this group the verb of a stream is get, as the reference has it (decision 4).
	maps.Copy(resources, p.Stores.Streams("get", http.MethodGet))
	return resources
}
