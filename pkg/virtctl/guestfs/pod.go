package guestfs

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	container = "libguestfs"
	// diskDir is where a claim with a file system is mounted, diskPath the device of a block volume.
	diskDir  = "/disk"
	diskPath = "/dev/vda"
	tmpDir   = "/tmp/guestfs"
	// launcherUser is who owns the disks of machines.
	launcherUser = 107
	kvmDevice    = corev1.ResourceName("devices.kubevirt.io/kvm")
)

// podName keeps two shells from one claim: the second pod cannot be made. A claim's name is at most 253 long, a pod's too.
func podName(claim string) string {
	name := "libguestfs-tools-" + claim
	if len(name) > 253 {
		name = name[:253]
	}
	return name
}

func isBlock(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock
}

// pod is the pod of a shell on a claim. It runs as the user that disks belong to, without privileges, unless the user wants root.
func (g *guestfs) pod(claim *corev1.PersistentVolumeClaim) *corev1.Pod {
	notRoot, escalate := g.uid != 0, false
	c := corev1.Container{
		Name: container, Image: g.image, ImagePullPolicy: corev1.PullPolicy(g.pullPolicy), Command: []string{"/entrypoint.sh"}, Stdin: true, StdinOnce: true, TTY: true,
		Env: []corev1.EnvVar{
			{Name: "LIBGUESTFS_BACKEND", Value: "direct"}, // no libvirt
			{Name: "LIBGUESTFS_PATH", Value: "/usr/local/lib/guestfs/appliance"},
			{Name: "LIBGUESTFS_TMPDIR", Value: tmpDir},
			{Name: "LIBGUESTFS_CACHEDIR", Value: tmpDir},
			{Name: "HOME", Value: tmpDir},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: tmpDir}},
		SecurityContext: &corev1.SecurityContext{
			RunAsUser: &g.uid, RunAsGroup: &g.gid, RunAsNonRoot: &notRoot, AllowPrivilegeEscalation: &escalate,
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	if g.kvm {
		c.Resources.Limits = corev1.ResourceList{kvmDevice: resource.MustParse("1")}
	}
	if isBlock(claim) {
		c.VolumeDevices = []corev1.VolumeDevice{{Name: "volume", DevicePath: diskPath}}
	} else {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "volume", MountPath: diskDir})
		c.WorkingDir = diskDir
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: podName(claim.Name)},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			SecurityContext: &corev1.PodSecurityContext{
				FSGroup: &g.fsGroup, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Volumes: []corev1.Volume{
				{Name: "volume", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name}}},
				{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
			Containers: []corev1.Container{c},
		},
	}
}
