package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cdiv1 "github.com/virtplane/virtplane/pkg/apis/cdi/v1beta1"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachine is documented field by field below.
type VirtualMachine struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Spec VirtualMachineSpec `json:"spec" protobuf:"bytes,2,opt,name=spec"`
	// +optional
	Status VirtualMachineStatus `json:"status,omitempty,omitzero" protobuf:"bytes,3,opt,name=status"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineList is documented field by field below.
type VirtualMachineList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Items []VirtualMachine `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceList is documented field by field below.
type VirtualMachineInstanceList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Items []VirtualMachineInstance `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// VirtualMachineSpec is documented field by field below.
type VirtualMachineSpec struct {
	// +optional
	DataVolumeTemplates []DataVolumeTemplateSpec `json:"dataVolumeTemplates,omitempty" protobuf:"bytes,1,rep,name=dataVolumeTemplates"`
	// +optional
	Instancetype *InstancetypeMatcher `json:"instancetype,omitempty" protobuf:"bytes,2,opt,name=instancetype"`
	// +optional
	Preference *PreferenceMatcher `json:"preference,omitempty" protobuf:"bytes,3,opt,name=preference"`
	// +optional
	RunStrategy VirtualMachineRunStrategy `json:"runStrategy,omitempty" protobuf:"bytes,4,opt,name=runStrategy"`
	// +optional
	Running *bool `json:"running,omitempty" protobuf:"varint,5,opt,name=running"`
	// +required
	Template *VirtualMachineInstanceTemplateSpec `json:"template" protobuf:"bytes,6,opt,name=template"`
	// +optional
	UpdateVolumesStrategy string `json:"updateVolumesStrategy,omitempty" protobuf:"bytes,7,opt,name=updateVolumesStrategy"`
}

// VirtualMachineStatus is documented field by field below.
type VirtualMachineStatus struct {
	// +optional
	ChangedBlockTracking *ChangedBlockTrackingStatus `json:"changedBlockTracking,omitempty" protobuf:"bytes,1,opt,name=changedBlockTracking"`
	// +optional
	Conditions []VirtualMachineCondition `json:"conditions,omitempty" protobuf:"bytes,2,rep,name=conditions"`
	// +optional
	Created bool `json:"created,omitempty" protobuf:"varint,3,opt,name=created"`
	// +optional
	DesiredGeneration int64 `json:"desiredGeneration,omitempty" protobuf:"varint,4,opt,name=desiredGeneration"`
	// +optional
	InstancetypeRef *InstancetypeStatusRef `json:"instancetypeRef,omitempty" protobuf:"bytes,5,opt,name=instancetypeRef"`
	// +optional
	MemoryDumpRequest *VirtualMachineMemoryDumpRequest `json:"memoryDumpRequest,omitempty" protobuf:"bytes,6,opt,name=memoryDumpRequest"`
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty" protobuf:"varint,7,opt,name=observedGeneration"`
	// +optional
	PreferenceRef *InstancetypeStatusRef `json:"preferenceRef,omitempty" protobuf:"bytes,8,opt,name=preferenceRef"`
	// +optional
	PrintableStatus VirtualMachinePrintableStatus `json:"printableStatus,omitempty" protobuf:"bytes,9,opt,name=printableStatus"`
	// +optional
	Ready bool `json:"ready,omitempty" protobuf:"varint,10,opt,name=ready"`
	// +optional
	RestoreInProgress string `json:"restoreInProgress,omitempty" protobuf:"bytes,11,opt,name=restoreInProgress"`
	// +optional
	RunStrategy VirtualMachineRunStrategy `json:"runStrategy,omitempty" protobuf:"bytes,12,opt,name=runStrategy"`
	// +optional
	SnapshotInProgress string `json:"snapshotInProgress,omitempty" protobuf:"bytes,13,opt,name=snapshotInProgress"`
	// +optional
	StartFailure *VirtualMachineStartFailure `json:"startFailure,omitempty" protobuf:"bytes,14,opt,name=startFailure"`
	// +optional
	StateChangeRequests []VirtualMachineStateChangeRequest `json:"stateChangeRequests,omitempty" protobuf:"bytes,15,rep,name=stateChangeRequests"`
	// +listType=atomic
	// +optional
	VolumeRequests []VirtualMachineVolumeRequest `json:"volumeRequests,omitempty" protobuf:"bytes,16,rep,name=volumeRequests"`
	// +optional
	VolumeSnapshotStatuses []VolumeSnapshotStatus `json:"volumeSnapshotStatuses,omitempty" protobuf:"bytes,17,rep,name=volumeSnapshotStatuses"`
	// +optional
	VolumeUpdateState *VolumeUpdateState `json:"volumeUpdateState,omitempty" protobuf:"bytes,18,opt,name=volumeUpdateState"`
}

