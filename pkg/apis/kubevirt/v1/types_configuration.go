package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RESTClientConfiguration sets how a component talks to the API.
type RESTClientConfiguration struct {
	// Limits its requests.
	// +optional
	RateLimiter *RateLimiter `json:"rateLimiter,omitempty" protobuf:"bytes,1,opt,name=rateLimiter"`
}

// RateLimiter limits requests to the API.
type RateLimiter struct {
	// Allows a steady rate with bursts.
	// +optional
	TokenBucketRateLimiter *TokenBucketRateLimiter `json:"tokenBucketRateLimiter,omitempty" protobuf:"bytes,1,opt,name=tokenBucketRateLimiter"`
}

// CustomizeComponents changes what the components of the installation are made from.
type CustomizeComponents struct {
	// Command-line flags that are added.
	// +optional
	Flags *Flags `json:"flags,omitempty" protobuf:"bytes,1,opt,name=flags"`
	// Patches to their objects.
	// +listType=atomic
	// +optional
	Patches []CustomizeComponentsPatch `json:"patches,omitempty" protobuf:"bytes,2,rep,name=patches"`
}

// ComponentConfig says where and how often a group of components runs.
type ComponentConfig struct {
	// The nodes that they run on.
	// +optional
	NodePlacement *NodePlacement `json:"nodePlacement,omitempty" protobuf:"bytes,1,opt,name=nodePlacement"`
	// How many of each there are, 1 or more, where that can be chosen. Default: depends on the number of nodes.
	// +optional
	Replicas *int32 `json:"replicas,omitempty" protobuf:"varint,2,opt,name=replicas"`
}

// TokenBucketRateLimiter allows a steady rate of requests with bursts.
type TokenBucketRateLimiter struct {
	// Requests that may be sent at once.
	// +required
	Burst int32 `json:"burst" protobuf:"varint,1,opt,name=burst"`
	// Requests a second in the long run.
	// +required
	Qps float32 `json:"qps" protobuf:"fixed32,2,opt,name=qps"`
}

// ReloadableComponentConfiguration sets what a component takes over without restart.
type ReloadableComponentConfiguration struct {
	// How it talks to the API.
	// +optional
	RESTClient *RESTClientConfiguration `json:"restClient,omitempty" protobuf:"bytes,1,opt,name=restClient"`
}

// ArchConfiguration sets what depends on the architecture of the guest.
type ArchConfiguration struct {
	// For amd64.
	// +optional
	Amd64 *ArchSpecificConfiguration `json:"amd64,omitempty" protobuf:"bytes,1,opt,name=amd64"`
	// For arm64.
	// +optional
	Arm64 *ArchSpecificConfiguration `json:"arm64,omitempty" protobuf:"bytes,2,opt,name=arm64"`
	// Architecture of instances that do not name one. Default: that of the control plane's nodes.
	// +optional
	DefaultArchitecture string `json:"defaultArchitecture,omitempty" protobuf:"bytes,3,opt,name=defaultArchitecture"`
	// For ppc64le, which is no longer supported.
	// +optional
	Ppc64le *ArchSpecificConfiguration `json:"ppc64le,omitempty" protobuf:"bytes,4,opt,name=ppc64le"`
	// For s390x.
	// +optional
	S390x *ArchSpecificConfiguration `json:"s390x,omitempty" protobuf:"bytes,5,opt,name=s390x"`
}

// ChangedBlockTrackingSelectors selects the machines whose changed blocks are tracked for incremental backups.
type ChangedBlockTrackingSelectors struct {
	// Selects by labels of the namespace.
	// +optional
	NamespaceLabelSelector *metav1.LabelSelector `json:"namespaceLabelSelector,omitempty" protobuf:"bytes,1,opt,name=namespaceLabelSelector"`
	// Selects by labels of the machine.
	// +optional
	VirtualMachineLabelSelector *metav1.LabelSelector `json:"virtualMachineLabelSelector,omitempty" protobuf:"bytes,2,opt,name=virtualMachineLabelSelector"`
}

// CommonInstancetypesDeployment says whether a set of common instance types is installed.
type CommonInstancetypesDeployment struct {
	// Whether it is.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
}

// ConfidentialComputeConfiguration sets the encryption of guests' memory.
type ConfidentialComputeConfiguration struct {
	// Intel TDX.
	// +optional
	TDX *TDXConfiguration `json:"tdx,omitempty" protobuf:"bytes,1,opt,name=tdx"`
}

