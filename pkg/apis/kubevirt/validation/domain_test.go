package validation

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func quantity(s string) resource.Quantity { return resource.MustParse(s) }

func hours(n int) *metav1.Duration { return &metav1.Duration{Duration: time.Duration(n) * time.Hour} }

func ofFirmware(f *virtv1.Firmware) func() *report {
	return ofDomain(func(d *virtv1.DomainSpec) { d.Firmware = f })
}

func ofHyperv(h *virtv1.FeatureHyperv) func() *report {
	return ofDomain(func(d *virtv1.DomainSpec) { d.Features = &virtv1.Features{Hyperv: h} })
}

// secured is an instance with launch security, whose gate is on, and a boot loader.
func secured(gate string, l virtv1.LaunchSecurity, b *virtv1.Bootloader) func() *report {
	return gated(gate, func(vmi *virtv1.VirtualMachineInstance) {
		d := &vmi.Spec.Domain
		d.LaunchSecurity, d.Firmware, d.Features = &l, &virtv1.Firmware{Bootloader: b}, &virtv1.Features{SMM: &virtv1.FeatureState{}}
	})
}

var (
	insecure = &virtv1.Bootloader{EFI: &virtv1.EFI{SecureBoot: ptr.To(false)}}
	off      = &virtv1.FeatureState{Enabled: ptr.To(false)}
)

