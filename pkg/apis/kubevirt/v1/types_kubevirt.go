package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// KubeVirt is documented field by field below.
type KubeVirt struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Spec KubeVirtSpec `json:"spec" protobuf:"bytes,2,opt,name=spec"`
	// +optional
	Status KubeVirtStatus `json:"status,omitempty,omitzero" protobuf:"bytes,3,opt,name=status"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// KubeVirtList is documented field by field below.
type KubeVirtList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Items []KubeVirt `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// KubeVirtSpec is documented field by field below.
type KubeVirtSpec struct {
	// +optional
	CertificateRotateStrategy KubeVirtCertificateRotateStrategy `json:"certificateRotateStrategy,omitempty" protobuf:"bytes,1,opt,name=certificateRotateStrategy"`
	// +optional
	Configuration KubeVirtConfiguration `json:"configuration,omitempty" protobuf:"bytes,2,opt,name=configuration"`
	// +optional
	CustomizeComponents CustomizeComponents `json:"customizeComponents,omitempty" protobuf:"bytes,3,opt,name=customizeComponents"`
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty" protobuf:"bytes,4,opt,name=imagePullPolicy"`
	// +listType=atomic
	// +optional
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty" protobuf:"bytes,5,rep,name=imagePullSecrets"`
	// +optional
	ImageRegistry string `json:"imageRegistry,omitempty" protobuf:"bytes,6,opt,name=imageRegistry"`
	// +optional
	ImageTag string `json:"imageTag,omitempty" protobuf:"bytes,7,opt,name=imageTag"`
	// +optional
	Infra *ComponentConfig `json:"infra,omitempty" protobuf:"bytes,8,opt,name=infra"`
	// +optional
	MonitorAccount string `json:"monitorAccount,omitempty" protobuf:"bytes,9,opt,name=monitorAccount"`
	// +optional
	MonitorNamespace string `json:"monitorNamespace,omitempty" protobuf:"bytes,10,opt,name=monitorNamespace"`
	// +optional
	ProductComponent string `json:"productComponent,omitempty" protobuf:"bytes,11,opt,name=productComponent"`
	// +optional
	ProductName string `json:"productName,omitempty" protobuf:"bytes,12,opt,name=productName"`
	// +optional
	ProductVersion string `json:"productVersion,omitempty" protobuf:"bytes,13,opt,name=productVersion"`
	// +optional
	ServiceMonitorNamespace string `json:"serviceMonitorNamespace,omitempty" protobuf:"bytes,14,opt,name=serviceMonitorNamespace"`
	// +optional
	SynchronizationPort string `json:"synchronizationPort,omitempty" protobuf:"bytes,15,opt,name=synchronizationPort"`
	// +optional
	UninstallStrategy string `json:"uninstallStrategy,omitempty" protobuf:"bytes,16,opt,name=uninstallStrategy"`
	// +optional
	WorkloadUpdateStrategy KubeVirtWorkloadUpdateStrategy `json:"workloadUpdateStrategy,omitempty" protobuf:"bytes,17,opt,name=workloadUpdateStrategy"`
	// +optional
	Workloads *ComponentConfig `json:"workloads,omitempty" protobuf:"bytes,18,opt,name=workloads"`
}