// DeveloperConfiguration sets what few clusters need to change.
type DeveloperConfiguration struct {
	// Whether the components can be profiled over the API. Default: false.
	// +optional
	ClusterProfiler *bool `json:"clusterProfiler,omitempty" protobuf:"varint,1,opt,name=clusterProfiler"`
	// Virtual CPUs for each CPU that is requested of the node, 1 or more. Default: 10.
	// +optional
	CPUAllocationRatio *int32 `json:"cpuAllocationRatio,omitempty" protobuf:"varint,2,opt,name=cpuAllocationRatio"`
	// Features that are off although they are on by default.
	// +listType=atomic
	// +optional
	DisabledFeatureGates []string `json:"disabledFeatureGates,omitempty" protobuf:"bytes,3,rep,name=disabledFeatureGates"`
	// Limits of the check that disk images go through.
	// +optional
	DiskVerification *DiskVerification `json:"diskVerification,omitempty" protobuf:"bytes,4,opt,name=diskVerification"`
	// Features that are on although they are off by default.
	// +listType=atomic
	// +optional
	FeatureGates []string `json:"featureGates,omitempty" protobuf:"bytes,5,rep,name=featureGates"`
	// How much the components log.
	// +optional
	LogVerbosity *LogVerbosity `json:"logVerbosity,omitempty" protobuf:"bytes,6,opt,name=logVerbosity"`
	// Memory of guests in percent of what is requested of the node, 1 or more. Default: 100.
	// +optional
	MemoryOvercommit *int32 `json:"memoryOvercommit,omitempty" protobuf:"varint,7,opt,name=memoryOvercommit"`
	// Frequency in Hz of the CPU clock that every node has at least.
	// +optional
	MinimumClusterTSCFrequency *int64 `json:"minimumClusterTSCFrequency,omitempty" protobuf:"varint,8,opt,name=minimumClusterTSCFrequency"`
	// Bytes of a claim that are left free of the disk image. Default: 131072.
	// +optional
	MinimumReservePVCBytes *int64 `json:"minimumReservePVCBytes,omitempty" protobuf:"varint,9,opt,name=minimumReservePVCBytes"`
	// Labels that nodes must have for instances.
	// +optional
	NodeSelectors map[string]string `json:"nodeSelectors,omitempty" protobuf:"bytes,10,rep,name=nodeSelectors"`
	// Percentage by which a claim's file system may be smaller than what was asked. Default: 10.
	// +optional
	PVCTolerateLessSpaceUpToPercent *int32 `json:"pvcTolerateLessSpaceUpToPercent,omitempty" protobuf:"varint,11,opt,name=pvcTolerateLessSpaceUpToPercent"`
	// Whether guests run without KVM where a node has none. They are slow. Default: false.
	// +optional
	UseEmulation *bool `json:"useEmulation,omitempty" protobuf:"varint,12,opt,name=useEmulation"`
}

// HypervisorConfiguration names a hypervisor.
type HypervisorConfiguration struct {
	// Its name. Default: kvm.
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,1,opt,name=name"`
}

// InstancetypeConfiguration sets how instance types are used.
type InstancetypeConfiguration struct {
	// reference keeps the name of the instance type in the machine, expand writes its values into the machine, expandAll does so in existing ones too. Default: reference.
	// +optional
	ReferencePolicy string `json:"referencePolicy,omitempty" protobuf:"bytes,1,opt,name=referencePolicy"`
}

// KSMConfiguration says where equal pages of memory are merged.
type KSMConfiguration struct {
	// Selects the nodes. An empty one selects all. Default: none.
	// +optional
	NodeLabelSelector *metav1.LabelSelector `json:"nodeLabelSelector,omitempty" protobuf:"bytes,1,opt,name=nodeLabelSelector"`
}

// LiveUpdateConfiguration sets how far a guest can grow while it runs.
type LiveUpdateConfiguration struct {
	// Sockets up to which CPUs can be added.
	// +optional
	MaxCPUSockets *int64 `json:"maxCpuSockets,omitempty" protobuf:"varint,1,opt,name=maxCpuSockets"`
	// Memory up to which it can be added.
	// +optional
	MaxGuest *resource.Quantity `json:"maxGuest,omitempty" protobuf:"bytes,2,opt,name=maxGuest"`
	// Multiple of what a guest starts with, up to which it can grow where no maximum is given. Default: 4.
	// +optional
	MaxHotplugRatio *int64 `json:"maxHotplugRatio,omitempty" protobuf:"varint,3,opt,name=maxHotplugRatio"`
}

