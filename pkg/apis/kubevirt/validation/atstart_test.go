package validation

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func ofClock(c virtv1.Clock, f *virtv1.Features) func() *report {
	return ofDomain(func(d *virtv1.DomainSpec) { d.Clock, d.Features = &c, f })
}

func ofTimer(t virtv1.Timer) func() *report { return ofClock(virtv1.Clock{Timer: &t}, nil) }

func ofCIDR(v4, v6 string) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Networks[0].Pod = &virtv1.PodNetwork{VMNetworkCIDR: v4, VMIPv6NetworkCIDR: v6}
	})
}

func ofMAC(mac string) func() *report {
	return ofInterface(func(i *virtv1.Interface) { i.MACAddress = mac })
}

func ofImage(image string) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Volumes[0].ContainerDisk.Image = image })
}

// ofDisks adds disks, each with a volume of its name.
func ofDisks(disks ...virtv1.Disk) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		for _, d := range disks {
			s.Domain.Devices.Disks = append(s.Domain.Devices.Disks, d)
			s.Volumes = append(s.Volumes, virtv1.Volume{Name: d.Name, ContainerDisk: &virtv1.ContainerDiskSource{Image: "image:1"}})
		}
	})
}

func on(bus string, change func(*virtv1.Disk)) func(int) virtv1.Disk {
	return func(i int) virtv1.Disk {
		d := virtv1.Disk{Name: fmt.Sprintf("d%d", i), Disk: &virtv1.DiskTarget{Bus: bus}}
		if change != nil {
			change(&d)
		}
		return d
	}
}

func at(address string) func(*virtv1.Disk) {
	return func(d *virtv1.Disk) { d.Disk.PCIAddress = address }
}

func serial(text string) func(*virtv1.Disk) { return func(d *virtv1.Disk) { d.Serial = text } }

func blocks(logical, physical, discard int32) func(*virtv1.Disk) {
	return func(d *virtv1.Disk) {
		d.BlockSize = &virtv1.BlockSize{Custom: &virtv1.CustomBlockSize{Logical: &logical, Physical: &physical, DiscardGranularity: &discard}}
	}
}

func hugepages(page string, change func(*virtv1.DomainSpec)) func() *report {
	return ofDomain(func(d *virtv1.DomainSpec) {
		d.Memory = &virtv1.Memory{Hugepages: &virtv1.Hugepages{PageSize: page}}
		change(d)
	})
}

func ofResources(list, name, amount string) func() *report {
	return ofDomain(func(d *virtv1.DomainSpec) {
		q := corev1.ResourceList{corev1.ResourceName(name): resource.MustParse(amount)}
		if list == "limits" {
			d.Resources.Limits = q
		} else {
			d.Resources.Requests = q
		}
	})
}

func ofDownward(f corev1.DownwardAPIVolumeFile) func() *report {
	return ofVolume(func(v *virtv1.Volume) {
		v.DownwardAPI = &virtv1.DownwardAPIVolumeSource{Fields: []corev1.DownwardAPIVolumeFile{f}}
	})
}

func ofSpread(change func(*corev1.TopologySpreadConstraint)) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		c := corev1.TopologySpreadConstraint{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule}
		change(&c)
		s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{c}
	})
}