// KubeVirtStatus is documented field by field below.
type KubeVirtStatus struct {
	// +optional
	Conditions []KubeVirtCondition `json:"conditions,omitempty" protobuf:"bytes,1,rep,name=conditions"`
	// +optional
	DefaultArchitecture string `json:"defaultArchitecture,omitempty" protobuf:"bytes,2,opt,name=defaultArchitecture"`
	// +listType=atomic
	// +optional
	Generations []GenerationStatus `json:"generations,omitempty" protobuf:"bytes,3,rep,name=generations"`
	// +optional
	ObservedDeploymentConfig string `json:"observedDeploymentConfig,omitempty" protobuf:"bytes,4,opt,name=observedDeploymentConfig"`
	// +optional
	ObservedDeploymentID string `json:"observedDeploymentID,omitempty" protobuf:"bytes,5,opt,name=observedDeploymentID"`
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty" protobuf:"varint,6,opt,name=observedGeneration"`
	// +optional
	ObservedKubeVirtRegistry string `json:"observedKubeVirtRegistry,omitempty" protobuf:"bytes,7,opt,name=observedKubeVirtRegistry"`
	// +optional
	ObservedKubeVirtVersion string `json:"observedKubeVirtVersion,omitempty" protobuf:"bytes,8,opt,name=observedKubeVirtVersion"`
	// +optional
	OperatorVersion string `json:"operatorVersion,omitempty" protobuf:"bytes,9,opt,name=operatorVersion"`
	// +optional
	OutdatedVirtualMachineInstanceWorkloads int32 `json:"outdatedVirtualMachineInstanceWorkloads,omitempty" protobuf:"varint,10,opt,name=outdatedVirtualMachineInstanceWorkloads"`
	// +optional
	Phase KubeVirtPhase `json:"phase,omitempty" protobuf:"bytes,11,opt,name=phase"`
	// +listType=atomic
	// +optional
	SynchronizationAddresses []string `json:"synchronizationAddresses,omitempty" protobuf:"bytes,12,rep,name=synchronizationAddresses"`
	// +optional
	TargetDeploymentConfig string `json:"targetDeploymentConfig,omitempty" protobuf:"bytes,13,opt,name=targetDeploymentConfig"`
	// +optional
	TargetDeploymentID string `json:"targetDeploymentID,omitempty" protobuf:"bytes,14,opt,name=targetDeploymentID"`
	// +optional
	TargetKubeVirtRegistry string `json:"targetKubeVirtRegistry,omitempty" protobuf:"bytes,15,opt,name=targetKubeVirtRegistry"`
	// +optional
	TargetKubeVirtVersion string `json:"targetKubeVirtVersion,omitempty" protobuf:"bytes,16,opt,name=targetKubeVirtVersion"`
}

// KubeVirtCertificateRotateStrategy is documented field by field below.
type KubeVirtCertificateRotateStrategy struct {
	// +optional
	SelfSigned *KubeVirtSelfSignConfiguration `json:"selfSigned,omitempty" protobuf:"bytes,1,opt,name=selfSigned"`
}

