package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// KubeVirt describes the installation in the cluster: what is installed, and how it is configured. There is one.
type KubeVirt struct {
	metav1.TypeMeta `json:",inline"`
	// Name, namespace, labels and the like.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// What is wanted.
	// +required
	Spec KubeVirtSpec `json:"spec" protobuf:"bytes,2,opt,name=spec"`
	// What has been observed. Only controllers write it.
	// +optional
	Status KubeVirtStatus `json:"status,omitempty,omitzero" protobuf:"bytes,3,opt,name=status"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// KubeVirtList is a list of installations.
type KubeVirtList struct {
	metav1.TypeMeta `json:",inline"`
	// Version of the list, and where to go on.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// The installations.
	// +required
	Items []KubeVirt `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// KubeVirtSpec says what is wanted of the installation.
type KubeVirtSpec struct {
	// How certificates are made and renewed.
	// +optional
	CertificateRotateStrategy KubeVirtCertificateRotateStrategy `json:"certificateRotateStrategy,omitempty" protobuf:"bytes,1,opt,name=certificateRotateStrategy"`
	// Configuration for all instances.
	// +optional
	Configuration KubeVirtConfiguration `json:"configuration,omitempty" protobuf:"bytes,2,opt,name=configuration"`
	// Changes to what components are made from.
	// +optional
	CustomizeComponents CustomizeComponents `json:"customizeComponents,omitempty" protobuf:"bytes,3,opt,name=customizeComponents"`
	// When nodes pull the components' images: Always, IfNotPresent or Never.
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty" protobuf:"bytes,4,opt,name=imagePullPolicy"`
	// Secrets with the registry's credentials.
	// +listType=atomic
	// +optional
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty" protobuf:"bytes,5,rep,name=imagePullSecrets"`
	// Registry of the components' images.
	// +optional
	ImageRegistry string `json:"imageRegistry,omitempty" protobuf:"bytes,6,opt,name=imageRegistry"`
	// Tag of the components' images.
	// +optional
	ImageTag string `json:"imageTag,omitempty" protobuf:"bytes,7,opt,name=imageTag"`
	// Where and how often components run that the cluster has a few of: virt-api and virt-controller.
	// +optional
	Infra *ComponentConfig `json:"infra,omitempty" protobuf:"bytes,8,opt,name=infra"`
	// Service account of the monitoring.
	// +optional
	MonitorAccount string `json:"monitorAccount,omitempty" protobuf:"bytes,9,opt,name=monitorAccount"`
	// Namespace of the monitoring.
	// +optional
	MonitorNamespace string `json:"monitorNamespace,omitempty" protobuf:"bytes,10,opt,name=monitorNamespace"`
	// Value of the label app.kubernetes.io/component of the components.
	// +optional
	ProductComponent string `json:"productComponent,omitempty" protobuf:"bytes,11,opt,name=productComponent"`
	// Value of the label app.kubernetes.io/part-of of the components.
	// +optional
	ProductName string `json:"productName,omitempty" protobuf:"bytes,12,opt,name=productName"`
	// Value of the label app.kubernetes.io/version of the components.
	// +optional
	ProductVersion string `json:"productVersion,omitempty" protobuf:"bytes,13,opt,name=productVersion"`
	// Namespace that monitoring rules are put into.
	// +optional
	ServiceMonitorNamespace string `json:"serviceMonitorNamespace,omitempty" protobuf:"bytes,14,opt,name=serviceMonitorNamespace"`
	// Port of the traffic between clusters for migration.
	// +optional
	SynchronizationPort string `json:"synchronizationPort,omitempty" protobuf:"bytes,15,opt,name=synchronizationPort"`
	// What the deletion of the object does while there are machines: RemoveWorkloads deletes them, BlockUninstallIfWorkloadsExist is refused.
	// +optional
	UninstallStrategy string `json:"uninstallStrategy,omitempty" protobuf:"bytes,16,opt,name=uninstallStrategy"`
	// How running instances get a new version of what runs them.
	// +optional
	WorkloadUpdateStrategy KubeVirtWorkloadUpdateStrategy `json:"workloadUpdateStrategy,omitempty" protobuf:"bytes,17,opt,name=workloadUpdateStrategy"`
	// Where components run that each node has: virt-handler.
	// +optional
	Workloads *ComponentConfig `json:"workloads,omitempty" protobuf:"bytes,18,opt,name=workloads"`
}

// KubeVirtStatus is what has been observed of the installation.
type KubeVirtStatus struct {
	// Conditions of the installation.
	// +optional
	Conditions []KubeVirtCondition `json:"conditions,omitempty" protobuf:"bytes,1,rep,name=conditions"`
	// Architecture of instances that do not name one.
	// +optional
	DefaultArchitecture string `json:"defaultArchitecture,omitempty" protobuf:"bytes,2,opt,name=defaultArchitecture"`
	// Versions of the installed objects that were last written.
	// +listType=atomic
	// +optional
	Generations []GenerationStatus `json:"generations,omitempty" protobuf:"bytes,3,rep,name=generations"`
	// What is installed, in JSON.
	// +optional
	ObservedDeploymentConfig string `json:"observedDeploymentConfig,omitempty" protobuf:"bytes,4,opt,name=observedDeploymentConfig"`
	// Hash of what is installed.
	// +optional
	ObservedDeploymentID string `json:"observedDeploymentID,omitempty" protobuf:"bytes,5,opt,name=observedDeploymentID"`
	// Generation of the spec that the rest of the status belongs to.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty" protobuf:"varint,6,opt,name=observedGeneration"`
	// Registry of what is installed.
	// +optional
	ObservedKubeVirtRegistry string `json:"observedKubeVirtRegistry,omitempty" protobuf:"bytes,7,opt,name=observedKubeVirtRegistry"`
	// Version of what is installed.
	// +optional
	ObservedKubeVirtVersion string `json:"observedKubeVirtVersion,omitempty" protobuf:"bytes,8,opt,name=observedKubeVirtVersion"`
	// Version of what installs.
	// +optional
	OperatorVersion string `json:"operatorVersion,omitempty" protobuf:"bytes,9,opt,name=operatorVersion"`
	// Number of instances that still run with an older version.
	// +optional
	OutdatedVirtualMachineInstanceWorkloads int32 `json:"outdatedVirtualMachineInstanceWorkloads,omitempty" protobuf:"varint,10,opt,name=outdatedVirtualMachineInstanceWorkloads"`
	// Deploying, Deployed, Deleting or Deleted.
	// +optional
	Phase KubeVirtPhase `json:"phase,omitempty" protobuf:"bytes,11,opt,name=phase"`
	// Addresses of the traffic between clusters for migration.
	// +listType=atomic
	// +optional
	SynchronizationAddresses []string `json:"synchronizationAddresses,omitempty" protobuf:"bytes,12,rep,name=synchronizationAddresses"`
	// What is being installed, in JSON.
	// +optional
	TargetDeploymentConfig string `json:"targetDeploymentConfig,omitempty" protobuf:"bytes,13,opt,name=targetDeploymentConfig"`
	// Hash of what is being installed.
	// +optional
	TargetDeploymentID string `json:"targetDeploymentID,omitempty" protobuf:"bytes,14,opt,name=targetDeploymentID"`
	// Registry of what is being installed.
	// +optional
	TargetKubeVirtRegistry string `json:"targetKubeVirtRegistry,omitempty" protobuf:"bytes,15,opt,name=targetKubeVirtRegistry"`
	// Version of what is being installed.
	// +optional
	TargetKubeVirtVersion string `json:"targetKubeVirtVersion,omitempty" protobuf:"bytes,16,opt,name=targetKubeVirtVersion"`
}

// KubeVirtCertificateRotateStrategy says how certificates are made and renewed.
type KubeVirtCertificateRotateStrategy struct {
	// Makes them from an authority of the installation.
	// +optional
	SelfSigned *KubeVirtSelfSignConfiguration `json:"selfSigned,omitempty" protobuf:"bytes,1,opt,name=selfSigned"`
}

// KubeVirtConfiguration is the configuration for all instances. Changes hold for instances that are created afterwards.
type KubeVirtConfiguration struct {
	// What the estimate of the emulator's own memory is multiplied by: a number from 1 to 1000 as text. Default: 1.
	// +optional
	AdditionalGuestMemoryOverheadRatio string `json:"additionalGuestMemoryOverheadRatio,omitempty" protobuf:"bytes,1,opt,name=additionalGuestMemoryOverheadRatio"`
	// How virt-api talks to the API.
	// +optional
	APIConfiguration *ReloadableComponentConfiguration `json:"apiConfiguration,omitempty" protobuf:"bytes,2,opt,name=apiConfiguration"`
	// What depends on the architecture of the guest.
	// +optional
	ArchitectureConfiguration *ArchConfiguration `json:"architectureConfiguration,omitempty" protobuf:"bytes,3,opt,name=architectureConfiguration"`
	// Selects namespaces whose instances get a CPU limit of one CPU for each of the guest.
	// +optional
	AutoCPULimitNamespaceLabelSelector *metav1.LabelSelector `json:"autoCPULimitNamespaceLabelSelector,omitempty" protobuf:"bytes,4,opt,name=autoCPULimitNamespaceLabelSelector"`
	// Selects machines whose changed blocks are tracked for incremental backups.
	// +optional
	ChangedBlockTrackingLabelSelectors *ChangedBlockTrackingSelectors `json:"changedBlockTrackingLabelSelectors,omitempty" protobuf:"bytes,5,opt,name=changedBlockTrackingLabelSelectors"`
	// Whether a set of common instance types is installed.
	// +optional
	CommonInstancetypesDeployment *CommonInstancetypesDeployment `json:"commonInstancetypesDeployment,omitempty" protobuf:"bytes,6,opt,name=commonInstancetypesDeployment"`
	// Encryption of guests' memory.
	// +optional
	ConfidentialCompute *ConfidentialComputeConfiguration `json:"confidentialCompute,omitempty" protobuf:"bytes,7,opt,name=confidentialCompute"`
	// How virt-controller talks to the API.
	// +optional
	ControllerConfiguration *ReloadableComponentConfiguration `json:"controllerConfiguration,omitempty" protobuf:"bytes,8,opt,name=controllerConfiguration"`
	// CPU model of instances that do not name one. Default: host-model.
	// +optional
	CPUModel string `json:"cpuModel,omitempty" protobuf:"bytes,9,opt,name=cpuModel"`
	// CPU that the pod of an instance requests where nothing else is said.
	// +optional
	CPURequest *resource.Quantity `json:"cpuRequest,omitempty" protobuf:"bytes,10,opt,name=cpuRequest"`
	// Runtime class of the pods of instances.
	// +optional
	DefaultRuntimeClass string `json:"defaultRuntimeClass,omitempty" protobuf:"bytes,11,opt,name=defaultRuntimeClass"`
	// What few clusters need to change.
	// +optional
	DeveloperConfiguration *DeveloperConfiguration `json:"developerConfiguration,omitempty" protobuf:"bytes,12,opt,name=developerConfiguration"`
	// Machine types that may be used, in which * stands for any characters. Default: q35* and pc-q35*.
	// +optional
	EmulatedMachines []string `json:"emulatedMachines,omitempty" protobuf:"bytes,13,rep,name=emulatedMachines"`
	// Eviction strategy of instances that do not name one.
	// +optional
	EvictionStrategy *EvictionStrategy `json:"evictionStrategy,omitempty" protobuf:"bytes,14,opt,name=evictionStrategy"`
	// How virt-handler talks to the API.
	// +optional
	HandlerConfiguration *ReloadableComponentConfiguration `json:"handlerConfiguration,omitempty" protobuf:"bytes,15,opt,name=handlerConfiguration"`
	// Hypervisors that may be used.
	// +listType=atomic
	// +optional
	Hypervisors []HypervisorConfiguration `json:"hypervisors,omitempty" protobuf:"bytes,16,rep,name=hypervisors"`
	// When nodes pull the launcher's image: Always, IfNotPresent or Never.
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty" protobuf:"bytes,17,opt,name=imagePullPolicy"`
	// How instance types are used.
	// +optional
	Instancetype *InstancetypeConfiguration `json:"instancetype,omitempty" protobuf:"bytes,18,opt,name=instancetype"`
	// Where equal pages of memory are merged.
	// +optional
	KSMConfiguration *KSMConfiguration `json:"ksmConfiguration,omitempty" protobuf:"bytes,19,opt,name=ksmConfiguration"`
	// How far a guest can grow while it runs.
	// +optional
	LiveUpdateConfiguration *LiveUpdateConfiguration `json:"liveUpdateConfiguration,omitempty" protobuf:"bytes,20,opt,name=liveUpdateConfiguration"`
	// Machine type of instances that do not name one. Default: q35.
	// +optional
	MachineType string `json:"machineType,omitempty" protobuf:"bytes,21,opt,name=machineType"`
	// Virtual devices that nodes make of their GPUs.
	// +optional
	MediatedDevicesConfiguration *MediatedDevicesConfiguration `json:"mediatedDevicesConfiguration,omitempty" protobuf:"bytes,22,opt,name=mediatedDevicesConfiguration"`
	// Seconds between two readings of the guest's memory statistics. 0 turns them off. Default: 10.
	// +optional
	MemBalloonStatsPeriod *int64 `json:"memBalloonStatsPeriod,omitempty" protobuf:"varint,23,opt,name=memBalloonStatsPeriod"`
	// How instances move between nodes.
	// +optional
	Migrations *MigrationConfiguration `json:"migrations,omitempty" protobuf:"bytes,24,opt,name=migrations"`
	// CPU model that nodes need at least.
	// +optional
	MinCPUModel string `json:"minCPUModel,omitempty" protobuf:"bytes,25,opt,name=minCPUModel"`
	// How instances are connected.
	// +optional
	Network *NetworkConfiguration `json:"network,omitempty" protobuf:"bytes,26,opt,name=network"`
	// CPU models that may not be used.
	// +optional
	ObsoleteCPUModels map[string]bool `json:"obsoleteCPUModels,omitempty" protobuf:"bytes,27,rep,name=obsoleteCPUModels"`
	// Directory of the UEFI firmware in the launcher's image.
	// +optional
	OVMFPath string `json:"ovmfPath,omitempty" protobuf:"bytes,28,opt,name=ovmfPath"`
	// Devices of nodes that instances may ask for.
	// +optional
	PermittedHostDevices *PermittedHostDevices `json:"permittedHostDevices,omitempty" protobuf:"bytes,29,opt,name=permittedHostDevices"`
	// Persistent reservations of SCSI devices.
	// +optional
	PersistentReservationConfiguration *PersistentReservationConfiguration `json:"persistentReservationConfiguration,omitempty" protobuf:"bytes,30,opt,name=persistentReservationConfiguration"`
	// Whether the roles of users include those of this API: AggregateToDefault adds the latter to admin, edit and view, Manual does not. Default: AggregateToDefault.
	// +optional
	RoleAggregationStrategy string `json:"roleAggregationStrategy,omitempty" protobuf:"bytes,31,opt,name=roleAggregationStrategy"`
	// Limits of system calls.
	// +optional
	SeccompConfiguration *SeccompConfiguration `json:"seccompConfiguration,omitempty" protobuf:"bytes,32,opt,name=seccompConfiguration"`
	// SELinux type of the pods of instances.
	// +optional
	SelinuxLauncherType string `json:"selinuxLauncherType,omitempty" protobuf:"bytes,33,opt,name=selinuxLauncherType"`
	// What all guests read of their machine from SMBIOS.
	// +optional
	SMBIOS *SMBiosConfiguration `json:"smbios,omitempty" protobuf:"bytes,34,opt,name=smbios"`
	// Resources of containers beside the guest.
	// +listType=map
	// +listMapKey=type
	// +optional
	SupportContainerResources []SupportContainerResources `json:"supportContainerResources,omitempty" protobuf:"bytes,35,rep,name=supportContainerResources"`
	// Versions of the guest agent that may be used.
	// +optional
	SupportedGuestAgentVersions []string `json:"supportedGuestAgentVersions,omitempty" protobuf:"bytes,36,rep,name=supportedGuestAgentVersions"`
	// TLS of the components' servers.
	// +optional
	TLSConfiguration *TLSConfiguration `json:"tlsConfiguration,omitempty" protobuf:"bytes,37,opt,name=tlsConfiguration"`
	// Whether templates of machines are installed.
	// +optional
	VirtTemplateDeployment *VirtTemplateDeployment `json:"virtTemplateDeployment,omitempty" protobuf:"bytes,38,opt,name=virtTemplateDeployment"`
	// Instances that fit on a node, 1 or more. Default: 110.
	// +optional
	VirtualMachineInstancesPerNode *int32 `json:"virtualMachineInstancesPerNode,omitempty" protobuf:"varint,39,opt,name=virtualMachineInstancesPerNode"`
	// What holds for all instances.
	// +optional
	VirtualMachineOptions *VirtualMachineOptions `json:"virtualMachineOptions,omitempty" protobuf:"bytes,40,opt,name=virtualMachineOptions"`
	// When changes of a machine reach its running instance: Stage (at the next start) or LiveUpdate (at once where possible). Default: LiveUpdate.
	// +optional
	VMRolloutStrategy string `json:"vmRolloutStrategy,omitempty" protobuf:"bytes,41,opt,name=vmRolloutStrategy"`
	// Storage class of the claims that hold the state of TPM and firmware.
	// +optional
	VMStateStorageClass string `json:"vmStateStorageClass,omitempty" protobuf:"bytes,42,opt,name=vmStateStorageClass"`
	// How the admission of virt-api talks to the API.
	// +optional
	WebhookConfiguration *ReloadableComponentConfiguration `json:"webhookConfiguration,omitempty" protobuf:"bytes,43,opt,name=webhookConfiguration"`
}

// KubeVirtWorkloadUpdateStrategy says how running instances get a new version of what runs them.
type KubeVirtWorkloadUpdateStrategy struct {
	// Time between two batches. Default: 1m.
	// +optional
	BatchEvictionInterval *metav1.Duration `json:"batchEvictionInterval,omitempty" protobuf:"bytes,1,opt,name=batchEvictionInterval"`
	// Instances in a batch, 1 or more. Default: 10.
	// +optional
	BatchEvictionSize *int32 `json:"batchEvictionSize,omitempty" protobuf:"varint,2,opt,name=batchEvictionSize"`
	// LiveMigrate, Evict or both; the former is tried first. Default: none, which leaves instances alone.
	// +listType=atomic
	// +optional
	WorkloadUpdateMethods []string `json:"workloadUpdateMethods,omitempty" protobuf:"bytes,3,rep,name=workloadUpdateMethods"`
}

// KubeVirtCondition is a condition of the installation.
type KubeVirtCondition struct {
	// When it was last looked at.
	// +nullable
	// +optional
	LastProbeTime metav1.Time `json:"lastProbeTime,omitempty,omitzero" protobuf:"bytes,1,opt,name=lastProbeTime"`
	// When its status last changed.
	// +nullable
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitempty,omitzero" protobuf:"bytes,2,opt,name=lastTransitionTime"`
	// Details for people.
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,3,opt,name=message"`
	// One word for the cause.
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,4,opt,name=reason"`
	// True, False or Unknown.
	// +required
	Status corev1.ConditionStatus `json:"status" protobuf:"bytes,5,opt,name=status"`
	// Name of the condition, such as Available.
	// +required
	Type KubeVirtConditionType `json:"type" protobuf:"bytes,6,opt,name=type"`
}

// KubeVirtSelfSignConfiguration says how certificates are made from an authority of the installation.
type KubeVirtSelfSignConfiguration struct {
	// Validity of the authority.
	// +optional
	CA *CertConfig `json:"ca,omitempty" protobuf:"bytes,1,opt,name=ca"`
	// The older setting of how long the old authority is trusted beside the new.
	// +optional
	CAOverlapInterval *metav1.Duration `json:"caOverlapInterval,omitempty" protobuf:"bytes,2,opt,name=caOverlapInterval"`
	// The older setting of ca.duration.
	// +optional
	CARotateInterval *metav1.Duration `json:"caRotateInterval,omitempty" protobuf:"bytes,3,opt,name=caRotateInterval"`
	// The older setting of server.duration.
	// +optional
	CertRotateInterval *metav1.Duration `json:"certRotateInterval,omitempty" protobuf:"bytes,4,opt,name=certRotateInterval"`
	// Validity of the certificates that it signs.
	// +optional
	Server *CertConfig `json:"server,omitempty" protobuf:"bytes,5,opt,name=server"`
}
