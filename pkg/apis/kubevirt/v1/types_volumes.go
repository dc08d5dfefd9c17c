package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Volume is what a disk or file system of the same name holds. It has one source, which is all but name.
type Volume struct {
	// Data for cloud-init as a config drive of OpenStack.
	// +optional
	CloudInitConfigDrive *CloudInitConfigDriveSource `json:"cloudInitConfigDrive,omitempty" protobuf:"bytes,1,opt,name=cloudInitConfigDrive"`
	// Data for cloud-init as a NoCloud disk.
	// +optional
	CloudInitNoCloud *CloudInitNoCloudSource `json:"cloudInitNoCloud,omitempty" protobuf:"bytes,2,opt,name=cloudInitNoCloud"`
	// A ConfigMap, as files.
	// +optional
	ConfigMap *ConfigMapVolumeSource `json:"configMap,omitempty" protobuf:"bytes,3,opt,name=configMap"`
	// A disk image from a container image. What the guest writes is gone with the instance.
	// +optional
	ContainerDisk *ContainerDiskSource `json:"containerDisk,omitempty" protobuf:"bytes,4,opt,name=containerDisk"`
	// A directory of the launcher's container, for virtiofs. Needs the feature gate ContainerPathVolumes.
	// +optional
	ContainerPath *ContainerPathVolumeSource `json:"containerPath,omitempty" protobuf:"bytes,5,opt,name=containerPath"`
	// A DataVolume. The guest starts when it has been filled.
	// +optional
	DataVolume *DataVolumeSource `json:"dataVolume,omitempty" protobuf:"bytes,6,opt,name=dataVolume"`
	// Fields of the instance, as files.
	// +optional
	DownwardAPI *DownwardAPIVolumeSource `json:"downwardAPI,omitempty" protobuf:"bytes,7,opt,name=downwardAPI"`
	// Metrics of the node, on a disk. Needs the feature gate DownwardMetrics.
	// +optional
	DownwardMetrics *DownwardMetricsVolumeSource `json:"downwardMetrics,omitempty" protobuf:"bytes,8,opt,name=downwardMetrics"`
	// An empty disk that is gone with the instance, not with a reboot.
	// +optional
	EmptyDisk *EmptyDiskSource `json:"emptyDisk,omitempty" protobuf:"bytes,9,opt,name=emptyDisk"`
	// A claim that is only read; what the guest writes is gone with the instance.
	// +optional
	Ephemeral *EphemeralVolumeSource `json:"ephemeral,omitempty" protobuf:"bytes,10,opt,name=ephemeral"`
	// A file of the node. Needs the feature gate HostDisk.
	// +optional
	HostDisk *HostDisk `json:"hostDisk,omitempty" protobuf:"bytes,11,opt,name=hostDisk"`
	// A claim that the guest's memory is dumped to. The guest does not see it.
	// +optional
	MemoryDump *MemoryDumpVolumeSource `json:"memoryDump,omitempty" protobuf:"bytes,12,opt,name=memoryDump"`
	// Name of the volume: DNS-1123 subdomain, unique.
	// +required
	Name string `json:"name" protobuf:"bytes,13,opt,name=name"`
	// A claim.
	// +optional
	PersistentVolumeClaim *PersistentVolumeClaimVolumeSource `json:"persistentVolumeClaim,omitempty" protobuf:"bytes,14,opt,name=persistentVolumeClaim"`
	// A Secret, as files.
	// +optional
	Secret *SecretVolumeSource `json:"secret,omitempty" protobuf:"bytes,15,opt,name=secret"`
	// The token of a service account, as files.
	// +optional
	ServiceAccount *ServiceAccountVolumeSource `json:"serviceAccount,omitempty" protobuf:"bytes,16,opt,name=serviceAccount"`
	// An answer file for the setup of Windows.
	// +optional
	Sysprep *SysprepSource `json:"sysprep,omitempty" protobuf:"bytes,17,opt,name=sysprep"`
}

// DataVolumeSource names a DataVolume.
type DataVolumeSource struct {
	// Whether the volume can be removed while the guest runs. Default: false.
	// +optional
	Hotpluggable *bool `json:"hotpluggable,omitempty" protobuf:"varint,1,opt,name=hotpluggable"`
	// The DataVolume, in the namespace of the instance.
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
}

