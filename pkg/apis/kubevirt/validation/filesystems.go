package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of file systems that a guest shares with its pod, and of what config disks depend on outside their volume.
var (
	RuleFilesystemVolume = rule("filesystem-source", "a file system has a volume of its name, which holds files and is no disk at the same time")
	RuleFilesystemTag    = rule("filesystem-tag", "the name of a file system, by which the guest mounts it, is at most 36 characters")
	RuleVolumeLabel      = rule("volume-label", "the label of a config disk is at most 32 plain characters")
	RuleVolumeAccount    = rule("service-account-volume", "a service account volume is of the account that the instance runs as")
)

const (
	// maxTag is what the guest's device has room for.
	maxTag = 36
	// maxLabel is what a file system of ISO 9660 has room for.
	maxLabel = 32
)

// sharing checks file systems against volumes and disks.
func (r *report) sharing(spec *virtv1.VirtualMachineInstanceSpec, path *field.Path) {
	volumes, disks := map[string]*virtv1.Volume{}, map[string]bool{}
	for i := range spec.Volumes {
		volumes[spec.Volumes[i].Name] = &spec.Volumes[i]
	}
	for _, d := range spec.Domain.Devices.Disks {
		disks[d.Name] = true
	}
	for i, f := range spec.Domain.Devices.Filesystems {
		p := path.Child("domain", "devices", "filesystems").Index(i).Child("name")
		v := volumes[f.Name]
		switch {
		case f.Name == "":
			continue // told already
		case v == nil:
			r.incomplete(RuleFilesystemVolume, p, "%q must be the name of a volume in `volumes`: add the volume or remove the file system", f.Name)
		case v.PersistentVolumeClaim == nil && v.DataVolume == nil && v.ConfigMap == nil && v.Secret == nil && v.ServiceAccount == nil && v.DownwardAPI == nil && v.Sysprep == nil && v.ContainerPath == nil:
			r.invalid(RuleFilesystemVolume, p, f.Name, "its volume must be a persistentVolumeClaim, dataVolume, configMap, secret, serviceAccount or downwardAPI")
		case disks[f.Name]:
			r.forbidden(RuleFilesystemVolume, p, "volume %q is a disk too: remove the disk or the file system", f.Name)
		}
		if len(f.Name) > maxTag {
			r.add(RuleFilesystemTag, field.TooLong(p, f.Name, maxTag))
		}
	}
	for i := range spec.Volumes {
		if s := spec.Volumes[i].ServiceAccount; s != nil && spec.ServiceAccountName != "" && s.ServiceAccountName != spec.ServiceAccountName {
			r.invalid(RuleVolumeAccount, path.Child("volumes").Index(i).Child("serviceAccount", "serviceAccountName"), s.ServiceAccountName,
				"must be %q as `serviceAccountName` of the instance: its pod can have a token of no other account", spec.ServiceAccountName)
		}
	}
}

func (r *report) volumeLabel(label string, p *field.Path) {
	for _, c := range label {
		if c < ' ' || c > '~' {
			r.invalid(RuleVolumeLabel, p, label, "must consist of printable ASCII characters")
			break
		}
	}
	if len(label) > maxLabel {
		r.add(RuleVolumeLabel, field.TooLong(p, label, maxLabel))
	}
}