// KubeVirtConfiguration is documented field by field below.
type KubeVirtConfiguration struct {
	// +optional
	AdditionalGuestMemoryOverheadRatio string `json:"additionalGuestMemoryOverheadRatio,omitempty" protobuf:"bytes,1,opt,name=additionalGuestMemoryOverheadRatio"`
	// +optional
	APIConfiguration *ReloadableComponentConfiguration `json:"apiConfiguration,omitempty" protobuf:"bytes,2,opt,name=apiConfiguration"`
	// +optional
	ArchitectureConfiguration *ArchConfiguration `json:"architectureConfiguration,omitempty" protobuf:"bytes,3,opt,name=architectureConfiguration"`
	// +optional
	AutoCPULimitNamespaceLabelSelector *metav1.LabelSelector `json:"autoCPULimitNamespaceLabelSelector,omitempty" protobuf:"bytes,4,opt,name=autoCPULimitNamespaceLabelSelector"`
	// +optional
	ChangedBlockTrackingLabelSelectors *ChangedBlockTrackingSelectors `json:"changedBlockTrackingLabelSelectors,omitempty" protobuf:"bytes,5,opt,name=changedBlockTrackingLabelSelectors"`
	// +optional
	CommonInstancetypesDeployment *CommonInstancetypesDeployment `json:"commonInstancetypesDeployment,omitempty" protobuf:"bytes,6,opt,name=commonInstancetypesDeployment"`
	// +optional
	ConfidentialCompute *ConfidentialComputeConfiguration `json:"confidentialCompute,omitempty" protobuf:"bytes,7,opt,name=confidentialCompute"`
	// +optional
	ControllerConfiguration *ReloadableComponentConfiguration `json:"controllerConfiguration,omitempty" protobuf:"bytes,8,opt,name=controllerConfiguration"`
	// +optional
	CPUModel string `json:"cpuModel,omitempty" protobuf:"bytes,9,opt,name=cpuModel"`
	// +optional
	CPURequest *resource.Quantity `json:"cpuRequest,omitempty" protobuf:"bytes,10,opt,name=cpuRequest"`
	// +optional
	DefaultRuntimeClass string `json:"defaultRuntimeClass,omitempty" protobuf:"bytes,11,opt,name=defaultRuntimeClass"`
	// +optional
	DeveloperConfiguration *DeveloperConfiguration `json:"developerConfiguration,omitempty" protobuf:"bytes,12,opt,name=developerConfiguration"`
	// +optional
	EmulatedMachines []string `json:"emulatedMachines,omitempty" protobuf:"bytes,13,rep,name=emulatedMachines"`
	// +optional
	EvictionStrategy *EvictionStrategy `json:"evictionStrategy,omitempty" protobuf:"bytes,14,opt,name=evictionStrategy"`
	// +optional
	HandlerConfiguration *ReloadableComponentConfiguration `json:"handlerConfiguration,omitempty" protobuf:"bytes,15,opt,name=handlerConfiguration"`
	// +listType=atomic
	// +optional
	Hypervisors []HypervisorConfiguration `json:"hypervisors,omitempty" protobuf:"bytes,16,rep,name=hypervisors"`
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty" protobuf:"bytes,17,opt,name=imagePullPolicy"`
	// +optional
	Instancetype *InstancetypeConfiguration `json:"instancetype,omitempty" protobuf:"bytes,18,opt,name=instancetype"`
	// +optional
	KSMConfiguration *KSMConfiguration `json:"ksmConfiguration,omitempty" protobuf:"bytes,19,opt,name=ksmConfiguration"`
	// +optional
	LiveUpdateConfiguration *LiveUpdateConfiguration `json:"liveUpdateConfiguration,omitempty" protobuf:"bytes,20,opt,name=liveUpdateConfiguration"`
	// +optional
	MachineType string `json:"machineType,omitempty" protobuf:"bytes,21,opt,name=machineType"`
	// +optional
	MediatedDevicesConfiguration *MediatedDevicesConfiguration `json:"mediatedDevicesConfiguration,omitempty" protobuf:"bytes,22,opt,name=mediatedDevicesConfiguration"`
	// +optional
	MemBalloonStatsPeriod *int64 `json:"memBalloonStatsPeriod,omitempty" protobuf:"varint,23,opt,name=memBalloonStatsPeriod"`
	// +optional
	Migrations *MigrationConfiguration `json:"migrations,omitempty" protobuf:"bytes,24,opt,name=migrations"`
	// +optional
	MinCPUModel string `json:"minCPUModel,omitempty" protobuf:"bytes,25,opt,name=minCPUModel"`
	// +optional
	Network *NetworkConfiguration `json:"network,omitempty" protobuf:"bytes,26,opt,name=network"`
	// +optional
	ObsoleteCPUModels map[string]bool `json:"obsoleteCPUModels,omitempty" protobuf:"bytes,27,rep,name=obsoleteCPUModels"`
	// +optional
	OVMFPath string `json:"ovmfPath,omitempty" protobuf:"bytes,28,opt,name=ovmfPath"`
	// +optional
	PermittedHostDevices *PermittedHostDevices `json:"permittedHostDevices,omitempty" protobuf:"bytes,29,opt,name=permittedHostDevices"`
	// +optional
	PersistentReservationConfiguration *PersistentReservationConfiguration `json:"persistentReservationConfiguration,omitempty" protobuf:"bytes,30,opt,name=persistentReservationConfiguration"`
	// +optional
	RoleAggregationStrategy string `json:"roleAggregationStrategy,omitempty" protobuf:"bytes,31,opt,name=roleAggregationStrategy"`
	// +optional
	SeccompConfiguration *SeccompConfiguration `json:"seccompConfiguration,omitempty" protobuf:"bytes,32,opt,name=seccompConfiguration"`
	// +optional
	SelinuxLauncherType string `json:"selinuxLauncherType,omitempty" protobuf:"bytes,33,opt,name=selinuxLauncherType"`
	// +optional
	SMBIOS *SMBiosConfiguration `json:"smbios,omitempty" protobuf:"bytes,34,opt,name=smbios"`
	// +listType=map
	// +listMapKey=type
	// +optional
	SupportContainerResources []SupportContainerResources `json:"supportContainerResources,omitempty" protobuf:"bytes,35,rep,name=supportContainerResources"`
	// +optional
	SupportedGuestAgentVersions []string `json:"supportedGuestAgentVersions,omitempty" protobuf:"bytes,36,rep,name=supportedGuestAgentVersions"`
	// +optional
	TLSConfiguration *TLSConfiguration `json:"tlsConfiguration,omitempty" protobuf:"bytes,37,opt,name=tlsConfiguration"`
	// +optional
	VirtTemplateDeployment *VirtTemplateDeployment `json:"virtTemplateDeployment,omitempty" protobuf:"bytes,38,opt,name=virtTemplateDeployment"`
	// +optional
	VirtualMachineInstancesPerNode *int32 `json:"virtualMachineInstancesPerNode,omitempty" protobuf:"varint,39,opt,name=virtualMachineInstancesPerNode"`
	// +optional
	VirtualMachineOptions *VirtualMachineOptions `json:"virtualMachineOptions,omitempty" protobuf:"bytes,40,opt,name=virtualMachineOptions"`
	// +optional
	VMRolloutStrategy string `json:"vmRolloutStrategy,omitempty" protobuf:"bytes,41,opt,name=vmRolloutStrategy"`
	// +optional
	VMStateStorageClass string `json:"vmStateStorageClass,omitempty" protobuf:"bytes,42,opt,name=vmStateStorageClass"`
	// +optional
	WebhookConfiguration *ReloadableComponentConfiguration `json:"webhookConfiguration,omitempty" protobuf:"bytes,43,opt,name=webhookConfiguration"`
}

