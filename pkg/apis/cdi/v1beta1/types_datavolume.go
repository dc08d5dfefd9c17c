package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DataVolumeSpec is documented field by field below.
type DataVolumeSpec struct {
	// +optional
	Checkpoints []DataVolumeCheckpoint `json:"checkpoints,omitempty" protobuf:"bytes,1,rep,name=checkpoints"`
	// +optional
	ContentType string `json:"contentType,omitempty" protobuf:"bytes,2,opt,name=contentType"`
	// +optional
	FinalCheckpoint *bool `json:"finalCheckpoint,omitempty" protobuf:"varint,3,opt,name=finalCheckpoint"`
	// +optional
	Preallocation *bool `json:"preallocation,omitempty" protobuf:"varint,4,opt,name=preallocation"`
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty" protobuf:"bytes,5,opt,name=priorityClassName"`
	// +optional
	PVC *corev1.PersistentVolumeClaimSpec `json:"pvc,omitempty" protobuf:"bytes,6,opt,name=pvc"`
	// +optional
	Source *DataVolumeSource `json:"source,omitempty" protobuf:"bytes,7,opt,name=source"`
	// +optional
	SourceRef *DataVolumeSourceRef `json:"sourceRef,omitempty" protobuf:"bytes,8,opt,name=sourceRef"`
	// +optional
	Storage *StorageSpec `json:"storage,omitempty" protobuf:"bytes,9,opt,name=storage"`
}

// DataVolumeCheckpoint is documented field by field below.
type DataVolumeCheckpoint struct {
	// +required
	Current string `json:"current" protobuf:"bytes,1,opt,name=current"`
	// +required
	Previous string `json:"previous" protobuf:"bytes,2,opt,name=previous"`
}

// DataVolumeSource is documented field by field below.
type DataVolumeSource struct {
	// +optional
	Blank *DataVolumeBlankImage `json:"blank,omitempty" protobuf:"bytes,1,opt,name=blank"`
	// +optional
	GCS *DataVolumeSourceGCS `json:"gcs,omitempty" protobuf:"bytes,2,opt,name=gcs"`
	// +optional
	HTTP *DataVolumeSourceHTTP `json:"http,omitempty" protobuf:"bytes,3,opt,name=http"`
	// +optional
	ImageIO *DataVolumeSourceImageIO `json:"imageio,omitempty" protobuf:"bytes,4,opt,name=imageio"`
	// +optional
	PVC *DataVolumeSourcePVC `json:"pvc,omitempty" protobuf:"bytes,5,opt,name=pvc"`
	// +optional
	Registry *DataVolumeSourceRegistry `json:"registry,omitempty" protobuf:"bytes,6,opt,name=registry"`
	// +optional
	S3 *DataVolumeSourceS3 `json:"s3,omitempty" protobuf:"bytes,7,opt,name=s3"`
	// +optional
	Snapshot *DataVolumeSourceSnapshot `json:"snapshot,omitempty" protobuf:"bytes,8,opt,name=snapshot"`
	// +optional
	Upload *DataVolumeSourceUpload `json:"upload,omitempty" protobuf:"bytes,9,opt,name=upload"`
	// +optional
	VDDK *DataVolumeSourceVDDK `json:"vddk,omitempty" protobuf:"bytes,10,opt,name=vddk"`
}

// DataVolumeSourceRef is documented field by field below.
type DataVolumeSourceRef struct {
	// +required
	Kind string `json:"kind" protobuf:"bytes,1,opt,name=kind"`
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
	// +optional
	Namespace string `json:"namespace,omitempty" protobuf:"bytes,3,opt,name=namespace"`
}

// StorageSpec is documented field by field below.
type StorageSpec struct {
	// +optional
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty" protobuf:"bytes,1,rep,name=accessModes"`
	// +optional
	DataSource *corev1.TypedLocalObjectReference `json:"dataSource,omitempty" protobuf:"bytes,2,opt,name=dataSource"`
	// +optional
	DataSourceRef *corev1.TypedObjectReference `json:"dataSourceRef,omitempty" protobuf:"bytes,3,opt,name=dataSourceRef"`
	// +optional
	Resources corev1.VolumeResourceRequirements `json:"resources,omitempty" protobuf:"bytes,4,opt,name=resources"`
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty" protobuf:"bytes,5,opt,name=selector"`
	// +optional
	StorageClassName string `json:"storageClassName,omitempty" protobuf:"bytes,6,opt,name=storageClassName"`
	// +optional
	VolumeMode *corev1.PersistentVolumeMode `json:"volumeMode,omitempty" protobuf:"bytes,7,opt,name=volumeMode"`
	// +optional
	VolumeName string `json:"volumeName,omitempty" protobuf:"bytes,8,opt,name=volumeName"`
}

