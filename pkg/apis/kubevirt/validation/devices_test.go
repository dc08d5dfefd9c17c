package validation

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func volumeNamed(s *virtv1.VirtualMachineInstanceSpec, name string) {
	s.Volumes[0].Name, s.Domain.Devices.Disks[0].Name = name, name
}

// ofLUN is an instance whose first disk is a LUN of a claim.
func ofLUN(l virtv1.LunTarget) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Volumes[0] = virtv1.Volume{Name: "root", PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}
		s.Domain.Devices.Disks[0] = virtv1.Disk{Name: "root", Lun: &l}
	})
}

// ofMetrics is an instance whose first disk shows the node's metrics.
func ofMetrics(d virtv1.Disk) func() *report {
	return gated("DownwardMetrics", func(vmi *virtv1.VirtualMachineInstance) {
		d.Name = "root"
		vmi.Spec.Volumes[0] = virtv1.Volume{Name: "root", DownwardMetrics: &virtv1.DownwardMetricsVolumeSource{}}
		vmi.Spec.Domain.Devices.Disks[0] = d
	})
}

var deviceRows = []row{
	{RuleDiskName, "upper case and blank", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { volumeNamed(s, "My Disk") })},
	{RuleDiskName, "too long", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { volumeNamed(s, strings.Repeat("a", 254)) })},
	{RuleDiskName, "ends with hyphen", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { volumeNamed(s, "a-") })},
	{RuleDiskName, "with hyphens and periods of 253 characters", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		volumeNamed(s, "a-b.c"+strings.Repeat("0", 248))
	})},
	{RuleDiskName, "empty", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { volumeNamed(s, "") })},
	{RuleDiskDuplicate, "twice", ofDevices(func(d *virtv1.Devices) { d.Disks = append(d.Disks, d.Disks[0]) })},
	{RuleDiskVolume, "missing", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Volumes = s.Volumes[1:] })},
	{RuleDiskVolume, "empty CD-ROM drive", ofDevices(func(d *virtv1.Devices) {
		d.Disks = append(d.Disks, virtv1.Disk{Name: "drive", Cdrom: &virtv1.CDRomTarget{}})
	})},
	{RuleDiskTarget, "two", ofDisk(func(d *virtv1.Disk) { d.Cdrom = &virtv1.CDRomTarget{} })},
	{RuleDiskBus, "ide", ofDisk(func(d *virtv1.Disk) { d.Disk.Bus = "ide" })},
	{RuleDiskBus, "CD-ROM on IDE", ofDisk(func(d *virtv1.Disk) { d.Disk, d.Cdrom = nil, &virtv1.CDRomTarget{Bus: "ide"} })},
	{RuleDiskBus, "empty CD-ROM drive on virtio", ofDevices(func(d *virtv1.Devices) {
		d.Disks = append(d.Disks, virtv1.Disk{Name: "drive", Cdrom: &virtv1.CDRomTarget{Bus: "virtio"}})
	})},
	{RuleDiskBus, "CD-ROM on virtio", ofDisk(func(d *virtv1.Disk) { d.Disk, d.Cdrom = nil, &virtv1.CDRomTarget{Bus: "virtio", Tray: "closed"} })},
	{RuleDiskBus, "LUN on virtio", ofLUN(virtv1.LunTarget{Bus: "virtio"})},
	{RuleDiskBus, "LUN on SCSI", ofLUN(virtv1.LunTarget{Bus: "scsi"})},
	{RuleFeatureGate, "reservation of a LUN", ofLUN(virtv1.LunTarget{Reservation: ptr.To(true)})},
	{RuleDiskReadonly, "sata", ofDisk(func(d *virtv1.Disk) { d.Disk = &virtv1.DiskTarget{Readonly: ptr.To(true)} })},
	{RuleDiskLUN, "container disk", ofDisk(func(d *virtv1.Disk) { d.Disk, d.Lun = nil, &virtv1.LunTarget{} })},
	{RuleDiskMetrics, "sata", ofMetrics(virtv1.Disk{Disk: &virtv1.DiskTarget{Bus: "sata"}})},
	{RuleDiskMetrics, "CD-ROM", ofMetrics(virtv1.Disk{Cdrom: &virtv1.CDRomTarget{}})},
	{RuleDiskMetrics, "default bus", ofMetrics(virtv1.Disk{Disk: &virtv1.DiskTarget{}})},
	{RuleDiskPCIAddress, "malformed, on sata", ofDisk(func(d *virtv1.Disk) { d.Disk = &virtv1.DiskTarget{PCIAddress: "81:00.1"} })},
	{RuleDiskPCIAddress, "another bus", ofDisk(func(d *virtv1.Disk) { d.Disk.PCIAddress = "0000:81:00.1" })},
	{RuleDiskPCIAddress, "slot of the host bridge", ofDisk(func(d *virtv1.Disk) { d.Disk.PCIAddress = "0000:00:00.0" })},
	{RuleDiskPCIAddress, "slot of the south bridge", ofDisk(func(d *virtv1.Disk) { d.Disk.PCIAddress = "0000:00:1F.0" })},
	{RuleDiskPCIAddress, "last slot", ofDisk(func(d *virtv1.Disk) { d.Disk.PCIAddress = "0000:00:1E.7" })},
	{RuleDiskSerial, "comma", ofDisk(func(d *virtv1.Disk) { d.Serial = "a,b" })},
	{RuleDiskCache, "unknown", ofDisk(func(d *virtv1.Disk) { d.Cache = "unsafe" })},
	{RuleDiskIO, "unknown", ofDisk(func(d *virtv1.Disk) { d.IO = "io_uring" })},
	{RuleDiskErrorPolicy, "unknown", ofDisk(func(d *virtv1.Disk) { d.ErrorPolicy = "retry" })},
	{RuleDiskIOThread, "default bus", ofDisk(func(d *virtv1.Disk) { d.Disk.Bus, d.DedicatedIOThread = "", ptr.To(true) })},
	{RuleDiskTray, "unknown", ofDisk(func(d *virtv1.Disk) { d.Disk, d.Cdrom = nil, &virtv1.CDRomTarget{Tray: "ajar"} })},
	{RuleDiskTray, "open, on virtio", ofDisk(func(d *virtv1.Disk) { d.Disk, d.Cdrom = nil, &virtv1.CDRomTarget{Bus: "virtio", Tray: "open"} })},
	{RuleDiskBlockSize, "not a power of two", ofDisk(func(d *virtv1.Disk) {
		d.BlockSize = &virtv1.BlockSize{Custom: &virtv1.CustomBlockSize{Logical: ptr.To(int32(513)), Physical: ptr.To(int32(4194304))}}
	})},
	{RuleDiskBlockSize, "logical above physical", ofDisk(func(d *virtv1.Disk) {
		d.BlockSize = &virtv1.BlockSize{Custom: &virtv1.CustomBlockSize{Logical: ptr.To(int32(4096)), Physical: ptr.To(int32(512))}}
	})},
	{RuleDiskBlockSize, "with matching", ofDisk(func(d *virtv1.Disk) {
		d.BlockSize = &virtv1.BlockSize{Custom: &virtv1.CustomBlockSize{}, MatchVolume: &virtv1.FeatureState{}}
	})},
	{RuleBootOrder, "zero", ofDisk(func(d *virtv1.Disk) { d.BootOrder = ptr.To(int32(0)) })},
	{RuleBootOrderUnique, "disk and interface", ofDevices(func(d *virtv1.Devices) {
		d.Disks[0].BootOrder, d.Interfaces[0].BootOrder = ptr.To(int32(1)), ptr.To(int32(1))
	})},

	{RuleVolumeDuplicate, "twice", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Volumes = append(s.Volumes, s.Volumes[0]) })},
	{RuleVolumeSource, "none", ofVolume(func(*virtv1.Volume) {})},
	{RuleVolumeSource, "two", ofVolume(func(v *virtv1.Volume) {
		v.EmptyDisk, v.Secret = &virtv1.EmptyDiskSource{Capacity: quantity("1Gi")}, &virtv1.SecretVolumeSource{SecretName: "s"}
	})},
	{RuleVolumeReference, "claim", ofVolume(func(v *virtv1.Volume) { v.PersistentVolumeClaim = &virtv1.PersistentVolumeClaimVolumeSource{} })},
	{RuleVolumeReference, "data volume", ofVolume(func(v *virtv1.Volume) { v.DataVolume = &virtv1.DataVolumeSource{} })},
	{RuleVolumeReference, "ephemeral", ofVolume(func(v *virtv1.Volume) { v.Ephemeral = &virtv1.EphemeralVolumeSource{} })},
	{RuleVolumeReference, "ephemeral claim", ofVolume(func(v *virtv1.Volume) {
		v.Ephemeral = &virtv1.EphemeralVolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}}
	})},
	{RuleVolumeReference, "memory dump", ofVolume(func(v *virtv1.Volume) { v.MemoryDump = &virtv1.MemoryDumpVolumeSource{} })},
	{RuleVolumeReference, "config map", ofVolume(func(v *virtv1.Volume) { v.ConfigMap = &virtv1.ConfigMapVolumeSource{} })},
	{RuleVolumeReference, "secret", ofVolume(func(v *virtv1.Volume) { v.Secret = &virtv1.SecretVolumeSource{} })},
	{RuleVolumeReference, "service account", ofVolume(func(v *virtv1.Volume) { v.ServiceAccount = &virtv1.ServiceAccountVolumeSource{} })},
	{RuleVolumeReference, "image", ofVolume(func(v *virtv1.Volume) { v.ContainerDisk = &virtv1.ContainerDiskSource{} })},
	{RuleVolumeSingle, "memory dumps", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Volumes = append(s.Volumes, virtv1.Volume{Name: "d1", MemoryDump: &virtv1.MemoryDumpVolumeSource{ClaimName: "a"}}, virtv1.Volume{Name: "d2", MemoryDump: &virtv1.MemoryDumpVolumeSource{ClaimName: "b"}})
	})},
	{RuleContainerDiskPath, "climbs", ofVolume(func(v *virtv1.Volume) {
		v.ContainerDisk = &virtv1.ContainerDiskSource{Image: "i:1", Path: "/disk/../etc"}
	})},
	{RuleContainerDiskPath, "root", ofVolume(func(v *virtv1.Volume) { v.ContainerDisk = &virtv1.ContainerDiskSource{Image: "i:1", Path: "/"} })},
	{RulePullPolicy, "unknown", ofVolume(func(v *virtv1.Volume) {
		v.ContainerDisk = &virtv1.ContainerDiskSource{Image: "i:1", ImagePullPolicy: "Sometimes"}
	})},
	{RuleEmptyDisk, "zero", ofVolume(func(v *virtv1.Volume) { v.EmptyDisk = &virtv1.EmptyDiskSource{} })},
	{RuleFeatureGate, "host disk", ofVolume(func(v *virtv1.Volume) { v.HostDisk = &virtv1.HostDisk{Path: "/a", Type: virtv1.HostDiskExists} })},
	{RuleHostDisk, "relative and untyped", func() *report {
		vmi := instance()
		vmi.Spec.Volumes[0] = virtv1.Volume{Name: "root", HostDisk: &virtv1.HostDisk{Path: "disk.img"}}
		return checkInstance(vmi, Options{FeatureGates: []string{"HostDisk"}})
	}},
	{RuleHostDisk, "capacity of an existing one", func() *report {
		vmi := instance()
		vmi.Spec.Volumes[0] = virtv1.Volume{Name: "root", HostDisk: &virtv1.HostDisk{Path: "/disk.img", Type: virtv1.HostDiskExists, Capacity: ptr.To(quantity("1Gi"))}}
		return checkInstance(vmi, Options{FeatureGates: []string{"HostDisk"}})
	}},
	{RuleHostDisk, "negative capacity", func() *report {
		vmi := instance()
		vmi.Spec.Volumes[0] = virtv1.Volume{Name: "root", HostDisk: &virtv1.HostDisk{Path: "/disk.img", Type: virtv1.HostDiskExistsOrCreate, Capacity: ptr.To(quantity("-1Gi"))}}
		return checkInstance(vmi, Options{FeatureGates: []string{"HostDisk"}})
	}},
	{RuleSysprep, "none", ofVolume(func(v *virtv1.Volume) { v.Sysprep = &virtv1.SysprepSource{} })},
	{RuleFeatureGate, "container path", ofVolume(func(v *virtv1.Volume) { v.ContainerPath = &virtv1.ContainerPathVolumeSource{Path: "/a"} })},
	{RuleContainerPath, "relative", func() *report {
		vmi := instance()
		vmi.Spec.Volumes[0] = virtv1.Volume{Name: "root", ContainerPath: &virtv1.ContainerPathVolumeSource{Path: "a"}}
		return checkInstance(vmi, Options{FeatureGates: []string{"ContainerPathVolumes"}})
	}},
	{RuleFeatureGate, "downward metrics volume", ofVolume(func(v *virtv1.Volume) { v.DownwardMetrics = &virtv1.DownwardMetricsVolumeSource{} })},
	{RuleDownwardAPI, "path", ofVolume(func(v *virtv1.Volume) {
		v.DownwardAPI = &virtv1.DownwardAPIVolumeSource{Fields: []corev1.DownwardAPIVolumeFile{{Path: "../labels"}}}
	})},
	{RuleCloudInitUserData, "two", ofCloudInit(func(c *virtv1.CloudInitNoCloudSource) { c.UserDataBase64 = "YQ==" })},
	{RuleCloudInitNetwork, "two", ofCloudInit(func(c *virtv1.CloudInitNoCloudSource) {
		c.NetworkData, c.NetworkDataSecretRef = "version: 2", &corev1.LocalObjectReference{Name: "s"}
	})},
	{RuleCloudInitPresent, "none", ofCloudInit(func(c *virtv1.CloudInitNoCloudSource) { c.UserData = "" })},
	{RuleCloudInitBase64, "garbage", ofCloudInit(func(c *virtv1.CloudInitNoCloudSource) { c.UserData, c.UserDataBase64 = "", "se cret" })},
	{RuleCloudInitLength, "user data", ofCloudInit(func(c *virtv1.CloudInitNoCloudSource) { c.UserData = strings.Repeat("a", 2049) })},
	{RuleCloudInitLength, "at the limit", ofCloudInit(func(c *virtv1.CloudInitNoCloudSource) { c.UserData = strings.Repeat("a", 2048) })},
	{RuleCloudInitLength, "config drive", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Volumes[1] = virtv1.Volume{Name: "init", CloudInitConfigDrive: &virtv1.CloudInitConfigDriveSource{NetworkData: strings.Repeat("a", 2049)}}
	})},

	{RuleDeviceName, "input", ofDevices(func(d *virtv1.Devices) { d.Inputs = []virtv1.Input{{Type: "tablet"}} })},
	{RuleDeviceName, "twice", ofDevices(func(d *virtv1.Devices) {
		d.GPUs = []virtv1.GPU{{Name: "g", DeviceName: "n/x"}}
		d.HostDevices = []virtv1.HostDevice{{Name: "g", DeviceName: "n/y"}, {DeviceName: "n/z"}}
	})},
	{RuleFilesystem, "twice and unnamed", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Volumes = append(s.Volumes, virtv1.Volume{Name: "f", ConfigMap: &virtv1.ConfigMapVolumeSource{Name: "c"}})
		s.Domain.Devices.Filesystems = []virtv1.Filesystem{{Name: "f"}, {Name: "f"}, {}}
	})},
	{RuleFilesystemVolume, "missing, of the wrong kind, and a disk too", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Volumes = append(s.Volumes, virtv1.Volume{Name: "cm", ConfigMap: &virtv1.ConfigMapVolumeSource{Name: "c"}})
		s.Domain.Devices.Disks = append(s.Domain.Devices.Disks, virtv1.Disk{Name: "cm"})
		s.Domain.Devices.Filesystems = []virtv1.Filesystem{{Name: "gone"}, {Name: "root"}, {Name: "cm"}}
	})},
	{RuleFilesystemTag, "too long", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		name := strings.Repeat("n", 37)
		s.Volumes = append(s.Volumes, virtv1.Volume{Name: name, ConfigMap: &virtv1.ConfigMapVolumeSource{Name: "c"}})
		s.Domain.Devices.Filesystems = []virtv1.Filesystem{{Name: name}}
	})},
	{RuleFilesystemTag, "at the limit", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		name := strings.Repeat("n", 36)
		s.Volumes = append(s.Volumes, virtv1.Volume{Name: name, Secret: &virtv1.SecretVolumeSource{SecretName: "c"}})
		s.Domain.Devices.Filesystems = []virtv1.Filesystem{{Name: name}}
	})},
	{RuleVolumeLabel, "too long, not plain", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Volumes = append(s.Volumes,
			virtv1.Volume{Name: "a", ConfigMap: &virtv1.ConfigMapVolumeSource{Name: "c", VolumeLabel: strings.Repeat("l", 33)}},
			virtv1.Volume{Name: "b", Secret: &virtv1.SecretVolumeSource{SecretName: "s", VolumeLabel: "caf\u00e9"}},
			virtv1.Volume{Name: "c", DownwardAPI: &virtv1.DownwardAPIVolumeSource{VolumeLabel: "a\nb"}})
	})},
	{RuleVolumeAccount, "another", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.ServiceAccountName = "one"
		s.Volumes = append(s.Volumes, virtv1.Volume{Name: "sa", ServiceAccount: &virtv1.ServiceAccountVolumeSource{ServiceAccountName: "other"}})
	})},
	{RuleInputDevice, "unknown", ofDevices(func(d *virtv1.Devices) { d.Inputs = []virtv1.Input{{Name: "i", Bus: "ps2", Type: "mouse"}} })},
	{RuleSoundDevice, "unknown", ofDevices(func(d *virtv1.Devices) { d.Sound = &virtv1.SoundDevice{Model: "sb16"} })},
	{RuleWatchdog, "unnamed, two models", ofDevices(func(d *virtv1.Devices) {
		d.Watchdog = &virtv1.Watchdog{I6300ESB: &virtv1.I6300ESBWatchdog{Action: "dump"}, Diag288: &virtv1.Diag288Watchdog{Action: "dump"}}
	})},
	{RuleWatchdog, "of s390x on amd64", ofDevices(func(d *virtv1.Devices) {
		d.Watchdog = &virtv1.Watchdog{Name: "dog", Diag288: &virtv1.Diag288Watchdog{}}
	})},
	{RuleWatchdog, "of s390x", gated("MultiArchitecture", func(vmi *virtv1.VirtualMachineInstance) {
		vmi.Spec.Architecture = "s390x"
		vmi.Spec.Domain.Devices.Watchdog = &virtv1.Watchdog{Name: "dog", Diag288: &virtv1.Diag288Watchdog{}}
	})},
	{RuleVideoDevice, "without graphics", ofDevices(func(d *virtv1.Devices) {
		d.Video, d.AutoattachGraphicsDevice = &virtv1.VideoDevice{Type: "ega"}, ptr.To(false)
	})},
	{RulePanicDevice, "unknown", ofDevices(func(d *virtv1.Devices) { d.PanicDevices = []virtv1.PanicDevice{{Model: "scream"}} })},
	{RuleFeatureGate, "VSOCK", ofDevices(func(d *virtv1.Devices) { d.AutoattachVSOCK = ptr.To(true) })},
	{RuleFeatureGate, "downward metrics device", ofDevices(func(d *virtv1.Devices) { d.DownwardMetrics = &virtv1.DownwardMetrics{} })},
	{RuleHostDevice, "neither", ofDevices(func(d *virtv1.Devices) { d.HostDevices = []virtv1.HostDevice{{Name: "h"}} })},
	{RuleHostDevice, "half a claim", ofDevices(func(d *virtv1.Devices) { d.GPUs = []virtv1.GPU{{Name: "g", ClaimName: "c"}} })},
	{RuleGPUDisplay, "two", ofDevices(func(d *virtv1.Devices) {
		display := &virtv1.VGPUOptions{Display: &virtv1.VGPUDisplayOptions{}}
		d.GPUs = []virtv1.GPU{{Name: "a", DeviceName: "n/x", VirtualGPUOptions: display}, {Name: "b", DeviceName: "n/x", VirtualGPUOptions: display}}
	})},
}
