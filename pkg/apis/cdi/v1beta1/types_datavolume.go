package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DataVolumeSpec says what a claim is filled with.
type DataVolumeSpec struct {
	// Stages of a copy that is made in several.
	// +optional
	Checkpoints []DataVolumeCheckpoint `json:"checkpoints,omitempty" protobuf:"bytes,1,rep,name=checkpoints"`
	// kubevirt for a disk image, archive for a tar archive. Default: kubevirt.
	// +optional
	ContentType string `json:"contentType,omitempty" protobuf:"bytes,2,opt,name=contentType"`
	// Whether the last of checkpoints ends the copy. Default: false.
	// +optional
	FinalCheckpoint *bool `json:"finalCheckpoint,omitempty" protobuf:"varint,3,opt,name=finalCheckpoint"`
	// Whether the space is taken up at once. Default: false.
	// +optional
	Preallocation *bool `json:"preallocation,omitempty" protobuf:"varint,4,opt,name=preallocation"`
	// Priority class of the pods that fill the claim.
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty" protobuf:"bytes,5,opt,name=priorityClassName"`
	// The claim as Kubernetes has it. Excludes storage.
	// +optional
	PVC *corev1.PersistentVolumeClaimSpec `json:"pvc,omitempty" protobuf:"bytes,6,opt,name=pvc"`
	// What it is filled with. Excludes sourceRef.
	// +optional
	Source *DataVolumeSource `json:"source,omitempty" protobuf:"bytes,7,opt,name=source"`
	// Object that says what it is filled with.
	// +optional
	SourceRef *DataVolumeSourceRef `json:"sourceRef,omitempty" protobuf:"bytes,8,opt,name=sourceRef"`
	// The claim with what is left out chosen to suit the storage class. Excludes pvc.
	// +optional
	Storage *StorageSpec `json:"storage,omitempty" protobuf:"bytes,9,opt,name=storage"`
}

// DataVolumeCheckpoint is a stage of a copy that is made in several.
type DataVolumeCheckpoint struct {
	// Snapshot that is copied.
	// +required
	Current string `json:"current" protobuf:"bytes,1,opt,name=current"`
	// Snapshot that was copied before, if any.
	// +required
	Previous string `json:"previous" protobuf:"bytes,2,opt,name=previous"`
}

// DataVolumeSource is what a claim is filled with. It has one of its fields.
type DataVolumeSource struct {
	// Nothing.
	// +optional
	Blank *DataVolumeBlankImage `json:"blank,omitempty" protobuf:"bytes,1,opt,name=blank"`
	// An object of Google Cloud Storage.
	// +optional
	GCS *DataVolumeSourceGCS `json:"gcs,omitempty" protobuf:"bytes,2,opt,name=gcs"`
	// A file of a web server.
	// +optional
	HTTP *DataVolumeSourceHTTP `json:"http,omitempty" protobuf:"bytes,3,opt,name=http"`
	// A disk of oVirt.
	// +optional
	ImageIO *DataVolumeSourceImageIO `json:"imageio,omitempty" protobuf:"bytes,4,opt,name=imageio"`
	// Another claim.
	// +optional
	PVC *DataVolumeSourcePVC `json:"pvc,omitempty" protobuf:"bytes,5,opt,name=pvc"`
	// A disk image from a container image.
	// +optional
	Registry *DataVolumeSourceRegistry `json:"registry,omitempty" protobuf:"bytes,6,opt,name=registry"`
	// An object of S3.
	// +optional
	S3 *DataVolumeSourceS3 `json:"s3,omitempty" protobuf:"bytes,7,opt,name=s3"`
	// A snapshot of a volume.
	// +optional
	Snapshot *DataVolumeSourceSnapshot `json:"snapshot,omitempty" protobuf:"bytes,8,opt,name=snapshot"`
	// What a client sends.
	// +optional
	Upload *DataVolumeSourceUpload `json:"upload,omitempty" protobuf:"bytes,9,opt,name=upload"`
	// A disk of VMware.
	// +optional
	VDDK *DataVolumeSourceVDDK `json:"vddk,omitempty" protobuf:"bytes,10,opt,name=vddk"`
}

