package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// DomainSpec is documented field by field below.
type DomainSpec struct {
	// +optional
	Chassis *Chassis `json:"chassis,omitempty" protobuf:"bytes,1,opt,name=chassis"`
	// +optional
	Clock *Clock `json:"clock,omitempty" protobuf:"bytes,2,opt,name=clock"`
	// +optional
	CPU *CPU `json:"cpu,omitempty" protobuf:"bytes,3,opt,name=cpu"`
	// +required
	Devices Devices `json:"devices" protobuf:"bytes,4,opt,name=devices"`
	// +optional
	Features *Features `json:"features,omitempty" protobuf:"bytes,5,opt,name=features"`
	// +optional
	Firmware *Firmware `json:"firmware,omitempty" protobuf:"bytes,6,opt,name=firmware"`
	// +optional
	IOThreads *DiskIOThreads `json:"ioThreads,omitempty" protobuf:"bytes,7,opt,name=ioThreads"`
	// +optional
	IOThreadsPolicy string `json:"ioThreadsPolicy,omitempty" protobuf:"bytes,8,opt,name=ioThreadsPolicy"`
	// +optional
	LaunchSecurity *LaunchSecurity `json:"launchSecurity,omitempty" protobuf:"bytes,9,opt,name=launchSecurity"`
	// +optional
	Machine *Machine `json:"machine,omitempty" protobuf:"bytes,10,opt,name=machine"`
	// +optional
	Memory *Memory `json:"memory,omitempty" protobuf:"bytes,11,opt,name=memory"`
	// +optional
	RebootPolicy string `json:"rebootPolicy,omitempty" protobuf:"bytes,12,opt,name=rebootPolicy"`
	// +optional
	Resources ResourceRequirements `json:"resources,omitempty" protobuf:"bytes,13,opt,name=resources"`
}

// Machine is documented field by field below.
type Machine struct {
	// +optional
	Type string `json:"type,omitempty" protobuf:"bytes,1,opt,name=type"`
}

// Chassis is documented field by field below.
type Chassis struct {
	// +optional
	Asset string `json:"asset,omitempty" protobuf:"bytes,1,opt,name=asset"`
	// +optional
	Manufacturer string `json:"manufacturer,omitempty" protobuf:"bytes,2,opt,name=manufacturer"`
	// +optional
	Serial string `json:"serial,omitempty" protobuf:"bytes,3,opt,name=serial"`
	// +optional
	SKU string `json:"sku,omitempty" protobuf:"bytes,4,opt,name=sku"`
	// +optional
	Version string `json:"version,omitempty" protobuf:"bytes,5,opt,name=version"`
}

// Clock is documented field by field below.
type Clock struct {
	// +optional
	Timer *Timer `json:"timer,omitempty" protobuf:"bytes,1,opt,name=timer"`
	// +optional
	Timezone string `json:"timezone,omitempty" protobuf:"bytes,2,opt,name=timezone"`
	// +optional
	UTC *ClockOffsetUTC `json:"utc,omitempty" protobuf:"bytes,3,opt,name=utc"`
}

// CPU is documented field by field below.
type CPU struct {
	// +optional
	Cores uint32 `json:"cores,omitempty" protobuf:"varint,1,opt,name=cores"`
	// +optional
	DedicatedCPUPlacement *bool `json:"dedicatedCpuPlacement,omitempty" protobuf:"varint,2,opt,name=dedicatedCpuPlacement"`
	// +optional
	Features []CPUFeature `json:"features,omitempty" protobuf:"bytes,3,rep,name=features"`
	// +optional
	IsolateEmulatorThread *bool `json:"isolateEmulatorThread,omitempty" protobuf:"varint,4,opt,name=isolateEmulatorThread"`
	// +optional
	MaxSockets uint32 `json:"maxSockets,omitempty" protobuf:"varint,5,opt,name=maxSockets"`
	// +optional
	Model string `json:"model,omitempty" protobuf:"bytes,6,opt,name=model"`
	// +optional
	NUMA *NUMA `json:"numa,omitempty" protobuf:"bytes,7,opt,name=numa"`
	// +optional
	Realtime *Realtime `json:"realtime,omitempty" protobuf:"bytes,8,opt,name=realtime"`
	// +optional
	Sockets uint32 `json:"sockets,omitempty" protobuf:"varint,9,opt,name=sockets"`
	// +optional
	Threads uint32 `json:"threads,omitempty" protobuf:"varint,10,opt,name=threads"`
}

