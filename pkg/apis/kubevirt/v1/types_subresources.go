package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StartOptions is documented field by field below.
type StartOptions struct {
	metav1.TypeMeta `json:",inline"`
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
	// +optional
	Paused bool `json:"paused,omitempty" protobuf:"varint,2,opt,name=paused"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StopOptions is documented field by field below.
type StopOptions struct {
	metav1.TypeMeta `json:",inline"`
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
	// +optional
	GracePeriod *int64 `json:"gracePeriod,omitempty" protobuf:"varint,2,opt,name=gracePeriod"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// RestartOptions is documented field by field below.
type RestartOptions struct {
	metav1.TypeMeta `json:",inline"`
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
	// +optional
	GracePeriodSeconds *int64 `json:"gracePeriodSeconds,omitempty" protobuf:"varint,2,opt,name=gracePeriodSeconds"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// PauseOptions is documented field by field below.
type PauseOptions struct {
	metav1.TypeMeta `json:",inline"`
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// UnpauseOptions is documented field by field below.
type UnpauseOptions struct {
	metav1.TypeMeta `json:",inline"`
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MigrateOptions is documented field by field below.
type MigrateOptions struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	AddedNodeSelector map[string]string `json:"addedNodeSelector,omitempty" protobuf:"bytes,1,rep,name=addedNodeSelector"`
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,2,rep,name=dryRun"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// EvacuateCancelOptions is documented field by field below.
type EvacuateCancelOptions struct {
	metav1.TypeMeta `json:",inline"`
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
	// +required
	EvacuationNodeName string `json:"evacuationNodeName" protobuf:"bytes,2,opt,name=evacuationNodeName"`
}

// AddVolumeOptions is documented field by field below.
type AddVolumeOptions struct {
	// +required
	Disk *Disk `json:"disk" protobuf:"bytes,1,opt,name=disk"`
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,2,rep,name=dryRun"`
	// +required
	Name string `json:"name" protobuf:"bytes,3,opt,name=name"`
	// +required
	VolumeSource *HotplugVolumeSource `json:"volumeSource" protobuf:"bytes,4,opt,name=volumeSource"`
}

// RemoveVolumeOptions is documented field by field below.
type RemoveVolumeOptions struct {
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
}

// FreezeUnfreezeTimeout is documented field by field below.
type FreezeUnfreezeTimeout struct {
	// +required
	UnfreezeTimeout *metav1.Duration `json:"unfreezeTimeout" protobuf:"bytes,1,opt,name=unfreezeTimeout"`
}

// ObjectGraphOptions is documented field by field below.
type ObjectGraphOptions struct {
	// +optional
	IncludeOptionalNodes *bool `json:"includeOptionalNodes,omitempty" protobuf:"varint,1,opt,name=includeOptionalNodes"`
	// +optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty" protobuf:"bytes,2,opt,name=labelSelector"`
}

// ObjectGraphNode is documented field by field below.
type ObjectGraphNode struct {
	// +optional
	APIVersion string `json:"apiVersion,omitempty" protobuf:"bytes,1,opt,name=apiVersion"`
	// +listType=atomic
	// +optional
	Children []ObjectGraphNode `json:"children,omitempty" protobuf:"bytes,2,rep,name=children"`
	// +optional
	Kind string `json:"kind,omitempty" protobuf:"bytes,3,opt,name=kind"`
	// +optional
	Labels map[string]string `json:"labels,omitempty" protobuf:"bytes,4,rep,name=labels"`
	// +required
	ObjectReference corev1.TypedObjectReference `json:"objectReference" protobuf:"bytes,5,opt,name=objectReference"`
	// +optional
	Optional *bool `json:"optional,omitempty" protobuf:"varint,6,opt,name=optional"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceGuestAgentInfo is documented field by field below.
type VirtualMachineInstanceGuestAgentInfo struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	FSFreezeStatus string `json:"fsFreezeStatus,omitempty" protobuf:"bytes,1,opt,name=fsFreezeStatus"`
	// +optional
	FSInfo VirtualMachineInstanceFileSystemInfo `json:"fsInfo,omitempty,omitzero" protobuf:"bytes,2,opt,name=fsInfo"`
	// +optional
	GuestAgentVersion string `json:"guestAgentVersion,omitempty" protobuf:"bytes,3,opt,name=guestAgentVersion"`
	// +optional
	Hostname string `json:"hostname,omitempty" protobuf:"bytes,4,opt,name=hostname"`
	// +optional
	OS VirtualMachineInstanceGuestOSInfo `json:"os,omitempty,omitzero" protobuf:"bytes,5,opt,name=os"`
	// +listType=atomic
	// +optional
	SupportedCommands []GuestAgentCommandInfo `json:"supportedCommands,omitempty" protobuf:"bytes,6,rep,name=supportedCommands"`
	// +optional
	Timezone string `json:"timezone,omitempty" protobuf:"bytes,7,opt,name=timezone"`
	// +optional
	UserList []VirtualMachineInstanceGuestOSUser `json:"userList,omitempty" protobuf:"bytes,8,rep,name=userList"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceGuestOSUserList is documented field by field below.
type VirtualMachineInstanceGuestOSUserList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Items []VirtualMachineInstanceGuestOSUser `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceFileSystemList is documented field by field below.
type VirtualMachineInstanceFileSystemList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Items []VirtualMachineInstanceFileSystem `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// SEVSessionOptions is documented field by field below.
type SEVSessionOptions struct {
	// +optional
	DhCert string `json:"dhCert,omitempty" protobuf:"bytes,1,opt,name=dhCert"`
	// +optional
	Session string `json:"session,omitempty" protobuf:"bytes,2,opt,name=session"`
}

// SEVSecretOptions is documented field by field below.
type SEVSecretOptions struct {
	// +optional
	Header string `json:"header,omitempty" protobuf:"bytes,1,opt,name=header"`
	// +optional
	Secret string `json:"secret,omitempty" protobuf:"bytes,2,opt,name=secret"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// SEVPlatformInfo is documented field by field below.
type SEVPlatformInfo struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	CertChain string `json:"certChain,omitempty" protobuf:"bytes,1,opt,name=certChain"`
	// +optional
	Pdh string `json:"pdh,omitempty" protobuf:"bytes,2,opt,name=pdh"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// SEVMeasurementInfo is documented field by field below.
type SEVMeasurementInfo struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	APIMajor int32 `json:"apiMajor,omitempty" protobuf:"varint,1,opt,name=apiMajor"`
	// +optional
	APIMinor int32 `json:"apiMinor,omitempty" protobuf:"varint,2,opt,name=apiMinor"`
	// +optional
	BuildID int32 `json:"buildID,omitempty" protobuf:"varint,3,opt,name=buildID"`
	// +optional
	LoaderSHA string `json:"loaderSHA,omitempty" protobuf:"bytes,4,opt,name=loaderSHA"`
	// +optional
	Measurement string `json:"measurement,omitempty" protobuf:"bytes,5,opt,name=measurement"`
	// +optional
	Policy int32 `json:"policy,omitempty" protobuf:"varint,6,opt,name=policy"`
}

// VirtualMachineInstanceFileSystemInfo is documented field by field below.
type VirtualMachineInstanceFileSystemInfo struct {
	// +required
	Disks []VirtualMachineInstanceFileSystem `json:"disks" protobuf:"bytes,1,rep,name=disks"`
}

// VirtualMachineInstanceGuestOSInfo is documented field by field below.
type VirtualMachineInstanceGuestOSInfo struct {
	// +optional
	ID string `json:"id,omitempty" protobuf:"bytes,1,opt,name=id"`
	// +optional
	KernelRelease string `json:"kernelRelease,omitempty" protobuf:"bytes,2,opt,name=kernelRelease"`
	// +optional
	KernelVersion string `json:"kernelVersion,omitempty" protobuf:"bytes,3,opt,name=kernelVersion"`
	// +optional
	Machine string `json:"machine,omitempty" protobuf:"bytes,4,opt,name=machine"`
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,5,opt,name=name"`
	// +optional
	PrettyName string `json:"prettyName,omitempty" protobuf:"bytes,6,opt,name=prettyName"`
	// +optional
	Version string `json:"version,omitempty" protobuf:"bytes,7,opt,name=version"`
	// +optional
	VersionID string `json:"versionId,omitempty" protobuf:"bytes,8,opt,name=versionId"`
}

// GuestAgentCommandInfo is documented field by field below.
type GuestAgentCommandInfo struct {
	// +optional
	Enabled bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
}

// VirtualMachineInstanceGuestOSUser is documented field by field below.
type VirtualMachineInstanceGuestOSUser struct {
	// +optional
	Domain string `json:"domain,omitempty" protobuf:"bytes,1,opt,name=domain"`
	// +optional
	LoginTime float64 `json:"loginTime,omitempty" protobuf:"fixed64,2,opt,name=loginTime"`
	// +required
	UserName string `json:"userName" protobuf:"bytes,3,opt,name=userName"`
}

// VirtualMachineInstanceFileSystem is documented field by field below.
type VirtualMachineInstanceFileSystem struct {
	// +optional
	Disk []VirtualMachineInstanceFileSystemDisk `json:"disk,omitempty" protobuf:"bytes,1,rep,name=disk"`
	// +required
	DiskName string `json:"diskName" protobuf:"bytes,2,opt,name=diskName"`
	// +required
	FileSystemType string `json:"fileSystemType" protobuf:"bytes,3,opt,name=fileSystemType"`
	// +required
	MountPoint string `json:"mountPoint" protobuf:"bytes,4,opt,name=mountPoint"`
	// +required
	TotalBytes int64 `json:"totalBytes" protobuf:"varint,5,opt,name=totalBytes"`
	// +required
	UsedBytes int64 `json:"usedBytes" protobuf:"varint,6,opt,name=usedBytes"`
}

// VirtualMachineInstanceFileSystemDisk is documented field by field below.
type VirtualMachineInstanceFileSystemDisk struct {
	// +required
	BusType string `json:"busType" protobuf:"bytes,1,opt,name=busType"`
	// +optional
	Serial string `json:"serial,omitempty" protobuf:"bytes,2,opt,name=serial"`
}

// SEVSNP is documented field by field below.
type SEVSNP struct {
}

// SEVPolicy is documented field by field below.
type SEVPolicy struct {
	// +optional
	EncryptedState *bool `json:"encryptedState,omitempty" protobuf:"varint,1,opt,name=encryptedState"`
}