// MediatedDevicesConfiguration sets the virtual devices that nodes make of their GPUs.
type MediatedDevicesConfiguration struct {
	// Whether nodes make them. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// Types of devices that are made.
	// +listType=atomic
	// +optional
	MediatedDeviceTypes []string `json:"mediatedDeviceTypes,omitempty" protobuf:"bytes,2,rep,name=mediatedDeviceTypes"`
	// The older name of mediatedDeviceTypes.
	// +listType=atomic
	// +optional
	MediatedDevicesTypes []string `json:"mediatedDevicesTypes,omitempty" protobuf:"bytes,3,rep,name=mediatedDevicesTypes"`
	// Other types for some nodes.
	// +listType=atomic
	// +optional
	NodeMediatedDeviceTypes []NodeMediatedDeviceTypesConfig `json:"nodeMediatedDeviceTypes,omitempty" protobuf:"bytes,4,rep,name=nodeMediatedDeviceTypes"`
}

// MigrationConfiguration sets how instances move between nodes.
type MigrationConfiguration struct {
	// Whether the guest is slowed down until its memory can be copied faster than it changes. Default: false.
	// +optional
	AllowAutoConverge *bool `json:"allowAutoConverge,omitempty" protobuf:"varint,1,opt,name=allowAutoConverge"`
	// Whether the guest may go on at the target before all of its memory is there. A failure then loses it. Default: false.
	// +optional
	AllowPostCopy *bool `json:"allowPostCopy,omitempty" protobuf:"varint,2,opt,name=allowPostCopy"`
	// Whether a migration that takes too long may pause the guest, or go on after the copy, to end. Default: that of allowPostCopy.
	// +optional
	AllowWorkloadDisruption *bool `json:"allowWorkloadDisruption,omitempty" protobuf:"varint,3,opt,name=allowWorkloadDisruption"`
	// Bytes a second that a migration may send. Default: 0, which is no limit.
	// +optional
	BandwidthPerMigration *resource.Quantity `json:"bandwidthPerMigration,omitempty" protobuf:"bytes,4,opt,name=bandwidthPerMigration"`
	// Seconds that a migration may take for each GiB of memory. Default: 150.
	// +optional
	CompletionTimeoutPerGiB *int64 `json:"completionTimeoutPerGiB,omitempty" protobuf:"varint,5,opt,name=completionTimeoutPerGiB"`
	// Whether memory is sent without encryption. Default: false.
	// +optional
	DisableTLS *bool `json:"disableTLS,omitempty" protobuf:"varint,6,opt,name=disableTLS"`
	// Whether the target has the SELinux level of the source. Default: true.
	// +optional
	MatchSELinuxLevelOnMigration *bool `json:"matchSELinuxLevelOnMigration,omitempty" protobuf:"varint,7,opt,name=matchSELinuxLevelOnMigration"`
	// Milliseconds that the guest may stand still at the end.
	// +optional
	MaxDowntimeMs *int64 `json:"maxDowntimeMs,omitempty" protobuf:"varint,8,opt,name=maxDowntimeMs"`
	// NetworkAttachmentDefinition in the namespace of the installation, whose network carries migrations. Default: the pod network.
	// +optional
	Network string `json:"network,omitempty" protobuf:"bytes,9,opt,name=network"`
	// Taint that tells that a node is drained. Default: kubevirt.io/drain.
	// +optional
	NodeDrainTaintKey string `json:"nodeDrainTaintKey,omitempty" protobuf:"bytes,10,opt,name=nodeDrainTaintKey"`
	// Migrations that run at once in the cluster. Default: 5.
	// +optional
	ParallelMigrationsPerCluster *int64 `json:"parallelMigrationsPerCluster,omitempty" protobuf:"varint,11,opt,name=parallelMigrationsPerCluster"`
	// Migrations that leave a node at once. Default: 2.
	// +optional
	ParallelOutboundMigrationsPerNode *int64 `json:"parallelOutboundMigrationsPerNode,omitempty" protobuf:"varint,12,opt,name=parallelOutboundMigrationsPerNode"`
	// Seconds without progress after which a migration is ended. Default: 150.
	// +optional
	ProgressTimeout *int64 `json:"progressTimeout,omitempty" protobuf:"varint,13,opt,name=progressTimeout"`
	// Whether instances migrate although that may lose data. Default: false.
	// +optional
	UnsafeMigrationOverride *bool `json:"unsafeMigrationOverride,omitempty" protobuf:"varint,14,opt,name=unsafeMigrationOverride"`
	// Seconds that a migration waits for utility volumes to be taken away. Default: 150.
	// +optional
	UtilityVolumesTimeout *int64 `json:"utilityVolumesTimeout,omitempty" protobuf:"varint,15,opt,name=utilityVolumesTimeout"`
}