// Features is documented field by field below.
type Features struct {
	// +optional
	ACPI FeatureState `json:"acpi,omitempty" protobuf:"bytes,1,opt,name=acpi"`
	// +optional
	APIC *FeatureAPIC `json:"apic,omitempty" protobuf:"bytes,2,opt,name=apic"`
	// +optional
	Hyperv *FeatureHyperv `json:"hyperv,omitempty" protobuf:"bytes,3,opt,name=hyperv"`
	// +optional
	HypervPassthrough *HyperVPassthrough `json:"hypervPassthrough,omitempty" protobuf:"bytes,4,opt,name=hypervPassthrough"`
	// +optional
	KVM *FeatureKVM `json:"kvm,omitempty" protobuf:"bytes,5,opt,name=kvm"`
	// +optional
	Pvspinlock *FeatureState `json:"pvspinlock,omitempty" protobuf:"bytes,6,opt,name=pvspinlock"`
	// +optional
	SMM *FeatureState `json:"smm,omitempty" protobuf:"bytes,7,opt,name=smm"`
}

// Firmware is documented field by field below.
type Firmware struct {
	// +optional
	ACPI *ACPI `json:"acpi,omitempty" protobuf:"bytes,1,opt,name=acpi"`
	// +optional
	Bootloader *Bootloader `json:"bootloader,omitempty" protobuf:"bytes,2,opt,name=bootloader"`
	// +optional
	KernelBoot *KernelBoot `json:"kernelBoot,omitempty" protobuf:"bytes,3,opt,name=kernelBoot"`
	// +optional
	Serial string `json:"serial,omitempty" protobuf:"bytes,4,opt,name=serial"`
	// +optional
	UUID string `json:"uuid,omitempty" protobuf:"bytes,5,opt,name=uuid"`
}

// DiskIOThreads is documented field by field below.
type DiskIOThreads struct {
	// +optional
	SupplementalPoolThreadCount *int64 `json:"supplementalPoolThreadCount,omitempty" protobuf:"varint,1,opt,name=supplementalPoolThreadCount"`
}

// LaunchSecurity is documented field by field below.
type LaunchSecurity struct {
	// +optional
	SEV *SEV `json:"sev,omitempty" protobuf:"bytes,1,opt,name=sev"`
	// +optional
	SNP *SEVSNP `json:"snp,omitempty" protobuf:"bytes,2,opt,name=snp"`
	// +optional
	TDX *TDX `json:"tdx,omitempty" protobuf:"bytes,3,opt,name=tdx"`
}

// Memory is documented field by field below.
type Memory struct {
	// +optional
	Guest *resource.Quantity `json:"guest,omitempty" protobuf:"bytes,1,opt,name=guest"`
	// +optional
	Hugepages *Hugepages `json:"hugepages,omitempty" protobuf:"bytes,2,opt,name=hugepages"`
	// +optional
	MaxGuest *resource.Quantity `json:"maxGuest,omitempty" protobuf:"bytes,3,opt,name=maxGuest"`
	// +optional
	ReservedOverhead *ReservedOverhead `json:"reservedOverhead,omitempty" protobuf:"bytes,4,opt,name=reservedOverhead"`
}

// ResourceRequirements is documented field by field below.
type ResourceRequirements struct {
	// +optional
	Limits corev1.ResourceList `json:"limits,omitempty" protobuf:"bytes,1,rep,name=limits"`
	// +optional
	OvercommitGuestOverhead *bool `json:"overcommitGuestOverhead,omitempty" protobuf:"varint,2,opt,name=overcommitGuestOverhead"`
	// +optional
	Requests corev1.ResourceList `json:"requests,omitempty" protobuf:"bytes,3,rep,name=requests"`
}

// Timer is documented field by field below.
type Timer struct {
	// +optional
	HPET *HPETTimer `json:"hpet,omitempty" protobuf:"bytes,1,opt,name=hpet"`
	// +optional
	Hyperv *HypervTimer `json:"hyperv,omitempty" protobuf:"bytes,2,opt,name=hyperv"`
	// +optional
	KVM *KVMTimer `json:"kvm,omitempty" protobuf:"bytes,3,opt,name=kvm"`
	// +optional
	PIT *PITTimer `json:"pit,omitempty" protobuf:"bytes,4,opt,name=pit"`
	// +optional
	RTC *RTCTimer `json:"rtc,omitempty" protobuf:"bytes,5,opt,name=rtc"`
}

// ClockOffsetUTC is documented field by field below.
type ClockOffsetUTC struct {
	// +optional
	OffsetSeconds *int32 `json:"offsetSeconds,omitempty" protobuf:"varint,1,opt,name=offsetSeconds"`
}

