package support

import (
	"fmt"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// Limits of QEMU's machines.
const (
	// MaxVCPUs is how many virtual CPUs a q35 machine has on KVM, UsualVCPUs how many any other has.
	MaxVCPUs   = 288
	UsualVCPUs = 255
	// maxMemory is the most memory that the launcher gives a guest, 4 TiB.
	maxMemory = 4 << 40
)

const (
	devices    = "spec.domain.devices."
	noDevices  = "devices of the node cannot be passed to a guest: remove it"
	noMigrates = "an eviction is not held up, as this version does not migrate: the guest is shut down, and started anew as the run strategy says"
	noKVM      = "has no effect under software emulation"
)

// rows is the table. Its order is that of the API's fields, more or less.
var rows = append(notServed, noEffect...)

var notServed = []Row{
	{
		Field: "spec.architecture", When: "arm64, s390x", Reason: ReasonField, Kind: NotServed, Why: "only amd64 is supported",
		find: once(func(q *query) bool { return q.spec.Architecture != "" && q.spec.Architecture != "amd64" }),
	},
	{
		Field: "spec.domain.machine.type", When: "a type that QEMU 7.2 does not have", Reason: ReasonField, Kind: NotServed,
		Why: "QEMU 7.2 has no such machine type",
		find: func(q *query) []place {
			m := q.spec.Domain.Machine
			if m == nil || m.Type == "" || KnownMachineType(m.Type) {
				return nil
			}
			return []place{{why: fmt.Sprintf("QEMU 7.2 has no machine type %q: take q35, or a version of it up to pc-q35-7.2", m.Type)}}
		},
	},
	{
		Field: "spec.domain.cpu", When: "more than 288 virtual CPUs", Reason: ReasonField, Kind: NotServed,
		Why:  fmt.Sprintf("a machine has at most %d virtual CPUs (sockets times cores times threads)", MaxVCPUs),
		find: once(func(q *query) bool { return vcpus(q.spec) > MaxVCPUs }),
	},
	{
		Field: "spec.domain.cpu", When: "more than 255 virtual CPUs under emulation, or on another machine type than q35", Reason: ReasonField, Kind: NotHere,
		Why: fmt.Sprintf("more than %d virtual CPUs need KVM and the machine type q35", UsualVCPUs),
		find: once(func(q *query) bool {
			n := vcpus(q.spec)
			return n > UsualVCPUs && n <= MaxVCPUs && (q.in.Emulation || !virtv1.IsQ35(&q.spec.Domain))
		}),
	},
	{
		Field: "spec.domain.cpu.model", When: "a model that QEMU 7.2 does not have", Reason: ReasonField, Kind: NotServed,
		Why: "QEMU 7.2 has no such CPU model",
		find: func(q *query) []place {
			c := q.spec.Domain.CPU
			if c == nil || c.Model == "" || c.Model == machine.HostModel || c.Model == machine.HostPassthrough || KnownCPUModel(c.Model) {
				return nil
			}
			return []place{{why: fmt.Sprintf("QEMU 7.2 has no CPU model %q: take host-model, or one of those that it has", c.Model)}}
		},
	},
	{
		Field: "spec.domain.cpu.features[].name", When: "a feature that QEMU 7.2 does not have", Reason: ReasonField, Kind: NotServed,
		Why: "QEMU 7.2 has no such CPU feature",
		find: each(func(s *virtv1.VirtualMachineInstanceSpec) []virtv1.CPUFeature {
			if s.Domain.CPU == nil {
				return nil
			}
			return s.Domain.CPU.Features
		}, func(_ *query, _ int, f *virtv1.CPUFeature) (string, bool) {
			return fmt.Sprintf("QEMU 7.2 has no CPU feature %q: remove it", f.Name), !KnownCPUFeature(f.Name)
		}),
	},
	{Field: "spec.domain.cpu.realtime", Reason: ReasonField, Kind: NotServed, Why: "needs rights on the node that a machine's pod does not have; dedicatedCpuPlacement works without it"},
	{
		Field: "spec.domain.memory.guest", When: "more than 4 TiB", Reason: ReasonField, Kind: NotServed, Why: "a guest has at most 4Ti of memory",
		find: once(func(q *query) bool { m := machine.GuestMemory(q.spec); return m.Value() > maxMemory }),
	},
	{
		Field: "spec.domain.memory.reservedOverhead.memLock", When: "Required", Reason: ReasonField, Kind: NotServed,
		Why: "a machine's pod has no right to keep memory resident, must be NotRequired; memory.hugepages is always resident",
		find: once(func(q *query) bool {
			m := q.spec.Domain.Memory
			return m != nil && m.ReservedOverhead != nil && m.ReservedOverhead.MemLock == "Required"
		}),
	},
	{Field: "spec.domain.launchSecurity", Reason: ReasonField, Kind: NotServed, Why: "encryption of a guest's memory is not supported"},
	{Field: devices + "gpus[]", Reason: ReasonField, Kind: NotServed, Why: noDevices},
	{Field: devices + "hostDevices[]", Reason: ReasonField, Kind: NotServed, Why: noDevices},
	{Field: devices + "watchdog.diag288", Reason: ReasonField, Kind: NotServed, Why: "is the watchdog of s390x; a PC has i6300esb"},
	{Field: devices + "disks[].changedBlockTracking", Reason: ReasonField, Kind: NotServed, Why: "changed blocks are not tracked; a backup reads the whole disk"},
	{Field: devices + "disks[].lun.reservation", Reason: ReasonField, Kind: NotServed, Why: "persistent reservations need a privileged helper on the node, which there is none of"},
	{Field: devices + "disks[].tag", Reason: ReasonField, Kind: NotServed, Why: "the guest cannot be told of tags; it finds a disk by its serial"},
	{Field: devices + "interfaces[].tag", Reason: ReasonField, Kind: NotServed, Why: "the guest cannot be told of tags; it finds an interface by its macAddress"},
	{
		Field: devices + "interfaces[]", When: "a second one", Reason: ReasonNetwork, Kind: NotServed, Why: "a second interface is not supported yet; leave one interface on the pod network",
		find: each(interfaces, func(_ *query, i int, _ *virtv1.Interface) (string, bool) { return "", i > 0 }),
	},
	{
		Field: devices + "interfaces[].bridge", When: "on the pod network", Reason: ReasonNetwork, Kind: NotServed, Why: otherBinding,
		find: each(interfaces, func(q *query, _ int, f *virtv1.Interface) (string, bool) {
			n := network(q.spec, f.Name)
			return "", f.Bridge != nil && (n == nil || n.Multus == nil)
		}),
	},
	{Field: devices + "interfaces[].sriov", Reason: ReasonNetwork, Kind: NotServed, Why: otherBinding},
	{Field: devices + "interfaces[].binding", Reason: ReasonNetwork, Kind: NotServed, Why: otherBinding},
	{Field: devices + "interfaces[].passtBinding", Reason: ReasonNetwork, Kind: NotServed, Why: otherBinding},
	{Field: devices + "interfaces[].slirp", Reason: ReasonNetwork, Kind: NotServed, Why: "is no longer supported by the API; use masquerade"},
	{Field: devices + "interfaces[].macvtap", Reason: ReasonNetwork, Kind: NotServed, Why: "is no longer supported by the API; use masquerade"},
	{Field: devices + "interfaces[].passt", Reason: ReasonNetwork, Kind: NotServed, Why: "is no longer supported by the API; use masquerade"},
	{Field: "spec.networks[].multus", Reason: ReasonNetwork, Kind: NotServed, Why: "networks beside the pod's own are not supported yet; use `pod: {}`"},
	{Field: "spec.networks[].resourceClaim", Reason: ReasonNetwork, Kind: NotServed, Why: "networks of resource claims are not supported; use `pod: {}`"},
	{Field: "spec.resourceClaims[]", Reason: ReasonField, Kind: NotServed, Why: "resource claims are not passed to a guest's pod: remove it"},
	{Field: "spec.utilityVolumes[]", Reason: ReasonField, Kind: NotServed, Why: "volumes are not added for helpers of a guest: remove it"},
	{Field: "spec.volumes[].containerPath", Reason: ReasonField, Kind: NotServed, Why: "a path of the launcher's container is not shared with a guest: use a claim, configMap or secret"},
	{Field: "spec.volumes[].memoryDump", Reason: ReasonField, Kind: NotServed, Why: "the memory of a guest is not dumped into a claim: remove the volume"},
}

const otherBinding = "this binding is not supported yet; use `masquerade: {}`"

func vcpus(spec *virtv1.VirtualMachineInstanceSpec) uint64 {
	c := spec.Domain.CPU
	if c == nil {
		return 1
	}
	n := uint64(1)
	for _, part := range []uint32{c.Sockets, c.Cores, c.Threads} {
		n *= min(max(uint64(part), 1), 1<<16)
	}
	return n
}

func network(spec *virtv1.VirtualMachineInstanceSpec, name string) *virtv1.Network {
	for i := range spec.Networks {
		if spec.Networks[i].Name == name {
			return &spec.Networks[i]
		}
	}
	return nil
}
