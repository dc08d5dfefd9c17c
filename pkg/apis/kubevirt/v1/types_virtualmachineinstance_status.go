package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// VirtualMachineInstanceStatus is documented field by field below.
type VirtualMachineInstanceStatus struct {
	// +optional
	VSOCKCID *uint32 `json:"VSOCKCID,omitempty" protobuf:"varint,1,opt,name=VSOCKCID"`
	// +optional
	ActivePods map[types.UID]string `json:"activePods,omitempty" protobuf:"bytes,2,rep,name=activePods"`
	// +optional
	ChangedBlockTracking *ChangedBlockTrackingStatus `json:"changedBlockTracking,omitempty" protobuf:"bytes,3,opt,name=changedBlockTracking"`
	// +optional
	Conditions []VirtualMachineInstanceCondition `json:"conditions,omitempty" protobuf:"bytes,4,rep,name=conditions"`
	// +optional
	CurrentCPUTopology *CPUTopology `json:"currentCPUTopology,omitempty" protobuf:"bytes,5,opt,name=currentCPUTopology"`
	// +optional
	EvacuationNodeName string `json:"evacuationNodeName,omitempty" protobuf:"bytes,6,opt,name=evacuationNodeName"`
	// +optional
	FSFreezeStatus string `json:"fsFreezeStatus,omitempty" protobuf:"bytes,7,opt,name=fsFreezeStatus"`
	// +optional
	GuestOSInfo VirtualMachineInstanceGuestOSInfo `json:"guestOSInfo,omitempty,omitzero" protobuf:"bytes,8,opt,name=guestOSInfo"`
	// +optional
	Interfaces []VirtualMachineInstanceNetworkInterface `json:"interfaces,omitempty" protobuf:"bytes,9,rep,name=interfaces"`
	// +optional
	KernelBootStatus *KernelBootStatus `json:"kernelBootStatus,omitempty" protobuf:"bytes,10,opt,name=kernelBootStatus"`
	// +optional
	LauncherContainerImageVersion string `json:"launcherContainerImageVersion,omitempty" protobuf:"bytes,11,opt,name=launcherContainerImageVersion"`
	// +optional
	Machine *Machine `json:"machine,omitempty" protobuf:"bytes,12,opt,name=machine"`
	// +optional
	Memory *MemoryStatus `json:"memory,omitempty" protobuf:"bytes,13,opt,name=memory"`
	// +listType=atomic
	// +optional
	MigratedVolumes []StorageMigratedVolumeInfo `json:"migratedVolumes,omitempty" protobuf:"bytes,14,rep,name=migratedVolumes"`
	// +optional
	MigrationMethod string `json:"migrationMethod,omitempty" protobuf:"bytes,15,opt,name=migrationMethod"`
	// +optional
	MigrationState *VirtualMachineInstanceMigrationState `json:"migrationState,omitempty" protobuf:"bytes,16,opt,name=migrationState"`
	// +optional
	MigrationTransport string `json:"migrationTransport,omitempty" protobuf:"bytes,17,opt,name=migrationTransport"`
	// +optional
	NodeName string `json:"nodeName,omitempty" protobuf:"bytes,18,opt,name=nodeName"`
	// +optional
	Phase VirtualMachineInstancePhase `json:"phase,omitempty" protobuf:"bytes,19,opt,name=phase"`
	// +listType=atomic
	// +optional
	PhaseTransitionTimestamps []VirtualMachineInstancePhaseTransitionTimestamp `json:"phaseTransitionTimestamps,omitempty" protobuf:"bytes,20,rep,name=phaseTransitionTimestamps"`
	// +optional
	QOSClass *corev1.PodQOSClass `json:"qosClass,omitempty" protobuf:"bytes,21,opt,name=qosClass"`
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,22,opt,name=reason"`
	// +optional
	RuntimeUser int64 `json:"runtimeUser,omitempty" protobuf:"varint,23,opt,name=runtimeUser"`
	// +optional
	SelinuxContext string `json:"selinuxContext,omitempty" protobuf:"bytes,24,opt,name=selinuxContext"`
	// +optional
	TopologyHints *TopologyHints `json:"topologyHints,omitempty" protobuf:"bytes,25,opt,name=topologyHints"`
	// +optional
	VirtualMachineRevisionName string `json:"virtualMachineRevisionName,omitempty" protobuf:"bytes,26,opt,name=virtualMachineRevisionName"`
	// +listType=atomic
	// +optional
	VolumeStatus []VolumeStatus `json:"volumeStatus,omitempty" protobuf:"bytes,27,rep,name=volumeStatus"`
}