// DataVolumeSourceRef names an object that says what a claim is filled with.
type DataVolumeSourceRef struct {
	// Kind of the object: DataSource.
	// +required
	Kind string `json:"kind" protobuf:"bytes,1,opt,name=kind"`
	// Name of the object.
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
	// Namespace of the object. Default: that of the DataVolume.
	// +optional
	Namespace string `json:"namespace,omitempty" protobuf:"bytes,3,opt,name=namespace"`
}

// StorageSpec is a claim. What is left out is chosen to suit the storage class.
type StorageSpec struct {
	// How the volume is mounted, such as ReadWriteOnce.
	// +optional
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty" protobuf:"bytes,1,rep,name=accessModes"`
	// Object of the same namespace that the volume is made from.
	// +optional
	DataSource *corev1.TypedLocalObjectReference `json:"dataSource,omitempty" protobuf:"bytes,2,opt,name=dataSource"`
	// Object that the volume is made from, also of other kinds and namespaces.
	// +optional
	DataSourceRef *corev1.TypedObjectReference `json:"dataSourceRef,omitempty" protobuf:"bytes,3,opt,name=dataSourceRef"`
	// Size of the volume.
	// +optional
	Resources corev1.VolumeResourceRequirements `json:"resources,omitempty" protobuf:"bytes,4,opt,name=resources"`
	// Selects volumes by labels.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty" protobuf:"bytes,5,opt,name=selector"`
	// Storage class. Default: the cluster's default for machines, else the cluster's default.
	// +optional
	StorageClassName string `json:"storageClassName,omitempty" protobuf:"bytes,6,opt,name=storageClassName"`
	// Block or Filesystem.
	// +optional
	VolumeMode *corev1.PersistentVolumeMode `json:"volumeMode,omitempty" protobuf:"bytes,7,opt,name=volumeMode"`
	// The volume itself.
	// +optional
	VolumeName string `json:"volumeName,omitempty" protobuf:"bytes,8,opt,name=volumeName"`
}

// DataVolumeBlankImage is nothing. It has no settings.
type DataVolumeBlankImage struct {
}

// DataVolumeSourceGCS is an object of Google Cloud Storage.
type DataVolumeSourceGCS struct {
	// Secret with the credentials.
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,1,opt,name=secretRef"`
	// URL of the object.
	// +required
	URL string `json:"url" protobuf:"bytes,2,opt,name=url"`
}

// DataVolumeSourceHTTP is a file of a web server.
type DataVolumeSourceHTTP struct {
	// ConfigMap with the certificates of authorities to trust.
	// +optional
	CertConfigMap string `json:"certConfigMap,omitempty" protobuf:"bytes,1,opt,name=certConfigMap"`
	// Headers that are sent along.
	// +optional
	ExtraHeaders []string `json:"extraHeaders,omitempty" protobuf:"bytes,2,rep,name=extraHeaders"`
	// Secrets whose values are headers that are sent along.
	// +optional
	SecretExtraHeaders []string `json:"secretExtraHeaders,omitempty" protobuf:"bytes,3,rep,name=secretExtraHeaders"`
	// Secret with user name and password.
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,4,opt,name=secretRef"`
	// URL of the file.
	// +required
	URL string `json:"url" protobuf:"bytes,5,opt,name=url"`
}

// DataVolumeSourceImageIO is a disk of oVirt.
type DataVolumeSourceImageIO struct {
	// ConfigMap with the certificates of authorities to trust.
	// +optional
	CertConfigMap string `json:"certConfigMap,omitempty" protobuf:"bytes,1,opt,name=certConfigMap"`
	// ID of the disk.
	// +required
	DiskID string `json:"diskId" protobuf:"bytes,2,opt,name=diskId"`
	// Whether the server's certificate is not checked. Default: false.
	// +optional
	InsecureSkipVerify *bool `json:"insecureSkipVerify,omitempty" protobuf:"varint,3,opt,name=insecureSkipVerify"`
	// Secret with user name and password.
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,4,opt,name=secretRef"`
	// URL of the server.
	// +required
	URL string `json:"url" protobuf:"bytes,5,opt,name=url"`
}

