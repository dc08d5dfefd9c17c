package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// DomainSpec is the virtual hardware of an instance.
type DomainSpec struct {
	// What the guest reads of its case from SMBIOS.
	// +optional
	Chassis *Chassis `json:"chassis,omitempty" protobuf:"bytes,1,opt,name=chassis"`
	// The guest's clock and timers.
	// +optional
	Clock *Clock `json:"clock,omitempty" protobuf:"bytes,2,opt,name=clock"`
	// Model and topology of the CPUs. Default: one socket for each CPU that resources limit or request, else one.
	// +optional
	CPU *CPU `json:"cpu,omitempty" protobuf:"bytes,3,opt,name=cpu"`
	// Disks, interfaces and other devices.
	// +required
	Devices Devices `json:"devices" protobuf:"bytes,4,opt,name=devices"`
	// Features of the machine, such as ACPI and those of Hyper-V.
	// +optional
	Features *Features `json:"features,omitempty" protobuf:"bytes,5,opt,name=features"`
	// How the machine boots, and its identity.
	// +optional
	Firmware *Firmware `json:"firmware,omitempty" protobuf:"bytes,6,opt,name=firmware"`
	// Size of the pool of ioThreadsPolicy supplementalPool.
	// +optional
	IOThreads *DiskIOThreads `json:"ioThreads,omitempty" protobuf:"bytes,7,opt,name=ioThreads"`
	// How disks share I/O threads: shared (one for all that want none of their own), auto or supplementalPool. Default: none unless a disk asks for one.
	// +optional
	IOThreadsPolicy string `json:"ioThreadsPolicy,omitempty" protobuf:"bytes,8,opt,name=ioThreadsPolicy"`
	// Encryption of the guest's memory.
	// +optional
	LaunchSecurity *LaunchSecurity `json:"launchSecurity,omitempty" protobuf:"bytes,9,opt,name=launchSecurity"`
	// Machine type.
	// +optional
	Machine *Machine `json:"machine,omitempty" protobuf:"bytes,10,opt,name=machine"`
	// Memory that the guest sees.
	// +optional
	Memory *Memory `json:"memory,omitempty" protobuf:"bytes,11,opt,name=memory"`
	// What a reboot by the guest does: Reboot restarts it in place, Terminate ends the instance. Default: Reboot.
	// +optional
	RebootPolicy string `json:"rebootPolicy,omitempty" protobuf:"bytes,12,opt,name=rebootPolicy"`
	// CPU and memory that the pod asks the node for.
	// +optional
	Resources ResourceRequirements `json:"resources,omitempty" protobuf:"bytes,13,opt,name=resources"`
}

// Machine names the kind of machine that is emulated.
type Machine struct {
	// Machine type, such as q35 or pc-q35-9.2. The cluster's configuration lists those allowed. Default: that of the configuration, else q35.
	// +optional
	Type string `json:"type,omitempty" protobuf:"bytes,1,opt,name=type"`
}

// Chassis is what the guest reads of its case from SMBIOS. Each text is at most 256 printable ASCII characters.
type Chassis struct {
	// Asset tag.
	// +optional
	Asset string `json:"asset,omitempty" protobuf:"bytes,1,opt,name=asset"`
	// Manufacturer.
	// +optional
	Manufacturer string `json:"manufacturer,omitempty" protobuf:"bytes,2,opt,name=manufacturer"`
	// Serial number.
	// +optional
	Serial string `json:"serial,omitempty" protobuf:"bytes,3,opt,name=serial"`
	// Stock-keeping unit.
	// +optional
	SKU string `json:"sku,omitempty" protobuf:"bytes,4,opt,name=sku"`
	// Version.
	// +optional
	Version string `json:"version,omitempty" protobuf:"bytes,5,opt,name=version"`
}

// Clock sets the guest's clock. It has at most one of timezone and utc.
type Clock struct {
	// Timers of the machine. Default: those that suit the guest's architecture.
	// +optional
	Timer *Timer `json:"timer,omitempty" protobuf:"bytes,1,opt,name=timer"`
	// Time zone of the clock, such as Europe/Prague.
	// +optional
	Timezone string `json:"timezone,omitempty" protobuf:"bytes,2,opt,name=timezone"`
	// A clock in UTC, with an offset. Default: UTC without one.
	// +optional
	UTC *ClockOffsetUTC `json:"utc,omitempty" protobuf:"bytes,3,opt,name=utc"`
}