// CPUFeature is documented field by field below.
type CPUFeature struct {
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// +optional
	Policy string `json:"policy,omitempty" protobuf:"bytes,2,opt,name=policy"`
}

// NUMA is documented field by field below.
type NUMA struct {
	// +optional
	GuestMappingPassthrough *NUMAGuestMappingPassthrough `json:"guestMappingPassthrough,omitempty" protobuf:"bytes,1,opt,name=guestMappingPassthrough"`
}

// Realtime is documented field by field below.
type Realtime struct {
	// +optional
	Mask string `json:"mask,omitempty" protobuf:"bytes,1,opt,name=mask"`
}

// FeatureAPIC is documented field by field below.
type FeatureAPIC struct {
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// +optional
	EndOfInterrupt *bool `json:"endOfInterrupt,omitempty" protobuf:"varint,2,opt,name=endOfInterrupt"`
}

// FeatureHyperv is documented field by field below.
type FeatureHyperv struct {
	// +optional
	EVMCS *FeatureState `json:"evmcs,omitempty" protobuf:"bytes,1,opt,name=evmcs"`
	// +optional
	Frequencies *FeatureState `json:"frequencies,omitempty" protobuf:"bytes,2,opt,name=frequencies"`
	// +optional
	IPI *FeatureState `json:"ipi,omitempty" protobuf:"bytes,3,opt,name=ipi"`
	// +optional
	Reenlightenment *FeatureState `json:"reenlightenment,omitempty" protobuf:"bytes,4,opt,name=reenlightenment"`
	// +optional
	Relaxed *FeatureState `json:"relaxed,omitempty" protobuf:"bytes,5,opt,name=relaxed"`
	// +optional
	HypervReset *FeatureState `json:"reset,omitempty" protobuf:"bytes,6,opt,name=hypervReset"`
	// +optional
	Runtime *FeatureState `json:"runtime,omitempty" protobuf:"bytes,7,opt,name=runtime"`
	// +optional
	Spinlocks *FeatureSpinlocks `json:"spinlocks,omitempty" protobuf:"bytes,8,opt,name=spinlocks"`
	// +optional
	Synic *FeatureState `json:"synic,omitempty" protobuf:"bytes,9,opt,name=synic"`
	// +optional
	Synictimer *SyNICTimer `json:"synictimer,omitempty" protobuf:"bytes,10,opt,name=synictimer"`
	// +optional
	Tlbflush *TLBFlush `json:"tlbflush,omitempty" protobuf:"bytes,11,opt,name=tlbflush"`
	// +optional
	VAPIC *FeatureState `json:"vapic,omitempty" protobuf:"bytes,12,opt,name=vapic"`
	// +optional
	Vendorid *FeatureVendorID `json:"vendorid,omitempty" protobuf:"bytes,13,opt,name=vendorid"`
	// +optional
	Vpindex *FeatureState `json:"vpindex,omitempty" protobuf:"bytes,14,opt,name=vpindex"`
}

// HyperVPassthrough is documented field by field below.
type HyperVPassthrough struct {
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
}

// FeatureKVM is documented field by field below.
type FeatureKVM struct {
	// +optional
	Hidden *bool `json:"hidden,omitempty" protobuf:"varint,1,opt,name=hidden"`
}

// ACPI is documented field by field below.
type ACPI struct {
	// +optional
	MsdmNameRef string `json:"msdmNameRef,omitempty" protobuf:"bytes,1,opt,name=msdmNameRef"`
	// +optional
	SlicNameRef string `json:"slicNameRef,omitempty" protobuf:"bytes,2,opt,name=slicNameRef"`
}

// Bootloader is documented field by field below.
type Bootloader struct {
	// +optional
	BIOS *BIOS `json:"bios,omitempty" protobuf:"bytes,1,opt,name=bios"`
	// +optional
	EFI *EFI `json:"efi,omitempty" protobuf:"bytes,2,opt,name=efi"`
}

// KernelBoot is documented field by field below.
type KernelBoot struct {
	// +optional
	Container *KernelBootContainer `json:"container,omitempty" protobuf:"bytes,1,opt,name=container"`
	// +optional
	KernelArgs string `json:"kernelArgs,omitempty" protobuf:"bytes,2,opt,name=kernelArgs"`
}

// SEV is documented field by field below.
type SEV struct {
	// +optional
	Attestation *SEVAttestation `json:"attestation,omitempty" protobuf:"bytes,1,opt,name=attestation"`
	// +optional
	DhCert string `json:"dhCert,omitempty" protobuf:"bytes,2,opt,name=dhCert"`
	// +optional
	Policy *SEVPolicy `json:"policy,omitempty" protobuf:"bytes,3,opt,name=policy"`
	// +optional
	Session string `json:"session,omitempty" protobuf:"bytes,4,opt,name=session"`
}

