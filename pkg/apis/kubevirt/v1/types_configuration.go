package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RESTClientConfiguration is documented field by field below.
type RESTClientConfiguration struct {
	// +optional
	RateLimiter *RateLimiter `json:"rateLimiter,omitempty" protobuf:"bytes,1,opt,name=rateLimiter"`
}

// RateLimiter is documented field by field below.
type RateLimiter struct {
	// +optional
	TokenBucketRateLimiter *TokenBucketRateLimiter `json:"tokenBucketRateLimiter,omitempty" protobuf:"bytes,1,opt,name=tokenBucketRateLimiter"`
}

// CustomizeComponents is documented field by field below.
type CustomizeComponents struct {
	// +optional
	Flags *Flags `json:"flags,omitempty" protobuf:"bytes,1,opt,name=flags"`
	// +listType=atomic
	// +optional
	Patches []CustomizeComponentsPatch `json:"patches,omitempty" protobuf:"bytes,2,rep,name=patches"`
}

// ComponentConfig is documented field by field below.
type ComponentConfig struct {
	// +optional
	NodePlacement *NodePlacement `json:"nodePlacement,omitempty" protobuf:"bytes,1,opt,name=nodePlacement"`
	// +optional
	Replicas *int32 `json:"replicas,omitempty" protobuf:"varint,2,opt,name=replicas"`
}

// TokenBucketRateLimiter is documented field by field below.
type TokenBucketRateLimiter struct {
	// +required
	Burst int32 `json:"burst" protobuf:"varint,1,opt,name=burst"`
	// +required
	Qps float32 `json:"qps" protobuf:"fixed32,2,opt,name=qps"`
}

// ReloadableComponentConfiguration is documented field by field below.
type ReloadableComponentConfiguration struct {
	// +optional
	RESTClient *RESTClientConfiguration `json:"restClient,omitempty" protobuf:"bytes,1,opt,name=restClient"`
}

// ArchConfiguration is documented field by field below.
type ArchConfiguration struct {
	// +optional
	Amd64 *ArchSpecificConfiguration `json:"amd64,omitempty" protobuf:"bytes,1,opt,name=amd64"`
	// +optional
	Arm64 *ArchSpecificConfiguration `json:"arm64,omitempty" protobuf:"bytes,2,opt,name=arm64"`
	// +optional
	DefaultArchitecture string `json:"defaultArchitecture,omitempty" protobuf:"bytes,3,opt,name=defaultArchitecture"`
	// +optional
	Ppc64le *ArchSpecificConfiguration `json:"ppc64le,omitempty" protobuf:"bytes,4,opt,name=ppc64le"`
	// +optional
	S390x *ArchSpecificConfiguration `json:"s390x,omitempty" protobuf:"bytes,5,opt,name=s390x"`
}

// ChangedBlockTrackingSelectors is documented field by field below.
type ChangedBlockTrackingSelectors struct {
	// +optional
	NamespaceLabelSelector *metav1.LabelSelector `json:"namespaceLabelSelector,omitempty" protobuf:"bytes,1,opt,name=namespaceLabelSelector"`
	// +optional
	VirtualMachineLabelSelector *metav1.LabelSelector `json:"virtualMachineLabelSelector,omitempty" protobuf:"bytes,2,opt,name=virtualMachineLabelSelector"`
}

// CommonInstancetypesDeployment is documented field by field below.
type CommonInstancetypesDeployment struct {
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
}

// ConfidentialComputeConfiguration is documented field by field below.
type ConfidentialComputeConfiguration struct {
	// +optional
	TDX *TDXConfiguration `json:"tdx,omitempty" protobuf:"bytes,1,opt,name=tdx"`
}