// CPU is model and topology of the CPUs. The guest has sockets times cores times threads of them, at most 512.
type CPU struct {
	// Cores in each socket. Default: 1.
	// +optional
	Cores uint32 `json:"cores,omitempty" protobuf:"varint,1,opt,name=cores"`
	// Whether each CPU of the guest has one of the node for itself. Needs whole CPUs, and equal memory requests and limits.
	// +optional
	DedicatedCPUPlacement *bool `json:"dedicatedCpuPlacement,omitempty" protobuf:"varint,2,opt,name=dedicatedCpuPlacement"`
	// Features of the CPU that are added to the model or taken from it.
	// +optional
	Features []CPUFeature `json:"features,omitempty" protobuf:"bytes,3,rep,name=features"`
	// Whether the emulator's own work has one more dedicated CPU. Needs dedicatedCpuPlacement.
	// +optional
	IsolateEmulatorThread *bool `json:"isolateEmulatorThread,omitempty" protobuf:"varint,4,opt,name=isolateEmulatorThread"`
	// Sockets up to which CPUs can be added while the guest runs.
	// +optional
	MaxSockets uint32 `json:"maxSockets,omitempty" protobuf:"varint,5,opt,name=maxSockets"`
	// A model's name, host-model (the nearest to that of the node) or host-passthrough (that of the node). Default: that of the cluster's configuration, else host-model.
	// +optional
	Model string `json:"model,omitempty" protobuf:"bytes,6,opt,name=model"`
	// NUMA topology of the guest.
	// +optional
	NUMA *NUMA `json:"numa,omitempty" protobuf:"bytes,7,opt,name=numa"`
	// Scheduling for guests with hard deadlines. Needs dedicatedCpuPlacement and numa.
	// +optional
	Realtime *Realtime `json:"realtime,omitempty" protobuf:"bytes,8,opt,name=realtime"`
	// Sockets. Default: 1, or as many as resources limit or request CPUs when no topology is given.
	// +optional
	Sockets uint32 `json:"sockets,omitempty" protobuf:"varint,9,opt,name=sockets"`
	// Threads of each core. Default: 1.
	// +optional
	Threads uint32 `json:"threads,omitempty" protobuf:"varint,10,opt,name=threads"`
}

// Features are features of the machine. One that is named without enabled is on.
type Features struct {
	// ACPI, which lets the guest be shut down in order. Default: on.
	// +optional
	ACPI FeatureState `json:"acpi,omitempty" protobuf:"bytes,1,opt,name=acpi"`
	// Settings of the interrupt controller.
	// +optional
	APIC *FeatureAPIC `json:"apic,omitempty" protobuf:"bytes,2,opt,name=apic"`
	// Features of Hyper-V that make Windows run well.
	// +optional
	Hyperv *FeatureHyperv `json:"hyperv,omitempty" protobuf:"bytes,3,opt,name=hyperv"`
	// All features of Hyper-V that the node offers. Excludes hyperv.
	// +optional
	HypervPassthrough *HyperVPassthrough `json:"hypervPassthrough,omitempty" protobuf:"bytes,4,opt,name=hypervPassthrough"`
	// What the guest sees of KVM.
	// +optional
	KVM *FeatureKVM `json:"kvm,omitempty" protobuf:"bytes,5,opt,name=kvm"`
	// Spinlocks that yield to the hypervisor.
	// +optional
	Pvspinlock *FeatureState `json:"pvspinlock,omitempty" protobuf:"bytes,6,opt,name=pvspinlock"`
	// System management mode, which secure boot needs.
	// +optional
	SMM *FeatureState `json:"smm,omitempty" protobuf:"bytes,7,opt,name=smm"`
}

// Firmware says how the machine boots, and who it is.
type Firmware struct {
	// ACPI tables that carry licences of Windows.
	// +optional
	ACPI *ACPI `json:"acpi,omitempty" protobuf:"bytes,1,opt,name=acpi"`
	// BIOS or UEFI. Default: BIOS.
	// +optional
	Bootloader *Bootloader `json:"bootloader,omitempty" protobuf:"bytes,2,opt,name=bootloader"`
	// A kernel from a container image, booted without boot loader.
	// +optional
	KernelBoot *KernelBoot `json:"kernelBoot,omitempty" protobuf:"bytes,3,opt,name=kernelBoot"`
	// Serial number of the system in SMBIOS: up to 256 letters, digits, dots, underscores, plus and minus signs.
	// +optional
	Serial string `json:"serial,omitempty" protobuf:"bytes,4,opt,name=serial"`
	// UUID of the system in SMBIOS. Default: one made of namespace and name of the owning VirtualMachine, so that it stays the same from start to start; random without owner.
	// +optional
	UUID string `json:"uuid,omitempty" protobuf:"bytes,5,opt,name=uuid"`
}