// DataVolumeSourcePVC names another claim.
type DataVolumeSourcePVC struct {
	// Name of the claim.
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// Namespace of the claim.
	// +required
	Namespace string `json:"namespace" protobuf:"bytes,2,opt,name=namespace"`
}

// DataVolumeSourceRegistry is a disk image from a container image. It has one of url and imageStream.
type DataVolumeSourceRegistry struct {
	// ConfigMap with the certificates of authorities to trust.
	// +optional
	CertConfigMap string `json:"certConfigMap,omitempty" protobuf:"bytes,1,opt,name=certConfigMap"`
	// Image stream of OpenShift.
	// +optional
	ImageStream string `json:"imageStream,omitempty" protobuf:"bytes,2,opt,name=imageStream"`
	// Which of the platforms of the image is taken.
	// +optional
	Platform *PlatformOptions `json:"platform,omitempty" protobuf:"bytes,3,opt,name=platform"`
	// Who pulls the image: pod (the importer) or node. Default: pod.
	// +optional
	PullMethod string `json:"pullMethod,omitempty" protobuf:"bytes,4,opt,name=pullMethod"`
	// Secret with user name and password.
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,5,opt,name=secretRef"`
	// URL of the image, such as docker://registry.example/containerdisks/fedora.
	// +optional
	URL string `json:"url,omitempty" protobuf:"bytes,6,opt,name=url"`
}

// DataVolumeSourceS3 is an object of S3.
type DataVolumeSourceS3 struct {
	// ConfigMap with the certificates of authorities to trust.
	// +optional
	CertConfigMap string `json:"certConfigMap,omitempty" protobuf:"bytes,1,opt,name=certConfigMap"`
	// Secret with the keys.
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,2,opt,name=secretRef"`
	// URL of the object.
	// +required
	URL string `json:"url" protobuf:"bytes,3,opt,name=url"`
}

// DataVolumeSourceSnapshot names a snapshot of a volume.
type DataVolumeSourceSnapshot struct {
	// Name of the snapshot.
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// Namespace of the snapshot.
	// +required
	Namespace string `json:"namespace" protobuf:"bytes,2,opt,name=namespace"`
}

// DataVolumeSourceUpload is what a client sends. It has no settings.
type DataVolumeSourceUpload struct {
}

// DataVolumeSourceVDDK is a disk of VMware.
type DataVolumeSourceVDDK struct {
	// Path of the disk's file.
	// +optional
	BackingFile string `json:"backingFile,omitempty" protobuf:"bytes,1,opt,name=backingFile"`
	// ConfigMap with further settings of the library.
	// +optional
	ExtraArgs string `json:"extraArgs,omitempty" protobuf:"bytes,2,opt,name=extraArgs"`
	// Image that holds the library.
	// +optional
	InitImageURL string `json:"initImageURL,omitempty" protobuf:"bytes,3,opt,name=initImageURL"`
	// Secret with user name and password.
	// +optional
	SecretRef string `json:"secretRef,omitempty" protobuf:"bytes,4,opt,name=secretRef"`
	// Thumbprint of the server's certificate.
	// +optional
	Thumbprint string `json:"thumbprint,omitempty" protobuf:"bytes,5,opt,name=thumbprint"`
	// URL of the server.
	// +optional
	URL string `json:"url,omitempty" protobuf:"bytes,6,opt,name=url"`
	// UUID of the virtual machine.
	// +optional
	UUID string `json:"uuid,omitempty" protobuf:"bytes,7,opt,name=uuid"`
}

// PlatformOptions is a platform of a container image.
type PlatformOptions struct {
	// CPU architecture.
	// +optional
	Architecture string `json:"architecture,omitempty" protobuf:"bytes,1,opt,name=architecture"`
}