// DeveloperConfiguration is documented field by field below.
type DeveloperConfiguration struct {
	// +optional
	ClusterProfiler *bool `json:"clusterProfiler,omitempty" protobuf:"varint,1,opt,name=clusterProfiler"`
	// +optional
	CPUAllocationRatio *int32 `json:"cpuAllocationRatio,omitempty" protobuf:"varint,2,opt,name=cpuAllocationRatio"`
	// +listType=atomic
	// +optional
	DisabledFeatureGates []string `json:"disabledFeatureGates,omitempty" protobuf:"bytes,3,rep,name=disabledFeatureGates"`
	// +optional
	DiskVerification *DiskVerification `json:"diskVerification,omitempty" protobuf:"bytes,4,opt,name=diskVerification"`
	// +listType=atomic
	// +optional
	FeatureGates []string `json:"featureGates,omitempty" protobuf:"bytes,5,rep,name=featureGates"`
	// +optional
	LogVerbosity *LogVerbosity `json:"logVerbosity,omitempty" protobuf:"bytes,6,opt,name=logVerbosity"`
	// +optional
	MemoryOvercommit *int32 `json:"memoryOvercommit,omitempty" protobuf:"varint,7,opt,name=memoryOvercommit"`
	// +optional
	MinimumClusterTSCFrequency *int64 `json:"minimumClusterTSCFrequency,omitempty" protobuf:"varint,8,opt,name=minimumClusterTSCFrequency"`
	// +optional
	MinimumReservePVCBytes *int64 `json:"minimumReservePVCBytes,omitempty" protobuf:"varint,9,opt,name=minimumReservePVCBytes"`
	// +optional
	NodeSelectors map[string]string `json:"nodeSelectors,omitempty" protobuf:"bytes,10,rep,name=nodeSelectors"`
	// +optional
	PVCTolerateLessSpaceUpToPercent *int32 `json:"pvcTolerateLessSpaceUpToPercent,omitempty" protobuf:"varint,11,opt,name=pvcTolerateLessSpaceUpToPercent"`
	// +optional
	UseEmulation *bool `json:"useEmulation,omitempty" protobuf:"varint,12,opt,name=useEmulation"`
}

// HypervisorConfiguration is documented field by field below.
type HypervisorConfiguration struct {
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,1,opt,name=name"`
}

// InstancetypeConfiguration is documented field by field below.
type InstancetypeConfiguration struct {
	// +optional
	ReferencePolicy string `json:"referencePolicy,omitempty" protobuf:"bytes,1,opt,name=referencePolicy"`
}

// KSMConfiguration is documented field by field below.
type KSMConfiguration struct {
	// +optional
	NodeLabelSelector *metav1.LabelSelector `json:"nodeLabelSelector,omitempty" protobuf:"bytes,1,opt,name=nodeLabelSelector"`
}

// LiveUpdateConfiguration is documented field by field below.
type LiveUpdateConfiguration struct {
	// +optional
	MaxCPUSockets *int64 `json:"maxCpuSockets,omitempty" protobuf:"varint,1,opt,name=maxCpuSockets"`
	// +optional
	MaxGuest *resource.Quantity `json:"maxGuest,omitempty" protobuf:"bytes,2,opt,name=maxGuest"`
	// +optional
	MaxHotplugRatio *int64 `json:"maxHotplugRatio,omitempty" protobuf:"varint,3,opt,name=maxHotplugRatio"`
}

// MediatedDevicesConfiguration is documented field by field below.
type MediatedDevicesConfiguration struct {
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// +listType=atomic
	// +optional
	MediatedDeviceTypes []string `json:"mediatedDeviceTypes,omitempty" protobuf:"bytes,2,rep,name=mediatedDeviceTypes"`
	// +listType=atomic
	// +optional
	MediatedDevicesTypes []string `json:"mediatedDevicesTypes,omitempty" protobuf:"bytes,3,rep,name=mediatedDevicesTypes"`
	// +listType=atomic
	// +optional
	NodeMediatedDeviceTypes []NodeMediatedDeviceTypesConfig `json:"nodeMediatedDeviceTypes,omitempty" protobuf:"bytes,4,rep,name=nodeMediatedDeviceTypes"`
}