// DiskIOThreads is a pool of threads that serve disks.
type DiskIOThreads struct {
	// Threads in the pool, 1 or more.
	// +optional
	SupplementalPoolThreadCount *int64 `json:"supplementalPoolThreadCount,omitempty" protobuf:"varint,1,opt,name=supplementalPoolThreadCount"`
}

// LaunchSecurity encrypts the guest's memory. It has at most one of its fields.
type LaunchSecurity struct {
	// AMD SEV.
	// +optional
	SEV *SEV `json:"sev,omitempty" protobuf:"bytes,1,opt,name=sev"`
	// AMD SEV-SNP.
	// +optional
	SNP *SEVSNP `json:"snp,omitempty" protobuf:"bytes,2,opt,name=snp"`
	// Intel TDX. Needs the feature gate WorkloadEncryptionTDX.
	// +optional
	TDX *TDX `json:"tdx,omitempty" protobuf:"bytes,3,opt,name=tdx"`
}

// Memory is the memory that the guest sees.
type Memory struct {
	// Size of the memory, 1M or more. Default: what resources request, else limit, else one huge page.
	// +optional
	Guest *resource.Quantity `json:"guest,omitempty" protobuf:"bytes,1,opt,name=guest"`
	// Backs the memory with huge pages of the node.
	// +optional
	Hugepages *Hugepages `json:"hugepages,omitempty" protobuf:"bytes,2,opt,name=hugepages"`
	// Size up to which memory can be added while the guest runs.
	// +optional
	MaxGuest *resource.Quantity `json:"maxGuest,omitempty" protobuf:"bytes,3,opt,name=maxGuest"`
	// What the pod asks for on top of the guest's memory.
	// +optional
	ReservedOverhead *ReservedOverhead `json:"reservedOverhead,omitempty" protobuf:"bytes,4,opt,name=reservedOverhead"`
}

// ResourceRequirements is what the pod asks the node for.
type ResourceRequirements struct {
	// The most that the pod may use. What is limited and not requested is requested too.
	// +optional
	Limits corev1.ResourceList `json:"limits,omitempty" protobuf:"bytes,1,rep,name=limits"`
	// Whether the request leaves out the memory that the emulator itself needs.
	// +optional
	OvercommitGuestOverhead *bool `json:"overcommitGuestOverhead,omitempty" protobuf:"varint,2,opt,name=overcommitGuestOverhead"`
	// What the node must have free. Memory defaults to that of the guest, CPU to the cluster's configuration.
	// +optional
	Requests corev1.ResourceList `json:"requests,omitempty" protobuf:"bytes,3,rep,name=requests"`
}

// Timer is the set of timers of the machine. One that is named without present is there.
type Timer struct {
	// High precision event timer.
	// +optional
	HPET *HPETTimer `json:"hpet,omitempty" protobuf:"bytes,1,opt,name=hpet"`
	// Reference time of Hyper-V.
	// +optional
	Hyperv *HypervTimer `json:"hyperv,omitempty" protobuf:"bytes,2,opt,name=hyperv"`
	// The clock of KVM.
	// +optional
	KVM *KVMTimer `json:"kvm,omitempty" protobuf:"bytes,3,opt,name=kvm"`
	// Programmable interval timer.
	// +optional
	PIT *PITTimer `json:"pit,omitempty" protobuf:"bytes,4,opt,name=pit"`
	// Real-time clock.
	// +optional
	RTC *RTCTimer `json:"rtc,omitempty" protobuf:"bytes,5,opt,name=rtc"`
}

// ClockOffsetUTC is a clock in UTC.
type ClockOffsetUTC struct {
	// Seconds that the clock is ahead. With it, changes by the guest are kept only until the next start. Default: 0.
	// +optional
	OffsetSeconds *int32 `json:"offsetSeconds,omitempty" protobuf:"varint,1,opt,name=offsetSeconds"`
}