// ChangedBlockTrackingStatus is documented field by field below.
type ChangedBlockTrackingStatus struct {
	// +optional
	BackupStatus *VirtualMachineInstanceBackupStatus `json:"backupStatus,omitempty" protobuf:"bytes,1,opt,name=backupStatus"`
	// +required
	State string `json:"state" protobuf:"bytes,2,opt,name=state"`
}

// VirtualMachineInstanceCondition is documented field by field below.
type VirtualMachineInstanceCondition struct {
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
	Type VirtualMachineInstanceConditionType `json:"type" protobuf:"bytes,6,opt,name=type"`
}

// CPUTopology is documented field by field below.
type CPUTopology struct {
	// +optional
	Cores uint32 `json:"cores,omitempty" protobuf:"varint,1,opt,name=cores"`
	// +optional
	Sockets uint32 `json:"sockets,omitempty" protobuf:"varint,2,opt,name=sockets"`
	// +optional
	Threads uint32 `json:"threads,omitempty" protobuf:"varint,3,opt,name=threads"`
}

// VirtualMachineInstanceNetworkInterface is documented field by field below.
type VirtualMachineInstanceNetworkInterface struct {
	// +optional
	InfoSource string `json:"infoSource,omitempty" protobuf:"bytes,1,opt,name=infoSource"`
	// +optional
	InterfaceName string `json:"interfaceName,omitempty" protobuf:"bytes,2,opt,name=interfaceName"`
	// +optional
	IPAddress string `json:"ipAddress,omitempty" protobuf:"bytes,3,opt,name=ipAddress"`
	// +optional
	IPAddresses []string `json:"ipAddresses,omitempty" protobuf:"bytes,4,rep,name=ipAddresses"`
	// +optional
	LinkState string `json:"linkState,omitempty" protobuf:"bytes,5,opt,name=linkState"`
	// +optional
	MAC string `json:"mac,omitempty" protobuf:"bytes,6,opt,name=mac"`
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,7,opt,name=name"`
	// +optional
	PodInterfaceName string `json:"podInterfaceName,omitempty" protobuf:"bytes,8,opt,name=podInterfaceName"`
	// +optional
	QueueCount *int32 `json:"queueCount,omitempty" protobuf:"varint,9,opt,name=queueCount"`
}

// KernelBootStatus is documented field by field below.
type KernelBootStatus struct {
	// +optional
	InitrdInfo *InitrdInfo `json:"initrdInfo,omitempty" protobuf:"bytes,1,opt,name=initrdInfo"`
	// +optional
	KernelInfo *KernelInfo `json:"kernelInfo,omitempty" protobuf:"bytes,2,opt,name=kernelInfo"`
}

// MemoryStatus is documented field by field below.
type MemoryStatus struct {
	// +optional
	GuestAtBoot *resource.Quantity `json:"guestAtBoot,omitempty" protobuf:"bytes,1,opt,name=guestAtBoot"`
	// +optional
	GuestCurrent *resource.Quantity `json:"guestCurrent,omitempty" protobuf:"bytes,2,opt,name=guestCurrent"`
	// +optional
	GuestRequested *resource.Quantity `json:"guestRequested,omitempty" protobuf:"bytes,3,opt,name=guestRequested"`
	// +optional
	MemoryOverhead *resource.Quantity `json:"memoryOverhead,omitempty" protobuf:"bytes,4,opt,name=memoryOverhead"`
}

