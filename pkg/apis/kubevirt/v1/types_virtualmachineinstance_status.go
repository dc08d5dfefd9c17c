package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// VirtualMachineInstanceStatus is what has been observed of an instance. Each part has one writer (see the registry's table).
type VirtualMachineInstanceStatus struct {
	// Address of the guest on its node's VSOCK, unique in the cluster.
	// +optional
	VSOCKCID *uint32 `json:"VSOCKCID,omitempty" protobuf:"varint,1,opt,name=VSOCKCID"`
	// Pods that run or prepare the guest, by UID, with their nodes.
	// +optional
	ActivePods map[types.UID]string `json:"activePods,omitempty" protobuf:"bytes,2,rep,name=activePods"`
	// Whether changed blocks are tracked, and the backup that is under way.
	// +optional
	ChangedBlockTracking *ChangedBlockTrackingStatus `json:"changedBlockTracking,omitempty" protobuf:"bytes,3,opt,name=changedBlockTracking"`
	// Conditions of the instance.
	// +optional
	Conditions []VirtualMachineInstanceCondition `json:"conditions,omitempty" protobuf:"bytes,4,rep,name=conditions"`
	// CPU topology that the guest has now.
	// +optional
	CurrentCPUTopology *CPUTopology `json:"currentCPUTopology,omitempty" protobuf:"bytes,5,opt,name=currentCPUTopology"`
	// Node that is drained and that the guest is to leave.
	// +optional
	EvacuationNodeName string `json:"evacuationNodeName,omitempty" protobuf:"bytes,6,opt,name=evacuationNodeName"`
	// Whether the guest's file systems are frozen.
	// +optional
	FSFreezeStatus string `json:"fsFreezeStatus,omitempty" protobuf:"bytes,7,opt,name=fsFreezeStatus"`
	// What the guest agent says of the operating system.
	// +optional
	GuestOSInfo VirtualMachineInstanceGuestOSInfo `json:"guestOSInfo,omitempty,omitzero" protobuf:"bytes,8,opt,name=guestOSInfo"`
	// Interfaces with their addresses.
	// +optional
	Interfaces []VirtualMachineInstanceNetworkInterface `json:"interfaces,omitempty" protobuf:"bytes,9,rep,name=interfaces"`
	// Checksums of the kernel and initrd that were booted from an image.
	// +optional
	KernelBootStatus *KernelBootStatus `json:"kernelBootStatus,omitempty" protobuf:"bytes,10,opt,name=kernelBootStatus"`
	// Image of the launcher that runs the guest.
	// +optional
	LauncherContainerImageVersion string `json:"launcherContainerImageVersion,omitempty" protobuf:"bytes,11,opt,name=launcherContainerImageVersion"`
	// Machine type that the guest has, with its version.
	// +optional
	Machine *Machine `json:"machine,omitempty" protobuf:"bytes,12,opt,name=machine"`
	// Memory of the guest and of what runs it.
	// +optional
	Memory *MemoryStatus `json:"memory,omitempty" protobuf:"bytes,13,opt,name=memory"`
	// Volumes whose content moves to other claims.
	// +listType=atomic
	// +optional
	MigratedVolumes []StorageMigratedVolumeInfo `json:"migratedVolumes,omitempty" protobuf:"bytes,14,rep,name=migratedVolumes"`
	// How disks move in a migration: LiveMigration (they are shared) or BlockMigration (they are copied).
	// +optional
	MigrationMethod string `json:"migrationMethod,omitempty" protobuf:"bytes,15,opt,name=migrationMethod"`
	// Progress of the current or last migration.
	// +optional
	MigrationState *VirtualMachineInstanceMigrationState `json:"migrationState,omitempty" protobuf:"bytes,16,opt,name=migrationState"`
	// How a migration's data travels.
	// +optional
	MigrationTransport string `json:"migrationTransport,omitempty" protobuf:"bytes,17,opt,name=migrationTransport"`
	// Node that runs the guest, or is to run it. Selectable, with an index.
	// +optional
	NodeName string `json:"nodeName,omitempty" protobuf:"bytes,18,opt,name=nodeName"`
	// Where the instance stands: Pending, Scheduling, Scheduled, Running, Succeeded or Failed. It never goes back.
	// +optional
	Phase VirtualMachineInstancePhase `json:"phase,omitempty" protobuf:"bytes,19,opt,name=phase"`
	// When each phase was entered.
	// +listType=atomic
	// +optional
	PhaseTransitionTimestamps []VirtualMachineInstancePhaseTransitionTimestamp `json:"phaseTransitionTimestamps,omitempty" protobuf:"bytes,20,rep,name=phaseTransitionTimestamps"`
	// Quality of service of the pod.
	// +optional
	QOSClass *corev1.PodQOSClass `json:"qosClass,omitempty" protobuf:"bytes,21,opt,name=qosClass"`
	// Why the instance failed, in one word.
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,22,opt,name=reason"`
	// User that QEMU runs as.
	// +optional
	RuntimeUser int64 `json:"runtimeUser,omitempty" protobuf:"varint,23,opt,name=runtimeUser"`
	// SELinux context of the pod.
	// +optional
	SelinuxContext string `json:"selinuxContext,omitempty" protobuf:"bytes,24,opt,name=selinuxContext"`
	// What the guest needs of its node's clock.
	// +optional
	TopologyHints *TopologyHints `json:"topologyHints,omitempty" protobuf:"bytes,25,opt,name=topologyHints"`
	// ControllerRevision of the machine that the instance was made from.
	// +optional
	VirtualMachineRevisionName string `json:"virtualMachineRevisionName,omitempty" protobuf:"bytes,26,opt,name=virtualMachineRevisionName"`
	// Volumes with their state.
	// +listType=atomic
	// +optional
	VolumeStatus []VolumeStatus `json:"volumeStatus,omitempty" protobuf:"bytes,27,rep,name=volumeStatus"`
}