// KubeVirtWorkloadUpdateStrategy is documented field by field below.
type KubeVirtWorkloadUpdateStrategy struct {
	// +optional
	BatchEvictionInterval *metav1.Duration `json:"batchEvictionInterval,omitempty" protobuf:"bytes,1,opt,name=batchEvictionInterval"`
	// +optional
	BatchEvictionSize *int32 `json:"batchEvictionSize,omitempty" protobuf:"varint,2,opt,name=batchEvictionSize"`
	// +listType=atomic
	// +optional
	WorkloadUpdateMethods []string `json:"workloadUpdateMethods,omitempty" protobuf:"bytes,3,rep,name=workloadUpdateMethods"`
}

// KubeVirtCondition is documented field by field below.
type KubeVirtCondition struct {
	// +nullable
	// +optional
	LastProbeTime metav1.Time `json:"lastProbeTime,omitempty,omitzero" protobuf:"bytes,1,opt,name=lastProbeTime"`
	// +nullable
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitempty,omitzero" protobuf:"bytes,2,opt,name=lastTransitionTime"`
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,3,opt,name=message"`
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,4,opt,name=reason"`
	// +required
	Status corev1.ConditionStatus `json:"status" protobuf:"bytes,5,opt,name=status"`
	// +required
	Type KubeVirtConditionType `json:"type" protobuf:"bytes,6,opt,name=type"`
}

// KubeVirtSelfSignConfiguration is documented field by field below.
type KubeVirtSelfSignConfiguration struct {
	// +optional
	CA *CertConfig `json:"ca,omitempty" protobuf:"bytes,1,opt,name=ca"`
	// +optional
	CAOverlapInterval *metav1.Duration `json:"caOverlapInterval,omitempty" protobuf:"bytes,2,opt,name=caOverlapInterval"`
	// +optional
	CARotateInterval *metav1.Duration `json:"caRotateInterval,omitempty" protobuf:"bytes,3,opt,name=caRotateInterval"`
	// +optional
	CertRotateInterval *metav1.Duration `json:"certRotateInterval,omitempty" protobuf:"bytes,4,opt,name=certRotateInterval"`
	// +optional
	Server *CertConfig `json:"server,omitempty" protobuf:"bytes,5,opt,name=server"`
}