// atStartRows are what would only be found when the guest starts.
var atStartRows = []row{
	{RuleTimezone, "none of the world", ofClock(virtv1.Clock{Timezone: "Mars/Olympus"}, nil)},
	{RuleTimezone, "of the server", ofClock(virtv1.Clock{Timezone: "Local"}, nil)},
	{RuleTimezone, "out of the folder", ofClock(virtv1.Clock{Timezone: "../etc/passwd"}, nil)},
	{RuleTimezone, "of the world", ofClock(virtv1.Clock{Timezone: "America/Argentina/Buenos_Aires"}, nil)},
	{RuleTimezone, "a difference", ofClock(virtv1.Clock{Timezone: "Etc/GMT+5"}, nil)},
	{RuleTickPolicy, "hpet catchup", ofTimer(virtv1.Timer{HPET: &virtv1.HPETTimer{TickPolicy: "catchup"}})},
	{RuleTickPolicy, "hpet delay", ofTimer(virtv1.Timer{HPET: &virtv1.HPETTimer{TickPolicy: "delay"}})},
	{RuleTickPolicy, "pit catchup", ofTimer(virtv1.Timer{PIT: &virtv1.PITTimer{TickPolicy: "catchup"}})},
	{RuleClockRTC, "absent", ofTimer(virtv1.Timer{RTC: &virtv1.RTCTimer{Present: ptr.To(false)}})},
	{RuleAPIC, "off", ofDomain(func(d *virtv1.DomainSpec) {
		d.Features = &virtv1.Features{APIC: &virtv1.FeatureAPIC{Enabled: ptr.To(false)}}
	})},
	{RuleHypervDependency, "time of a timer", ofClock(virtv1.Clock{Timer: &virtv1.Timer{Hyperv: &virtv1.HypervTimer{Present: ptr.To(false)}}},
		&virtv1.Features{Hyperv: &virtv1.FeatureHyperv{Synictimer: &virtv1.SyNICTimer{}}})},
	{RuleHypervDependency, "vapic of a direct flush", ofDomain(func(d *virtv1.DomainSpec) {
		d.Features = &virtv1.Features{Hyperv: &virtv1.FeatureHyperv{VAPIC: &virtv1.FeatureState{Enabled: ptr.To(false)}, Tlbflush: &virtv1.TLBFlush{Direct: &virtv1.FeatureState{}}}}
	})},
	{RuleDiskShared, "writethrough", ofDisk(func(d *virtv1.Disk) { d.Shareable, d.Cache = ptr.To(true), "writethrough" })},
	{RuleDiskShared, "not cached", ofDisk(func(d *virtv1.Disk) { d.Shareable, d.Cache = ptr.To(true), "none" })},
	{RuleDiskIO, "native with a cache", ofDisk(func(d *virtv1.Disk) { d.IO, d.Cache = "native", "writeback" })},
	{RuleDiskIO, "native", ofDisk(func(d *virtv1.Disk) { d.IO, d.Cache = "native", "none" })},
	{RuleDiskBlockSize, "of a drive", ofDisk(func(d *virtv1.Disk) {
		d.Disk, d.Cdrom, d.BlockSize = nil, &virtv1.CDRomTarget{}, &virtv1.BlockSize{MatchVolume: &virtv1.FeatureState{}}
	})},
	{RuleDiskBlockSize, "of a drive on virtio", ofDisk(func(d *virtv1.Disk) {
		d.Disk, d.Cdrom, d.BlockSize = nil, &virtv1.CDRomTarget{Bus: "virtio"}, &virtv1.BlockSize{MatchVolume: &virtv1.FeatureState{}}
	})},
	{RuleDiskBlockSize, "of a LUN", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Volumes[0] = virtv1.Volume{Name: "root", DataVolume: &virtv1.DataVolumeSource{Name: "d"}}
		s.Domain.Devices.Disks[0] = virtv1.Disk{Name: "root", Lun: &virtv1.LunTarget{}, BlockSize: &virtv1.BlockSize{MatchVolume: &virtv1.FeatureState{}}}
	})},
	{RuleDiskBlockSize, "large on sata", ofDisks(on("sata", blocks(4096, 4096, 0))(1))},
	{RuleDiskBlockSize, "physical on sata", ofDisks(on("sata", blocks(512, 4096, 0))(1))},
	{RuleDiskBlockSize, "part of a block", ofDisks(on("scsi", blocks(4096, 4096, 6144))(1))},
	{RuleDiskBlockSize, "blocks", ofDisks(on("scsi", blocks(4096, 4096, 8192))(1))},
	{RulePCIUnique, "of two disks", ofDisks(on("virtio", at("0000:00:0A.0"))(1), on("virtio", at("0000:00:0a.0"))(2))},
	{RulePCIUnique, "functions of one slot", ofDisks(on("virtio", at("0000:00:0a.1"))(1), on("virtio", at("0000:00:0a.0"))(2))},
	{RulePCIUnique, "of a disk and an interface", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Domain.Devices.Disks[0].Disk.PCIAddress, s.Domain.Devices.Interfaces[0].PCIAddress = "0000:00:0a.0", "0000:00:0a.0"
	})},
	{RulePCIUnique, "different slots", ofDisks(on("virtio", at("0000:00:0a.0"))(1), on("virtio", at("0000:00:0b.0"))(2))},
	{RulePCIUnique, "a chip's", func() *report {
		vmi := instance()
		vmi.Spec.Domain.Machine = &virtv1.Machine{Type: "pc"}
		vmi.Spec.Domain.Devices.Disks[0].Disk.PCIAddress = "0000:00:01.0"
		return checkInstance(vmi, Options{EmulatedMachines: []string{"pc*"}})
	}},
	// Channel, display, balloon and interface have a slot each, the other disk is on sata: 30 less 5.
	{RulePCIRoom, "as many disks as there is room for", ofDisks(repeat(25, on("virtio", nil))...)},
	{RulePCIRoom, "a disk too many", ofDisks(repeat(26, on("virtio", nil))...)},
	{RulePCIRoom, "a disk too many that no disk names", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		for i := range 160 {
			s.Volumes = append(s.Volumes, virtv1.Volume{Name: fmt.Sprintf("d%d", i), ContainerDisk: &virtv1.ContainerDiskSource{Image: "i"}})
		}
	})},
	{RulePCIRoom, "many disks on scsi", ofDisks(repeat(100, on("scsi", nil))...)},
	{RulePCIRoom, "file systems", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		for i := range 26 {
			name := fmt.Sprintf("f%d", i)
			s.Domain.Devices.Filesystems = append(s.Domain.Devices.Filesystems, virtv1.Filesystem{Name: name})
			s.Volumes = append(s.Volumes, virtv1.Volume{Name: name, ConfigMap: &virtv1.ConfigMapVolumeSource{Name: "c"}})
		}
	})},
	{RuleUSBRoom, "disks", ofDisks(repeat(16, on("usb", nil))...)},
	{RuleUSBRoom, "as many as there are ports", ofDisks(repeat(15, on("usb", nil))...)},
	{RuleUSBRoom, "with plugs for clients", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Domain.Devices.ClientPassthrough = &virtv1.ClientPassthroughDevices{}
		s.Domain.Devices.Inputs = repeat(12, func(i int) virtv1.Input { return virtv1.Input{Name: fmt.Sprintf("i%d", i), Bus: "usb", Type: "tablet"} })
	})},
	{RuleSerialUnique, "the same beginning on virtio", ofDisks(on("virtio", serial("0b21dd2e-c8a7-44ab-9d7c-0000000000a1"))(1), on("virtio", serial("0b21dd2e-c8a7-44ab-9d7c-0000000000b2"))(2))},
	{RuleSerialUnique, "the same beginning on sata", ofDisks(on("sata", serial("0b21dd2e-c8a7-44ab-9d7c-0000000000a1"))(1), on("", serial("0b21dd2e-c8a7-44ab-9d7c-0000000000b2"))(2))},
	{RuleSerialUnique, "whole on scsi", ofDisks(on("scsi", serial("0b21dd2e-c8a7-44ab-9d7c-0000000000a1"))(1), on("scsi", serial("0b21dd2e-c8a7-44ab-9d7c-0000000000b2"))(2))},
	{RuleSerialUnique, "the same beginning on scsi", ofDisks(on("scsi", serial("0b21dd2e-c8a7-44ab-9d7c-0000000000a1-a"))(1), on("scsi", serial("0b21dd2e-c8a7-44ab-9d7c-0000000000a1-b"))(2))},
	{RuleSerialUnique, "on two buses", ofDisks(on("virtio", serial("0b21dd2e-c8a7-44ab-9d7c-a"))(1), on("sata", serial("0b21dd2e-c8a7-44ab-9d7c-b"))(2))},
	{RuleKernelBoot, "initrd alone", ofDomain(func(d *virtv1.DomainSpec) {
		d.Firmware = &virtv1.Firmware{KernelBoot: &virtv1.KernelBoot{Container: &virtv1.KernelBootContainer{Image: "i", InitrdPath: "/i"}}}
	})},
	{RuleCommandLine, "long", ofDomain(func(d *virtv1.DomainSpec) {
		d.Firmware = &virtv1.Firmware{KernelBoot: &virtv1.KernelBoot{KernelArgs: strings.Repeat("a", 2048), Container: &virtv1.KernelBootContainer{Image: "i", KernelPath: "/k"}}}
	})},
	{RuleCommandLine, "two lines", ofDomain(func(d *virtv1.DomainSpec) {
		d.Firmware = &virtv1.Firmware{KernelBoot: &virtv1.KernelBoot{KernelArgs: "a\nb", Container: &virtv1.KernelBootContainer{Image: "i", KernelPath: "/k"}}}
	})},
	{RuleSecureBoot, "on another machine", func() *report {
		vmi := instance()
		vmi.Spec.Domain.Machine, vmi.Spec.Domain.Features = &virtv1.Machine{Type: "pc"}, &virtv1.Features{SMM: &virtv1.FeatureState{}}
		vmi.Spec.Domain.Firmware = &virtv1.Firmware{Bootloader: &virtv1.Bootloader{EFI: &virtv1.EFI{}}}
		return checkInstance(vmi, Options{EmulatedMachines: []string{"pc*"}})
	}},
	{RuleACPITable, "without ACPI", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Volumes[0] = virtv1.Volume{Name: "root", Secret: &virtv1.SecretVolumeSource{SecretName: "s"}}
		s.Domain.Features = &virtv1.Features{ACPI: virtv1.FeatureState{Enabled: ptr.To(false)}}
		s.Domain.Firmware = &virtv1.Firmware{ACPI: &virtv1.ACPI{SlicNameRef: "root"}}
	})},
	{RuleIOThreads, "a pool of 65", ofDomain(func(d *virtv1.DomainSpec) {
		d.IOThreadsPolicy, d.IOThreads = "supplementalPool", &virtv1.DiskIOThreads{SupplementalPoolThreadCount: ptr.To[int64](65)}
	})},
	{RuleHugepagesMultiple, "limit", hugepages("1Gi", func(d *virtv1.DomainSpec) { d.Resources.Limits = list("memory", "1500Mi") })},
	{RuleHugepagesMultiple, "whole limit", hugepages("1Gi", func(d *virtv1.DomainSpec) { d.Resources.Limits = list("memory", "2Gi") })},
	{RulePanicDevice, "two of a model", ofDevices(func(d *virtv1.Devices) { d.PanicDevices = []virtv1.PanicDevice{{}, {Model: "isa"}} })},
	{RuleDeviceName, "two inputs", ofDevices(func(d *virtv1.Devices) { d.Inputs = []virtv1.Input{{Name: "a"}, {Name: "a"}} })},
	{RuleDeviceName, "blank", ofDevices(func(d *virtv1.Devices) { d.Inputs = []virtv1.Input{{Name: "a b"}} })},
	{RuleWatchdog, "long name", ofDevices(func(d *virtv1.Devices) {
		d.Watchdog = &virtv1.Watchdog{Name: strings.Repeat("w", 101), I6300ESB: &virtv1.I6300ESBWatchdog{}}
	})},
	{RuleMemoryMinimum, "less than a mebibyte", ofDomain(func(d *virtv1.DomainSpec) { d.Memory = &virtv1.Memory{Guest: ptr.To(list("memory", "1M")["memory"])} })},

	{RuleNetworkCIDR, "no room for a guest", ofCIDR("10.0.0.0/31", "fd10::/127")},
	{RuleNetworkCIDR, "room for a guest", ofCIDR("10.0.0.0/30", "fd10::/126")},
	{RuleNetworkCIDR, "leading zeros", ofCIDR("10.10.010.0/24", "fd10:0000::/64")},
	{RuleNetworkCIDR, "of nobody", ofCIDR("0.0.0.0/8", "ff02::/64")},
	{RuleNetworkCIDR, "of the host itself", ofCIDR("127.0.0.0/8", "::1/64")},
	{RuleNetworkCIDR, "no prefix", ofCIDR("10.10.010.0", "")},
	{RuleInterfaceMAC, "periods", ofMAC("dead.beef.0001")},
	{RuleInterfaceMAC, "zeros", ofMAC("00:00:00:00:00:00")},
	{RuleInterfaceMAC, "zeros with periods", ofMAC("0000.0000.0000")},
	{RuleInterfaceMAC, "broadcast", ofMAC("ffff.ffff.ffff")},
	{RuleDHCPOptions, "servers with leading zeros", ofInterface(func(i *virtv1.Interface) { i.DHCPOptions = &virtv1.DHCPOptions{NTPServers: []string{"127.000.0.1"}} })},
	{RuleDNSConfig, "servers with leading zeros", ofDNS("", &corev1.PodDNSConfig{Nameservers: []string{"010.96.0.10"}})},
	{RuleDNSConfig, "server on a link", ofDNS("", &corev1.PodDNSConfig{Nameservers: []string{"fe80::1%eth0"}})},
	{RuleDNSConfig, "names of services, and the root", ofDNS("", &corev1.PodDNSConfig{Searches: []string{"_tcp.example", ".", "example.com.", "a_b.c"}})},
	{RuleDNSConfig, "no names", ofDNS("", &corev1.PodDNSConfig{Searches: []string{"", "..", "a..b", "-a"}})},

	{RuleImageReference, "scheme", ofImage("http://registry/image")},
	{RuleImageReference, "docker", ofImage("docker://registry.example.com/image:1")},
	{RuleImageReference, "upper case", ofImage("registry/Image")},
	{RuleImageReference, "blanks", ofImage("my image")},
	{RuleImageReference, "around", ofImage(" image")},
	{RuleImageReference, "no tag", ofImage("image:")},
	{RuleImageReference, "tag", ofImage("image:a/b:-c")},
	{RuleImageReference, "digest", ofImage("image@sha256:0123")},
	{RuleImageReference, "empty part", ofImage("registry//image")},
	{RuleImageReference, "slash", ofImage("registry/image/")},
	{RuleImageReference, "id", ofImage(strings.Repeat("ab", 32))},
	{RuleImageReference, "port", ofImage("registry:port/image")},
	{RuleImageReference, "long", ofImage("registry/" + strings.Repeat("a", 250))},
	{RuleImageReference, "kernel", ofDomain(func(d *virtv1.DomainSpec) {
		d.Firmware = &virtv1.Firmware{KernelBoot: &virtv1.KernelBoot{Container: &virtv1.KernelBootContainer{Image: "Kernel", KernelPath: "/k"}}}
	})},
	{RuleReferenced, "claim", ofVolume(func(v *virtv1.Volume) {
		v.PersistentVolumeClaim = &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: "My_Claim"}
	})},
	{RuleReferenced, "secret", ofVolume(func(v *virtv1.Volume) { v.Secret = &virtv1.SecretVolumeSource{SecretName: "a b"} })},
	{RuleReferenced, "pull secret", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Volumes[0].ContainerDisk.ImagePullSecret = "ns/name" })},
	{RuleReferenced, "secret of cloud-init", ofCloudInit(func(c *virtv1.CloudInitNoCloudSource) {
		c.UserData, c.SecretRef = "", &corev1.LocalObjectReference{Name: "A"}
	})},
	{RuleCloudInitUserData, "nameless secret", ofCloudInit(func(c *virtv1.CloudInitNoCloudSource) {
		c.UserData, c.SecretRef = "", &corev1.LocalObjectReference{}
	})},
	{RuleCloudInitNetwork, "nameless secret", ofCloudInit(func(c *virtv1.CloudInitNoCloudSource) { c.NetworkDataSecretRef = &corev1.LocalObjectReference{} })},
	{RuleSysprep, "two, one nameless", ofVolume(func(v *virtv1.Volume) {
		v.Sysprep = &virtv1.SysprepSource{ConfigMap: &corev1.LocalObjectReference{}, Secret: &corev1.LocalObjectReference{Name: "s"}}
	})},
	{RuleName, "none", ofVM(func(vm *virtv1.VirtualMachine) { vm.Name = "" })},
	{RuleResourceName, "no domain", ofResources("requests", "gpu", "1")},
	{RuleResourceName, "of Kubernetes", ofResources("requests", "kubernetes.io/gpu", "1")},
	{RuleResourceName, "blank", ofResources("limits", "example.com/a b", "1")},
	{RuleResourceName, "huge pages", ofResources("limits", "hugepages-big", "1")},
	{RuleResourceName, "disk", ofResources("requests", "ephemeral-storage", "1Gi")},
	{RuleResourceWhole, "half a device", ofResources("limits", "example.com/device", "500m")},
	{RuleResourceWhole, "not limited", ofResources("requests", "example.com/device", "1")},
	{RuleResourceWhole, "a device", ofResources("limits", "example.com/device", "1")},
	{RuleDownwardAPI, "no source", ofDownward(corev1.DownwardAPIVolumeFile{Path: "a"})},
	{RuleDownwardAPI, "field", ofDownward(corev1.DownwardAPIVolumeFile{Path: "a", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}})},
	{RuleDownwardAPI, "labels", ofDownward(corev1.DownwardAPIVolumeFile{Path: "a", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}})},
	{RuleDownwardAPI, "a label", ofDownward(corev1.DownwardAPIVolumeFile{Path: "a", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['app']"}})},
	{RuleDownwardAPI, "resource", ofDownward(corev1.DownwardAPIVolumeFile{Path: "a", ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "memory"}})},
	{RuleDownwardAPI, "mode", ofDownward(corev1.DownwardAPIVolumeFile{Path: "a", Mode: ptr.To[int32](0o1777), ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory"}})},
	{RuleTopologySpread, "key, domains and policies", ofSpread(func(c *corev1.TopologySpreadConstraint) {
		c.TopologyKey, c.MinDomains, c.NodeTaintsPolicy, c.MatchLabelKeys = "a b", ptr.To[int32](0), ptr.To[corev1.NodeInclusionPolicy]("Maybe"), []string{"a"}
	})},
	{RuleTopologySpread, "domains and labels", ofSpread(func(c *corev1.TopologySpreadConstraint) {
		c.MinDomains, c.LabelSelector, c.MatchLabelKeys = ptr.To[int32](2), &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}, []string{"c"}
	})},
	{RuleTopologySpread, "one label twice", ofSpread(func(c *corev1.TopologySpreadConstraint) {
		c.LabelSelector, c.MatchLabelKeys = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}, []string{"a"}
	})},
	{RuleProbeHeader, "blank", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.ReadinessProbe = &virtv1.Probe{TimeoutSeconds: ptr.To[int32](1), PeriodSeconds: ptr.To[int32](2), HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(80), HTTPHeaders: []corev1.HTTPHeader{{Name: "a b"}, {Name: "X-Token"}}}}
	})},
	{RuleMetadata, "all", ofVM(func(vm *virtv1.VirtualMachine) {
		vm.Labels, vm.Annotations, vm.Finalizers = map[string]string{"a": "b c"}, map[string]string{"a b": ""}, []string{"a b"}
		vm.OwnerReferences = []metav1.OwnerReference{{Kind: "K", APIVersion: "v1", UID: "u"}}
	})},
	{RuleGracePeriod, "for ever", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.TerminationGracePeriodSeconds = ptr.To[int64](1 << 62) })},
}