// ChangedBlockTrackingStatus is the state of the tracking of changed blocks.
type ChangedBlockTrackingStatus struct {
	// The backup that is under way, or the last one.
	// +optional
	BackupStatus *VirtualMachineInstanceBackupStatus `json:"backupStatus,omitempty" protobuf:"bytes,1,opt,name=backupStatus"`
	// PendingRestart, Initializing, Enabled or Disabled.
	// +required
	State string `json:"state" protobuf:"bytes,2,opt,name=state"`
}

// VirtualMachineInstanceCondition is one aspect of an instance's state.
type VirtualMachineInstanceCondition struct {
	// When it was last looked at.
	// +nullable
	// +optional
	LastProbeTime metav1.Time `json:"lastProbeTime,omitempty,omitzero" protobuf:"bytes,1,opt,name=lastProbeTime"`
	// When its status last changed.
	// +nullable
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitempty,omitzero" protobuf:"bytes,2,opt,name=lastTransitionTime"`
	// What it means and what to do, for people.
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,3,opt,name=message"`
	// One word for programs.
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,4,opt,name=reason"`
	// True, False or Unknown.
	// +required
	Status corev1.ConditionStatus `json:"status" protobuf:"bytes,5,opt,name=status"`
	// What it is about, such as Ready, Paused or LiveMigratable.
	// +required
	Type VirtualMachineInstanceConditionType `json:"type" protobuf:"bytes,6,opt,name=type"`
}

// CPUTopology is a number of CPUs by sockets, cores and threads.
type CPUTopology struct {
	// Cores of each socket.
	// +optional
	Cores uint32 `json:"cores,omitempty" protobuf:"varint,1,opt,name=cores"`
	// Sockets.
	// +optional
	Sockets uint32 `json:"sockets,omitempty" protobuf:"varint,2,opt,name=sockets"`
	// Threads of each core.
	// +optional
	Threads uint32 `json:"threads,omitempty" protobuf:"varint,3,opt,name=threads"`
}

// VirtualMachineInstanceNetworkInterface is an interface as it is seen.
type VirtualMachineInstanceNetworkInterface struct {
	// Who knows of it: domain, guest-agent, multus-status, in any combination.
	// +optional
	InfoSource string `json:"infoSource,omitempty" protobuf:"bytes,1,opt,name=infoSource"`
	// Name within the guest.
	// +optional
	InterfaceName string `json:"interfaceName,omitempty" protobuf:"bytes,2,opt,name=interfaceName"`
	// First address.
	// +optional
	IPAddress string `json:"ipAddress,omitempty" protobuf:"bytes,3,opt,name=ipAddress"`
	// All addresses.
	// +optional
	IPAddresses []string `json:"ipAddresses,omitempty" protobuf:"bytes,4,rep,name=ipAddresses"`
	// up or down.
	// +optional
	LinkState string `json:"linkState,omitempty" protobuf:"bytes,5,opt,name=linkState"`
	// MAC address.
	// +optional
	MAC string `json:"mac,omitempty" protobuf:"bytes,6,opt,name=mac"`
	// Name in the spec; empty for one that only the guest knows.
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,7,opt,name=name"`
	// Name within the pod.
	// +optional
	PodInterfaceName string `json:"podInterfaceName,omitempty" protobuf:"bytes,8,opt,name=podInterfaceName"`
	// Number of queues.
	// +optional
	QueueCount *int32 `json:"queueCount,omitempty" protobuf:"varint,9,opt,name=queueCount"`
}