// StorageMigratedVolumeInfo is documented field by field below.
type StorageMigratedVolumeInfo struct {
	// +optional
	DestinationPVCInfo *PersistentVolumeClaimInfo `json:"destinationPVCInfo,omitempty" protobuf:"bytes,1,opt,name=destinationPVCInfo"`
	// +optional
	SourcePVCInfo *PersistentVolumeClaimInfo `json:"sourcePVCInfo,omitempty" protobuf:"bytes,2,opt,name=sourcePVCInfo"`
	// +required
	VolumeName string `json:"volumeName" protobuf:"bytes,3,opt,name=volumeName"`
}

// VirtualMachineInstancePhaseTransitionTimestamp is documented field by field below.
type VirtualMachineInstancePhaseTransitionTimestamp struct {
	// +optional
	Phase VirtualMachineInstancePhase `json:"phase,omitempty" protobuf:"bytes,1,opt,name=phase"`
	// +optional
	PhaseTransitionTimestamp metav1.Time `json:"phaseTransitionTimestamp,omitempty,omitzero" protobuf:"bytes,2,opt,name=phaseTransitionTimestamp"`
}

// TopologyHints is documented field by field below.
type TopologyHints struct {
	// +optional
	TSCFrequency *int64 `json:"tscFrequency,omitempty" protobuf:"varint,1,opt,name=tscFrequency"`
}

// VolumeStatus is documented field by field below.
type VolumeStatus struct {
	// +optional
	ContainerDiskVolume *ContainerDiskInfo `json:"containerDiskVolume,omitempty" protobuf:"bytes,1,opt,name=containerDiskVolume"`
	// +optional
	HotplugVolume *HotplugVolumeStatus `json:"hotplugVolume,omitempty" protobuf:"bytes,2,opt,name=hotplugVolume"`
	// +optional
	MemoryDumpVolume *DomainMemoryDumpInfo `json:"memoryDumpVolume,omitempty" protobuf:"bytes,3,opt,name=memoryDumpVolume"`
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,4,opt,name=message"`
	// +required
	Name string `json:"name" protobuf:"bytes,5,opt,name=name"`
	// +optional
	PersistentVolumeClaimInfo *PersistentVolumeClaimInfo `json:"persistentVolumeClaimInfo,omitempty" protobuf:"bytes,6,opt,name=persistentVolumeClaimInfo"`
	// +optional
	Phase VolumePhase `json:"phase,omitempty" protobuf:"bytes,7,opt,name=phase"`
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,8,opt,name=reason"`
	// +optional
	SizeBytes int64 `json:"size,omitempty" protobuf:"varint,9,opt,name=sizeBytes"`
	// +required
	Target string `json:"target" protobuf:"bytes,10,opt,name=target"`
}

// VirtualMachineInstanceBackupStatus is documented field by field below.
type VirtualMachineInstanceBackupStatus struct {
	// +optional
	BackupMsg string `json:"backupMsg,omitempty" protobuf:"bytes,1,opt,name=backupMsg"`
	// +optional
	BackupName string `json:"backupName,omitempty" protobuf:"bytes,2,opt,name=backupName"`
	// +optional
	CheckpointName string `json:"checkpointName,omitempty" protobuf:"bytes,3,opt,name=checkpointName"`
	// +optional
	Completed bool `json:"completed,omitempty" protobuf:"varint,4,opt,name=completed"`
	// +optional
	EndTimestamp *metav1.Time `json:"endTimestamp,omitempty" protobuf:"bytes,5,opt,name=endTimestamp"`
	// +optional
	Failed bool `json:"failed,omitempty" protobuf:"varint,6,opt,name=failed"`
	// +optional
	QuiesceStatus string `json:"quiesceStatus,omitempty" protobuf:"bytes,7,opt,name=quiesceStatus"`
	// +optional
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty" protobuf:"bytes,8,opt,name=startTimestamp"`
	// +listType=atomic
	// +optional
	Volumes []VirtualMachineInstanceBackupVolumeInfo `json:"volumes,omitempty" protobuf:"bytes,9,rep,name=volumes"`
}