// MigrationConfiguration is documented field by field below.
type MigrationConfiguration struct {
	// +optional
	AllowAutoConverge *bool `json:"allowAutoConverge,omitempty" protobuf:"varint,1,opt,name=allowAutoConverge"`
	// +optional
	AllowPostCopy *bool `json:"allowPostCopy,omitempty" protobuf:"varint,2,opt,name=allowPostCopy"`
	// +optional
	AllowWorkloadDisruption *bool `json:"allowWorkloadDisruption,omitempty" protobuf:"varint,3,opt,name=allowWorkloadDisruption"`
	// +optional
	BandwidthPerMigration *resource.Quantity `json:"bandwidthPerMigration,omitempty" protobuf:"bytes,4,opt,name=bandwidthPerMigration"`
	// +optional
	CompletionTimeoutPerGiB *int64 `json:"completionTimeoutPerGiB,omitempty" protobuf:"varint,5,opt,name=completionTimeoutPerGiB"`
	// +optional
	DisableTLS *bool `json:"disableTLS,omitempty" protobuf:"varint,6,opt,name=disableTLS"`
	// +optional
	MatchSELinuxLevelOnMigration *bool `json:"matchSELinuxLevelOnMigration,omitempty" protobuf:"varint,7,opt,name=matchSELinuxLevelOnMigration"`
	// +optional
	MaxDowntimeMs *int64 `json:"maxDowntimeMs,omitempty" protobuf:"varint,8,opt,name=maxDowntimeMs"`
	// +optional
	Network string `json:"network,omitempty" protobuf:"bytes,9,opt,name=network"`
	// +optional
	NodeDrainTaintKey string `json:"nodeDrainTaintKey,omitempty" protobuf:"bytes,10,opt,name=nodeDrainTaintKey"`
	// +optional
	ParallelMigrationsPerCluster *int64 `json:"parallelMigrationsPerCluster,omitempty" protobuf:"varint,11,opt,name=parallelMigrationsPerCluster"`
	// +optional
	ParallelOutboundMigrationsPerNode *int64 `json:"parallelOutboundMigrationsPerNode,omitempty" protobuf:"varint,12,opt,name=parallelOutboundMigrationsPerNode"`
	// +optional
	ProgressTimeout *int64 `json:"progressTimeout,omitempty" protobuf:"varint,13,opt,name=progressTimeout"`
	// +optional
	UnsafeMigrationOverride *bool `json:"unsafeMigrationOverride,omitempty" protobuf:"varint,14,opt,name=unsafeMigrationOverride"`
	// +optional
	UtilityVolumesTimeout *int64 `json:"utilityVolumesTimeout,omitempty" protobuf:"varint,15,opt,name=utilityVolumesTimeout"`
}

// NetworkConfiguration is documented field by field below.
type NetworkConfiguration struct {
	// +optional
	Binding map[string]InterfaceBindingPlugin `json:"binding,omitempty" protobuf:"bytes,1,rep,name=binding"`
	// +optional
	DefaultNetworkInterface string `json:"defaultNetworkInterface,omitempty" protobuf:"bytes,2,opt,name=defaultNetworkInterface"`
	// +optional
	PermitBridgeInterfaceOnPodNetwork *bool `json:"permitBridgeInterfaceOnPodNetwork,omitempty" protobuf:"varint,3,opt,name=permitBridgeInterfaceOnPodNetwork"`
	// +optional
	PermitSlirpInterface *bool `json:"permitSlirpInterface,omitempty" protobuf:"varint,4,opt,name=permitSlirpInterface"`
}

// PermittedHostDevices is documented field by field below.
type PermittedHostDevices struct {
	// +listType=atomic
	// +optional
	MediatedDevices []MediatedHostDevice `json:"mediatedDevices,omitempty" protobuf:"bytes,1,rep,name=mediatedDevices"`
	// +listType=atomic
	// +optional
	PCIHostDevices []PciHostDevice `json:"pciHostDevices,omitempty" protobuf:"bytes,2,rep,name=pciHostDevices"`
	// +listType=atomic
	// +optional
	USB []USBHostDevice `json:"usb,omitempty" protobuf:"bytes,3,rep,name=usb"`
}