// NetworkConfiguration sets how instances are connected.
type NetworkConfiguration struct {
	// Further bindings, by the names that interfaces use.
	// +optional
	Binding map[string]InterfaceBindingPlugin `json:"binding,omitempty" protobuf:"bytes,1,rep,name=binding"`
	// Binding of the interface that an instance without networks gets: bridge or masquerade. Default: masquerade.
	// +optional
	DefaultNetworkInterface string `json:"defaultNetworkInterface,omitempty" protobuf:"bytes,2,opt,name=defaultNetworkInterface"`
	// Whether the bridge binding may be used on the pod network. Default: true.
	// +optional
	PermitBridgeInterfaceOnPodNetwork *bool `json:"permitBridgeInterfaceOnPodNetwork,omitempty" protobuf:"varint,3,opt,name=permitBridgeInterfaceOnPodNetwork"`
	// Setting of a binding that is no longer supported.
	// +optional
	PermitSlirpInterface *bool `json:"permitSlirpInterface,omitempty" protobuf:"varint,4,opt,name=permitSlirpInterface"`
}

// PermittedHostDevices lists the devices of nodes that instances may ask for.
type PermittedHostDevices struct {
	// Virtual devices, such as virtual GPUs.
	// +listType=atomic
	// +optional
	MediatedDevices []MediatedHostDevice `json:"mediatedDevices,omitempty" protobuf:"bytes,1,rep,name=mediatedDevices"`
	// PCI devices.
	// +listType=atomic
	// +optional
	PCIHostDevices []PciHostDevice `json:"pciHostDevices,omitempty" protobuf:"bytes,2,rep,name=pciHostDevices"`
	// USB devices.
	// +listType=atomic
	// +optional
	USB []USBHostDevice `json:"usb,omitempty" protobuf:"bytes,3,rep,name=usb"`
}

// PersistentReservationConfiguration sets persistent reservations of SCSI devices.
type PersistentReservationConfiguration struct {
	// Whether what they need is installed on the nodes. Default: false.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
}

// SeccompConfiguration limits the system calls of the components.
type SeccompConfiguration struct {
	// Limits those of the pods of instances.
	// +optional
	VirtualMachineInstanceProfile *VirtualMachineInstanceProfile `json:"virtualMachineInstanceProfile,omitempty" protobuf:"bytes,1,opt,name=virtualMachineInstanceProfile"`
}

// SMBiosConfiguration is what all guests read of their machine from SMBIOS.
type SMBiosConfiguration struct {
	// Family of the product.
	// +optional
	Family string `json:"family,omitempty" protobuf:"bytes,1,opt,name=family"`
	// Manufacturer.
	// +optional
	Manufacturer string `json:"manufacturer,omitempty" protobuf:"bytes,2,opt,name=manufacturer"`
	// Name of the product.
	// +optional
	Product string `json:"product,omitempty" protobuf:"bytes,3,opt,name=product"`
	// Stock-keeping unit.
	// +optional
	SKU string `json:"sku,omitempty" protobuf:"bytes,4,opt,name=sku"`
	// Version of the product.
	// +optional
	Version string `json:"version,omitempty" protobuf:"bytes,5,opt,name=version"`
}

// SupportContainerResources sets the resources of containers beside the guest.
type SupportContainerResources struct {
	// What each such container asks for.
	// +required
	Resources ResourceRequirementsWithoutClaims `json:"resources" protobuf:"bytes,1,opt,name=resources"`
	// Kind of container: container-disk, virtiofs, sidecar, hotplug-disk, guest-console-log or vmexport.
	// +required
	Type string `json:"type" protobuf:"bytes,2,opt,name=type"`
}