// KernelBootStatus holds checksums of what was booted from an image.
type KernelBootStatus struct {
	// The initrd.
	// +optional
	InitrdInfo *InitrdInfo `json:"initrdInfo,omitempty" protobuf:"bytes,1,opt,name=initrdInfo"`
	// The kernel.
	// +optional
	KernelInfo *KernelInfo `json:"kernelInfo,omitempty" protobuf:"bytes,2,opt,name=kernelInfo"`
}

// MemoryStatus is the memory of a guest and of what runs it.
type MemoryStatus struct {
	// Memory that the guest booted with.
	// +optional
	GuestAtBoot *resource.Quantity `json:"guestAtBoot,omitempty" protobuf:"bytes,1,opt,name=guestAtBoot"`
	// Memory that the guest has now.
	// +optional
	GuestCurrent *resource.Quantity `json:"guestCurrent,omitempty" protobuf:"bytes,2,opt,name=guestCurrent"`
	// Memory that the guest is to have.
	// +optional
	GuestRequested *resource.Quantity `json:"guestRequested,omitempty" protobuf:"bytes,3,opt,name=guestRequested"`
	// Memory that the pod has for what runs the guest, beside the guest's own.
	// +optional
	MemoryOverhead *resource.Quantity `json:"memoryOverhead,omitempty" protobuf:"bytes,4,opt,name=memoryOverhead"`
}

// StorageMigratedVolumeInfo says where the content of a volume moves.
type StorageMigratedVolumeInfo struct {
	// Claim that it moves to.
	// +optional
	DestinationPVCInfo *PersistentVolumeClaimInfo `json:"destinationPVCInfo,omitempty" protobuf:"bytes,1,opt,name=destinationPVCInfo"`
	// Claim that it moves from.
	// +optional
	SourcePVCInfo *PersistentVolumeClaimInfo `json:"sourcePVCInfo,omitempty" protobuf:"bytes,2,opt,name=sourcePVCInfo"`
	// Name of the volume.
	// +required
	VolumeName string `json:"volumeName" protobuf:"bytes,3,opt,name=volumeName"`
}

// VirtualMachineInstancePhaseTransitionTimestamp says when a phase was entered.
type VirtualMachineInstancePhaseTransitionTimestamp struct {
	// The phase.
	// +optional
	Phase VirtualMachineInstancePhase `json:"phase,omitempty" protobuf:"bytes,1,opt,name=phase"`
	// The moment.
	// +optional
	PhaseTransitionTimestamp metav1.Time `json:"phaseTransitionTimestamp,omitempty,omitzero" protobuf:"bytes,2,opt,name=phaseTransitionTimestamp"`
}

// TopologyHints is what a guest needs of its node's clock.
type TopologyHints struct {
	// Frequency of the time stamp counter, in Hz.
	// +optional
	TSCFrequency *int64 `json:"tscFrequency,omitempty" protobuf:"varint,1,opt,name=tscFrequency"`
}

// VolumeStatus is the state of a volume of an instance.
type VolumeStatus struct {
	// Checksum of a container disk.
	// +optional
	ContainerDiskVolume *ContainerDiskInfo `json:"containerDiskVolume,omitempty" protobuf:"bytes,1,opt,name=containerDiskVolume"`
	// How a volume that was added to the running guest is attached.
	// +optional
	HotplugVolume *HotplugVolumeStatus `json:"hotplugVolume,omitempty" protobuf:"bytes,2,opt,name=hotplugVolume"`
	// Progress of a memory dump.
	// +optional
	MemoryDumpVolume *DomainMemoryDumpInfo `json:"memoryDumpVolume,omitempty" protobuf:"bytes,3,opt,name=memoryDumpVolume"`
	// What holds it up, for people.
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,4,opt,name=message"`
	// Name of the volume.
	// +required
	Name string `json:"name" protobuf:"bytes,5,opt,name=name"`
	// The claim behind it.
	// +optional
	PersistentVolumeClaimInfo *PersistentVolumeClaimInfo `json:"persistentVolumeClaimInfo,omitempty" protobuf:"bytes,6,opt,name=persistentVolumeClaimInfo"`
	// State of a volume that is added or removed while the guest runs.
	// +optional
	Phase VolumePhase `json:"phase,omitempty" protobuf:"bytes,7,opt,name=phase"`
	// Why, in one word.
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,8,opt,name=reason"`
	// Size of the disk in bytes.
	// +optional
	SizeBytes int64 `json:"size,omitempty" protobuf:"varint,9,opt,name=sizeBytes"`
	// Name of the disk in the guest, such as vda.
	// +required
	Target string `json:"target" protobuf:"bytes,10,opt,name=target"`
}