// TestImages are references that registries take.
func TestImages(t *testing.T) {
	for _, image := range []string{
		"image", "image:latest", "team/image", "registry/image:1", "registry.example.com:5000/team/image:v1.2_3-x", "localhost/image", "localhost:5000/image",
		"Registry/image", "[fd00::1]:5000/image", "10.0.0.1:5000/a/b/c", "registry.example.com/a__b/c-d--e.f", "image:Tag", "image@sha256:" + strings.Repeat("0a", 32),
		"registry:5000/image:1@sha256:" + strings.Repeat("0a", 32),
	} {
		if why := imageFault(image); why != "" {
			t.Errorf("%s: %s", image, why)
		}
	}
}

// TestOnePageOfMemory warns of a guest that nobody has given memory to.
func TestOnePageOfMemory(t *testing.T) {
	r := hugepages("2Mi", func(*virtv1.DomainSpec) {})()
	if len(r.findings) > 0 || len(r.warnings) != 1 || r.warnings[0] != "spec.domain.memory.guest: is not set: the guest has one page of memory, 2Mi" {
		t.Errorf("findings %v, warnings %q", r.findings, r.warnings)
	}
}

// TestOneSerialTwice warns of disks that somebody has given the same number.
func TestOneSerialTwice(t *testing.T) {
	r := ofDisks(on("virtio", serial("a"))(1), on("virtio", serial("a"))(2))()
	if len(r.findings) > 0 || len(r.warnings) != 1 || !strings.HasPrefix(r.warnings[0], `spec.domain.devices.disks[3].serial: "a" is that of spec.domain.devices.disks[2].serial too`) {
		t.Errorf("findings %v, warnings %q", r.findings, r.warnings)
	}
}