// TDX is documented field by field below.
type TDX struct {
}

// Hugepages is documented field by field below.
type Hugepages struct {
	// +optional
	PageSize string `json:"pageSize,omitempty" protobuf:"bytes,1,opt,name=pageSize"`
}

// ReservedOverhead is documented field by field below.
type ReservedOverhead struct {
	// +optional
	AddedOverhead *resource.Quantity `json:"addedOverhead,omitempty" protobuf:"bytes,1,opt,name=addedOverhead"`
	// +optional
	MemLock string `json:"memLock,omitempty" protobuf:"bytes,2,opt,name=memLock"`
}

// HPETTimer is documented field by field below.
type HPETTimer struct {
	// +optional
	Present *bool `json:"present,omitempty" protobuf:"varint,1,opt,name=present"`
	// +optional
	TickPolicy string `json:"tickPolicy,omitempty" protobuf:"bytes,2,opt,name=tickPolicy"`
}

// HypervTimer is documented field by field below.
type HypervTimer struct {
	// +optional
	Present *bool `json:"present,omitempty" protobuf:"varint,1,opt,name=present"`
}

// KVMTimer is documented field by field below.
type KVMTimer struct {
	// +optional
	Present *bool `json:"present,omitempty" protobuf:"varint,1,opt,name=present"`
}

// PITTimer is documented field by field below.
type PITTimer struct {
	// +optional
	Present *bool `json:"present,omitempty" protobuf:"varint,1,opt,name=present"`
	// +optional
	TickPolicy string `json:"tickPolicy,omitempty" protobuf:"bytes,2,opt,name=tickPolicy"`
}

// RTCTimer is documented field by field below.
type RTCTimer struct {
	// +optional
	Present *bool `json:"present,omitempty" protobuf:"varint,1,opt,name=present"`
	// +optional
	TickPolicy string `json:"tickPolicy,omitempty" protobuf:"bytes,2,opt,name=tickPolicy"`
	// +optional
	Track string `json:"track,omitempty" protobuf:"bytes,3,opt,name=track"`
}

// NUMAGuestMappingPassthrough is documented field by field below.
type NUMAGuestMappingPassthrough struct {
}

// FeatureSpinlocks is documented field by field below.
type FeatureSpinlocks struct {
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// +optional
	Spinlocks *uint32 `json:"spinlocks,omitempty" protobuf:"varint,2,opt,name=spinlocks"`
}

// SyNICTimer is documented field by field below.
type SyNICTimer struct {
	// +optional
	Direct *FeatureState `json:"direct,omitempty" protobuf:"bytes,1,opt,name=direct"`
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,2,opt,name=enabled"`
}

// TLBFlush is documented field by field below.
type TLBFlush struct {
	// +optional
	Direct *FeatureState `json:"direct,omitempty" protobuf:"bytes,1,opt,name=direct"`
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,2,opt,name=enabled"`
	// +optional
	Extended *FeatureState `json:"extended,omitempty" protobuf:"bytes,3,opt,name=extended"`
}

// FeatureVendorID is documented field by field below.
type FeatureVendorID struct {
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// +optional
	Vendorid string `json:"vendorid,omitempty" protobuf:"bytes,2,opt,name=vendorid"`
}

// BIOS is documented field by field below.
type BIOS struct {
	// +optional
	UseSerial *bool `json:"useSerial,omitempty" protobuf:"varint,1,opt,name=useSerial"`
}

// EFI is documented field by field below.
type EFI struct {
	// +optional
	Persistent *bool `json:"persistent,omitempty" protobuf:"varint,1,opt,name=persistent"`
	// +optional
	SecureBoot *bool `json:"secureBoot,omitempty" protobuf:"varint,2,opt,name=secureBoot"`
}

// KernelBootContainer is documented field by field below.
type KernelBootContainer struct {
	// +required
	Image string `json:"image" protobuf:"bytes,1,opt,name=image"`
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty" protobuf:"bytes,2,opt,name=imagePullPolicy"`
	// +optional
	ImagePullSecret string `json:"imagePullSecret,omitempty" protobuf:"bytes,3,opt,name=imagePullSecret"`
	// +optional
	InitrdPath string `json:"initrdPath,omitempty" protobuf:"bytes,4,opt,name=initrdPath"`
	// +optional
	KernelPath string `json:"kernelPath,omitempty" protobuf:"bytes,5,opt,name=kernelPath"`
}

// SEVAttestation is documented field by field below.
type SEVAttestation struct {
}