// CPUFeature adds a feature to the CPU model, or takes it away.
type CPUFeature struct {
	// Name of the feature, such as apic.
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// force, require, optional, disable or forbid: the first three give the feature to the guest, whatever the node has, only on nodes that have it, or where there is it; forbid also keeps the instance off nodes that have it. Default: require.
	// +optional
	Policy string `json:"policy,omitempty" protobuf:"bytes,2,opt,name=policy"`
}

// NUMA is the NUMA topology of the guest.
type NUMA struct {
	// Gives the guest the topology of the CPUs it has of the node. Needs dedicatedCpuPlacement and huge pages.
	// +optional
	GuestMappingPassthrough *NUMAGuestMappingPassthrough `json:"guestMappingPassthrough,omitempty" protobuf:"bytes,1,opt,name=guestMappingPassthrough"`
}

// Realtime schedules CPUs of the guest before everything else of the node.
type Realtime struct {
	// CPUs that it holds for, such as 0-3,^1. Default: all.
	// +optional
	Mask string `json:"mask,omitempty" protobuf:"bytes,1,opt,name=mask"`
}

// FeatureAPIC sets the interrupt controller.
type FeatureAPIC struct {
	// Whether there is one. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// Whether the guest may signal the end of an interrupt without leaving it.
	// +optional
	EndOfInterrupt *bool `json:"endOfInterrupt,omitempty" protobuf:"varint,2,opt,name=endOfInterrupt"`
}

// FeatureHyperv is the set of features of Hyper-V that the guest sees.
type FeatureHyperv struct {
	// Nested virtual machines without copying their state. Turns on vapic.
	// +optional
	EVMCS *FeatureState `json:"evmcs,omitempty" protobuf:"bytes,1,opt,name=evmcs"`
	// Frequencies of the CPU clock and the interrupt timer in registers.
	// +optional
	Frequencies *FeatureState `json:"frequencies,omitempty" protobuf:"bytes,2,opt,name=frequencies"`
	// Interrupts between CPUs by hypercall. Turns on vpindex.
	// +optional
	IPI *FeatureState `json:"ipi,omitempty" protobuf:"bytes,3,opt,name=ipi"`
	// Notice when the frequency of the clock changes, as by migration.
	// +optional
	Reenlightenment *FeatureState `json:"reenlightenment,omitempty" protobuf:"bytes,4,opt,name=reenlightenment"`
	// No watchdog in the guest for CPUs that wait for the host.
	// +optional
	Relaxed *FeatureState `json:"relaxed,omitempty" protobuf:"bytes,5,opt,name=relaxed"`
	// A reset by register.
	// +optional
	HypervReset *FeatureState `json:"reset,omitempty" protobuf:"bytes,6,opt,name=hypervReset"`
	// Time that a CPU has run, in a register.
	// +optional
	Runtime *FeatureState `json:"runtime,omitempty" protobuf:"bytes,7,opt,name=runtime"`
	// Spinlocks that yield to the hypervisor.
	// +optional
	Spinlocks *FeatureSpinlocks `json:"spinlocks,omitempty" protobuf:"bytes,8,opt,name=spinlocks"`
	// Synthetic interrupt controller. Turns on vpindex.
	// +optional
	Synic *FeatureState `json:"synic,omitempty" protobuf:"bytes,9,opt,name=synic"`
	// Synthetic timers. Turns on synic.
	// +optional
	Synictimer *SyNICTimer `json:"synictimer,omitempty" protobuf:"bytes,10,opt,name=synictimer"`
	// Flushes of address translations by hypercall. Turns on vpindex.
	// +optional
	Tlbflush *TLBFlush `json:"tlbflush,omitempty" protobuf:"bytes,11,opt,name=tlbflush"`
	// Interrupt controller by memory page.
	// +optional
	VAPIC *FeatureState `json:"vapic,omitempty" protobuf:"bytes,12,opt,name=vapic"`
	// Another name of the hypervisor.
	// +optional
	Vendorid *FeatureVendorID `json:"vendorid,omitempty" protobuf:"bytes,13,opt,name=vendorid"`
	// Numbers of CPUs in a register.
	// +optional
	Vpindex *FeatureState `json:"vpindex,omitempty" protobuf:"bytes,14,opt,name=vpindex"`
}

// HyperVPassthrough gives the guest all features of Hyper-V that the node offers.
type HyperVPassthrough struct {
	// Whether it does. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
}

