package validation

import (
	"encoding/base64"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of volumes.
var (
	RuleVolumeDuplicate   = rule("volume-duplicate", "each volume has a name of its own")
	RuleVolumeSource      = rule("volume-source", "a volume has exactly one source")
	RuleVolumeReference   = rule("volume-reference", "what a volume is made from is named")
	RuleVolumeSingle      = rule("volume-single", "service account, downward metrics and memory dump volumes are there once at most")
	RuleContainerDiskPath = rule("container-disk-path", "the path in a container disk is absolute and plain")
	RulePullPolicy        = rule("pull-policy", "imagePullPolicy is Always, Never or IfNotPresent")
	RuleEmptyDisk         = rule("empty-disk-capacity", "an empty disk has a capacity above zero")
	RuleHostDisk          = rule("host-disk", "a host disk has an absolute path, a known type, and a capacity only where it may be created")
	RuleSysprep           = rule("sysprep", "sysprep answers come from a ConfigMap or a Secret")
	RuleContainerPath     = rule("container-path", "the path of a container path volume is absolute and plain")
	RuleCloudInitUserData = rule("cloud-init-user-data", "cloud-init user data has at most one source")
	RuleCloudInitNetwork  = rule("cloud-init-network-data", "cloud-init network data has at most one source")
	RuleCloudInitPresent  = rule("cloud-init-present", "a cloud-init volume has user data or network data")
	RuleCloudInitBase64   = rule("cloud-init-base64", "base64 data of cloud-init decodes")
	RuleCloudInitLength   = rule("cloud-init-length", "inline cloud-init data is at most 2048 bytes")
	RuleDownwardAPI       = rule("downward-api", "a downward API volume has items with a path")
	maxCloudInit          = 2048
)

func (r *report) volumes(volumes []virtv1.Volume, p *field.Path) {
	seen := map[string]bool{}
	var accounts, metrics, dumps int
	for i := range volumes {
		v, p := &volumes[i], p.Index(i)
		r.diskName(v.Name, p.Child("name"))
		if seen[v.Name] {
			r.duplicate(RuleVolumeDuplicate, p.Child("name"), v.Name)
		}
		seen[v.Name] = true
		if count(v.CloudInitConfigDrive != nil, v.CloudInitNoCloud != nil, v.ConfigMap != nil, v.ContainerDisk != nil, v.ContainerPath != nil,
			v.DataVolume != nil, v.DownwardAPI != nil, v.DownwardMetrics != nil, v.EmptyDisk != nil, v.Ephemeral != nil, v.HostDisk != nil,
			v.MemoryDump != nil, v.PersistentVolumeClaim != nil, v.Secret != nil, v.ServiceAccount != nil, v.Sysprep != nil) != 1 {
			r.required(RuleVolumeSource, p, "%s must have exactly one source type set", p)
		}
		accounts += count(v.ServiceAccount != nil)
		metrics += count(v.DownwardMetrics != nil)
		dumps += count(v.MemoryDump != nil)
		r.volume(v, p)
	}
	for _, n := range []named[int]{{"serviceAccount", accounts}, {"downwardMetrics", metrics}, {"memoryDump", dumps}} {
		if n.value > 1 {
			r.forbidden(RuleVolumeSingle, p, "must have max one %s volume set", n.name)
		}
	}
}

func (r *report) volume(v *virtv1.Volume, p *field.Path) {
	if s := v.PersistentVolumeClaim; s != nil {
		r.referenced(s.ClaimName, p.Child("persistentVolumeClaim", "claimName"))
	}
	if s := v.DataVolume; s != nil {
		r.referenced(s.Name, p.Child("dataVolume", "name"))
	}
	if s := v.Ephemeral; s != nil {
		if s.PersistentVolumeClaim == nil {
			r.required(RuleVolumeReference, p.Child("ephemeral", "persistentVolumeClaim"), "must be set")
		} else {
			r.referenced(s.PersistentVolumeClaim.ClaimName, p.Child("ephemeral", "persistentVolumeClaim", "claimName"))
		}
	}
	if s := v.MemoryDump; s != nil {
		r.referenced(s.ClaimName, p.Child("memoryDump", "claimName"))
	}
	if s := v.ConfigMap; s != nil {
		r.referenced(s.Name, p.Child("configMap", "name"))
		r.volumeLabel(s.VolumeLabel, p.Child("configMap", "volumeLabel"))
	}
	if s := v.Secret; s != nil {
		r.referenced(s.SecretName, p.Child("secret", "secretName"))
		r.volumeLabel(s.VolumeLabel, p.Child("secret", "volumeLabel"))
	}
	if s := v.ServiceAccount; s != nil {
		r.referenced(s.ServiceAccountName, p.Child("serviceAccount", "serviceAccountName"))
	}
	if s := v.ContainerDisk; s != nil {
		if s.Image == "" {
			r.required(RuleVolumeReference, p.Child("containerDisk", "image"), "must be set")
		} else {
			r.image(s.Image, p.Child("containerDisk", "image"))
		}
		r.objectName(s.ImagePullSecret, p.Child("containerDisk", "imagePullSecret"))
		if s.Path != "" {
			r.plainPath(RuleContainerDiskPath, s.Path, p.Child("containerDisk", "path"))
		}
		r.pullPolicy(s.ImagePullPolicy, p.Child("containerDisk", "imagePullPolicy"))
	}
	if s := v.ContainerPath; s != nil {
		r.gate("ContainerPathVolumes", p.Child("containerPath"), "sharing a path of the launcher's container")
		r.plainPath(RuleContainerPath, s.Path, p.Child("containerPath", "path"))
	}
	if s := v.EmptyDisk; s != nil && s.Capacity.Sign() <= 0 {
		r.invalid(RuleEmptyDisk, p.Child("emptyDisk", "capacity"), s.Capacity.String(), "must be greater than 0")
	}
	if s := v.HostDisk; s != nil {
		r.hostDisk(s, p.Child("hostDisk"))
	}
	if s := v.Sysprep; s != nil {
		if named := count(s.ConfigMap != nil && s.ConfigMap.Name != "", s.Secret != nil && s.Secret.Name != ""); named != 1 || count(s.ConfigMap != nil, s.Secret != nil) != 1 {
			r.required(RuleSysprep, p.Child("sysprep"), "must have exactly one of `configMap.name` and `secret.name`")
		}
		if s.ConfigMap != nil {
			r.objectName(s.ConfigMap.Name, p.Child("sysprep", "configMap", "name"))
		}
		if s.Secret != nil {
			r.objectName(s.Secret.Name, p.Child("sysprep", "secret", "name"))
		}
	}
	if v.DownwardMetrics != nil {
		r.gate("DownwardMetrics", p.Child("downwardMetrics"), "showing metrics of the node to guests")
	}
	if s := v.DownwardAPI; s != nil {
		r.volumeLabel(s.VolumeLabel, p.Child("downwardAPI", "volumeLabel"))
		for i, f := range s.Fields {
			if f.Path == "" || path.IsAbs(f.Path) || path.Join("/", f.Path) != "/"+f.Path {
				r.invalid(RuleDownwardAPI, p.Child("downwardAPI", "fields").Index(i).Child("path"), f.Path, "must be a relative path without . and .. in it")
			}
			r.downwardField(&s.Fields[i], p.Child("downwardAPI", "fields").Index(i))
		}
	}
	if s := v.CloudInitNoCloud; s != nil {
		r.cloudInit(p.Child("cloudInitNoCloud"), s.UserData, s.UserDataBase64, s.SecretRef, s.NetworkData, s.NetworkDataBase64, s.NetworkDataSecretRef)
	}
	if s := v.CloudInitConfigDrive; s != nil {
		r.cloudInit(p.Child("cloudInitConfigDrive"), s.UserData, s.UserDataBase64, s.SecretRef, s.NetworkData, s.NetworkDataBase64, s.NetworkDataSecretRef)
	}
}

func (r *report) pullPolicy(policy corev1.PullPolicy, p *field.Path) {
	oneOf(r, RulePullPolicy, p, policy, corev1.PullAlways, corev1.PullNever, corev1.PullIfNotPresent)
}

func (r *report) hostDisk(s *virtv1.HostDisk, p *field.Path) {
	r.gate("HostDisk", p, "using a file of the node as a disk")
	r.plainPath(RuleHostDisk, s.Path, p.Child("path"))
	if s.Type == "" {
		r.required(RuleHostDisk, p.Child("type"), "must be Disk or DiskOrCreate")
	}
	oneOf(r, RuleHostDisk, p.Child("type"), s.Type, virtv1.HostDiskExists, virtv1.HostDiskExistsOrCreate)
	switch {
	case s.Type == virtv1.HostDiskExists && s.Capacity != nil && !s.Capacity.IsZero():
		r.forbidden(RuleHostDisk, p.Child("capacity"), "is allowed to pass only with `type` equal to 'DiskOrCreate'")
	case s.Capacity != nil && s.Capacity.Sign() < 0:
		r.invalid(RuleHostDisk, p.Child("capacity"), s.Capacity.String(), "must be greater than 0")
	}
}

func (r *report) cloudInit(p *field.Path, userData, userData64 string, userSecret *corev1.LocalObjectReference, networkData, networkData64 string, networkSecret *corev1.LocalObjectReference) {
	users := r.cloudInitPart(RuleCloudInitUserData, p, "userData", "secretRef", userData, userData64, userSecret)
	networks := r.cloudInitPart(RuleCloudInitNetwork, p, "networkData", "networkDataSecretRef", networkData, networkData64, networkSecret)
	if users == 0 && networks == 0 {
		r.required(RuleCloudInitPresent, p, "%s must have at least one userdatasource or one networkdatasource set: `userData`, `userDataBase64`, `secretRef`, `networkData`, `networkDataBase64` or `networkDataSecretRef`", p)
	}
}

// cloudInitPart checks one of the two documents of cloud-init and counts its sources. Inline data travels with every copy
// of the object to every watcher, hence the limit.
func (r *report) cloudInitPart(exclusive *Rule, p *field.Path, name, secretName, text, text64 string, secret *corev1.LocalObjectReference) int {
	if text64 != "" {
		decoded, err := base64.StdEncoding.DecodeString(text64)
		if err != nil {
			r.invalid(RuleCloudInitBase64, p.Child(name+"Base64"), field.OmitValueType{}, "is not a valid base64 value")
		}
		r.cloudInitLength(len(decoded), p.Child(name+"Base64"), secretName)
	}
	r.cloudInitLength(len(text), p.Child(name), secretName)
	if secret != nil {
		if secret.Name == "" {
			r.required(exclusive, p.Child(secretName, "name"), "must be the name of a Secret, or `%s` be left out", secretName)
		}
		r.objectName(secret.Name, p.Child(secretName, "name"))
	}
	n := count(text != "", text64 != "", secret != nil)
	if n > 1 {
		r.forbidden(exclusive, p.Child(name), "must have only one source set: `%s`, `%sBase64` or `%s`", name, name, secretName)
	}
	return n
}

func (r *report) cloudInitLength(length int, p *field.Path, secretName string) {
	if length > maxCloudInit {
		r.invalid(RuleCloudInitLength, p, length, "exceeds %d byte limit: put the data into a Secret and name it in `%s`", maxCloudInit, secretName)
	}
}
