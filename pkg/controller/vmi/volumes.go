package vmi

import (
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// podVolumes is what the volumes of an instance become in its pod.
type podVolumes struct {
	volumes     []corev1.Volume
	mounts      []corev1.VolumeMount
	devices     []corev1.VolumeDevice
	pullSecrets []corev1.LocalObjectReference
}

func newVolumes(vmi *virtv1.VirtualMachineInstance, o RenderOptions) podVolumes {
	var v podVolumes
	for _, dir := range []struct{ name, path string }{
		{machine.PrivateVolume, machine.PrivateDir}, {machine.SocketsVolume, machine.SocketsDir},
		{machine.EphemeralVolume, machine.EphemeralDir}, {machine.TmpVolume, "/tmp"},
	} {
		v.add(dir.name, dir.path, false, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	}
	if fw := vmi.Spec.Domain.Firmware; fw != nil && fw.KernelBoot != nil && fw.KernelBoot.Container != nil {
		c := fw.KernelBoot.Container
		v.image(machine.KernelBootVolume, machine.KernelBootDir, c.Image, c.ImagePullPolicy, c.ImagePullSecret)
	}
	if claim := stateClaim(vmi); claim != "" {
		v.add(machine.StateVolume, machine.StateDir, false, corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}})
	}
	v.accessCredentials(vmi.Spec.AccessCredentials)
	for i, volume := range vmi.Spec.Volumes {
		// A disk's name may hold dots and 253 characters, a pod volume's may not.
		name := fmt.Sprintf("volume-%d", i)
		switch {
		case volume.ContainerDisk != nil:
			d := volume.ContainerDisk
			v.image(name, machine.ContainerDiskPath(volume.Name), d.Image, d.ImagePullPolicy, d.ImagePullSecret)
		case claimOf(volume) != "":
			claim := corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimOf(volume), ReadOnly: claimReadOnly(volume)}}
			if isBlock(o.Claims[claimOf(volume)]) {
				v.volumes = append(v.volumes, corev1.Volume{Name: name, VolumeSource: claim})
				v.devices = append(v.devices, corev1.VolumeDevice{Name: name, DevicePath: machine.ClaimDevice(volume.Name)})
			} else {
				// What is under an ephemeral volume is never written to, whatever its claim allows.
				v.add(name, machine.ClaimPath(volume.Name), claimReadOnly(volume) || volume.Ephemeral != nil, claim)
			}
		case volume.HostDisk != nil:
			v.hostDisk(name, volume.Name, volume.HostDisk)
		case volume.CloudInitNoCloud != nil:
			v.cloudInit(i, volume.Name, volume.CloudInitNoCloud.SecretRef, volume.CloudInitNoCloud.NetworkDataSecretRef)
		case volume.CloudInitConfigDrive != nil:
			v.cloudInit(i, volume.Name, volume.CloudInitConfigDrive.SecretRef, volume.CloudInitConfigDrive.NetworkDataSecretRef)
		default:
			if source := configSource(volume); source != nil {
				v.add(name, machine.ConfigPath(volume.Name), true, *source)
			}
		}
	}
	return v
}

func (v *podVolumes) add(name, path string, readOnly bool, source corev1.VolumeSource) {
	v.volumes = append(v.volumes, corev1.Volume{Name: name, VolumeSource: source})
	v.mounts = append(v.mounts, corev1.VolumeMount{Name: name, MountPath: path, ReadOnly: readOnly})
}

func (v *podVolumes) image(name, path, reference string, policy corev1.PullPolicy, pullSecret string) {
	v.add(name, path, true, corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: reference, PullPolicy: policy}})
	if pullSecret != "" {
		v.pullSecrets = append(v.pullSecrets, corev1.LocalObjectReference{Name: pullSecret})
	}
}

// cloudInit mounts the Secrets that a cloud-init volume refers to. The kubelet delivers them, so neither virt-handler nor
// the launcher needs any right on Secrets.
func (v *podVolumes) cloudInit(i int, volume string, userData, networkData *corev1.LocalObjectReference) {
	if userData != nil {
		v.add(fmt.Sprintf("userdata-%d", i), machine.UserDataPath(volume), true, corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: userData.Name}})
	}
	if networkData != nil {
		v.add(fmt.Sprintf("networkdata-%d", i), machine.NetworkDataPath(volume), true, corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: networkData.Name}})
	}
}