// PersistentReservationConfiguration is documented field by field below.
type PersistentReservationConfiguration struct {
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
}

// SeccompConfiguration is documented field by field below.
type SeccompConfiguration struct {
	// +optional
	VirtualMachineInstanceProfile *VirtualMachineInstanceProfile `json:"virtualMachineInstanceProfile,omitempty" protobuf:"bytes,1,opt,name=virtualMachineInstanceProfile"`
}

// SMBiosConfiguration is documented field by field below.
type SMBiosConfiguration struct {
	// +optional
	Family string `json:"family,omitempty" protobuf:"bytes,1,opt,name=family"`
	// +optional
	Manufacturer string `json:"manufacturer,omitempty" protobuf:"bytes,2,opt,name=manufacturer"`
	// +optional
	Product string `json:"product,omitempty" protobuf:"bytes,3,opt,name=product"`
	// +optional
	SKU string `json:"sku,omitempty" protobuf:"bytes,4,opt,name=sku"`
	// +optional
	Version string `json:"version,omitempty" protobuf:"bytes,5,opt,name=version"`
}

// SupportContainerResources is documented field by field below.
type SupportContainerResources struct {
	// +required
	Resources ResourceRequirementsWithoutClaims `json:"resources" protobuf:"bytes,1,opt,name=resources"`
	// +required
	Type string `json:"type" protobuf:"bytes,2,opt,name=type"`
}

// TLSConfiguration is documented field by field below.
type TLSConfiguration struct {
	// +listType=set
	// +optional
	Ciphers []string `json:"ciphers,omitempty" protobuf:"bytes,1,rep,name=ciphers"`
	// +optional
	MinTLSVersion string `json:"minTLSVersion,omitempty" protobuf:"bytes,2,opt,name=minTLSVersion"`
}

// VirtTemplateDeployment is documented field by field below.
type VirtTemplateDeployment struct {
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
}

// VirtualMachineOptions is documented field by field below.
type VirtualMachineOptions struct {
	// +optional
	DisableFreePageReporting *DisableFreePageReporting `json:"disableFreePageReporting,omitempty" protobuf:"bytes,1,opt,name=disableFreePageReporting"`
	// +optional
	DisableSerialConsoleLog *DisableSerialConsoleLog `json:"disableSerialConsoleLog,omitempty" protobuf:"bytes,2,opt,name=disableSerialConsoleLog"`
}

// Flags is documented field by field below.
type Flags struct {
	// +optional
	API map[string]string `json:"api,omitempty" protobuf:"bytes,1,rep,name=api"`
	// +optional
	Controller map[string]string `json:"controller,omitempty" protobuf:"bytes,2,rep,name=controller"`
	// +optional
	Handler map[string]string `json:"handler,omitempty" protobuf:"bytes,3,rep,name=handler"`
}

// CustomizeComponentsPatch is documented field by field below.
type CustomizeComponentsPatch struct {
	// +required
	Patch string `json:"patch" protobuf:"bytes,1,opt,name=patch"`
	// +required
	ResourceName string `json:"resourceName" protobuf:"bytes,2,opt,name=resourceName"`
	// +required
	ResourceType string `json:"resourceType" protobuf:"bytes,3,opt,name=resourceType"`
	// +required
	Type string `json:"type" protobuf:"bytes,4,opt,name=type"`
}

// NodePlacement is documented field by field below.
type NodePlacement struct {
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty" protobuf:"bytes,1,opt,name=affinity"`
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty" protobuf:"bytes,2,rep,name=nodeSelector"`
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty" protobuf:"bytes,3,rep,name=tolerations"`
}