// InitrdInfo is documented field by field below.
type InitrdInfo struct {
	// +optional
	Checksum int64 `json:"checksum,omitempty" protobuf:"varint,1,opt,name=checksum"`
}

// KernelInfo is documented field by field below.
type KernelInfo struct {
	// +optional
	Checksum int64 `json:"checksum,omitempty" protobuf:"varint,1,opt,name=checksum"`
}

// PersistentVolumeClaimInfo is documented field by field below.
type PersistentVolumeClaimInfo struct {
	// +listType=atomic
	// +optional
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty" protobuf:"bytes,1,rep,name=accessModes"`
	// +optional
	Capacity corev1.ResourceList `json:"capacity,omitempty" protobuf:"bytes,2,rep,name=capacity"`
	// +optional
	ClaimName string `json:"claimName,omitempty" protobuf:"bytes,3,opt,name=claimName"`
	// +optional
	FilesystemOverhead string `json:"filesystemOverhead,omitempty" protobuf:"bytes,4,opt,name=filesystemOverhead"`
	// +optional
	Preallocated bool `json:"preallocated,omitempty" protobuf:"varint,5,opt,name=preallocated"`
	// +optional
	Requests corev1.ResourceList `json:"requests,omitempty" protobuf:"bytes,6,rep,name=requests"`
	// +optional
	VolumeMode *corev1.PersistentVolumeMode `json:"volumeMode,omitempty" protobuf:"bytes,7,opt,name=volumeMode"`
}

// VMIMConfigurationOptions is documented field by field below.
type VMIMConfigurationOptions struct {
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
	Experimental *ExperimentalMigrationOptions `json:"experimental,omitempty" protobuf:"bytes,7,opt,name=experimental"`
	// +optional
	MatchSELinuxLevelOnMigration *bool `json:"matchSELinuxLevelOnMigration,omitempty" protobuf:"varint,8,opt,name=matchSELinuxLevelOnMigration"`
	// +optional
	MaxDowntimeMs *int64 `json:"maxDowntimeMs,omitempty" protobuf:"varint,9,opt,name=maxDowntimeMs"`
	// +optional
	Network string `json:"network,omitempty" protobuf:"bytes,10,opt,name=network"`
	// +optional
	NodeDrainTaintKey string `json:"nodeDrainTaintKey,omitempty" protobuf:"bytes,11,opt,name=nodeDrainTaintKey"`
	// +optional
	ParallelMigrationsPerCluster *int64 `json:"parallelMigrationsPerCluster,omitempty" protobuf:"varint,12,opt,name=parallelMigrationsPerCluster"`
	// +optional
	ParallelOutboundMigrationsPerNode *int64 `json:"parallelOutboundMigrationsPerNode,omitempty" protobuf:"varint,13,opt,name=parallelOutboundMigrationsPerNode"`
	// +optional
	ProgressTimeout *int64 `json:"progressTimeout,omitempty" protobuf:"varint,14,opt,name=progressTimeout"`
	// +optional
	UnsafeMigrationOverride *bool `json:"unsafeMigrationOverride,omitempty" protobuf:"varint,15,opt,name=unsafeMigrationOverride"`
	// +optional
	UtilityVolumesTimeout *int64 `json:"utilityVolumesTimeout,omitempty" protobuf:"varint,16,opt,name=utilityVolumesTimeout"`
}

// ContainerDiskInfo is documented field by field below.
type ContainerDiskInfo struct {
	// +optional
	Checksum int64 `json:"checksum,omitempty" protobuf:"varint,1,opt,name=checksum"`
}

