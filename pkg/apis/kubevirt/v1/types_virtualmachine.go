package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cdiv1 "github.com/virtplane/virtplane/pkg/apis/cdi/v1beta1"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachine describes a virtual machine: how its instance is made, and when there is one. It is kept as it was sent; defaults belong to the instance.
type VirtualMachine struct {
	metav1.TypeMeta `json:",inline"`
	// Name, namespace, labels and the like.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// What is wanted: the template of the instance and when it runs.
	// +required
	Spec VirtualMachineSpec `json:"spec" protobuf:"bytes,2,opt,name=spec"`
	// What has been observed. Only controllers write it.
	// +optional
	Status VirtualMachineStatus `json:"status,omitempty,omitzero" protobuf:"bytes,3,opt,name=status"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineList is a list of virtual machines.
type VirtualMachineList struct {
	metav1.TypeMeta `json:",inline"`
	// Version of the list, and where to go on.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// The virtual machines.
	// +required
	Items []VirtualMachine `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceList is a list of instances.
type VirtualMachineInstanceList struct {
	metav1.TypeMeta `json:",inline"`
	// Version of the list, and where to go on.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// The instances.
	// +required
	Items []VirtualMachineInstance `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// VirtualMachineSpec says what is wanted of a virtual machine.
type VirtualMachineSpec struct {
	// DataVolumes that are created with the machine, owned by it, and deleted with it. Each is used by a volume of the template.
	// +optional
	DataVolumeTemplates []DataVolumeTemplateSpec `json:"dataVolumeTemplates,omitempty" protobuf:"bytes,1,rep,name=dataVolumeTemplates"`
	// Instance type that supplies CPU, memory and the like, so that the template need not.
	// +optional
	Instancetype *InstancetypeMatcher `json:"instancetype,omitempty" protobuf:"bytes,2,opt,name=instancetype"`
	// Preference that supplies what suits a guest's operating system where the template says nothing.
	// +optional
	Preference *PreferenceMatcher `json:"preference,omitempty" protobuf:"bytes,3,opt,name=preference"`
	// When the machine has a running instance: Always, Halted, Manual, RerunOnFailure, Once or WaitAsReceiver. Excludes running. A machine with neither is halted.
	// +optional
	RunStrategy VirtualMachineRunStrategy `json:"runStrategy,omitempty" protobuf:"bytes,4,opt,name=runStrategy"`
	// The older form of runStrategy: true is Always, false is Halted.
	// +optional
	Running *bool `json:"running,omitempty" protobuf:"varint,5,opt,name=running"`
	// What the instance is made from. A change takes effect at the next start.
	// +required
	Template *VirtualMachineInstanceTemplateSpec `json:"template" protobuf:"bytes,6,opt,name=template"`
	// What happens when the volumes of a running machine change: Replacement (at the next start) or Migration (their content is copied while it runs).
	// +optional
	UpdateVolumesStrategy string `json:"updateVolumesStrategy,omitempty" protobuf:"bytes,7,opt,name=updateVolumesStrategy"`
}

// VirtualMachineStatus is what has been observed of a virtual machine.
type VirtualMachineStatus struct {
	// Whether changed blocks of its disks are tracked for incremental backups.
	// +optional
	ChangedBlockTracking *ChangedBlockTrackingStatus `json:"changedBlockTracking,omitempty" protobuf:"bytes,1,opt,name=changedBlockTracking"`
	// Conditions of the machine; those of its instance are copied here.
	// +optional
	Conditions []VirtualMachineCondition `json:"conditions,omitempty" protobuf:"bytes,2,rep,name=conditions"`
	// Whether an instance exists.
	// +optional
	Created bool `json:"created,omitempty" protobuf:"varint,3,opt,name=created"`
	// Generation of the spec that the controller works towards.
	// +optional
	DesiredGeneration int64 `json:"desiredGeneration,omitempty" protobuf:"varint,4,opt,name=desiredGeneration"`
	// Instance type in use, with the revision of it that was taken.
	// +optional
	InstancetypeRef *InstancetypeStatusRef `json:"instancetypeRef,omitempty" protobuf:"bytes,5,opt,name=instancetypeRef"`
	// Progress of a dump of the guest's memory to a claim.
	// +optional
	MemoryDumpRequest *VirtualMachineMemoryDumpRequest `json:"memoryDumpRequest,omitempty" protobuf:"bytes,6,opt,name=memoryDumpRequest"`
	// Generation of the spec that the rest of the status belongs to.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty" protobuf:"varint,7,opt,name=observedGeneration"`
	// Preference in use, with the revision of it that was taken.
	// +optional
	PreferenceRef *InstancetypeStatusRef `json:"preferenceRef,omitempty" protobuf:"bytes,8,opt,name=preferenceRef"`
	// One word for the table: Stopped, Starting, Running, Paused and so on.
	// +optional
	PrintableStatus VirtualMachinePrintableStatus `json:"printableStatus,omitempty" protobuf:"bytes,9,opt,name=printableStatus"`
	// Whether the guest runs and is ready.
	// +optional
	Ready bool `json:"ready,omitempty" protobuf:"varint,10,opt,name=ready"`
	// Name of the restore that holds the machine; it cannot be started meanwhile.
	// +optional
	RestoreInProgress string `json:"restoreInProgress,omitempty" protobuf:"bytes,11,opt,name=restoreInProgress"`
	// The run strategy in effect, whichever field of the spec it comes from.
	// +optional
	RunStrategy VirtualMachineRunStrategy `json:"runStrategy,omitempty" protobuf:"bytes,12,opt,name=runStrategy"`
	// Name of the snapshot that is taken of the machine; its spec cannot be changed meanwhile.
	// +optional
	SnapshotInProgress string `json:"snapshotInProgress,omitempty" protobuf:"bytes,13,opt,name=snapshotInProgress"`
	// Record of failed starts, which delays the next one.
	// +optional
	StartFailure *VirtualMachineStartFailure `json:"startFailure,omitempty" protobuf:"bytes,14,opt,name=startFailure"`
	// Requests to stop and start that the controller has yet to serve.
	// +optional
	StateChangeRequests []VirtualMachineStateChangeRequest `json:"stateChangeRequests,omitempty" protobuf:"bytes,15,rep,name=stateChangeRequests"`
	// Requests to add and remove volumes that the controller has yet to serve.
	// +listType=atomic
	// +optional
	VolumeRequests []VirtualMachineVolumeRequest `json:"volumeRequests,omitempty" protobuf:"bytes,16,rep,name=volumeRequests"`
	// For each volume, whether it can be part of a snapshot.
	// +optional
	VolumeSnapshotStatuses []VolumeSnapshotStatus `json:"volumeSnapshotStatuses,omitempty" protobuf:"bytes,17,rep,name=volumeSnapshotStatuses"`
	// Progress of a change of volumes while the machine runs.
	// +optional
	VolumeUpdateState *VolumeUpdateState `json:"volumeUpdateState,omitempty" protobuf:"bytes,18,opt,name=volumeUpdateState"`
}

// HotplugVolumeSource is what a volume that is added to a running guest is made from.
type HotplugVolumeSource struct {
	// DataVolume in the namespace of the machine.
	// +optional
	DataVolume *DataVolumeSource `json:"dataVolume,omitempty" protobuf:"bytes,1,opt,name=dataVolume"`
	// Claim in the namespace of the machine.
	// +optional
	PersistentVolumeClaim *PersistentVolumeClaimVolumeSource `json:"persistentVolumeClaim,omitempty" protobuf:"bytes,2,opt,name=persistentVolumeClaim"`
}

// DataVolumeTemplateSpec is a DataVolume that is created with a machine.
type DataVolumeTemplateSpec struct {
	// Version of the DataVolume, accepted for manifests that name it.
	// +optional
	APIVersion string `json:"apiVersion,omitempty" protobuf:"bytes,1,opt,name=apiVersion"`
	// Kind, accepted for manifests that name it: DataVolume.
	// +optional
	Kind string `json:"kind,omitempty" protobuf:"bytes,2,opt,name=kind"`
	// Name of the DataVolume, by which volumes use it, with labels and annotations.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,3,opt,name=metadata"`
	// What the DataVolume holds and where it comes from.
	// +required
	Spec cdiv1.DataVolumeSpec `json:"spec" protobuf:"bytes,4,opt,name=spec"`
	// Accepted and ignored, for manifests that carry it.
	// +optional
	Status *DataVolumeTemplateDummyStatus `json:"status,omitempty" protobuf:"bytes,5,opt,name=status"`
}

// InstancetypeMatcher names the instance type of a machine.
type InstancetypeMatcher struct {
	// Volume of the template whose source is labelled with the default instance type. Excludes name.
	// +optional
	InferFromVolume string `json:"inferFromVolume,omitempty" protobuf:"bytes,1,opt,name=inferFromVolume"`
	// What to do when that volume says nothing: Reject (the default) or Ignore.
	// +optional
	InferFromVolumeFailurePolicy string `json:"inferFromVolumeFailurePolicy,omitempty" protobuf:"bytes,2,opt,name=inferFromVolumeFailurePolicy"`
	// VirtualMachineInstancetype, or VirtualMachineClusterInstancetype, which is the default.
	// +optional
	Kind string `json:"kind,omitempty" protobuf:"bytes,3,opt,name=kind"`
	// Name of the instance type. Excludes inferFromVolume.
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,4,opt,name=name"`
	// ControllerRevision to use instead of the instance type as it is now.
	// +optional
	RevisionName string `json:"revisionName,omitempty" protobuf:"bytes,5,opt,name=revisionName"`
}

// PreferenceMatcher names the preference of a machine.
type PreferenceMatcher struct {
	// Volume of the template whose source is labelled with the default preference. Excludes name.
	// +optional
	InferFromVolume string `json:"inferFromVolume,omitempty" protobuf:"bytes,1,opt,name=inferFromVolume"`
	// What to do when that volume says nothing: Reject (the default) or Ignore.
	// +optional
	InferFromVolumeFailurePolicy string `json:"inferFromVolumeFailurePolicy,omitempty" protobuf:"bytes,2,opt,name=inferFromVolumeFailurePolicy"`
	// VirtualMachinePreference, or VirtualMachineClusterPreference, which is the default.
	// +optional
	Kind string `json:"kind,omitempty" protobuf:"bytes,3,opt,name=kind"`
	// Name of the preference. Excludes inferFromVolume.
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,4,opt,name=name"`
	// ControllerRevision to use instead of the preference as it is now.
	// +optional
	RevisionName string `json:"revisionName,omitempty" protobuf:"bytes,5,opt,name=revisionName"`
}

// VirtualMachineInstanceTemplateSpec is what an instance is made from.
type VirtualMachineInstanceTemplateSpec struct {
	// Labels and annotations of the instance, which it passes on to its pod.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// Spec of the instance.
	// +optional
	Spec VirtualMachineInstanceSpec `json:"spec,omitempty,omitzero" protobuf:"bytes,2,opt,name=spec"`
}

// VirtualMachineCondition is one aspect of a machine's state.
type VirtualMachineCondition struct {
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
	// What it is about, such as Ready, Paused or RestartRequired.
	// +required
	Type VirtualMachineConditionType `json:"type" protobuf:"bytes,6,opt,name=type"`
}

// InstancetypeStatusRef is the instance type or preference that a machine uses.
type InstancetypeStatusRef struct {
	// The revision of it that was taken when the machine was first started.
	// +optional
	ControllerRevisionRef *ControllerRevisionRef `json:"controllerRevisionRef,omitempty" protobuf:"bytes,1,opt,name=controllerRevisionRef"`
	// Volume that it was inferred from.
	// +optional
	InferFromVolume string `json:"inferFromVolume,omitempty" protobuf:"bytes,2,opt,name=inferFromVolume"`
	// What was to happen when that volume said nothing.
	// +optional
	InferFromVolumeFailurePolicy string `json:"inferFromVolumeFailurePolicy,omitempty" protobuf:"bytes,3,opt,name=inferFromVolumeFailurePolicy"`
	// Its kind.
	// +optional
	Kind string `json:"kind,omitempty" protobuf:"bytes,4,opt,name=kind"`
	// Its name.
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,5,opt,name=name"`
}

// VirtualMachineMemoryDumpRequest is the progress of a dump of a guest's memory.
type VirtualMachineMemoryDumpRequest struct {
	// Claim that the dump goes to.
	// +required
	ClaimName string `json:"claimName" protobuf:"bytes,1,opt,name=claimName"`
	// When the dump ended.
	// +optional
	EndTimestamp *metav1.Time `json:"endTimestamp,omitempty" protobuf:"bytes,2,opt,name=endTimestamp"`
	// Name of the dump's file in the claim.
	// +optional
	FileName string `json:"fileName,omitempty" protobuf:"bytes,3,opt,name=fileName"`
	// Why it failed.
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,4,opt,name=message"`
	// Associating, InProgress, Unmounting, Completed, Dissociating or Failed.
	// +required
	Phase MemoryDumpPhase `json:"phase" protobuf:"bytes,5,opt,name=phase"`
	// Whether the claim is to be taken off the machine.
	// +optional
	Remove bool `json:"remove,omitempty" protobuf:"varint,6,opt,name=remove"`
	// When the dump began.
	// +optional
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty" protobuf:"bytes,7,opt,name=startTimestamp"`
}

// VirtualMachineStartFailure is the record of starts that failed, one after the other.
type VirtualMachineStartFailure struct {
	// How many starts in a row have failed.
	// +optional
	ConsecutiveFailCount *int32 `json:"consecutiveFailCount,omitempty" protobuf:"varint,1,opt,name=consecutiveFailCount"`
	// Instance that failed last, so that it counts once.
	// +optional
	LastFailedVMIUID types.UID `json:"lastFailedVMIUID,omitempty" protobuf:"bytes,2,opt,name=lastFailedVMIUID"`
	// When the next start may be tried.
	// +optional
	RetryAfterTimestamp *metav1.Time `json:"retryAfterTimestamp,omitempty" protobuf:"bytes,3,opt,name=retryAfterTimestamp"`
}

// VirtualMachineStateChangeRequest asks the controller to start or stop the instance.
type VirtualMachineStateChangeRequest struct {
	// Start or Stop.
	// +required
	Action StateChangeRequestAction `json:"action" protobuf:"bytes,1,opt,name=action"`
	// More about it, such as paused: "true" for a start.
	// +optional
	Data map[string]string `json:"data,omitempty" protobuf:"bytes,2,rep,name=data"`
	// Instance that a stop is meant for; another is left alone.
	// +optional
	UID *types.UID `json:"uid,omitempty" protobuf:"bytes,3,opt,name=uid"`
}

// VirtualMachineVolumeRequest asks the controller to add or remove a volume. It has one of its fields.
type VirtualMachineVolumeRequest struct {
	// Volume to add.
	// +optional
	AddVolumeOptions *AddVolumeOptions `json:"addVolumeOptions,omitempty" protobuf:"bytes,1,opt,name=addVolumeOptions"`
	// Volume to remove.
	// +optional
	RemoveVolumeOptions *RemoveVolumeOptions `json:"removeVolumeOptions,omitempty" protobuf:"bytes,2,opt,name=removeVolumeOptions"`
}

// VolumeSnapshotStatus says whether a volume can be part of a snapshot.
type VolumeSnapshotStatus struct {
	// Whether it can.
	// +required
	Enabled bool `json:"enabled" protobuf:"varint,1,opt,name=enabled"`
	// Name of the volume.
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
	// Why it cannot.
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,3,opt,name=reason"`
}

// VolumeUpdateState is the progress of a change of volumes while the machine runs.
type VolumeUpdateState struct {
	// Volumes whose content moves to other claims.
	// +optional
	VolumeMigrationState *VolumeMigrationState `json:"volumeMigrationState,omitempty" protobuf:"bytes,1,opt,name=volumeMigrationState"`
}

// GenerationStatus remembers what the installation last wrote of one of its objects.
type GenerationStatus struct {
	// API group of the object.
	// +required
	Group string `json:"group" protobuf:"bytes,1,opt,name=group"`
	// Hash of what was written, for objects without a generation.
	// +optional
	Hash string `json:"hash,omitempty" protobuf:"bytes,2,opt,name=hash"`
	// Generation that was last written.
	// +required
	LastGeneration int64 `json:"lastGeneration" protobuf:"varint,3,opt,name=lastGeneration"`
	// Name of the object.
	// +required
	Name string `json:"name" protobuf:"bytes,4,opt,name=name"`
	// Its namespace.
	// +optional
	Namespace string `json:"namespace,omitempty" protobuf:"bytes,5,opt,name=namespace"`
	// Its resource.
	// +required
	Resource string `json:"resource" protobuf:"bytes,6,opt,name=resource"`
}

// DataVolumeTemplateDummyStatus takes the status that some manifests carry, and keeps nothing of it.
type DataVolumeTemplateDummyStatus struct {
}

// ControllerRevisionRef names a ControllerRevision in the namespace of the machine.
type ControllerRevisionRef struct {
	// Its name.
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,1,opt,name=name"`
}

// VolumeMigrationState lists the volumes whose content moves.
type VolumeMigrationState struct {
	// From which claim to which each moves.
	// +listType=atomic
	// +optional
	MigratedVolumes []StorageMigratedVolumeInfo `json:"migratedVolumes,omitempty" protobuf:"bytes,1,rep,name=migratedVolumes"`
}