// VirtualMachineInstanceBackupStatus is the progress of a backup.
type VirtualMachineInstanceBackupStatus struct {
	// What happened, for people.
	// +optional
	BackupMsg string `json:"backupMsg,omitempty" protobuf:"bytes,1,opt,name=backupMsg"`
	// Name of the VirtualMachineBackup.
	// +optional
	BackupName string `json:"backupName,omitempty" protobuf:"bytes,2,opt,name=backupName"`
	// Checkpoint that the backup makes, from which the next one goes on.
	// +optional
	CheckpointName string `json:"checkpointName,omitempty" protobuf:"bytes,3,opt,name=checkpointName"`
	// Whether it has ended.
	// +optional
	Completed bool `json:"completed,omitempty" protobuf:"varint,4,opt,name=completed"`
	// When it ended.
	// +optional
	EndTimestamp *metav1.Time `json:"endTimestamp,omitempty" protobuf:"bytes,5,opt,name=endTimestamp"`
	// Whether it failed.
	// +optional
	Failed bool `json:"failed,omitempty" protobuf:"varint,6,opt,name=failed"`
	// Whether the guest's file systems were frozen for it.
	// +optional
	QuiesceStatus string `json:"quiesceStatus,omitempty" protobuf:"bytes,7,opt,name=quiesceStatus"`
	// When it began.
	// +optional
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty" protobuf:"bytes,8,opt,name=startTimestamp"`
	// Volumes that it covers.
	// +listType=atomic
	// +optional
	Volumes []VirtualMachineInstanceBackupVolumeInfo `json:"volumes,omitempty" protobuf:"bytes,9,rep,name=volumes"`
}

// InitrdInfo is the checksum of an initrd.
type InitrdInfo struct {
	// CRC of the file.
	// +optional
	Checksum int64 `json:"checksum,omitempty" protobuf:"varint,1,opt,name=checksum"`
}

// KernelInfo is the checksum of a kernel.
type KernelInfo struct {
	// CRC of the file.
	// +optional
	Checksum int64 `json:"checksum,omitempty" protobuf:"varint,1,opt,name=checksum"`
}

// PersistentVolumeClaimInfo is what is known of a claim.
type PersistentVolumeClaimInfo struct {
	// How it can be mounted.
	// +listType=atomic
	// +optional
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty" protobuf:"bytes,1,rep,name=accessModes"`
	// What it has.
	// +optional
	Capacity corev1.ResourceList `json:"capacity,omitempty" protobuf:"bytes,2,rep,name=capacity"`
	// Its name.
	// +optional
	ClaimName string `json:"claimName,omitempty" protobuf:"bytes,3,opt,name=claimName"`
	// Part of it that the file system takes, as a fraction from 0 to 1.
	// +optional
	FilesystemOverhead string `json:"filesystemOverhead,omitempty" protobuf:"bytes,4,opt,name=filesystemOverhead"`
	// Whether its space is allocated in full.
	// +optional
	Preallocated bool `json:"preallocated,omitempty" protobuf:"varint,5,opt,name=preallocated"`
	// What it asked for.
	// +optional
	Requests corev1.ResourceList `json:"requests,omitempty" protobuf:"bytes,6,rep,name=requests"`
	// Filesystem or Block.
	// +optional
	VolumeMode *corev1.PersistentVolumeMode `json:"volumeMode,omitempty" protobuf:"bytes,7,opt,name=volumeMode"`
}

