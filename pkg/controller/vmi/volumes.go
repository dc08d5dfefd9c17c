package vmi

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

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
				v.add(name, machine.ClaimPath(volume.Name), claimReadOnly(volume), claim)
			}
		case volume.CloudInitNoCloud != nil:
			v.cloudInit(i, volume.Name, volume.CloudInitNoCloud.SecretRef, volume.CloudInitNoCloud.NetworkDataSecretRef)
		case volume.CloudInitConfigDrive != nil:
			v.cloudInit(i, volume.Name, volume.CloudInitConfigDrive.SecretRef, volume.CloudInitConfigDrive.NetworkDataSecretRef)
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
	}
	return ""
}

func claimReadOnly(volume virtv1.Volume) bool {
	return volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ReadOnly != nil && *volume.PersistentVolumeClaim.ReadOnly
}
