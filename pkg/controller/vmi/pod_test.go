package vmi

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

var update = flag.Bool("update", false, "write the golden files anew")

func guest(memory string) virtv1.VirtualMachineInstance {
	q := resource.MustParse(memory)
	return virtv1.VirtualMachineInstance{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", UID: "0d2f9c1e", Labels: map[string]string{"special": "key"}},
		Spec: virtv1.VirtualMachineInstanceSpec{Domain: virtv1.DomainSpec{
			Memory:  &virtv1.Memory{Guest: &q},
			Devices: virtv1.Devices{AutoattachGraphicsDevice: ptr.To(false)},
		}},
	}
}

func emulation(on bool) RenderOptions {
	return RenderOptions{LauncherImage: "launcher:1", Config: virtv1.KubeVirtConfiguration{DeveloperConfiguration: &virtv1.DeveloperConfiguration{UseEmulation: &on}}}
}

func TestPodGolden(t *testing.T) {
	small := guest("128Mi")
	full := guest("1Gi")
	full.Name = "db.example"
	full.Spec.Hostname, full.Spec.Subdomain = "db", "pool"
	full.Spec.TerminationGracePeriodSeconds = ptr.To(int64(180))
	full.Spec.NodeSelector = map[string]string{"zone": "a"}
	full.Spec.PriorityClassName, full.Spec.SchedulerName = "high", "mine"
	full.Spec.Tolerations = []corev1.Toleration{{Key: "key", Operator: "Equal", Value: "virtualization", Effect: "NoSchedule"}}
	full.Spec.Domain.CPU = &virtv1.CPU{Sockets: 2, Cores: 2, Threads: 1}
	full.Spec.Domain.Resources.Requests = corev1.ResourceList{"memory": resource.MustParse("1Gi"), "cpu": resource.MustParse("2")}
	full.Spec.Domain.Resources.Limits = corev1.ResourceList{"memory": resource.MustParse("2Gi")}
	full.Spec.Domain.Devices.AutoattachGraphicsDevice = nil
	full.Spec.Domain.Devices.Interfaces = []virtv1.Interface{{Name: "default", Masquerade: &virtv1.InterfaceMasquerade{}}}
	full.Spec.Domain.Firmware = &virtv1.Firmware{KernelBoot: &virtv1.KernelBoot{Container: &virtv1.KernelBootContainer{Image: "kernel:1", KernelPath: "/boot/vmlinuz"}}}
	full.Spec.Volumes = []virtv1.Volume{
		{Name: "root.disk", ContainerDisk: &virtv1.ContainerDiskSource{Image: "disk:1", ImagePullPolicy: "Always", ImagePullSecret: "pull"}},
		{Name: "data", PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}},
		{Name: "raw", PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: "raw"}},
		{Name: "dv", DataVolume: &virtv1.DataVolumeSource{Name: "imported"}},
		{Name: "scratch", EmptyDisk: &virtv1.EmptyDiskSource{Capacity: resource.MustParse("1Gi")}},
		{Name: "init", CloudInitNoCloud: &virtv1.CloudInitNoCloudSource{SecretRef: &corev1.LocalObjectReference{Name: "user"}, NetworkDataSecretRef: &corev1.LocalObjectReference{Name: "net"}}},
	}
	full.Spec.ReadinessProbe = &virtv1.Probe{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(1500)}, InitialDelaySeconds: ptr.To(int32(120)), PeriodSeconds: ptr.To(int32(20))}
	full.Spec.LivenessProbe = &virtv1.Probe{GuestAgentPing: &virtv1.GuestAgentPing{}, TimeoutSeconds: ptr.To(int32(10)), FailureThreshold: ptr.To(int32(3))}
	full.Spec.AccessCredentials = []virtv1.AccessCredential{
		{SSHPublicKey: &virtv1.SSHPublicKeyAccessCredential{Source: virtv1.SSHPublicKeyAccessCredentialSource{Secret: &virtv1.AccessCredentialSecretSource{SecretName: "keys.of.ann"}}}},
		{SSHPublicKey: &virtv1.SSHPublicKeyAccessCredential{Source: virtv1.SSHPublicKeyAccessCredentialSource{Secret: &virtv1.AccessCredentialSecretSource{SecretName: "keys.of.ann"}}}},
		{UserPassword: &virtv1.UserPasswordAccessCredential{Source: virtv1.UserPasswordAccessCredentialSource{Secret: &virtv1.AccessCredentialSecretSource{SecretName: "passwords"}}}},
	}
	configured := guest("128Mi")
	configured.Spec.Volumes = []virtv1.Volume{
		{Name: "settings", ConfigMap: &virtv1.ConfigMapVolumeSource{Name: "settings", Optional: ptr.To(true)}},
		{Name: "credentials", Secret: &virtv1.SecretVolumeSource{SecretName: "credentials"}},
		{Name: "account", ServiceAccount: &virtv1.ServiceAccountVolumeSource{ServiceAccountName: "robot"}},
		{Name: "facts", DownwardAPI: &virtv1.DownwardAPIVolumeSource{Fields: []corev1.DownwardAPIVolumeFile{
			{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}},
			{Path: "cpu", ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}},
		}}},
		{Name: "answers", Sysprep: &virtv1.SysprepSource{ConfigMap: &corev1.LocalObjectReference{Name: "unattend"}}},
		{Name: "secret-answers", Sysprep: &virtv1.SysprepSource{Secret: &corev1.LocalObjectReference{Name: "unattend"}}},
		{Name: "golden", Ephemeral: &virtv1.EphemeralVolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "golden"}}},
		{Name: "golden.raw", Ephemeral: &virtv1.EphemeralVolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "raw", ReadOnly: true}}},
		{Name: "file", HostDisk: &virtv1.HostDisk{Path: "/data/a/disk.img", Type: virtv1.HostDiskExists}},
		{Name: "new-file", HostDisk: &virtv1.HostDisk{Path: "/data/b/disk.img", Type: virtv1.HostDiskExistsOrCreate, Capacity: ptr.To(resource.MustParse("1Gi"))}},
		{Name: "metrics", DownwardMetrics: &virtv1.DownwardMetricsVolumeSource{}},
		{Name: "shared", PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: "shared"}},
	}
	configured.Spec.Domain.Devices.Filesystems = []virtv1.Filesystem{{Name: "shared"}}
	kvm := emulation(false)
	kvm.Claims = map[string]*corev1.PersistentVolumeClaim{"raw": {Spec: corev1.PersistentVolumeClaimSpec{VolumeMode: ptr.To(corev1.PersistentVolumeBlock)}}}
	for _, tc := range []struct {
		name string
		vmi  virtv1.VirtualMachineInstance
		o    RenderOptions
	}{{"small-emulated", small, emulation(true)}, {"full-kvm", full, kvm}, {"config-volumes", configured, kvm}, {"pinned-kvm", pinned(), emulation(false)}} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := yaml.Marshal(Pod(&tc.vmi, 0, tc.o))
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", tc.name+".yaml")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("pod differs from %s (-want +got), write anew with go test -update:\n%s", golden, diff)
			}
		})
	}
	spec.Covers(t, "P2-VMI-18")
}