// VMIMConfigurationOptions are the settings of a migration, as they were put together for it.
type VMIMConfigurationOptions struct {
	// Whether the guest may be slowed down so that the copy of its memory catches up.
	// +optional
	AllowAutoConverge *bool `json:"allowAutoConverge,omitempty" protobuf:"varint,1,opt,name=allowAutoConverge"`
	// Whether the guest may move before its memory has.
	// +optional
	AllowPostCopy *bool `json:"allowPostCopy,omitempty" protobuf:"varint,2,opt,name=allowPostCopy"`
	// Whether the guest may be paused, or moved by post-copy, when the copy does not catch up.
	// +optional
	AllowWorkloadDisruption *bool `json:"allowWorkloadDisruption,omitempty" protobuf:"varint,3,opt,name=allowWorkloadDisruption"`
	// Bytes a second that the migration may use; 0 is unlimited.
	// +optional
	BandwidthPerMigration *resource.Quantity `json:"bandwidthPerMigration,omitempty" protobuf:"bytes,4,opt,name=bandwidthPerMigration"`
	// Seconds for each GiB of memory after which the migration is given up.
	// +optional
	CompletionTimeoutPerGiB *int64 `json:"completionTimeoutPerGiB,omitempty" protobuf:"varint,5,opt,name=completionTimeoutPerGiB"`
	// Whether the data travels unencrypted.
	// +optional
	DisableTLS *bool `json:"disableTLS,omitempty" protobuf:"varint,6,opt,name=disableTLS"`
	// Settings that may change or go.
	// +optional
	Experimental *ExperimentalMigrationOptions `json:"experimental,omitempty" protobuf:"bytes,7,opt,name=experimental"`
	// Whether the target gets the source's SELinux level.
	// +optional
	MatchSELinuxLevelOnMigration *bool `json:"matchSELinuxLevelOnMigration,omitempty" protobuf:"varint,8,opt,name=matchSELinuxLevelOnMigration"`
	// Milliseconds that the guest may stand still at the end.
	// +optional
	MaxDowntimeMs *int64 `json:"maxDowntimeMs,omitempty" protobuf:"varint,9,opt,name=maxDowntimeMs"`
	// Network that the data takes.
	// +optional
	Network string `json:"network,omitempty" protobuf:"bytes,10,opt,name=network"`
	// Taint that marks nodes which guests are to leave.
	// +optional
	NodeDrainTaintKey string `json:"nodeDrainTaintKey,omitempty" protobuf:"bytes,11,opt,name=nodeDrainTaintKey"`
	// How many migrations run at once in the cluster.
	// +optional
	ParallelMigrationsPerCluster *int64 `json:"parallelMigrationsPerCluster,omitempty" protobuf:"varint,12,opt,name=parallelMigrationsPerCluster"`
	// How many migrations run at once from one node.
	// +optional
	ParallelOutboundMigrationsPerNode *int64 `json:"parallelOutboundMigrationsPerNode,omitempty" protobuf:"varint,13,opt,name=parallelOutboundMigrationsPerNode"`
	// Seconds without progress after which the migration is given up.
	// +optional
	ProgressTimeout *int64 `json:"progressTimeout,omitempty" protobuf:"varint,14,opt,name=progressTimeout"`
	// Whether to migrate although data may be lost.
	// +optional
	UnsafeMigrationOverride *bool `json:"unsafeMigrationOverride,omitempty" protobuf:"varint,15,opt,name=unsafeMigrationOverride"`
	// Seconds to wait for utility volumes to be taken off.
	// +optional
	UtilityVolumesTimeout *int64 `json:"utilityVolumesTimeout,omitempty" protobuf:"varint,16,opt,name=utilityVolumesTimeout"`
}

// ContainerDiskInfo is the checksum of a container disk.
type ContainerDiskInfo struct {
	// CRC of the image.
	// +optional
	Checksum int64 `json:"checksum,omitempty" protobuf:"varint,1,opt,name=checksum"`
}

// HotplugVolumeStatus is how a volume was added to a running guest.
type HotplugVolumeStatus struct {
	// Pod that attaches the volume to the node.
	// +optional
	AttachPodName string `json:"attachPodName,omitempty" protobuf:"bytes,1,opt,name=attachPodName"`
	// UID of that pod.
	// +optional
	AttachPodUID types.UID `json:"attachPodUID,omitempty" protobuf:"bytes,2,opt,name=attachPodUID"`
}