// HotplugVolumeSource is documented field by field below.
type HotplugVolumeSource struct {
	// +optional
	DataVolume *DataVolumeSource `json:"dataVolume,omitempty" protobuf:"bytes,1,opt,name=dataVolume"`
	// +optional
	PersistentVolumeClaim *PersistentVolumeClaimVolumeSource `json:"persistentVolumeClaim,omitempty" protobuf:"bytes,2,opt,name=persistentVolumeClaim"`
}

// DataVolumeTemplateSpec is documented field by field below.
type DataVolumeTemplateSpec struct {
	// +optional
	APIVersion string `json:"apiVersion,omitempty" protobuf:"bytes,1,opt,name=apiVersion"`
	// +optional
	Kind string `json:"kind,omitempty" protobuf:"bytes,2,opt,name=kind"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,3,opt,name=metadata"`
	// +required
	Spec cdiv1.DataVolumeSpec `json:"spec" protobuf:"bytes,4,opt,name=spec"`
	// +optional
	Status *DataVolumeTemplateDummyStatus `json:"status,omitempty" protobuf:"bytes,5,opt,name=status"`
}

// InstancetypeMatcher is documented field by field below.
type InstancetypeMatcher struct {
	// +optional
	InferFromVolume string `json:"inferFromVolume,omitempty" protobuf:"bytes,1,opt,name=inferFromVolume"`
	// +optional
	InferFromVolumeFailurePolicy string `json:"inferFromVolumeFailurePolicy,omitempty" protobuf:"bytes,2,opt,name=inferFromVolumeFailurePolicy"`
	// +optional
	Kind string `json:"kind,omitempty" protobuf:"bytes,3,opt,name=kind"`
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,4,opt,name=name"`
	// +optional
	RevisionName string `json:"revisionName,omitempty" protobuf:"bytes,5,opt,name=revisionName"`
}

// PreferenceMatcher is documented field by field below.
type PreferenceMatcher struct {
	// +optional
	InferFromVolume string `json:"inferFromVolume,omitempty" protobuf:"bytes,1,opt,name=inferFromVolume"`
	// +optional
	InferFromVolumeFailurePolicy string `json:"inferFromVolumeFailurePolicy,omitempty" protobuf:"bytes,2,opt,name=inferFromVolumeFailurePolicy"`
	// +optional
	Kind string `json:"kind,omitempty" protobuf:"bytes,3,opt,name=kind"`
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,4,opt,name=name"`
	// +optional
	RevisionName string `json:"revisionName,omitempty" protobuf:"bytes,5,opt,name=revisionName"`
}

// VirtualMachineInstanceTemplateSpec is documented field by field below.
type VirtualMachineInstanceTemplateSpec struct {
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// +optional
	Spec VirtualMachineInstanceSpec `json:"spec,omitempty,omitzero" protobuf:"bytes,2,opt,name=spec"`
}

// VirtualMachineCondition is documented field by field below.
type VirtualMachineCondition struct {
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
	Type VirtualMachineConditionType `json:"type" protobuf:"bytes,6,opt,name=type"`
}

// InstancetypeStatusRef is documented field by field below.
type InstancetypeStatusRef struct {
	// +optional
	ControllerRevisionRef *ControllerRevisionRef `json:"controllerRevisionRef,omitempty" protobuf:"bytes,1,opt,name=controllerRevisionRef"`
	// +optional
	InferFromVolume string `json:"inferFromVolume,omitempty" protobuf:"bytes,2,opt,name=inferFromVolume"`
	// +optional
	InferFromVolumeFailurePolicy string `json:"inferFromVolumeFailurePolicy,omitempty" protobuf:"bytes,3,opt,name=inferFromVolumeFailurePolicy"`
	// +optional
	Kind string `json:"kind,omitempty" protobuf:"bytes,4,opt,name=kind"`
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,5,opt,name=name"`
}

