package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of the types in this package.
const GroupName = "kubevirt.io"

var (
	// SchemeGroupVersion is the version that is stored and preferred.
	SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1"}
	// DeprecatedGroupVersion is served with a warning; it has the same shape as v1.
	DeprecatedGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha3"}
	// InternalGroupVersion is the version that the storage layer works in; it has the same shape as v1 (decision 8).
	InternalGroupVersion = schema.GroupVersion{Group: GroupName, Version: runtime.APIVersionInternal}
	// SubresourceGroupVersion and DeprecatedSubresourceGroupVersion name the group through which stock clients call actions and streams.
	SubresourceGroupVersion           = schema.GroupVersion{Group: "subresources.kubevirt.io", Version: "v1"}
	DeprecatedSubresourceGroupVersion = schema.GroupVersion{Group: "subresources.kubevirt.io", Version: "v1alpha3"}

	// SchemeBuilder collects what AddToScheme registers.
	SchemeBuilder      = runtime.NewSchemeBuilder(addKnownTypes)
	localSchemeBuilder = &SchemeBuilder
	// AddToScheme registers the types of this package as kubevirt.io/v1.
	AddToScheme = SchemeBuilder.AddToScheme
)

func init() {
	// Generated defaults are registered here, so that the package also compiles while they are missing.
	localSchemeBuilder.Register(addDefaultingFuncs)
}

// Resource qualifies a resource name with the group of this package.
func Resource(resource string) schema.GroupResource {
	return SchemeGroupVersion.WithResource(resource).GroupResource()
}

// Kind qualifies a kind with the group of this package.
func Kind(kind string) schema.GroupKind { return SchemeGroupVersion.WithKind(kind).GroupKind() }

// KnownTypes returns one empty object of each kind of this package, for registration under other versions of the same shape.
func KnownTypes() []runtime.Object {
	return []runtime.Object{
		&VirtualMachine{}, &VirtualMachineList{},
		&VirtualMachineInstance{}, &VirtualMachineInstanceList{},
		&VirtualMachineInstanceMigration{}, &VirtualMachineInstanceMigrationList{},
		&VirtualMachineInstanceReplicaSet{}, &VirtualMachineInstanceReplicaSetList{},
		&VirtualMachineInstancePreset{}, &VirtualMachineInstancePresetList{},
		&KubeVirt{}, &KubeVirtList{},
		&StartOptions{}, &StopOptions{}, &RestartOptions{}, &PauseOptions{}, &UnpauseOptions{}, &MigrateOptions{}, &EvacuateCancelOptions{},
		&VirtualMachineInstanceGuestAgentInfo{}, &VirtualMachineInstanceGuestOSUserList{}, &VirtualMachineInstanceFileSystemList{},
	}
}

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, KnownTypes()...)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}