// FeatureKVM is what the guest sees of KVM.
type FeatureKVM struct {
	// Whether the guest does not learn that it runs on KVM. Default: false.
	// +optional
	Hidden *bool `json:"hidden,omitempty" protobuf:"varint,1,opt,name=hidden"`
}

// ACPI names the ACPI tables that carry licences of Windows. It has at least one.
type ACPI struct {
	// Volume of kind secret that holds the table MSDM.
	// +optional
	MsdmNameRef string `json:"msdmNameRef,omitempty" protobuf:"bytes,1,opt,name=msdmNameRef"`
	// Volume of kind secret that holds the table SLIC.
	// +optional
	SlicNameRef string `json:"slicNameRef,omitempty" protobuf:"bytes,2,opt,name=slicNameRef"`
}

// Bootloader is the firmware that boots the machine. It has at most one of its fields.
type Bootloader struct {
	// Boots with BIOS.
	// +optional
	BIOS *BIOS `json:"bios,omitempty" protobuf:"bytes,1,opt,name=bios"`
	// Boots with UEFI.
	// +optional
	EFI *EFI `json:"efi,omitempty" protobuf:"bytes,2,opt,name=efi"`
}

// KernelBoot boots a kernel from a container image.
type KernelBoot struct {
	// Image that holds the kernel and its first file system.
	// +optional
	Container *KernelBootContainer `json:"container,omitempty" protobuf:"bytes,1,opt,name=container"`
	// Command line of the kernel. Needs a kernel.
	// +optional
	KernelArgs string `json:"kernelArgs,omitempty" protobuf:"bytes,2,opt,name=kernelArgs"`
}

// SEV is encryption of the guest's memory by AMD SEV. Needs UEFI without secure boot.
type SEV struct {
	// Proves to the owner what is started before secrets go in. Needs startStrategy Paused.
	// +optional
	Attestation *SEVAttestation `json:"attestation,omitempty" protobuf:"bytes,1,opt,name=attestation"`
	// Diffie-Hellman key of the owner, in base64.
	// +optional
	DhCert string `json:"dhCert,omitempty" protobuf:"bytes,2,opt,name=dhCert"`
	// What the host may do with the guest.
	// +optional
	Policy *SEVPolicy `json:"policy,omitempty" protobuf:"bytes,3,opt,name=policy"`
	// Session blob of the owner, in base64.
	// +optional
	Session string `json:"session,omitempty" protobuf:"bytes,4,opt,name=session"`
}

// TDX is encryption of the guest's memory by Intel TDX. It has no settings.
type TDX struct {
}

// Hugepages backs the guest's memory with huge pages of the node.
type Hugepages struct {
	// Size of a page, such as 2Mi or 1Gi. The memory is a multiple of it.
	// +optional
	PageSize string `json:"pageSize,omitempty" protobuf:"bytes,1,opt,name=pageSize"`
}

// ReservedOverhead is what the pod asks for on top of the guest's memory.
type ReservedOverhead struct {
	// Memory that is added to what is estimated for the emulator.
	// +optional
	AddedOverhead *resource.Quantity `json:"addedOverhead,omitempty" protobuf:"bytes,1,opt,name=addedOverhead"`
	// Required if memory must stay resident, as for devices of the node, else NotRequired.
	// +optional
	MemLock string `json:"memLock,omitempty" protobuf:"bytes,2,opt,name=memLock"`
}

// HPETTimer is the high precision event timer.
type HPETTimer struct {
	// Whether the machine has it. Default: true.
	// +optional
	Present *bool `json:"present,omitempty" protobuf:"varint,1,opt,name=present"`
	// What becomes of ticks that the guest missed: delay, catchup, merge or discard.
	// +optional
	TickPolicy string `json:"tickPolicy,omitempty" protobuf:"bytes,2,opt,name=tickPolicy"`
}

// HypervTimer is the reference time of Hyper-V.
type HypervTimer struct {
	// Whether the machine has it. Default: true.
	// +optional
	Present *bool `json:"present,omitempty" protobuf:"varint,1,opt,name=present"`
}

// KVMTimer is the clock of KVM.
type KVMTimer struct {
	// Whether the machine has it. Default: true.
	// +optional
	Present *bool `json:"present,omitempty" protobuf:"varint,1,opt,name=present"`
}