// VirtualMachineMemoryDumpRequest is documented field by field below.
type VirtualMachineMemoryDumpRequest struct {
	// +required
	ClaimName string `json:"claimName" protobuf:"bytes,1,opt,name=claimName"`
	// +optional
	EndTimestamp *metav1.Time `json:"endTimestamp,omitempty" protobuf:"bytes,2,opt,name=endTimestamp"`
	// +optional
	FileName string `json:"fileName,omitempty" protobuf:"bytes,3,opt,name=fileName"`
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,4,opt,name=message"`
	// +required
	Phase MemoryDumpPhase `json:"phase" protobuf:"bytes,5,opt,name=phase"`
	// +optional
	Remove bool `json:"remove,omitempty" protobuf:"varint,6,opt,name=remove"`
	// +optional
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty" protobuf:"bytes,7,opt,name=startTimestamp"`
}

// VirtualMachineStartFailure is documented field by field below.
type VirtualMachineStartFailure struct {
	// +optional
	ConsecutiveFailCount *int32 `json:"consecutiveFailCount,omitempty" protobuf:"varint,1,opt,name=consecutiveFailCount"`
	// +optional
	LastFailedVMIUID types.UID `json:"lastFailedVMIUID,omitempty" protobuf:"bytes,2,opt,name=lastFailedVMIUID"`
	// +optional
	RetryAfterTimestamp *metav1.Time `json:"retryAfterTimestamp,omitempty" protobuf:"bytes,3,opt,name=retryAfterTimestamp"`
}

// VirtualMachineStateChangeRequest is documented field by field below.
type VirtualMachineStateChangeRequest struct {
	// +required
	Action StateChangeRequestAction `json:"action" protobuf:"bytes,1,opt,name=action"`
	// +optional
	Data map[string]string `json:"data,omitempty" protobuf:"bytes,2,rep,name=data"`
	// +optional
	UID *types.UID `json:"uid,omitempty" protobuf:"bytes,3,opt,name=uid"`
}

// VirtualMachineVolumeRequest is documented field by field below.
type VirtualMachineVolumeRequest struct {
	// +optional
	AddVolumeOptions *AddVolumeOptions `json:"addVolumeOptions,omitempty" protobuf:"bytes,1,opt,name=addVolumeOptions"`
	// +optional
	RemoveVolumeOptions *RemoveVolumeOptions `json:"removeVolumeOptions,omitempty" protobuf:"bytes,2,opt,name=removeVolumeOptions"`
}

// VolumeSnapshotStatus is documented field by field below.
type VolumeSnapshotStatus struct {
	// +required
	Enabled bool `json:"enabled" protobuf:"varint,1,opt,name=enabled"`
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,3,opt,name=reason"`
}

// VolumeUpdateState is documented field by field below.
type VolumeUpdateState struct {
	// +optional
	VolumeMigrationState *VolumeMigrationState `json:"volumeMigrationState,omitempty" protobuf:"bytes,1,opt,name=volumeMigrationState"`
}

// GenerationStatus is documented field by field below.
type GenerationStatus struct {
	// +required
	Group string `json:"group" protobuf:"bytes,1,opt,name=group"`
	// +optional
	Hash string `json:"hash,omitempty" protobuf:"bytes,2,opt,name=hash"`
	// +required
	LastGeneration int64 `json:"lastGeneration" protobuf:"varint,3,opt,name=lastGeneration"`
	// +required
	Name string `json:"name" protobuf:"bytes,4,opt,name=name"`
	// +optional
	Namespace string `json:"namespace,omitempty" protobuf:"bytes,5,opt,name=namespace"`
	// +required
	Resource string `json:"resource" protobuf:"bytes,6,opt,name=resource"`
}

// DataVolumeTemplateDummyStatus is documented field by field below.
type DataVolumeTemplateDummyStatus struct {
}

// ControllerRevisionRef is documented field by field below.
type ControllerRevisionRef struct {
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,1,opt,name=name"`
}

// VolumeMigrationState is documented field by field below.
type VolumeMigrationState struct {
	// +listType=atomic
	// +optional
	MigratedVolumes []StorageMigratedVolumeInfo `json:"migratedVolumes,omitempty" protobuf:"bytes,1,rep,name=migratedVolumes"`
}