// PersistentVolumeClaimVolumeSource names a claim.
type PersistentVolumeClaimVolumeSource struct {
	// The claim, in the namespace of the instance.
	// +required
	ClaimName string `json:"claimName" protobuf:"bytes,1,opt,name=claimName"`
	// Whether the volume can be removed while the guest runs. Default: false.
	// +optional
	Hotpluggable *bool `json:"hotpluggable,omitempty" protobuf:"varint,2,opt,name=hotpluggable"`
	// Whether it is mounted without write access. Default: false.
	// +optional
	ReadOnly *bool `json:"readOnly,omitempty" protobuf:"varint,3,opt,name=readOnly"`
}

// CloudInitConfigDriveSource is data for cloud-init as a config drive of OpenStack. It has at most one source of user data, at most one of network data, and at least one in all.
type CloudInitConfigDriveSource struct {
	// Configuration of the network, at most 2048 bytes.
	// +optional
	NetworkData string `json:"networkData,omitempty" protobuf:"bytes,1,opt,name=networkData"`
	// Configuration of the network in base64, at most 2048 bytes.
	// +optional
	NetworkDataBase64 string `json:"networkDataBase64,omitempty" protobuf:"bytes,2,opt,name=networkDataBase64"`
	// Secret whose key networkdata holds the configuration of the network, of any length.
	// +optional
	NetworkDataSecretRef *corev1.LocalObjectReference `json:"networkDataSecretRef,omitempty" protobuf:"bytes,3,opt,name=networkDataSecretRef"`
	// Secret whose key userdata holds user data of any length.
	// +optional
	SecretRef *corev1.LocalObjectReference `json:"secretRef,omitempty" protobuf:"bytes,4,opt,name=secretRef"`
	// User data, at most 2048 bytes.
	// +optional
	UserData string `json:"userData,omitempty" protobuf:"bytes,5,opt,name=userData"`
	// User data in base64, at most 2048 bytes.
	// +optional
	UserDataBase64 string `json:"userDataBase64,omitempty" protobuf:"bytes,6,opt,name=userDataBase64"`
}

// CloudInitNoCloudSource is data for cloud-init as a NoCloud disk. It has at most one source of user data, at most one of network data, and at least one in all.
type CloudInitNoCloudSource struct {
	// Configuration of the network, at most 2048 bytes.
	// +optional
	NetworkData string `json:"networkData,omitempty" protobuf:"bytes,1,opt,name=networkData"`
	// Configuration of the network in base64, at most 2048 bytes.
	// +optional
	NetworkDataBase64 string `json:"networkDataBase64,omitempty" protobuf:"bytes,2,opt,name=networkDataBase64"`
	// Secret whose key networkdata holds the configuration of the network, of any length.
	// +optional
	NetworkDataSecretRef *corev1.LocalObjectReference `json:"networkDataSecretRef,omitempty" protobuf:"bytes,3,opt,name=networkDataSecretRef"`
	// Secret whose key userdata holds user data of any length.
	// +optional
	SecretRef *corev1.LocalObjectReference `json:"secretRef,omitempty" protobuf:"bytes,4,opt,name=secretRef"`
	// User data, at most 2048 bytes.
	// +optional
	UserData string `json:"userData,omitempty" protobuf:"bytes,5,opt,name=userData"`
	// User data in base64, at most 2048 bytes.
	// +optional
	UserDataBase64 string `json:"userDataBase64,omitempty" protobuf:"bytes,6,opt,name=userDataBase64"`
}

// ConfigMapVolumeSource is a ConfigMap, as files.
type ConfigMapVolumeSource struct {
	// The ConfigMap, in the namespace of the instance.
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,1,opt,name=name"`
	// Whether the instance starts without it. Default: false.
	// +optional
	Optional *bool `json:"optional,omitempty" protobuf:"varint,2,opt,name=optional"`
	// Label of the file system on the disk.
	// +optional
	VolumeLabel string `json:"volumeLabel,omitempty" protobuf:"bytes,3,opt,name=volumeLabel"`
}

// ContainerDiskSource is a disk image from a container image.
type ContainerDiskSource struct {
	// The container image.
	// +required
	Image string `json:"image" protobuf:"bytes,1,opt,name=image"`
	// When the node pulls the image: Always, IfNotPresent or Never. Default: Always for images without tag or with the tag latest, else IfNotPresent.
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty" protobuf:"bytes,2,opt,name=imagePullPolicy"`
	// Secret with the registry's credentials, in the namespace of the instance.
	// +optional
	ImagePullSecret string `json:"imagePullSecret,omitempty" protobuf:"bytes,3,opt,name=imagePullSecret"`
	// Absolute path of the disk image in it. Default: the only file in /disk.
	// +optional
	Path string `json:"path,omitempty" protobuf:"bytes,4,opt,name=path"`
}

