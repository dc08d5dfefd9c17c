package machine

import (
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// What one running machine costs beside its guest's memory, in bytes. The sum is requested for the launcher pod and shown
// in status.memory.memoryOverhead. docs/memory.md derives the figures from measurements of `make bench-overhead`.
const (
	mebibyte = 1 << 20
	// launcherBytes covers the launcher and the pod's first process.
	launcherBytes = 30 * mebibyte
	// qemuBytes covers QEMU itself: code, heap, device state of a machine with a few devices.
	qemuBytes = 48 * mebibyte
	// perCPUBytes covers a vCPU thread: stack, per-thread heap, KVM state.
	perCPUBytes = 8 * mebibyte
	// ioThreadBytes covers the thread that serves disks.
	ioThreadBytes = 8 * mebibyte
	// graphicsBytes covers the video memory of the default graphics device and its VNC server.
	graphicsBytes = 24 * mebibyte
	// tcgBytes is the translation buffer of software emulation (decision 20: tb-size=64).
	tcgBytes = 64 * mebibyte
	// tcgSlackBytes covers what translation keeps beside the buffer.
	tcgSlackBytes = 24 * mebibyte
	// dedicatedBytes is what a limit that equals the request leaves for peaks.
	dedicatedBytes = 64 * mebibyte
	// passedThroughBytes is the address space that a device of the node is given, each of them (row P1-PLAN-09).
	passedThroughBytes = 1024 * mebibyte
	// tpmBytes covers the process that is the guest's trusted platform module.
	tpmBytes = 16 * mebibyte
	// probeBytes covers the process that asks the guest agent for a probe, while it runs.
	probeBytes = 8 * mebibyte
	// filesystemBytes covers the process that shares one folder with the guest: what it has of its own, its program, and names
	// that the guest has looked up.
	filesystemBytes = 16 * mebibyte
	// metricsBytes covers what is read and written of the node's figures.
	metricsBytes = 1 * mebibyte
	// pageTableShare: page tables cost one five hundred and twelfth of the guest's memory.
	pageTableShare = 512
)

// Options are the facts outside a VMI's spec on which its overhead depends.
type Options struct {
	// Emulation says that the guest runs under software emulation.
	Emulation bool
	// Ratio is KubeVirt.spec.configuration.additionalGuestMemoryOverheadRatio; empty and invalid count as 1.
	Ratio string
}

// MemoryOverhead returns what the machine needs beside its guest's memory.
func MemoryOverhead(spec *virtv1.VirtualMachineInstanceSpec, o Options) resource.Quantity {
	guest := GuestMemory(spec)
	sum := guest.Value()/pageTableShare + launcherBytes + qemuBytes + ioThreadBytes
	sum += int64(VCPUs(spec.Domain.CPU)) * perCPUBytes
	if wanted := spec.Domain.Devices.AutoattachGraphicsDevice; wanted == nil || *wanted {
		sum += graphicsBytes
	}
	sum += int64(len(spec.Domain.Devices.Filesystems)) * filesystemBytes
	if wantsMetrics(spec) {
		sum += metricsBytes
	}
	if IsTrue(dedicated(spec.Domain.CPU)) {
		sum += dedicatedBytes
	}
	sum += int64(passedThrough(spec)) * passedThroughBytes
	if tpm := spec.Domain.Devices.TPM; tpm != nil && !isFalse(tpm.Enabled) {
		sum += tpmBytes
	}
	for _, p := range []*virtv1.Probe{spec.ReadinessProbe, spec.LivenessProbe} {
		if p != nil && (p.Exec != nil || p.GuestAgentPing != nil) {
			sum += probeBytes
		}
	}
	if o.Emulation {
		sum += tcgBytes + tcgSlackBytes
	}
	if ratio, err := strconv.ParseFloat(o.Ratio, 64); err == nil && ratio > 1 {
		sum = int64(float64(sum) * ratio)
	}
	// Whole mebibytes: a request that changes with each byte of the guest's size would be hard to read.
	sum = (sum + mebibyte - 1) / mebibyte * mebibyte
	if m := spec.Domain.Memory; m != nil && m.ReservedOverhead != nil && m.ReservedOverhead.AddedOverhead != nil {
		sum += m.ReservedOverhead.AddedOverhead.Value()
	}
	return *resource.NewQuantity(sum, resource.BinarySI)
}

// passedThrough counts the devices of the node that the guest has for itself.
func passedThrough(spec *virtv1.VirtualMachineInstanceSpec) int {
	n := len(spec.Domain.Devices.GPUs) + len(spec.Domain.Devices.HostDevices)
	for i := range spec.Domain.Devices.Interfaces {
		if spec.Domain.Devices.Interfaces[i].Sriov != nil {
			n++
		}
	}
	return n
}

func wantsMetrics(spec *virtv1.VirtualMachineInstanceSpec) bool {
	for _, v := range spec.Volumes {
		if v.DownwardMetrics != nil {
			return true
		}
	}
	return spec.Domain.Devices.DownwardMetrics != nil
}

// GuestMemory is the memory that the guest sees: domain.memory.guest, or else the memory request, or else the memory limit.
// It is zero when the spec says none.
func GuestMemory(spec *virtv1.VirtualMachineInstanceSpec) resource.Quantity {
	if m := spec.Domain.Memory; m != nil && m.Guest != nil {
		return *m.Guest
	}
	if q, ok := spec.Domain.Resources.Requests["memory"]; ok {
		return q
	}
	if q, ok := spec.Domain.Resources.Limits["memory"]; ok {
		return q
	}
	return resource.Quantity{}
}

// VCPUs is sockets × cores × threads, each at least one (row P1-VMCREATE-19).
func VCPUs(cpu *virtv1.CPU) uint32 {
	if cpu == nil {
		return 1
	}
	return max(cpu.Sockets, 1) * max(cpu.Cores, 1) * max(cpu.Threads, 1)
}