// CertConfig is documented field by field below.
type CertConfig struct {
	// +optional
	Duration *metav1.Duration `json:"duration,omitempty" protobuf:"bytes,1,opt,name=duration"`
	// +optional
	RenewBefore *metav1.Duration `json:"renewBefore,omitempty" protobuf:"bytes,2,opt,name=renewBefore"`
}

// ArchSpecificConfiguration is documented field by field below.
type ArchSpecificConfiguration struct {
	// +listType=atomic
	// +optional
	EmulatedMachines []string `json:"emulatedMachines,omitempty" protobuf:"bytes,1,rep,name=emulatedMachines"`
	// +optional
	MachineType string `json:"machineType,omitempty" protobuf:"bytes,2,opt,name=machineType"`
	// +optional
	OVMFPath string `json:"ovmfPath,omitempty" protobuf:"bytes,3,opt,name=ovmfPath"`
}

// TDXConfiguration is documented field by field below.
type TDXConfiguration struct {
	// +optional
	Attestation *TDXAttestationConfiguration `json:"attestation,omitempty" protobuf:"bytes,1,opt,name=attestation"`
}

// DiskVerification is documented field by field below.
type DiskVerification struct {
	// +required
	MemoryLimit resource.Quantity `json:"memoryLimit" protobuf:"bytes,1,opt,name=memoryLimit"`
}

// LogVerbosity is documented field by field below.
type LogVerbosity struct {
	// +optional
	NodeVerbosity map[string]int32 `json:"nodeVerbosity,omitempty" protobuf:"bytes,1,rep,name=nodeVerbosity"`
	// +optional
	VirtAPI *int32 `json:"virtAPI,omitempty" protobuf:"varint,2,opt,name=virtAPI"`
	// +optional
	VirtController *int32 `json:"virtController,omitempty" protobuf:"varint,3,opt,name=virtController"`
	// +optional
	VirtHandler *int32 `json:"virtHandler,omitempty" protobuf:"varint,4,opt,name=virtHandler"`
	// +optional
	VirtLauncher *int32 `json:"virtLauncher,omitempty" protobuf:"varint,5,opt,name=virtLauncher"`
	// +optional
	VirtOperator *int32 `json:"virtOperator,omitempty" protobuf:"varint,6,opt,name=virtOperator"`
	// +optional
	VirtSynchronizationController *int32 `json:"virtSynchronizationController,omitempty" protobuf:"varint,7,opt,name=virtSynchronizationController"`
}

// NodeMediatedDeviceTypesConfig is documented field by field below.
type NodeMediatedDeviceTypesConfig struct {
	// +listType=atomic
	// +optional
	MediatedDeviceTypes []string `json:"mediatedDeviceTypes,omitempty" protobuf:"bytes,1,rep,name=mediatedDeviceTypes"`
	// +listType=atomic
	// +optional
	MediatedDevicesTypes []string `json:"mediatedDevicesTypes,omitempty" protobuf:"bytes,2,rep,name=mediatedDevicesTypes"`
	// +required
	NodeSelector map[string]string `json:"nodeSelector" protobuf:"bytes,3,rep,name=nodeSelector"`
}

// InterfaceBindingPlugin is documented field by field below.
type InterfaceBindingPlugin struct {
	// +optional
	ComputeResourceOverhead *ResourceRequirementsWithoutClaims `json:"computeResourceOverhead,omitempty" protobuf:"bytes,1,opt,name=computeResourceOverhead"`
	// +optional
	DomainAttachmentType string `json:"domainAttachmentType,omitempty" protobuf:"bytes,2,opt,name=domainAttachmentType"`
	// +optional
	DownwardAPI string `json:"downwardAPI,omitempty" protobuf:"bytes,3,opt,name=downwardAPI"`
	// +optional
	Migration *InterfaceBindingMigration `json:"migration,omitempty" protobuf:"bytes,4,opt,name=migration"`
	// +optional
	NetworkAttachmentDefinition string `json:"networkAttachmentDefinition,omitempty" protobuf:"bytes,5,opt,name=networkAttachmentDefinition"`
	// +optional
	SidecarImage string `json:"sidecarImage,omitempty" protobuf:"bytes,6,opt,name=sidecarImage"`
}

