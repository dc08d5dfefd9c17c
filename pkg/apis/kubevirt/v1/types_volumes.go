package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Volume is documented field by field below.
type Volume struct {
	// +optional
	CloudInitConfigDrive *CloudInitConfigDriveSource `json:"cloudInitConfigDrive,omitempty" protobuf:"bytes,1,opt,name=cloudInitConfigDrive"`
	// +optional
	CloudInitNoCloud *CloudInitNoCloudSource `json:"cloudInitNoCloud,omitempty" protobuf:"bytes,2,opt,name=cloudInitNoCloud"`
	// +optional
	ConfigMap *ConfigMapVolumeSource `json:"configMap,omitempty" protobuf:"bytes,3,opt,name=configMap"`
	// +optional
	ContainerDisk *ContainerDiskSource `json:"containerDisk,omitempty" protobuf:"bytes,4,opt,name=containerDisk"`
	// +optional
	ContainerPath *ContainerPathVolumeSource `json:"containerPath,omitempty" protobuf:"bytes,5,opt,name=containerPath"`
	// +optional
	DataVolume *DataVolumeSource `json:"dataVolume,omitempty" protobuf:"bytes,6,opt,name=dataVolume"`
	// +optional
	DownwardAPI *DownwardAPIVolumeSource `json:"downwardAPI,omitempty" protobuf:"bytes,7,opt,name=downwardAPI"`
	// +optional
	DownwardMetrics *DownwardMetricsVolumeSource `json:"downwardMetrics,omitempty" protobuf:"bytes,8,opt,name=downwardMetrics"`
	// +optional
	EmptyDisk *EmptyDiskSource `json:"emptyDisk,omitempty" protobuf:"bytes,9,opt,name=emptyDisk"`
	// +optional
	Ephemeral *EphemeralVolumeSource `json:"ephemeral,omitempty" protobuf:"bytes,10,opt,name=ephemeral"`
	// +optional
	HostDisk *HostDisk `json:"hostDisk,omitempty" protobuf:"bytes,11,opt,name=hostDisk"`
	// +optional
	MemoryDump *MemoryDumpVolumeSource `json:"memoryDump,omitempty" protobuf:"bytes,12,opt,name=memoryDump"`
	// +required
	Name string `json:"name" protobuf:"bytes,13,opt,name=name"`
	// +optional
	PersistentVolumeClaim *PersistentVolumeClaimVolumeSource `json:"persistentVolumeClaim,omitempty" protobuf:"bytes,14,opt,name=persistentVolumeClaim"`
	// +optional
	Secret *SecretVolumeSource `json:"secret,omitempty" protobuf:"bytes,15,opt,name=secret"`
	// +optional
	ServiceAccount *ServiceAccountVolumeSource `json:"serviceAccount,omitempty" protobuf:"bytes,16,opt,name=serviceAccount"`
	// +optional
	Sysprep *SysprepSource `json:"sysprep,omitempty" protobuf:"bytes,17,opt,name=sysprep"`
}

// DataVolumeSource is documented field by field below.
type DataVolumeSource struct {
	// +optional
	Hotpluggable *bool `json:"hotpluggable,omitempty" protobuf:"varint,1,opt,name=hotpluggable"`
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
}

// PersistentVolumeClaimVolumeSource is documented field by field below.
type PersistentVolumeClaimVolumeSource struct {
	// +required
	ClaimName string `json:"claimName" protobuf:"bytes,1,opt,name=claimName"`
	// +optional
	Hotpluggable *bool `json:"hotpluggable,omitempty" protobuf:"varint,2,opt,name=hotpluggable"`
	// +optional
	ReadOnly *bool `json:"readOnly,omitempty" protobuf:"varint,3,opt,name=readOnly"`
}

// CloudInitConfigDriveSource is documented field by field below.
type CloudInitConfigDriveSource struct {
	// +optional
	NetworkData string `json:"networkData,omitempty" protobuf:"bytes,1,opt,name=networkData"`
	// +optional
	NetworkDataBase64 string `json:"networkDataBase64,omitempty" protobuf:"bytes,2,opt,name=networkDataBase64"`
	// +optional
	NetworkDataSecretRef *corev1.LocalObjectReference `json:"networkDataSecretRef,omitempty" protobuf:"bytes,3,opt,name=networkDataSecretRef"`
	// +optional
	SecretRef *corev1.LocalObjectReference `json:"secretRef,omitempty" protobuf:"bytes,4,opt,name=secretRef"`
	// +optional
	UserData string `json:"userData,omitempty" protobuf:"bytes,5,opt,name=userData"`
	// +optional
	UserDataBase64 string `json:"userDataBase64,omitempty" protobuf:"bytes,6,opt,name=userDataBase64"`
}