// configSource is how the kubelet brings the files of a config disk into the pod, nil if the volume is none. A Secret, ConfigMap
// or key that is missing keeps the pod from starting, unless the volume says that it is optional.
func configSource(volume virtv1.Volume) *corev1.VolumeSource {
	secret := func(name string, optional *bool) *corev1.VolumeSource {
		return &corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name, Optional: optional}}
	}
	configMap := func(name string, optional *bool) *corev1.VolumeSource {
		return &corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Optional: optional}}
	}
	switch {
	case volume.ConfigMap != nil:
		return configMap(volume.ConfigMap.Name, volume.ConfigMap.Optional)
	case volume.Secret != nil:
		return secret(volume.Secret.SecretName, volume.Secret.Optional)
	case volume.Sysprep != nil && volume.Sysprep.ConfigMap != nil:
		return configMap(volume.Sysprep.ConfigMap.Name, nil)
	case volume.Sysprep != nil && volume.Sysprep.Secret != nil:
		return secret(volume.Sysprep.Secret.Name, nil)
	case volume.DownwardAPI != nil:
		return &corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: downwardFields(volume.DownwardAPI.Fields)}}
	case volume.ServiceAccount != nil:
		return accountSource()
	}
	return nil
}

// downwardFields names the container of resource fields, which a volume of a pod must and one of a machine need not do.
func downwardFields(fields []corev1.DownwardAPIVolumeFile) []corev1.DownwardAPIVolumeFile {
	out := make([]corev1.DownwardAPIVolumeFile, len(fields))
	for i := range fields {
		fields[i].DeepCopyInto(&out[i])
		if r := out[i].ResourceFieldRef; r != nil && r.ContainerName == "" {
			r.ContainerName = machine.ComputeContainer
		}
	}
	return out
}

// accountTokenSeconds is how long the token on a service account's disk is good. The disk is written once, when the machine
// starts: a token of the usual hour would be worth nothing to a guest that runs for long. It ends with the pod in any case.
const accountTokenSeconds = 365 * 24 * 60 * 60

// accountSource has the files that any pod finds of its service account.
func accountSource() *corev1.VolumeSource {
	return &corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: ptr.To(int64(accountTokenSeconds))}},
		{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
		}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}},
		}}},
	}}}
}

// serviceAccountName is the account that the pod runs as: a token can be had of no other, so a volume's comes first.
func serviceAccountName(spec *virtv1.VirtualMachineInstanceSpec) string {
	for _, v := range spec.Volumes {
		if v.ServiceAccount != nil {
			return v.ServiceAccount.ServiceAccountName
		}
	}
	return spec.ServiceAccountName
}

// hostDisk mounts no more of the node than it must: a file that exists by itself, else the folder in which it may have to be
// made. The pod's user must have the right to do that; nobody gives files of the node away to guests.
func (v *podVolumes) hostDisk(name, volume string, d *virtv1.HostDisk) {
	folder, file := path.Split(path.Clean(d.Path))
	if d.Type == virtv1.HostDiskExists {
		v.add(name, path.Join(machine.HostDiskPath(volume), file), false, corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path.Clean(d.Path), Type: ptr.To(corev1.HostPathFile)}})
		return
	}
	v.add(name, machine.HostDiskPath(volume), false, corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path.Clean(folder), Type: ptr.To(corev1.HostPathDirectoryOrCreate)}})
}

func isBlock(claim *corev1.PersistentVolumeClaim) bool {
	return claim != nil && claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock
}

// claimOf is the claim that backs a volume, or empty. The claim of a DataVolume bears its name.
func claimOf(volume virtv1.Volume) string {
	switch {
	case volume.PersistentVolumeClaim != nil:
		return volume.PersistentVolumeClaim.ClaimName
	case volume.DataVolume != nil:
		return volume.DataVolume.Name
	case volume.Ephemeral != nil && volume.Ephemeral.PersistentVolumeClaim != nil:
		return volume.Ephemeral.PersistentVolumeClaim.ClaimName
	}
	return ""
}

func claimReadOnly(volume virtv1.Volume) bool {
	if e := volume.Ephemeral; e != nil && e.PersistentVolumeClaim != nil {
		return e.PersistentVolumeClaim.ReadOnly
	}
	return volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ReadOnly != nil && *volume.PersistentVolumeClaim.ReadOnly
}
