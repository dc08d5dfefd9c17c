// Package scheme registers the kinds that the server serves, and makes the codecs for the wire and for the store.
//
// It holds no policy: defaulting and validation belong to pkg/apis and pkg/registry.
package scheme

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

var (
	// Scheme knows every kind that is served.
	Scheme = runtime.NewScheme()
	// Codecs encodes and decodes them.
	Codecs = serializer.NewCodecFactory(Scheme)
	// ParameterCodec decodes query parameters.
	ParameterCodec = runtime.NewParameterCodec(Scheme)
)

func init() { utilruntime.Must(AddToScheme(Scheme)) }

// AddToScheme registers all kinds under all versions.
func AddToScheme(scheme *runtime.Scheme) error {
	// One Go type for each kind stands under every version and under the internal one. The order matters where a
	// kind must be chosen without a wanted version: the first one registered wins.
	if err := virtv1.AddToScheme(scheme); err != nil {
		return err
	}
	for _, gv := range []schema.GroupVersion{virtv1.DeprecatedGroupVersion, virtv1.InternalGroupVersion} {
		scheme.AddKnownTypes(gv, virtv1.KnownTypes()...)
	}
	for _, gv := range []schema.GroupVersion{virtv1.DeprecatedGroupVersion, virtv1.SubresourceGroupVersion, virtv1.DeprecatedSubresourceGroupVersion} {
		metav1.AddToGroupVersion(scheme, gv)
	}
	for _, gvs := range [][]schema.GroupVersion{
		{virtv1.SchemeGroupVersion, virtv1.DeprecatedGroupVersion},
		{virtv1.SubresourceGroupVersion, virtv1.DeprecatedSubresourceGroupVersion},
	} {
		if err := scheme.SetVersionPriority(gvs...); err != nil {
			return err
		}
	}

	// Options and discovery documents are decoded in the version of the core group.
	core := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, core)
	scheme.AddUnversionedTypes(core,
		&metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	return nil
}

// StorageCodec writes protobuf in version v1 and reads what any version wrote.
func StorageCodec() (runtime.Codec, runtime.GroupVersioner, error) {
	return serverstorage.NewStorageCodec(serverstorage.StorageCodecConfig{
		StorageMediaType:  runtime.ContentTypeProtobuf,
		StorageSerializer: Codecs,
		StorageVersion:    virtv1.SchemeGroupVersion,
		MemoryVersion:     virtv1.InternalGroupVersion,
		Config:            storagebackend.Config{},
	})
}