// HotplugVolumeStatus is documented field by field below.
type HotplugVolumeStatus struct {
	// +optional
	AttachPodName string `json:"attachPodName,omitempty" protobuf:"bytes,1,opt,name=attachPodName"`
	// +optional
	AttachPodUID types.UID `json:"attachPodUID,omitempty" protobuf:"bytes,2,opt,name=attachPodUID"`
}

// DomainMemoryDumpInfo is documented field by field below.
type DomainMemoryDumpInfo struct {
	// +optional
	ClaimName string `json:"claimName,omitempty" protobuf:"bytes,1,opt,name=claimName"`
	// +optional
	EndTimestamp *metav1.Time `json:"endTimestamp,omitempty" protobuf:"bytes,2,opt,name=endTimestamp"`
	// +optional
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty" protobuf:"bytes,3,opt,name=startTimestamp"`
	// +optional
	TargetFileName string `json:"targetFileName,omitempty" protobuf:"bytes,4,opt,name=targetFileName"`
}

// VirtualMachineInstanceBackupVolumeInfo is documented field by field below.
type VirtualMachineInstanceBackupVolumeInfo struct {
	// +required
	VolumeName string `json:"volumeName" protobuf:"bytes,1,opt,name=volumeName"`
}

// ExperimentalMigrationOptions is documented field by field below.
type ExperimentalMigrationOptions struct {
	// +optional
	Compression string `json:"compression,omitempty" protobuf:"bytes,1,opt,name=compression"`
	// +optional
	DowntimeTuning *DowntimeTuningOptions `json:"downtimeTuning,omitempty" protobuf:"bytes,2,opt,name=downtimeTuning"`
	// +optional
	StallDetector *StallDetectorOptions `json:"stallDetector,omitempty" protobuf:"bytes,3,opt,name=stallDetector"`
}

// DowntimeTuningOptions is documented field by field below.
type DowntimeTuningOptions struct {
	// +optional
	CooldownSeconds *int32 `json:"cooldownSeconds,omitempty" protobuf:"varint,1,opt,name=cooldownSeconds"`
	// +optional
	InitialMs *int64 `json:"initialMs,omitempty" protobuf:"varint,2,opt,name=initialMs"`
	// +optional
	StartAfterIteration *int64 `json:"startAfterIteration,omitempty" protobuf:"varint,3,opt,name=startAfterIteration"`
	// +optional
	Steps *int32 `json:"steps,omitempty" protobuf:"varint,4,opt,name=steps"`
}

// StallDetectorOptions is documented field by field below.
type StallDetectorOptions struct {
	// +optional
	CompletionTimeoutFactor *resource.Quantity `json:"completionTimeoutFactor,omitempty" protobuf:"bytes,1,opt,name=completionTimeoutFactor"`
	// +optional
	EwmaAlpha *resource.Quantity `json:"ewmaAlpha,omitempty" protobuf:"bytes,2,opt,name=ewmaAlpha"`
	// +optional
	PatienceWindowDecayFactor *resource.Quantity `json:"patienceWindowDecayFactor,omitempty" protobuf:"bytes,3,opt,name=patienceWindowDecayFactor"`
	// +optional
	PrecopyPossibleFactor *resource.Quantity `json:"precopyPossibleFactor,omitempty" protobuf:"bytes,4,opt,name=precopyPossibleFactor"`
	// +optional
	SearchLocalMinima *bool `json:"searchLocalMinima,omitempty" protobuf:"varint,5,opt,name=searchLocalMinima"`
	// +optional
	StallMargin *int64 `json:"stallMargin,omitempty" protobuf:"varint,6,opt,name=stallMargin"`
	// +optional
	StallProgressTimeout *int64 `json:"stallProgressTimeout,omitempty" protobuf:"varint,7,opt,name=stallProgressTimeout"`
	// +optional
	SwitchoverTimeout *int64 `json:"switchoverTimeout,omitempty" protobuf:"varint,8,opt,name=switchoverTimeout"`
}