// DataVolumeBlankImage is documented field by field below.
type DataVolumeBlankImage struct {
}

// DataVolumeSourceGCS is documented field by field below.
type DataVolumeSourceGCS struct {
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,1,opt,name=secretRef"`
	// +required
	URL string `json:"url" protobuf:"bytes,2,opt,name=url"`
}

// DataVolumeSourceHTTP is documented field by field below.
type DataVolumeSourceHTTP struct {
	// +optional
	CertConfigMap string `json:"certConfigMap,omitempty" protobuf:"bytes,1,opt,name=certConfigMap"`
	// +optional
	ExtraHeaders []string `json:"extraHeaders,omitempty" protobuf:"bytes,2,rep,name=extraHeaders"`
	// +optional
	SecretExtraHeaders []string `json:"secretExtraHeaders,omitempty" protobuf:"bytes,3,rep,name=secretExtraHeaders"`
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,4,opt,name=secretRef"`
	// +required
	URL string `json:"url" protobuf:"bytes,5,opt,name=url"`
}

// DataVolumeSourceImageIO is documented field by field below.
type DataVolumeSourceImageIO struct {
	// +optional
	CertConfigMap string `json:"certConfigMap,omitempty" protobuf:"bytes,1,opt,name=certConfigMap"`
	// +required
	DiskID string `json:"diskId" protobuf:"bytes,2,opt,name=diskId"`
	// +optional
	InsecureSkipVerify *bool `json:"insecureSkipVerify,omitempty" protobuf:"varint,3,opt,name=insecureSkipVerify"`
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,4,opt,name=secretRef"`
	// +required
	URL string `json:"url" protobuf:"bytes,5,opt,name=url"`
}

// DataVolumeSourcePVC is documented field by field below.
type DataVolumeSourcePVC struct {
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// +required
	Namespace string `json:"namespace" protobuf:"bytes,2,opt,name=namespace"`
}

// DataVolumeSourceRegistry is documented field by field below.
type DataVolumeSourceRegistry struct {
	// +optional
	CertConfigMap string `json:"certConfigMap,omitempty" protobuf:"bytes,1,opt,name=certConfigMap"`
	// +optional
	ImageStream string `json:"imageStream,omitempty" protobuf:"bytes,2,opt,name=imageStream"`
	// +optional
	Platform *PlatformOptions `json:"platform,omitempty" protobuf:"bytes,3,opt,name=platform"`
	// +optional
	PullMethod string `json:"pullMethod,omitempty" protobuf:"bytes,4,opt,name=pullMethod"`
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,5,opt,name=secretRef"`
	// +optional
	URL string `json:"url,omitempty" protobuf:"bytes,6,opt,name=url"`
}

// DataVolumeSourceS3 is documented field by field below.
type DataVolumeSourceS3 struct {
	// +optional
	CertConfigMap string `json:"certConfigMap,omitempty" protobuf:"bytes,1,opt,name=certConfigMap"`
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,2,opt,name=secretRef"`
	// +required
	URL string `json:"url" protobuf:"bytes,3,opt,name=url"`
}

// DataVolumeSourceSnapshot is documented field by field below.
type DataVolumeSourceSnapshot struct {
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// +required
	Namespace string `json:"namespace" protobuf:"bytes,2,opt,name=namespace"`
}

// DataVolumeSourceUpload is documented field by field below.
type DataVolumeSourceUpload struct {
}

// DataVolumeSourceVDDK is documented field by field below.
type DataVolumeSourceVDDK struct {
	// +optional
	BackingFile string `json:"backingFile,omitempty" protobuf:"bytes,1,opt,name=backingFile"`
	// +optional
	ExtraArgs string `json:"extraArgs,omitempty" protobuf:"bytes,2,opt,name=extraArgs"`
	// +optional
	InitImageURL string `json:"initImageURL,omitempty" protobuf:"bytes,3,opt,name=initImageURL"`
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,4,opt,name=secretRef"`
	// +optional
	Thumbprint string `json:"thumbprint,omitempty" protobuf:"bytes,5,opt,name=thumbprint"`
	// +optional
	URL string `json:"url,omitempty" protobuf:"bytes,6,opt,name=url"`
	// +optional
	UUID string `json:"uuid,omitempty" protobuf:"bytes,7,opt,name=uuid"`
}

// PlatformOptions is documented field by field below.
type PlatformOptions struct {
	// +optional
	Architecture string `json:"architecture,omitempty" protobuf:"bytes,1,opt,name=architecture"`
}
