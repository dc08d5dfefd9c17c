package vmi

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
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
	// defaultCPUAllocationRatio is how many vCPUs share a CPU's request when the configuration says nothing.
	defaultCPUAllocationRatio = 10
	ephemeralStorageRequest   = "50M"
)

// RenderOptions are the facts outside the instance that its pod depends on.
type RenderOptions struct {
	// LauncherImage is the image of the compute container.
	LauncherImage string
	// Config is the cluster's configuration.
	Config virtv1.KubeVirtConfiguration
	// Claims are the claims of this instance, by name.
	Claims map[string]*corev1.PersistentVolumeClaim
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
	annotations := map[string]string{
		virtv1.DomainAnnotation:                          vmi.Name,
		"kubectl.kubernetes.io/default-container":        machine.ComputeContainer,
		virtv1.MemoryOverheadAnnotation:                  fmt.Sprint(overhead.Value()),
		"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
	}
	volumes := newVolumes(vmi, o)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: machine.LauncherPodName(vmi.Name, vmi.UID, attempt), Namespace: vmi.Namespace,
			Labels: labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(vmi, virtv1.SchemeGroupVersion.WithKind("VirtualMachineInstance"))},
		},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			ServiceAccountName:            spec.ServiceAccountName,
			Hostname:                      machine.HostName(spec.Hostname, vmi.Name),
			Subdomain:                     spec.Subdomain,
			DNSPolicy:                     spec.DNSPolicy,
			DNSConfig:                     spec.DNSConfig,
			NodeSelector:                  nodeSelector(spec, o),
			Affinity:                      spec.Affinity,
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
			Volumes: volumes.volumes,
			Containers: []corev1.Container{{
				Name:            machine.ComputeContainer,
				Image:           o.LauncherImage,
				ImagePullPolicy: o.Config.ImagePullPolicy,
				Command: []string{"/usr/bin/virt-launcher", "init", "--grace-period", fmt.Sprintf("%ds", gracePeriod(spec)), "--",
					"--name", vmi.Name, "--namespace", vmi.Namespace, "--uid", string(vmi.UID)},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
					RunAsUser: ptr.To(machine.QEMUUser), RunAsGroup: ptr.To(machine.QEMUGroup), RunAsNonRoot: ptr.To(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
				Resources:                resources(spec, overhead, o),
				VolumeMounts:             volumes.mounts,
				VolumeDevices:            volumes.devices,
				TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			}},
		},
	}
}

func gracePeriod(spec *virtv1.VirtualMachineInstanceSpec) int64 {
	if g := spec.TerminationGracePeriodSeconds; g != nil && *g >= 0 {
		return *g
	}
	return defaultGracePeriodSeconds
}

// nodeSelector adds the machine's architecture to the user's selector. That the node's agent is alive and willing is asked by
// the devices that only it offers, and not by its label: a kubelet that starts anew does not know the labels that others gave
// its node until it has read it, and ends running pods that select by one.
func nodeSelector(spec *virtv1.VirtualMachineInstanceSpec, o RenderOptions) map[string]string {
	out := map[string]string{}
	if d := o.Config.DeveloperConfiguration; d != nil {
		maps.Copy(out, d.NodeSelectors)
	}
	if spec.Architecture != "" {
		out[corev1.LabelArchStable] = spec.Architecture
	}
	maps.Copy(out, spec.NodeSelector)
	return out
}

// resources adds the machine's overhead to what the user asked for and requests the devices it opens.
func resources(spec *virtv1.VirtualMachineInstanceSpec, overhead resource.Quantity, o RenderOptions) corev1.ResourceRequirements {
	requests, limits := corev1.ResourceList{}, corev1.ResourceList{}
	maps.Copy(requests, spec.Domain.Resources.Requests)
	maps.Copy(limits, spec.Domain.Resources.Limits)

	memory := machine.GuestMemory(spec)
	if asked, ok := requests[corev1.ResourceMemory]; ok {
		memory = asked
	}
	overcommit := spec.Domain.Resources.OvercommitGuestOverhead
	if overcommit == nil || !*overcommit {
		memory.Add(overhead)
	}
	requests[corev1.ResourceMemory] = memory
	if limit, ok := limits[corev1.ResourceMemory]; ok {
		limit.Add(overhead)
		limits[corev1.ResourceMemory] = limit
	}
	_, limited := limits[corev1.ResourceCPU]
	if _, asked := requests[corev1.ResourceCPU]; !asked && !limited {
		ratio := int64(defaultCPUAllocationRatio)
		if d := o.Config.DeveloperConfiguration; d != nil && d.CPUAllocationRatio != nil && *d.CPUAllocationRatio > 0 {
			ratio = int64(*d.CPUAllocationRatio)
		}
		requests[corev1.ResourceCPU] = *resource.NewMilliQuantity(int64(machine.VCPUs(spec.Domain.CPU))*1000/ratio, resource.DecimalSI)
	}
	if _, asked := requests[corev1.ResourceEphemeralStorage]; !asked {
		requests[corev1.ResourceEphemeralStorage] = resource.MustParse(ephemeralStorageRequest)
	}
	one := resource.MustParse("1")
	for _, device := range devices(spec, o) {
		requests[device], limits[device] = one, one
	}
	return corev1.ResourceRequirements{Requests: requests, Limits: limits}
}

// devices names the device-plugin resources that the machine opens (decision 20).
func devices(spec *virtv1.VirtualMachineInstanceSpec, o RenderOptions) []corev1.ResourceName {
	var out []corev1.ResourceName
	if len(spec.Domain.Devices.Interfaces) > 0 {
		out = append(out, machine.ResourceTun)
	}
	if o.emulation() {
		return out
	}
	out = append(out, machine.ResourceKVM)
	if slices.ContainsFunc(spec.Domain.Devices.Interfaces, func(i virtv1.Interface) bool { return i.Model == "" || i.Model == "virtio" }) {
		out = append(out, machine.ResourceVhostNet)
	}
	return out
}