// CloudInitNoCloudSource is documented field by field below.
type CloudInitNoCloudSource struct {
	// +optional
	NetworkData string `json:"networkData,omitempty" protobuf:"bytes,1,opt,name=networkData"`
	// +optional
	NetworkDataBase64 string `json:"networkDataBase64,omitempty" protobuf:"bytes,2,opt,name=networkDataBase64"`
	// +optional
	NetworkDataSecretRef *corev1.LocalObjectReference `json:"networkDataSecretRef,omitempty" protobuf:"bytes,3,opt,name=networkDataSecretRef"`
	// +optional
	SecretRef *corev1.LocalObjectReference `json:"secretRef,omitempty" protobuf:"bytes,4,opt,name=secretRef"`
	// +optional
	UserData string `json:"userData,omitempty" protobuf:"bytes,5,opt,name=userData"`
	// +optional
	UserDataBase64 string `json:"userDataBase64,omitempty" protobuf:"bytes,6,opt,name=userDataBase64"`
}

// ConfigMapVolumeSource is documented field by field below.
type ConfigMapVolumeSource struct {
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,1,opt,name=name"`
	// +optional
	Optional *bool `json:"optional,omitempty" protobuf:"varint,2,opt,name=optional"`
	// +optional
	VolumeLabel string `json:"volumeLabel,omitempty" protobuf:"bytes,3,opt,name=volumeLabel"`
}

// ContainerDiskSource is documented field by field below.
type ContainerDiskSource struct {
	// +required
	Image string `json:"image" protobuf:"bytes,1,opt,name=image"`
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty" protobuf:"bytes,2,opt,name=imagePullPolicy"`
	// +optional
	ImagePullSecret string `json:"imagePullSecret,omitempty" protobuf:"bytes,3,opt,name=imagePullSecret"`
	// +optional
	Path string `json:"path,omitempty" protobuf:"bytes,4,opt,name=path"`
}

// ContainerPathVolumeSource is documented field by field below.
type ContainerPathVolumeSource struct {
	// +required
	Path string `json:"path" protobuf:"bytes,1,opt,name=path"`
	// +optional
	ReadOnly *bool `json:"readOnly,omitempty" protobuf:"varint,2,opt,name=readOnly"`
}

// DownwardAPIVolumeSource is documented field by field below.
type DownwardAPIVolumeSource struct {
	// +optional
	Fields []corev1.DownwardAPIVolumeFile `json:"fields,omitempty" protobuf:"bytes,1,rep,name=fields"`
	// +optional
	VolumeLabel string `json:"volumeLabel,omitempty" protobuf:"bytes,2,opt,name=volumeLabel"`
}

// DownwardMetricsVolumeSource is documented field by field below.
type DownwardMetricsVolumeSource struct {
}

// EmptyDiskSource is documented field by field below.
type EmptyDiskSource struct {
	// +required
	Capacity resource.Quantity `json:"capacity" protobuf:"bytes,1,opt,name=capacity"`
}

// EphemeralVolumeSource is documented field by field below.
type EphemeralVolumeSource struct {
	// +optional
	PersistentVolumeClaim *corev1.PersistentVolumeClaimVolumeSource `json:"persistentVolumeClaim,omitempty" protobuf:"bytes,1,opt,name=persistentVolumeClaim"`
}

// HostDisk is documented field by field below.
type HostDisk struct {
	// +optional
	Capacity *resource.Quantity `json:"capacity,omitempty" protobuf:"bytes,1,opt,name=capacity"`
	// +required
	Path string `json:"path" protobuf:"bytes,2,opt,name=path"`
	// +optional
	Shared *bool `json:"shared,omitempty" protobuf:"varint,3,opt,name=shared"`
	// +required
	Type HostDiskType `json:"type" protobuf:"bytes,4,opt,name=type"`
}

// MemoryDumpVolumeSource is documented field by field below.
type MemoryDumpVolumeSource struct {
	// +required
	ClaimName string `json:"claimName" protobuf:"bytes,1,opt,name=claimName"`
	// +optional
	Hotpluggable *bool `json:"hotpluggable,omitempty" protobuf:"varint,2,opt,name=hotpluggable"`
	// +optional
	ReadOnly *bool `json:"readOnly,omitempty" protobuf:"varint,3,opt,name=readOnly"`
}

// SecretVolumeSource is documented field by field below.
type SecretVolumeSource struct {
	// +optional
	Optional *bool `json:"optional,omitempty" protobuf:"varint,1,opt,name=optional"`
	// +optional
	SecretName string `json:"secretName,omitempty" protobuf:"bytes,2,opt,name=secretName"`
	// +optional
	VolumeLabel string `json:"volumeLabel,omitempty" protobuf:"bytes,3,opt,name=volumeLabel"`
}

// ServiceAccountVolumeSource is documented field by field below.
type ServiceAccountVolumeSource struct {
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty" protobuf:"bytes,1,opt,name=serviceAccountName"`
}

// SysprepSource is documented field by field below.
type SysprepSource struct {
	// +optional
	ConfigMap *corev1.LocalObjectReference `json:"configMap,omitempty" protobuf:"bytes,1,opt,name=configMap"`
	// +optional
	Secret *corev1.LocalObjectReference `json:"secret,omitempty" protobuf:"bytes,2,opt,name=secret"`
}