// TLSConfiguration sets the TLS of the components' servers.
type TLSConfiguration struct {
	// Cipher suites that are offered up to TLS 1.2, by their IANA names. Default: those that Go counts as safe.
	// +listType=set
	// +optional
	Ciphers []string `json:"ciphers,omitempty" protobuf:"bytes,1,rep,name=ciphers"`
	// VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13. Default: VersionTLS12.
	// +optional
	MinTLSVersion string `json:"minTLSVersion,omitempty" protobuf:"bytes,2,opt,name=minTLSVersion"`
}

// VirtTemplateDeployment says whether templates of machines are installed.
type VirtTemplateDeployment struct {
	// Whether they are. Default: false.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
}

// VirtualMachineOptions sets what holds for all instances.
type VirtualMachineOptions struct {
	// Keeps guests from returning free memory to the node.
	// +optional
	DisableFreePageReporting *DisableFreePageReporting `json:"disableFreePageReporting,omitempty" protobuf:"bytes,1,opt,name=disableFreePageReporting"`
	// Keeps the output of serial consoles out of the log unless an instance says otherwise.
	// +optional
	DisableSerialConsoleLog *DisableSerialConsoleLog `json:"disableSerialConsoleLog,omitempty" protobuf:"bytes,2,opt,name=disableSerialConsoleLog"`
}

// Flags are command-line flags that are added to components, by name and without leading hyphens.
type Flags struct {
	// Of virt-api.
	// +optional
	API map[string]string `json:"api,omitempty" protobuf:"bytes,1,rep,name=api"`
	// Of virt-controller.
	// +optional
	Controller map[string]string `json:"controller,omitempty" protobuf:"bytes,2,rep,name=controller"`
	// Of virt-handler.
	// +optional
	Handler map[string]string `json:"handler,omitempty" protobuf:"bytes,3,rep,name=handler"`
}

// CustomizeComponentsPatch is a patch to an object of the installation.
type CustomizeComponentsPatch struct {
	// The patch, in JSON.
	// +required
	Patch string `json:"patch" protobuf:"bytes,1,opt,name=patch"`
	// Name of the object.
	// +required
	ResourceName string `json:"resourceName" protobuf:"bytes,2,opt,name=resourceName"`
	// Kind of the object, such as Deployment.
	// +required
	ResourceType string `json:"resourceType" protobuf:"bytes,3,opt,name=resourceType"`
	// Kind of patch: strategic, merge or json.
	// +required
	Type string `json:"type" protobuf:"bytes,4,opt,name=type"`
}

// NodePlacement says which nodes components run on. As of pods.
type NodePlacement struct {
	// Which nodes, and the neighbourhood of which pods, are wanted or avoided.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty" protobuf:"bytes,1,opt,name=affinity"`
	// Labels that a node must have.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty" protobuf:"bytes,2,rep,name=nodeSelector"`
	// Taints of nodes that do not keep components away.
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty" protobuf:"bytes,3,rep,name=tolerations"`
}

// CertConfig sets how long a certificate is valid.
type CertConfig struct {
	// How long it is valid.
	// +optional
	Duration *metav1.Duration `json:"duration,omitempty" protobuf:"bytes,1,opt,name=duration"`
	// How long before its end it is renewed.
	// +optional
	RenewBefore *metav1.Duration `json:"renewBefore,omitempty" protobuf:"bytes,2,opt,name=renewBefore"`
}

// ArchSpecificConfiguration sets what depends on the architecture of the guest.
type ArchSpecificConfiguration struct {
	// Machine types that may be used, in which * stands for any characters.
	// +listType=atomic
	// +optional
	EmulatedMachines []string `json:"emulatedMachines,omitempty" protobuf:"bytes,1,rep,name=emulatedMachines"`
	// Machine type of instances that do not name one.
	// +optional
	MachineType string `json:"machineType,omitempty" protobuf:"bytes,2,opt,name=machineType"`
	// Directory of the UEFI firmware in the launcher's image.
	// +optional
	OVMFPath string `json:"ovmfPath,omitempty" protobuf:"bytes,3,opt,name=ovmfPath"`
}

// TDXConfiguration sets Intel TDX.
type TDXConfiguration struct {
	// Proof of what is started.
	// +optional
	Attestation *TDXAttestationConfiguration `json:"attestation,omitempty" protobuf:"bytes,1,opt,name=attestation"`
}

