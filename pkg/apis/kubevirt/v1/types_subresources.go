package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StartOptions is the body of a request to start a machine.
type StartOptions struct {
	metav1.TypeMeta `json:",inline"`
	// All checks the request and changes nothing.
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
	// Whether the guest starts with its CPUs stopped. Default: false.
	// +optional
	Paused bool `json:"paused,omitempty" protobuf:"varint,2,opt,name=paused"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StopOptions is the body of a request to stop a machine.
type StopOptions struct {
	metav1.TypeMeta `json:",inline"`
	// All checks the request and changes nothing.
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
	// Seconds that the guest has to shut down before it is ended. Default: that of the instance, which it can only shorten.
	// +optional
	GracePeriod *int64 `json:"gracePeriod,omitempty" protobuf:"varint,2,opt,name=gracePeriod"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// RestartOptions is the body of a request to restart a machine.
type RestartOptions struct {
	metav1.TypeMeta `json:",inline"`
	// All checks the request and changes nothing.
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
	// 0 ends the guest at once. No other number is possible. Default: the grace period of the instance.
	// +optional
	GracePeriodSeconds *int64 `json:"gracePeriodSeconds,omitempty" protobuf:"varint,2,opt,name=gracePeriodSeconds"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// PauseOptions is the body of a request to stop a guest's CPUs.
type PauseOptions struct {
	metav1.TypeMeta `json:",inline"`
	// All checks the request and changes nothing.
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// UnpauseOptions is the body of a request to let a guest's CPUs go on.
type UnpauseOptions struct {
	metav1.TypeMeta `json:",inline"`
	// All checks the request and changes nothing.
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MigrateOptions is the body of a request to migrate the instance of a machine.
type MigrateOptions struct {
	metav1.TypeMeta `json:",inline"`
	// Labels that the target must have besides those that the instance asks for.
	// +optional
	AddedNodeSelector map[string]string `json:"addedNodeSelector,omitempty" protobuf:"bytes,1,rep,name=addedNodeSelector"`
	// All checks the request and changes nothing.
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,2,rep,name=dryRun"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// EvacuateCancelOptions is the body of a request to keep an instance on a node that is drained.
type EvacuateCancelOptions struct {
	metav1.TypeMeta `json:",inline"`
	// All checks the request and changes nothing.
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
	// The node.
	// +required
	EvacuationNodeName string `json:"evacuationNodeName" protobuf:"bytes,2,opt,name=evacuationNodeName"`
}

// AddVolumeOptions is the body of a request to add a volume to a running guest.
type AddVolumeOptions struct {
	// The disk that shows the volume.
	// +required
	Disk *Disk `json:"disk" protobuf:"bytes,1,opt,name=disk"`
	// All checks the request and changes nothing.
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,2,rep,name=dryRun"`
	// Name of the volume.
	// +required
	Name string `json:"name" protobuf:"bytes,3,opt,name=name"`
	// What the volume is made from.
	// +required
	VolumeSource *HotplugVolumeSource `json:"volumeSource" protobuf:"bytes,4,opt,name=volumeSource"`
}

// RemoveVolumeOptions is the body of a request to remove a volume from a running guest.
type RemoveVolumeOptions struct {
	// All checks the request and changes nothing.
	// +listType=atomic
	// +optional
	DryRun []string `json:"dryRun,omitempty" protobuf:"bytes,1,rep,name=dryRun"`
	// Name of the volume.
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
}

// FreezeUnfreezeTimeout is the body of a request to hold back what a guest writes to its file systems.
type FreezeUnfreezeTimeout struct {
	// Time after which it ends by itself, such as 5m.
	// +required
	UnfreezeTimeout *metav1.Duration `json:"unfreezeTimeout" protobuf:"bytes,1,opt,name=unfreezeTimeout"`
}

// ObjectGraphOptions is the body of a request for the objects that a machine needs.
type ObjectGraphOptions struct {
	// Whether those are listed that it runs without. Default: true.
	// +optional
	IncludeOptionalNodes *bool `json:"includeOptionalNodes,omitempty" protobuf:"varint,1,opt,name=includeOptionalNodes"`
	// Selects the objects by their labels in the graph.
	// +optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty" protobuf:"bytes,2,opt,name=labelSelector"`
}

// ObjectGraphNode is an object that a machine needs.
type ObjectGraphNode struct {
	// Version of this type.
	// +optional
	APIVersion string `json:"apiVersion,omitempty" protobuf:"bytes,1,opt,name=apiVersion"`
	// Objects that it needs in turn.
	// +listType=atomic
	// +optional
	Children []ObjectGraphNode `json:"children,omitempty" protobuf:"bytes,2,rep,name=children"`
	// Kind of this type.
	// +optional
	Kind string `json:"kind,omitempty" protobuf:"bytes,3,opt,name=kind"`
	// What the object is to the machine.
	// +optional
	Labels map[string]string `json:"labels,omitempty" protobuf:"bytes,4,rep,name=labels"`
	// The object.
	// +required
	ObjectReference corev1.TypedObjectReference `json:"objectReference" protobuf:"bytes,5,opt,name=objectReference"`
	// Whether the machine runs without it.
	// +optional
	Optional *bool `json:"optional,omitempty" protobuf:"varint,6,opt,name=optional"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceGuestAgentInfo is what the agent in a guest tells.
type VirtualMachineInstanceGuestAgentInfo struct {
	metav1.TypeMeta `json:",inline"`
	// frozen while what the guest writes to its file systems is held back.
	// +optional
	FSFreezeStatus string `json:"fsFreezeStatus,omitempty" protobuf:"bytes,1,opt,name=fsFreezeStatus"`
	// File systems that are mounted.
	// +optional
	FSInfo VirtualMachineInstanceFileSystemInfo `json:"fsInfo,omitempty,omitzero" protobuf:"bytes,2,opt,name=fsInfo"`
	// Version of the agent.
	// +optional
	GuestAgentVersion string `json:"guestAgentVersion,omitempty" protobuf:"bytes,3,opt,name=guestAgentVersion"`
	// Host name in the guest.
	// +optional
	Hostname string `json:"hostname,omitempty" protobuf:"bytes,4,opt,name=hostname"`
	// The operating system.
	// +optional
	OS VirtualMachineInstanceGuestOSInfo `json:"os,omitempty,omitzero" protobuf:"bytes,5,opt,name=os"`
	// Commands that the agent knows.
	// +listType=atomic
	// +optional
	SupportedCommands []GuestAgentCommandInfo `json:"supportedCommands,omitempty" protobuf:"bytes,6,rep,name=supportedCommands"`
	// Time zone in the guest.
	// +optional
	Timezone string `json:"timezone,omitempty" protobuf:"bytes,7,opt,name=timezone"`
	// Users that are logged in.
	// +optional
	UserList []VirtualMachineInstanceGuestOSUser `json:"userList,omitempty" protobuf:"bytes,8,rep,name=userList"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceGuestOSUserList is a list of users of a guest.
type VirtualMachineInstanceGuestOSUserList struct {
	metav1.TypeMeta `json:",inline"`
	// Version of the list, and where to go on.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// The users.
	// +required
	Items []VirtualMachineInstanceGuestOSUser `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceFileSystemList is a list of file systems of a guest.
type VirtualMachineInstanceFileSystemList struct {
	metav1.TypeMeta `json:",inline"`
	// Version of the list, and where to go on.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// The file systems.
	// +required
	Items []VirtualMachineInstanceFileSystem `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// SEVSessionOptions is the body of a request to set the session of AMD SEV.
type SEVSessionOptions struct {
	// Diffie-Hellman key of the owner, in base64.
	// +optional
	DhCert string `json:"dhCert,omitempty" protobuf:"bytes,1,opt,name=dhCert"`
	// Session blob of the owner, in base64.
	// +optional
	Session string `json:"session,omitempty" protobuf:"bytes,2,opt,name=session"`
}

// SEVSecretOptions is the body of a request to put a secret into a guest with AMD SEV.
type SEVSecretOptions struct {
	// Header of the secret, in base64.
	// +optional
	Header string `json:"header,omitempty" protobuf:"bytes,1,opt,name=header"`
	// The secret, encrypted and in base64.
	// +optional
	Secret string `json:"secret,omitempty" protobuf:"bytes,2,opt,name=secret"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// SEVPlatformInfo is what a node says of its AMD SEV.
type SEVPlatformInfo struct {
	metav1.TypeMeta `json:",inline"`
	// Certificates of the platform, in base64.
	// +optional
	CertChain string `json:"certChain,omitempty" protobuf:"bytes,1,opt,name=certChain"`
	// Diffie-Hellman key of the platform, in base64.
	// +optional
	Pdh string `json:"pdh,omitempty" protobuf:"bytes,2,opt,name=pdh"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// SEVMeasurementInfo is the proof of what was started with AMD SEV.
type SEVMeasurementInfo struct {
	metav1.TypeMeta `json:",inline"`
	// Major version of the interface.
	// +optional
	APIMajor int32 `json:"apiMajor,omitempty" protobuf:"varint,1,opt,name=apiMajor"`
	// Minor version of the interface.
	// +optional
	APIMinor int32 `json:"apiMinor,omitempty" protobuf:"varint,2,opt,name=apiMinor"`
	// Build of the platform's firmware.
	// +optional
	BuildID int32 `json:"buildID,omitempty" protobuf:"varint,3,opt,name=buildID"`
	// SHA-256 of the firmware that was started.
	// +optional
	LoaderSHA string `json:"loaderSHA,omitempty" protobuf:"bytes,4,opt,name=loaderSHA"`
	// The measurement, in base64.
	// +optional
	Measurement string `json:"measurement,omitempty" protobuf:"bytes,5,opt,name=measurement"`
	// Policy that the guest runs under.
	// +optional
	Policy int32 `json:"policy,omitempty" protobuf:"varint,6,opt,name=policy"`
}

// VirtualMachineInstanceFileSystemInfo is the file systems of a guest.
type VirtualMachineInstanceFileSystemInfo struct {
	// The file systems.
	// +required
	Disks []VirtualMachineInstanceFileSystem `json:"disks" protobuf:"bytes,1,rep,name=disks"`
}

// VirtualMachineInstanceGuestOSInfo is the operating system of a guest.
type VirtualMachineInstanceGuestOSInfo struct {
	// Short name, such as fedora.
	// +optional
	ID string `json:"id,omitempty" protobuf:"bytes,1,opt,name=id"`
	// Release of the kernel.
	// +optional
	KernelRelease string `json:"kernelRelease,omitempty" protobuf:"bytes,2,opt,name=kernelRelease"`
	// Version of the kernel.
	// +optional
	KernelVersion string `json:"kernelVersion,omitempty" protobuf:"bytes,3,opt,name=kernelVersion"`
	// Architecture, such as x86_64.
	// +optional
	Machine string `json:"machine,omitempty" protobuf:"bytes,4,opt,name=machine"`
	// Name.
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,5,opt,name=name"`
	// Name with version, for people.
	// +optional
	PrettyName string `json:"prettyName,omitempty" protobuf:"bytes,6,opt,name=prettyName"`
	// Version.
	// +optional
	Version string `json:"version,omitempty" protobuf:"bytes,7,opt,name=version"`
	// Version without its name.
	// +optional
	VersionID string `json:"versionId,omitempty" protobuf:"bytes,8,opt,name=versionId"`
}

// GuestAgentCommandInfo is a command of the agent in a guest.
type GuestAgentCommandInfo struct {
	// Whether it may be used.
	// +optional
	Enabled bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// Name of the command.
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
}

// VirtualMachineInstanceGuestOSUser is a user that is logged into a guest.
type VirtualMachineInstanceGuestOSUser struct {
	// Domain of the user, in Windows.
	// +optional
	Domain string `json:"domain,omitempty" protobuf:"bytes,1,opt,name=domain"`
	// When the user logged in, in seconds since 1970.
	// +optional
	LoginTime float64 `json:"loginTime,omitempty" protobuf:"fixed64,2,opt,name=loginTime"`
	// Name of the user.
	// +required
	UserName string `json:"userName" protobuf:"bytes,3,opt,name=userName"`
}

// VirtualMachineInstanceFileSystem is a file system that a guest has mounted.
type VirtualMachineInstanceFileSystem struct {
	// Disks that it is on.
	// +optional
	Disk []VirtualMachineInstanceFileSystemDisk `json:"disk,omitempty" protobuf:"bytes,1,rep,name=disk"`
	// Name of the device in the guest.
	// +required
	DiskName string `json:"diskName" protobuf:"bytes,2,opt,name=diskName"`
	// Type, such as ext4.
	// +required
	FileSystemType string `json:"fileSystemType" protobuf:"bytes,3,opt,name=fileSystemType"`
	// Where it is mounted.
	// +required
	MountPoint string `json:"mountPoint" protobuf:"bytes,4,opt,name=mountPoint"`
	// Size in bytes.
	// +required
	TotalBytes int64 `json:"totalBytes" protobuf:"varint,5,opt,name=totalBytes"`
	// Bytes in use.
	// +required
	UsedBytes int64 `json:"usedBytes" protobuf:"varint,6,opt,name=usedBytes"`
}

// VirtualMachineInstanceFileSystemDisk is a disk that a file system is on.
type VirtualMachineInstanceFileSystemDisk struct {
	// Bus of the disk.
	// +required
	BusType string `json:"busType" protobuf:"bytes,1,opt,name=busType"`
	// Serial number of the disk.
	// +optional
	Serial string `json:"serial,omitempty" protobuf:"bytes,2,opt,name=serial"`
}

// SEVSNP is encryption of the guest's memory by AMD SEV-SNP. It has no settings.
type SEVSNP struct {
}

// SEVPolicy is what the host may do with a guest with AMD SEV.
type SEVPolicy struct {
	// Whether the registers of CPUs are encrypted too (SEV-ES). Default: false.
	// +optional
	EncryptedState *bool `json:"encryptedState,omitempty" protobuf:"varint,1,opt,name=encryptedState"`
}