// ContainerPathVolumeSource is a directory of the launcher's container.
type ContainerPathVolumeSource struct {
	// Its absolute path.
	// +required
	Path string `json:"path" protobuf:"bytes,1,opt,name=path"`
	// Whether the guest cannot write. Default: true.
	// +optional
	ReadOnly *bool `json:"readOnly,omitempty" protobuf:"varint,2,opt,name=readOnly"`
}

// DownwardAPIVolumeSource is fields of the instance, as files.
type DownwardAPIVolumeSource struct {
	// The fields, and the files that hold them.
	// +optional
	Fields []corev1.DownwardAPIVolumeFile `json:"fields,omitempty" protobuf:"bytes,1,rep,name=fields"`
	// Label of the file system on the disk.
	// +optional
	VolumeLabel string `json:"volumeLabel,omitempty" protobuf:"bytes,2,opt,name=volumeLabel"`
}

// DownwardMetricsVolumeSource is metrics of the node, on a disk. It has no settings.
type DownwardMetricsVolumeSource struct {
}

// EmptyDiskSource is an empty disk.
type EmptyDiskSource struct {
	// Size, more than 0.
	// +required
	Capacity resource.Quantity `json:"capacity" protobuf:"bytes,1,opt,name=capacity"`
}

// EphemeralVolumeSource is a claim that is only read.
type EphemeralVolumeSource struct {
	// The claim, in the namespace of the instance.
	// +optional
	PersistentVolumeClaim *corev1.PersistentVolumeClaimVolumeSource `json:"persistentVolumeClaim,omitempty" protobuf:"bytes,1,opt,name=persistentVolumeClaim"`
}

// HostDisk is a file of the node.
type HostDisk struct {
	// Size of the file that is made. With the type DiskOrCreate only.
	// +optional
	Capacity *resource.Quantity `json:"capacity,omitempty" protobuf:"bytes,1,opt,name=capacity"`
	// Absolute path of the file.
	// +required
	Path string `json:"path" protobuf:"bytes,2,opt,name=path"`
	// Whether instances on other nodes see the same file, so that the instance can be migrated. Default: false.
	// +optional
	Shared *bool `json:"shared,omitempty" protobuf:"varint,3,opt,name=shared"`
	// Disk uses an existing file, DiskOrCreate makes it if it is missing.
	// +required
	Type HostDiskType `json:"type" protobuf:"bytes,4,opt,name=type"`
}

// MemoryDumpVolumeSource is a claim that the guest's memory is dumped to.
type MemoryDumpVolumeSource struct {
	// The claim, in the namespace of the instance.
	// +required
	ClaimName string `json:"claimName" protobuf:"bytes,1,opt,name=claimName"`
	// Whether the volume can be removed while the guest runs. Default: false.
	// +optional
	Hotpluggable *bool `json:"hotpluggable,omitempty" protobuf:"varint,2,opt,name=hotpluggable"`
	// Whether it is mounted without write access. Default: false.
	// +optional
	ReadOnly *bool `json:"readOnly,omitempty" protobuf:"varint,3,opt,name=readOnly"`
}

// SecretVolumeSource is a Secret, as files.
type SecretVolumeSource struct {
	// Whether the instance starts without it. Default: false.
	// +optional
	Optional *bool `json:"optional,omitempty" protobuf:"varint,1,opt,name=optional"`
	// The Secret, in the namespace of the instance.
	// +optional
	SecretName string `json:"secretName,omitempty" protobuf:"bytes,2,opt,name=secretName"`
	// Label of the file system on the disk.
	// +optional
	VolumeLabel string `json:"volumeLabel,omitempty" protobuf:"bytes,3,opt,name=volumeLabel"`
}

// ServiceAccountVolumeSource is the token of a service account, as files.
type ServiceAccountVolumeSource struct {
	// The service account, in the namespace of the instance.
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty" protobuf:"bytes,1,opt,name=serviceAccountName"`
}

// SysprepSource is an answer file for the setup of Windows. It has one of its fields.
type SysprepSource struct {
	// ConfigMap with the key autounattend.xml or unattend.xml.
	// +optional
	ConfigMap *corev1.LocalObjectReference `json:"configMap,omitempty" protobuf:"bytes,1,opt,name=configMap"`
	// Secret with the key autounattend.xml or unattend.xml.
	// +optional
	Secret *corev1.LocalObjectReference `json:"secret,omitempty" protobuf:"bytes,2,opt,name=secret"`
}