// pinned is a guest on dedicated CPUs and huge pages, with all that says where it may run.
func pinned() virtv1.VirtualMachineInstance {
	vmi := guest("1Gi")
	vmi.Annotations = map[string]string{"example.com/team": "a"}
	vmi.Spec.Architecture = "amd64"
	vmi.Spec.Domain.Memory.Hugepages = &virtv1.Hugepages{PageSize: "2Mi"}
	vmi.Spec.Domain.CPU = &virtv1.CPU{Cores: 2, Model: "Haswell", DedicatedCPUPlacement: ptr.To(true), IsolateEmulatorThread: ptr.To(true),
		Features: []virtv1.CPUFeature{{Name: "aes"}, {Name: "hle", Policy: "forbid"}}}
	vmi.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
		Weight: 100, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: "kubernetes.io/hostname", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"special": "key"}}},
	}}}}
	vmi.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"special": "key"}}}}
	vmi.Spec.DNSPolicy = corev1.DNSNone
	vmi.Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.1"}, Searches: []string{"example.com"}}
	vmi.Spec.ServiceAccountName = "guest"
	return vmi
}

func TestDevices(t *testing.T) {
	for _, tc := range []struct {
		name     string
		emulated bool
		model    string
		nic      bool
		want     []corev1.ResourceName
	}{
		{"emulated without a network", true, "", false, []corev1.ResourceName{"devices.kubevirt.io/tun"}},
		{"emulated", true, "", true, []corev1.ResourceName{"devices.kubevirt.io/tun"}},
		{"kvm without a network", false, "", false, []corev1.ResourceName{"devices.kubevirt.io/kvm"}},
		{"kvm with virtio", false, "virtio", true, []corev1.ResourceName{"devices.kubevirt.io/tun", "devices.kubevirt.io/kvm", "devices.kubevirt.io/vhost-net"}},
		{"kvm with e1000e", false, "e1000e", true, []corev1.ResourceName{"devices.kubevirt.io/tun", "devices.kubevirt.io/kvm"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := guest("64Mi")
			if tc.nic {
				vmi.Spec.Domain.Devices.Interfaces = []virtv1.Interface{{Name: "default", Model: tc.model}}
			}
			if diff := cmp.Diff(tc.want, devices(&vmi.Spec, emulation(tc.emulated))); diff != "" {
				t.Errorf("devices (-want +got):\n%s", diff)
			}
		})
	}
}