// DiskVerification limits the check that disk images go through.
type DiskVerification struct {
	// Memory that the check may use.
	// +required
	MemoryLimit resource.Quantity `json:"memoryLimit" protobuf:"bytes,1,opt,name=memoryLimit"`
}

// LogVerbosity sets how much the components log: 0 for little, up to 10. Default: 2.
type LogVerbosity struct {
	// Of virt-handler, by name of the node.
	// +optional
	NodeVerbosity map[string]int32 `json:"nodeVerbosity,omitempty" protobuf:"bytes,1,rep,name=nodeVerbosity"`
	// Of virt-api.
	// +optional
	VirtAPI *int32 `json:"virtAPI,omitempty" protobuf:"varint,2,opt,name=virtAPI"`
	// Of virt-controller.
	// +optional
	VirtController *int32 `json:"virtController,omitempty" protobuf:"varint,3,opt,name=virtController"`
	// Of virt-handler.
	// +optional
	VirtHandler *int32 `json:"virtHandler,omitempty" protobuf:"varint,4,opt,name=virtHandler"`
	// Of virt-launcher.
	// +optional
	VirtLauncher *int32 `json:"virtLauncher,omitempty" protobuf:"varint,5,opt,name=virtLauncher"`
	// Of virt-operator.
	// +optional
	VirtOperator *int32 `json:"virtOperator,omitempty" protobuf:"varint,6,opt,name=virtOperator"`
	// Of virt-synchronization-controller.
	// +optional
	VirtSynchronizationController *int32 `json:"virtSynchronizationController,omitempty" protobuf:"varint,7,opt,name=virtSynchronizationController"`
}

// NodeMediatedDeviceTypesConfig sets the virtual devices that some nodes make of their GPUs.
type NodeMediatedDeviceTypesConfig struct {
	// Types of devices that are made.
	// +listType=atomic
	// +optional
	MediatedDeviceTypes []string `json:"mediatedDeviceTypes,omitempty" protobuf:"bytes,1,rep,name=mediatedDeviceTypes"`
	// The older name of mediatedDeviceTypes.
	// +listType=atomic
	// +optional
	MediatedDevicesTypes []string `json:"mediatedDevicesTypes,omitempty" protobuf:"bytes,2,rep,name=mediatedDevicesTypes"`
	// Labels of the nodes.
	// +required
	NodeSelector map[string]string `json:"nodeSelector" protobuf:"bytes,3,rep,name=nodeSelector"`
}

// InterfaceBindingPlugin is a binding of interfaces that the installation does not bring.
type InterfaceBindingPlugin struct {
	// Resources that are added to those of the launcher for each interface.
	// +optional
	ComputeResourceOverhead *ResourceRequirementsWithoutClaims `json:"computeResourceOverhead,omitempty" protobuf:"bytes,1,opt,name=computeResourceOverhead"`
	// How the guest's interface is made: tap or managedTap.
	// +optional
	DomainAttachmentType string `json:"domainAttachmentType,omitempty" protobuf:"bytes,2,opt,name=domainAttachmentType"`
	// Data that the sidecar gets about networks: device-info.
	// +optional
	DownwardAPI string `json:"downwardAPI,omitempty" protobuf:"bytes,3,opt,name=downwardAPI"`
	// How instances with the binding migrate.
	// +optional
	Migration *InterfaceBindingMigration `json:"migration,omitempty" protobuf:"bytes,4,opt,name=migration"`
	// NetworkAttachmentDefinition that prepares the pod, as NAME or NAMESPACE/NAME.
	// +optional
	NetworkAttachmentDefinition string `json:"networkAttachmentDefinition,omitempty" protobuf:"bytes,5,opt,name=networkAttachmentDefinition"`
	// Image of a sidecar that sets the interface up.
	// +optional
	SidecarImage string `json:"sidecarImage,omitempty" protobuf:"bytes,6,opt,name=sidecarImage"`
}

// MediatedHostDevice is a kind of virtual device that instances may ask for.
type MediatedHostDevice struct {
	// Whether a device plugin from elsewhere offers it. Default: false.
	// +optional
	ExternalResourceProvider *bool `json:"externalResourceProvider,omitempty" protobuf:"varint,1,opt,name=externalResourceProvider"`
	// Name of its type, such as GRID T4-1Q.
	// +required
	MdevNameSelector string `json:"mdevNameSelector" protobuf:"bytes,2,opt,name=mdevNameSelector"`
	// Name of the resource that instances ask for.
	// +required
	ResourceName string `json:"resourceName" protobuf:"bytes,3,opt,name=resourceName"`
}