// MediatedHostDevice is documented field by field below.
type MediatedHostDevice struct {
	// +optional
	ExternalResourceProvider *bool `json:"externalResourceProvider,omitempty" protobuf:"varint,1,opt,name=externalResourceProvider"`
	// +required
	MdevNameSelector string `json:"mdevNameSelector" protobuf:"bytes,2,opt,name=mdevNameSelector"`
	// +required
	ResourceName string `json:"resourceName" protobuf:"bytes,3,opt,name=resourceName"`
}

// PciHostDevice is documented field by field below.
type PciHostDevice struct {
	// +optional
	ExternalResourceProvider *bool `json:"externalResourceProvider,omitempty" protobuf:"varint,1,opt,name=externalResourceProvider"`
	// +required
	PCIVendorSelector string `json:"pciVendorSelector" protobuf:"bytes,2,opt,name=pciVendorSelector"`
	// +required
	ResourceName string `json:"resourceName" protobuf:"bytes,3,opt,name=resourceName"`
}

// USBHostDevice is documented field by field below.
type USBHostDevice struct {
	// +optional
	ExternalResourceProvider *bool `json:"externalResourceProvider,omitempty" protobuf:"varint,1,opt,name=externalResourceProvider"`
	// +required
	ResourceName string `json:"resourceName" protobuf:"bytes,2,opt,name=resourceName"`
	// +listType=atomic
	// +optional
	Selectors []USBSelector `json:"selectors,omitempty" protobuf:"bytes,3,rep,name=selectors"`
}

// VirtualMachineInstanceProfile is documented field by field below.
type VirtualMachineInstanceProfile struct {
	// +optional
	CustomProfile *CustomProfile `json:"customProfile,omitempty" protobuf:"bytes,1,opt,name=customProfile"`
}

// ResourceRequirementsWithoutClaims is documented field by field below.
type ResourceRequirementsWithoutClaims struct {
	// +optional
	Limits corev1.ResourceList `json:"limits,omitempty" protobuf:"bytes,1,rep,name=limits"`
	// +optional
	Requests corev1.ResourceList `json:"requests,omitempty" protobuf:"bytes,2,rep,name=requests"`
}

// DisableFreePageReporting is documented field by field below.
type DisableFreePageReporting struct {
}

// DisableSerialConsoleLog is documented field by field below.
type DisableSerialConsoleLog struct {
}

// TDXAttestationConfiguration is documented field by field below.
type TDXAttestationConfiguration struct {
	// +optional
	Enforced *bool `json:"enforced,omitempty" protobuf:"varint,1,opt,name=enforced"`
	// +optional
	QgsSocketPath string `json:"qgsSocketPath,omitempty" protobuf:"bytes,2,opt,name=qgsSocketPath"`
}

// InterfaceBindingMigration is documented field by field below.
type InterfaceBindingMigration struct {
	// +optional
	Method string `json:"method,omitempty" protobuf:"bytes,1,opt,name=method"`
}

// USBSelector is documented field by field below.
type USBSelector struct {
	// +required
	Product string `json:"product" protobuf:"bytes,1,opt,name=product"`
	// +required
	Vendor string `json:"vendor" protobuf:"bytes,2,opt,name=vendor"`
}

// CustomProfile is documented field by field below.
type CustomProfile struct {
	// +optional
	LocalhostProfile string `json:"localhostProfile,omitempty" protobuf:"bytes,1,opt,name=localhostProfile"`
	// +optional
	RuntimeDefaultProfile *bool `json:"runtimeDefaultProfile,omitempty" protobuf:"varint,2,opt,name=runtimeDefaultProfile"`
}