// PITTimer is the programmable interval timer.
type PITTimer struct {
	// Whether the machine has it. Default: true.
	// +optional
	Present *bool `json:"present,omitempty" protobuf:"varint,1,opt,name=present"`
	// What becomes of ticks that the guest missed: delay, catchup or discard.
	// +optional
	TickPolicy string `json:"tickPolicy,omitempty" protobuf:"bytes,2,opt,name=tickPolicy"`
}

// RTCTimer is the real-time clock.
type RTCTimer struct {
	// Whether the machine has it. Default: true.
	// +optional
	Present *bool `json:"present,omitempty" protobuf:"varint,1,opt,name=present"`
	// What becomes of ticks that the guest missed: delay or catchup.
	// +optional
	TickPolicy string `json:"tickPolicy,omitempty" protobuf:"bytes,2,opt,name=tickPolicy"`
	// What the clock follows: guest (its own CPUs) or wall (the host's time).
	// +optional
	Track string `json:"track,omitempty" protobuf:"bytes,3,opt,name=track"`
}

// NUMAGuestMappingPassthrough gives the guest the topology of the CPUs it has of the node. It has no settings.
type NUMAGuestMappingPassthrough struct {
}

// FeatureSpinlocks is spinlocks that yield to the hypervisor.
type FeatureSpinlocks struct {
	// Whether they are on. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// Tries before the hypervisor is told, 4096 or more. Default: 4096.
	// +optional
	Spinlocks *uint32 `json:"spinlocks,omitempty" protobuf:"varint,2,opt,name=spinlocks"`
}

// SyNICTimer is the synthetic timers of Hyper-V.
type SyNICTimer struct {
	// Expiry as an interrupt instead of a message.
	// +optional
	Direct *FeatureState `json:"direct,omitempty" protobuf:"bytes,1,opt,name=direct"`
	// Whether they are on. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,2,opt,name=enabled"`
}

// TLBFlush is flushes of address translations by hypercall.
type TLBFlush struct {
	// Flushes for nested virtual machines.
	// +optional
	Direct *FeatureState `json:"direct,omitempty" protobuf:"bytes,1,opt,name=direct"`
	// Whether they are on. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,2,opt,name=enabled"`
	// Flushes of parts of an address space.
	// +optional
	Extended *FeatureState `json:"extended,omitempty" protobuf:"bytes,3,opt,name=extended"`
}

// FeatureVendorID is another name of the hypervisor.
type FeatureVendorID struct {
	// Whether it is used. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// The name: 1 to 12 letters, digits, dots, underscores, plus and minus signs.
	// +optional
	Vendorid string `json:"vendorid,omitempty" protobuf:"bytes,2,opt,name=vendorid"`
}

// BIOS boots with BIOS.
type BIOS struct {
	// Whether the BIOS writes to the serial console. Default: false.
	// +optional
	UseSerial *bool `json:"useSerial,omitempty" protobuf:"varint,1,opt,name=useSerial"`
}

// EFI boots with UEFI.
type EFI struct {
	// Whether variables of the firmware outlive the instance. Default: false.
	// +optional
	Persistent *bool `json:"persistent,omitempty" protobuf:"varint,1,opt,name=persistent"`
	// Whether only signed boot loaders are started. Needs features.smm. Default: true.
	// +optional
	SecureBoot *bool `json:"secureBoot,omitempty" protobuf:"varint,2,opt,name=secureBoot"`
}

// KernelBootContainer is the image that a kernel is booted from. It has at least one of kernelPath and initrdPath.
type KernelBootContainer struct {
	// The container image.
	// +required
	Image string `json:"image" protobuf:"bytes,1,opt,name=image"`
	// When the node pulls the image: Always, IfNotPresent or Never. Default: Always for images without tag or with the tag latest, else IfNotPresent.
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty" protobuf:"bytes,2,opt,name=imagePullPolicy"`
	// Secret with the registry's credentials, in the namespace of the instance.
	// +optional
	ImagePullSecret string `json:"imagePullSecret,omitempty" protobuf:"bytes,3,opt,name=imagePullSecret"`
	// Absolute path of the first file system in the image.
	// +optional
	InitrdPath string `json:"initrdPath,omitempty" protobuf:"bytes,4,opt,name=initrdPath"`
	// Absolute path of the kernel in the image.
	// +optional
	KernelPath string `json:"kernelPath,omitempty" protobuf:"bytes,5,opt,name=kernelPath"`
}

// SEVAttestation asks for the proof of what is started. It has no settings.
type SEVAttestation struct {
}