// PciHostDevice is a kind of PCI device that instances may ask for.
type PciHostDevice struct {
	// Whether a device plugin from elsewhere offers it. Default: false.
	// +optional
	ExternalResourceProvider *bool `json:"externalResourceProvider,omitempty" protobuf:"varint,1,opt,name=externalResourceProvider"`
	// Vendor and product, such as 10DE:1EB8.
	// +required
	PCIVendorSelector string `json:"pciVendorSelector" protobuf:"bytes,2,opt,name=pciVendorSelector"`
	// Name of the resource that instances ask for, such as nvidia.com/TU104GL_Tesla_T4.
	// +required
	ResourceName string `json:"resourceName" protobuf:"bytes,3,opt,name=resourceName"`
}

// USBHostDevice is a kind of USB device that instances may ask for.
type USBHostDevice struct {
	// Whether a device plugin from elsewhere offers it. Default: false.
	// +optional
	ExternalResourceProvider *bool `json:"externalResourceProvider,omitempty" protobuf:"varint,1,opt,name=externalResourceProvider"`
	// Name of the resource that instances ask for.
	// +required
	ResourceName string `json:"resourceName" protobuf:"bytes,2,opt,name=resourceName"`
	// The devices, which are handed out together.
	// +listType=atomic
	// +optional
	Selectors []USBSelector `json:"selectors,omitempty" protobuf:"bytes,3,rep,name=selectors"`
}

// VirtualMachineInstanceProfile limits the system calls of the pods of instances.
type VirtualMachineInstanceProfile struct {
	// A profile other than that of the container runtime.
	// +optional
	CustomProfile *CustomProfile `json:"customProfile,omitempty" protobuf:"bytes,1,opt,name=customProfile"`
}

// ResourceRequirementsWithoutClaims is what a container asks the node for.
type ResourceRequirementsWithoutClaims struct {
	// The most that it may use.
	// +optional
	Limits corev1.ResourceList `json:"limits,omitempty" protobuf:"bytes,1,rep,name=limits"`
	// What the node must have free.
	// +optional
	Requests corev1.ResourceList `json:"requests,omitempty" protobuf:"bytes,2,rep,name=requests"`
}

// DisableFreePageReporting keeps guests from returning free memory to the node. It has no settings.
type DisableFreePageReporting struct {
}

// DisableSerialConsoleLog keeps the output of serial consoles out of the log. It has no settings.
type DisableSerialConsoleLog struct {
}

// TDXAttestationConfiguration sets the proof of what is started.
type TDXAttestationConfiguration struct {
	// Whether instances need a node that can give it.
	// +optional
	Enforced *bool `json:"enforced,omitempty" protobuf:"varint,1,opt,name=enforced"`
	// Socket of the service that makes it, on the node.
	// +optional
	QgsSocketPath string `json:"qgsSocketPath,omitempty" protobuf:"bytes,2,opt,name=qgsSocketPath"`
}

// InterfaceBindingMigration says how instances with a binding migrate.
type InterfaceBindingMigration struct {
	// link-refresh takes the guest's link down and up afterwards, so that it renews its address. Default: nothing is done.
	// +optional
	Method string `json:"method,omitempty" protobuf:"bytes,1,opt,name=method"`
}

// USBSelector selects a USB device.
type USBSelector struct {
	// Product in hexadecimal digits.
	// +required
	Product string `json:"product" protobuf:"bytes,1,opt,name=product"`
	// Vendor in hexadecimal digits.
	// +required
	Vendor string `json:"vendor" protobuf:"bytes,2,opt,name=vendor"`
}

// CustomProfile names a profile of system calls.
type CustomProfile struct {
	// Path of a profile on the nodes, below the directory of the kubelet's profiles.
	// +optional
	LocalhostProfile string `json:"localhostProfile,omitempty" protobuf:"bytes,1,opt,name=localhostProfile"`
	// Whether it is that of the container runtime.
	// +optional
	RuntimeDefaultProfile *bool `json:"runtimeDefaultProfile,omitempty" protobuf:"varint,2,opt,name=runtimeDefaultProfile"`
}