// DomainMemoryDumpInfo is the progress of a memory dump as the node sees it.
type DomainMemoryDumpInfo struct {
	// Claim that the dump goes to.
	// +optional
	ClaimName string `json:"claimName,omitempty" protobuf:"bytes,1,opt,name=claimName"`
	// When it ended.
	// +optional
	EndTimestamp *metav1.Time `json:"endTimestamp,omitempty" protobuf:"bytes,2,opt,name=endTimestamp"`
	// When it began.
	// +optional
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty" protobuf:"bytes,3,opt,name=startTimestamp"`
	// Name of the file in the claim.
	// +optional
	TargetFileName string `json:"targetFileName,omitempty" protobuf:"bytes,4,opt,name=targetFileName"`
}

// VirtualMachineInstanceBackupVolumeInfo is a volume of a backup.
type VirtualMachineInstanceBackupVolumeInfo struct {
	// Name of the volume.
	// +required
	VolumeName string `json:"volumeName" protobuf:"bytes,1,opt,name=volumeName"`
}

// ExperimentalMigrationOptions tunes how a migration converges. It may change without notice.
type ExperimentalMigrationOptions struct {
	// Compression of the memory on its way. Default: none.
	// +optional
	Compression string `json:"compression,omitempty" protobuf:"bytes,1,opt,name=compression"`
	// How the downtime allowed at the end grows while the migration does not converge.
	// +optional
	DowntimeTuning *DowntimeTuningOptions `json:"downtimeTuning,omitempty" protobuf:"bytes,2,opt,name=downtimeTuning"`
	// When a migration counts as not converging.
	// +optional
	StallDetector *StallDetectorOptions `json:"stallDetector,omitempty" protobuf:"bytes,3,opt,name=stallDetector"`
}

// DowntimeTuningOptions says how the downtime that a migration may cost grows from initialMs to the allowed maximum.
type DowntimeTuningOptions struct {
	// Seconds between two steps.
	// +optional
	CooldownSeconds *int32 `json:"cooldownSeconds,omitempty" protobuf:"varint,1,opt,name=cooldownSeconds"`
	// Milliseconds allowed at first.
	// +optional
	InitialMs *int64 `json:"initialMs,omitempty" protobuf:"varint,2,opt,name=initialMs"`
	// Passes over the memory before the first step.
	// +optional
	StartAfterIteration *int64 `json:"startAfterIteration,omitempty" protobuf:"varint,3,opt,name=startAfterIteration"`
	// Number of steps to the maximum.
	// +optional
	Steps *int32 `json:"steps,omitempty" protobuf:"varint,4,opt,name=steps"`
}

// StallDetectorOptions says when a migration counts as not converging.
type StallDetectorOptions struct {
	// What the expected time to completion is multiplied by to get the time allowed.
	// +optional
	CompletionTimeoutFactor *resource.Quantity `json:"completionTimeoutFactor,omitempty" protobuf:"bytes,1,opt,name=completionTimeoutFactor"`
	// Weight of the latest measurement in the running mean of what remains, from 0 to 1.
	// +optional
	EwmaAlpha *resource.Quantity `json:"ewmaAlpha,omitempty" protobuf:"bytes,2,opt,name=ewmaAlpha"`
	// What the time waited for progress is multiplied by after each pass without it.
	// +optional
	PatienceWindowDecayFactor *resource.Quantity `json:"patienceWindowDecayFactor,omitempty" protobuf:"bytes,3,opt,name=patienceWindowDecayFactor"`
	// What the transfer rate is multiplied by before it is compared with the rate at which the guest changes memory.
	// +optional
	PrecopyPossibleFactor *resource.Quantity `json:"precopyPossibleFactor,omitempty" protobuf:"bytes,4,opt,name=precopyPossibleFactor"`
	// Whether the switch waits for a moment when little remains.
	// +optional
	SearchLocalMinima *bool `json:"searchLocalMinima,omitempty" protobuf:"varint,5,opt,name=searchLocalMinima"`
	// Bytes by which what remains must shrink to count as progress.
	// +optional
	StallMargin *int64 `json:"stallMargin,omitempty" protobuf:"varint,6,opt,name=stallMargin"`
	// Seconds without progress after which the migration is stalled.
	// +optional
	StallProgressTimeout *int64 `json:"stallProgressTimeout,omitempty" protobuf:"varint,7,opt,name=stallProgressTimeout"`
	// Seconds that the switch to the target may take.
	// +optional
	SwitchoverTimeout *int64 `json:"switchoverTimeout,omitempty" protobuf:"varint,8,opt,name=switchoverTimeout"`
}
