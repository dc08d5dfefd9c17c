package vmi

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

const (
	// defaultGracePeriodSeconds applies to an instance that was stored without one.
	defaultGracePeriodSeconds = 30
	// graceMarginSeconds is what the kubelet waits beyond the guest's own grace period, so that the launcher, not the
	// kubelet, ends a guest that does not power off.
	graceMarginSeconds = 15
)

// RenderOptions are the facts outside the instance that its pod depends on.
type RenderOptions struct {
	// LauncherImage is the image of the compute container.
	LauncherImage string
	// Config is the cluster's configuration.
	Config virtv1.KubeVirtConfiguration
	// Claims are the claims of this instance, by name.
	Claims map[string]*corev1.PersistentVolumeClaim
	// CID is the instance's VSOCK address, nil if it wants none.
	CID *uint32
	// Limits are those that the quotas of the instance's namespace ask for, Ranges what its LimitRanges allow.
	Limits AutoLimits
	Ranges Ranges
}

func (o RenderOptions) emulation() bool {
	d := o.Config.DeveloperConfiguration
	return d != nil && d.UseEmulation != nil && *d.UseEmulation
}

// Pod renders the launcher pod of an instance. It is a pure function: the same arguments give the same pod.
func Pod(vmi *virtv1.VirtualMachineInstance, attempt int, o RenderOptions) *corev1.Pod {
	spec := &vmi.Spec
	overhead := machine.MemoryOverhead(spec, machine.Options{Emulation: o.emulation(), Ratio: o.Config.AdditionalGuestMemoryOverheadRatio})
	labels := maps.Clone(vmi.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	// A label that names the node would be stale on the pod; the scheduler decides.
	delete(labels, virtv1.NodeNameLabel)
	labels[virtv1.AppLabel] = machine.LauncherAppName
	labels[virtv1.CreatedByLabel] = string(vmi.UID)
	labels[virtv1.VirtualMachineNameLabel] = machine.HostName("", vmi.Name)
	labels[virtv1.VirtualMachineInstanceIDLabel] = virtv1.InstanceID(vmi.Name)
	annotations := map[string]string{}
	for key, value := range vmi.Annotations {
		if !private(key) {
			annotations[key] = value
		}
	}
	maps.Copy(annotations, map[string]string{
		virtv1.DomainAnnotation:                          vmi.Name,
		"kubectl.kubernetes.io/default-container":        machine.ComputeContainer,
		virtv1.MemoryOverheadAnnotation:                  fmt.Sprint(overhead.Value()),
		"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
	})
	volumes := newVolumes(vmi, o)
	if machine.HugepagesSize(spec) != "" {
		volumes.add(machine.HugepagesVolume, machine.HugepagesDir, false, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumHugePages}})
	}
	initFlags := []string{"--grace-period", fmt.Sprintf("%ds", gracePeriod(spec))}
	if launcherVerbosity(vmi, o.Config) >= debugVerbosity {
		initFlags = append(initFlags, "--log-level", "debug")
	}
	logs := logsConsole(spec, o.Config)
	if logs {
		initFlags = append(initFlags, "--console-log", consoleLogSocket)
	}
	if v, ok := vmi.Annotations[virtv1.FailFastAnnotation]; ok && v != "false" {
		initFlags = append(initFlags, "--fail")
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: machine.LauncherPodName(vmi.Namespace, vmi.Name, vmi.UID, attempt), Namespace: vmi.Namespace,
			Labels: labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(vmi, virtv1.SchemeGroupVersion.WithKind("VirtualMachineInstance"))},
		},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			ServiceAccountName:            serviceAccountName(spec),
			Hostname:                      machine.HostName(spec.Hostname, vmi.Name),
			Subdomain:                     spec.Subdomain,
			DNSPolicy:                     spec.DNSPolicy,
			DNSConfig:                     spec.DNSConfig,
			NodeSelector:                  nodeSelector(spec, o),
			Affinity:                      affinity(spec, o),
			Tolerations:                   spec.Tolerations,
			TopologySpreadConstraints:     spec.TopologySpreadConstraints,
			PriorityClassName:             spec.PriorityClassName,
			SchedulerName:                 spec.SchedulerName,
			ImagePullSecrets:              volumes.pullSecrets,
			TerminationGracePeriodSeconds: ptr.To(gracePeriod(spec) + graceMarginSeconds),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsUser: ptr.To(machine.QEMUUser), RunAsGroup: ptr.To(machine.QEMUGroup), RunAsNonRoot: ptr.To(true),
				FSGroup: ptr.To(machine.QEMUGroup), FSGroupChangePolicy: ptr.To(corev1.FSGroupChangeOnRootMismatch),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
				// The launcher answers DHCP on port 67 without any capability (decision 24).
				Sysctls: []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}},
			},
			ReadinessGates: []corev1.PodReadinessGate{{ConditionType: unpaused}},
			Volumes:        volumes.volumes,
			Containers: []corev1.Container{{
				Name:            machine.ComputeContainer,
				Image:           o.LauncherImage,
				ImagePullPolicy: o.Config.ImagePullPolicy,
				Command: slices.Concat([]string{"/usr/bin/virt-launcher", "init"}, initFlags,
					[]string{"--", "--name", vmi.Name, "--namespace", vmi.Namespace, "--uid", string(vmi.UID)}),
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
					RunAsUser: ptr.To(machine.QEMUUser), RunAsGroup: ptr.To(machine.QEMUGroup), RunAsNonRoot: ptr.To(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
				Ports:                    ports(spec.Domain.Devices.Interfaces),
				Resources:                resources(spec, overhead, o),
				VolumeMounts:             volumes.mounts,
				VolumeDevices:            volumes.devices,
				ReadinessProbe:           probe(spec.ReadinessProbe),
				LivenessProbe:            probe(spec.LivenessProbe),
				TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			}},
		},
	}
	if logs {
		logConsole(pod)
	}
	o.Ranges.fit(pod, fixedLimits(spec), memoryFloor(spec, overhead))
	return pod
}

// private says whether an annotation concerns the instance's own object and would be wrong on its pod.
func private(key string) bool {
	return strings.HasPrefix(key, "kubectl.kubernetes.io/") || strings.HasPrefix(key, "virtplane.io/") ||
		key == virtv1.VirtualMachineGeneration || key == virtv1.KeepLauncherAnnotation ||
		key == "kubevirt.io/latest-observed-api-version" || key == "kubevirt.io/storage-observed-api-version"
}

const (
	// verbosityLabel of an instance is the verbosity of its launcher alone.
	verbosityLabel = "logVerbosity"
	// debugVerbosity is where the launcher begins to log what it says to QEMU.
	debugVerbosity = 4
)

// launcherVerbosity is how much the launcher is to log. It is fixed for the life of a pod.
func launcherVerbosity(vmi *virtv1.VirtualMachineInstance, c virtv1.KubeVirtConfiguration) int {
	if n, err := strconv.Atoi(vmi.Labels[verbosityLabel]); err == nil {
		return n
	}
	if d := c.DeveloperConfiguration; d != nil && d.LogVerbosity != nil && d.LogVerbosity.VirtLauncher != nil {
		return int(*d.LogVerbosity.VirtLauncher)
	}
	return 0
}

func gracePeriod(spec *virtv1.VirtualMachineInstanceSpec) int64 {
	if g := spec.TerminationGracePeriodSeconds; g != nil && *g >= 0 {
		return *g
	}
	return defaultGracePeriodSeconds
}