var domainRows = []row{
	{RuleCPUCount, "too many", ofDomain(func(d *virtv1.DomainSpec) {
		d.CPU = &virtv1.CPU{Sockets: 4294967295, Cores: 4294967295, Threads: 4294967295}
	})},
	{RuleMaxSockets, "above", ofDomain(func(d *virtv1.DomainSpec) { d.CPU.MaxSockets = 1 })},
	{RuleCPUModel, "option injection", ofDomain(func(d *virtv1.DomainSpec) { d.CPU.Model = "max,+vmx" })},
	{RuleCPUFeature, "name", ofDomain(func(d *virtv1.DomainSpec) { d.CPU.Features = []virtv1.CPUFeature{{Name: "a b"}} })},
	{RuleCPUFeature, "twice", ofDomain(func(d *virtv1.DomainSpec) { d.CPU.Features = []virtv1.CPUFeature{{Name: "apic"}, {Name: "apic"}} })},
	{RuleCPUPolicy, "unknown", ofDomain(func(d *virtv1.DomainSpec) { d.CPU.Features = []virtv1.CPUFeature{{Name: "apic", Policy: "exiger"}} })},
	{RuleIsolateEmulator, "alone", ofDomain(func(d *virtv1.DomainSpec) { d.CPU.IsolateEmulatorThread = ptr.To(true) })},
	{RuleNUMA, "alone", ofDomain(func(d *virtv1.DomainSpec) {
		d.CPU.NUMA = &virtv1.NUMA{GuestMappingPassthrough: &virtv1.NUMAGuestMappingPassthrough{}}
	})},
	{RuleRealtime, "alone", ofDomain(func(d *virtv1.DomainSpec) { d.CPU.Realtime = &virtv1.Realtime{} })},
	{RuleRealtimeMask, "words", ofDomain(func(d *virtv1.DomainSpec) {
		dedicate(d)
		d.Memory.Hugepages = &virtv1.Hugepages{PageSize: "2Mi"}
		d.CPU.NUMA = &virtv1.NUMA{GuestMappingPassthrough: &virtv1.NUMAGuestMappingPassthrough{}}
		d.CPU.Realtime = &virtv1.Realtime{Mask: "all"}
	})},
	{RuleDedicatedMemory, "none", ofDomain(func(d *virtv1.DomainSpec) {
		dedicate(d)
		d.Memory = &virtv1.Memory{Hugepages: &virtv1.Hugepages{PageSize: "1Gi"}}
	})},
	{RuleDedicatedMemory, "different", ofDomain(func(d *virtv1.DomainSpec) {
		dedicate(d)
		d.Resources.Requests, d.Resources.Limits = list("memory", "1Gi"), list("memory", "2Gi")
	})},
	{RuleDedicatedCPU, "fraction", ofDomain(func(d *virtv1.DomainSpec) { dedicate(d); d.Resources.Requests = list("cpu", "1500m") })},
	{RuleDedicatedCPU, "not the topology", ofDomain(func(d *virtv1.DomainSpec) { dedicate(d); d.Resources.Limits = list("cpu", "3") })},
	{RuleDedicatedThreads, "three", ofDomain(func(d *virtv1.DomainSpec) { dedicate(d); d.CPU.Threads = 3 })},
	{RuleMemoryMinimum, "guest", ofDomain(func(d *virtv1.DomainSpec) { d.Memory.Guest = ptr.To(quantity("1k")) })},
	{RuleMemoryMinimum, "request", ofDomain(func(d *virtv1.DomainSpec) { d.Resources.Requests = list("memory", "64m") })},
	{RuleMemoryGuestLimit, "above", ofDomain(func(d *virtv1.DomainSpec) { d.Resources.Limits = list("memory", "512Mi") })},
	{RuleMemoryMaxGuest, "below", ofDomain(func(d *virtv1.DomainSpec) { d.Memory.MaxGuest = ptr.To(quantity("512Mi")) })},
	{RuleMemoryMaxGuest, "below the request", ofDomain(func(d *virtv1.DomainSpec) {
		d.Memory, d.Resources.Requests = &virtv1.Memory{MaxGuest: ptr.To(quantity("512Mi"))}, list("memory", "1Gi")
	})},
	{RuleMemoryMaxGuest, "below the limit", ofDomain(func(d *virtv1.DomainSpec) {
		d.Memory, d.Resources.Limits = &virtv1.Memory{MaxGuest: ptr.To(quantity("512Mi"))}, list("memory", "1Gi")
	})},
	{RuleMemoryMaxGuest, "as much as the request, below the limit", ofDomain(func(d *virtv1.DomainSpec) {
		d.Memory = &virtv1.Memory{MaxGuest: ptr.To(quantity("1Gi"))}
		d.Resources.Requests, d.Resources.Limits = list("memory", "1Gi"), list("memory", "2Gi")
	})},
	{RuleHugepagesSize, "not a quantity", ofDomain(func(d *virtv1.DomainSpec) { d.Memory.Hugepages = &virtv1.Hugepages{PageSize: "huge"} })},
	{RuleHugepagesSize, "of no processor", ofDomain(func(d *virtv1.DomainSpec) { d.Memory.Hugepages = &virtv1.Hugepages{PageSize: "4Mi"} })},
	{RuleHugepagesSize, "zero", ofDomain(func(d *virtv1.DomainSpec) { d.Memory.Hugepages = &virtv1.Hugepages{PageSize: "0"} })},
	{RuleHugepagesMultiple, "guest", ofDomain(func(d *virtv1.DomainSpec) {
		d.Memory = &virtv1.Memory{Guest: ptr.To(quantity("1025Mi")), Hugepages: &virtv1.Hugepages{PageSize: "2Mi"}}
	})},
	{RuleHugepagesMultiple, "request", ofDomain(func(d *virtv1.DomainSpec) {
		d.Memory = &virtv1.Memory{Hugepages: &virtv1.Hugepages{PageSize: "1Gi"}}
		d.Resources.Requests = list("memory", "512Mi")
	})},
	{RuleMemLock, "unknown", ofDomain(func(d *virtv1.DomainSpec) { d.Memory.ReservedOverhead = &virtv1.ReservedOverhead{MemLock: "Maybe"} })},
	{RuleResourceNegative, "request and limit", ofDomain(func(d *virtv1.DomainSpec) {
		d.Resources.Requests, d.Resources.Limits = list("cpu", "-1"), list("memory", "2Gi", "cpu", "-1")
	})},
	{RuleResourceNegative, "overhead", ofDomain(func(d *virtv1.DomainSpec) {
		d.Memory.ReservedOverhead = &virtv1.ReservedOverhead{AddedOverhead: ptr.To(quantity("-1"))}
	})},
	{RuleRequestsLimits, "above", ofDomain(func(d *virtv1.DomainSpec) {
		d.Resources.Requests, d.Resources.Limits = list("memory", "3Gi", "cpu", "3"), list("memory", "2Gi", "cpu", "2")
	})},
	{RuleMachineType, "not supported", ofDomain(func(d *virtv1.DomainSpec) { d.Machine = &virtv1.Machine{Type: "pc-i440fx-9.0"} })},
	{RuleMachineType, "option injection", ofDomain(func(d *virtv1.DomainSpec) { d.Machine = &virtv1.Machine{Type: "q35,accel=x"} })},
	{RuleFirmwareUUID, "not one", ofFirmware(&virtv1.Firmware{UUID: "1234"})},
	{RuleFirmwareSerial, "comma", ofFirmware(&virtv1.Firmware{Serial: "a,b"})},
	{RuleBootloader, "both", ofFirmware(&virtv1.Firmware{Bootloader: &virtv1.Bootloader{BIOS: &virtv1.BIOS{}, EFI: insecure.EFI}})},
	{RuleSecureBoot, "without SMM", ofFirmware(&virtv1.Firmware{Bootloader: &virtv1.Bootloader{EFI: &virtv1.EFI{}}})},
	{RuleKernelBoot, "arguments alone", ofFirmware(&virtv1.Firmware{KernelBoot: &virtv1.KernelBoot{KernelArgs: "quiet"}})},
	{RuleKernelBoot, "empty container", ofFirmware(&virtv1.Firmware{KernelBoot: &virtv1.KernelBoot{Container: &virtv1.KernelBootContainer{}}})},
	{RuleKernelBootPath, "relative", ofFirmware(&virtv1.Firmware{KernelBoot: &virtv1.KernelBoot{Container: &virtv1.KernelBootContainer{Image: "i:1", KernelPath: "boot/vmlinuz", InitrdPath: "/boot/../initrd"}}})},
	{RuleACPITable, "none", ofFirmware(&virtv1.Firmware{ACPI: &virtv1.ACPI{}})},
	{RuleACPITable, "not a secret", ofFirmware(&virtv1.Firmware{ACPI: &virtv1.ACPI{SlicNameRef: "root"}})},
	{RuleHypervExclusive, "both", ofDomain(func(d *virtv1.DomainSpec) {
		d.Features = &virtv1.Features{Hyperv: &virtv1.FeatureHyperv{}, HypervPassthrough: &virtv1.HyperVPassthrough{}}
	})},
	{RuleHypervVendor, "too long", ofHyperv(&virtv1.FeatureHyperv{Vendorid: &virtv1.FeatureVendorID{Vendorid: "1234567890123"}})},
	{RuleHypervSpinlocks, "too few", ofHyperv(&virtv1.FeatureHyperv{Spinlocks: &virtv1.FeatureSpinlocks{Spinlocks: ptr.To(uint32(16))}})},
	{RuleHypervDependency, "vpindex", ofHyperv(&virtv1.FeatureHyperv{Synic: &virtv1.FeatureState{}, Vpindex: off})},
	{RuleClock, "both", ofDomain(func(d *virtv1.DomainSpec) {
		d.Clock = &virtv1.Clock{UTC: &virtv1.ClockOffsetUTC{}, Timezone: "Europe/Prague"}
	})},
	{RuleTimezone, "space", ofDomain(func(d *virtv1.DomainSpec) { d.Clock = &virtv1.Clock{Timezone: "Europe/ Prague"} })},
	{RuleTickPolicy, "all", ofDomain(func(d *virtv1.DomainSpec) {
		d.Clock = &virtv1.Clock{Timer: &virtv1.Timer{HPET: &virtv1.HPETTimer{TickPolicy: "x"}, PIT: &virtv1.PITTimer{TickPolicy: "merge"}, RTC: &virtv1.RTCTimer{TickPolicy: "discard", Track: "moon"}}}
	})},
	{RuleIOThreads, "unknown", ofDomain(func(d *virtv1.DomainSpec) { d.IOThreadsPolicy = "many" })},
	{RuleIOThreads, "pool without size", ofDomain(func(d *virtv1.DomainSpec) { d.IOThreadsPolicy = "supplementalPool" })},
	{RuleLaunchSecurity, "two kinds", secured("WorkloadEncryptionSEV", virtv1.LaunchSecurity{SEV: &virtv1.SEV{}, SNP: &virtv1.SEVSNP{}}, insecure)},
	{RuleLaunchSecurity, "two kinds without EFI", secured("WorkloadEncryptionSEV", virtv1.LaunchSecurity{SEV: &virtv1.SEV{}, SNP: &virtv1.SEVSNP{}}, nil)},
	{RuleLaunchSecurity, "no kind", ofDomain(func(d *virtv1.DomainSpec) { d.LaunchSecurity = &virtv1.LaunchSecurity{} })},
	{RuleLaunchSecurity, "SEV without EFI", secured("WorkloadEncryptionSEV", virtv1.LaunchSecurity{SEV: &virtv1.SEV{}}, nil)},
	{RuleLaunchSecurity, "SNP without EFI", secured("WorkloadEncryptionSEV", virtv1.LaunchSecurity{SNP: &virtv1.SEVSNP{}}, nil)},
	{RuleLaunchSecurity, "TDX without EFI", secured("WorkloadEncryptionTDX", virtv1.LaunchSecurity{TDX: &virtv1.TDX{}}, nil)},
	{RuleLaunchSecurity, "SEV with EFI", secured("WorkloadEncryptionSEV", virtv1.LaunchSecurity{SEV: &virtv1.SEV{}}, insecure)},
	{RuleLaunchSecurity, "TDX with secure boot", secured("WorkloadEncryptionTDX", virtv1.LaunchSecurity{TDX: &virtv1.TDX{}}, &virtv1.Bootloader{EFI: &virtv1.EFI{}})},
	{RuleLaunchSecurity, "SEV with secure boot, attestation and network boot", gated("WorkloadEncryptionSEV", func(vmi *virtv1.VirtualMachineInstance) {
		d := &vmi.Spec.Domain
		d.Firmware = &virtv1.Firmware{Bootloader: &virtv1.Bootloader{EFI: &virtv1.EFI{}}}
		d.Features = &virtv1.Features{SMM: &virtv1.FeatureState{}}
		d.LaunchSecurity = &virtv1.LaunchSecurity{SEV: &virtv1.SEV{Attestation: &virtv1.SEVAttestation{}}}
		d.Devices.Interfaces[0].BootOrder = ptr.To(int32(1))
	})},
	{RuleFeatureGate, "SEV", secured("Sidecar", virtv1.LaunchSecurity{SEV: &virtv1.SEV{}}, insecure)},
	{RuleFeatureGate, "SNP", secured("Sidecar", virtv1.LaunchSecurity{SNP: &virtv1.SEVSNP{}}, insecure)},
	{RuleFeatureGate, "TDX", secured("Sidecar", virtv1.LaunchSecurity{TDX: &virtv1.TDX{}}, insecure)},
	{RuleRebootPolicy, "unknown", ofDomain(func(d *virtv1.DomainSpec) { d.RebootPolicy = "Hang" })},
	{RuleChassis, "line break", ofDomain(func(d *virtv1.DomainSpec) { d.Chassis = &virtv1.Chassis{Asset: "a\nb", SKU: strings.Repeat("x", 257)} })},
}
