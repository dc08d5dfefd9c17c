package vmi

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// defaultCPUAllocationRatio is how many vCPUs share a CPU's request when the configuration says nothing.
const defaultCPUAllocationRatio = 10

// AutoLimits are limits that a pod gets although nobody wrote them, because its namespace's quota counts limits.
type AutoLimits struct {
	// CPU says that there is a limit of one CPU for each of the guest.
	CPU bool
	// MemoryRatio is the memory limit over the memory request; 0 for none.
	MemoryRatio float64
}

// resources says what the compute container asks for: what the user asked for, the machine's overhead, and the devices that
// it opens.
func resources(spec *virtv1.VirtualMachineInstanceSpec, overhead resource.Quantity, o RenderOptions) corev1.ResourceRequirements {
	requests, limits := corev1.ResourceList{}, corev1.ResourceList{}
	maps.Copy(requests, spec.Domain.Resources.Requests)
	maps.Copy(limits, spec.Domain.Resources.Limits)
	memory(spec, overhead, requests, limits)
	if n := machine.DedicatedCPUs(&spec.Domain); n > 0 {
		// Equal requests and limits, in whole CPUs, are what the kubelet's static CPU manager asks for.
		requests[corev1.ResourceCPU], limits[corev1.ResourceCPU] = whole(n), whole(n)
		limits[corev1.ResourceMemory] = requests[corev1.ResourceMemory]
	} else {
		cpu(spec, requests, limits, o)
	}
	autoLimit(spec, requests, limits, o.Limits)
	for _, device := range devices(spec, o) {
		q := requests[device]
		q.Add(whole(1))
		requests[device], limits[device] = q, q
	}
	return corev1.ResourceRequirements{Requests: requests, Limits: limits}
}

// fixedLimits are the limits that the machine's spec decides.
func fixedLimits(spec *virtv1.VirtualMachineInstanceSpec) corev1.ResourceList {
	out := maps.Clone(spec.Domain.Resources.Limits)
	if out == nil {
		out = corev1.ResourceList{}
	}
	if n := machine.DedicatedCPUs(&spec.Domain); n > 0 {
		out[corev1.ResourceCPU], out[corev1.ResourceMemory] = whole(n), machine.GuestMemory(spec)
	}
	return out
}

// memoryFloor is the memory without which the guest is killed once it uses all of its own.
func memoryFloor(spec *virtv1.VirtualMachineInstanceSpec, overhead resource.Quantity) corev1.ResourceList {
	floor := overhead.DeepCopy()
	if machine.HugepagesSize(spec) == "" {
		floor.Add(machine.GuestMemory(spec))
	}
	return corev1.ResourceList{corev1.ResourceMemory: floor}
}

func whole(n uint32) resource.Quantity { return *resource.NewQuantity(int64(n), resource.DecimalSI) }

// memory adds the overhead to what is requested and limited. Huge pages are asked for by their own name, and for the whole guest
// even where it requests less: they are allocated before it starts, and cannot be overcommitted.
func memory(spec *virtv1.VirtualMachineInstanceSpec, overhead resource.Quantity, requests, limits corev1.ResourceList) {
	requested, asked := requests[corev1.ResourceMemory]
	if !asked {
		requested = machine.GuestMemory(spec)
	}
	limit, limited := limits[corev1.ResourceMemory]
	if size := machine.HugepagesSize(spec); size != "" {
		huge := machine.GuestMemory(spec)
		name := corev1.ResourceName(corev1.ResourceHugePagesPrefix + size)
		requests[name], limits[name] = huge.DeepCopy(), huge.DeepCopy()
		requested, limit = beyond(requested, huge), beyond(limit, huge)
	}
	if !machine.IsTrue(spec.Domain.Resources.OvercommitGuestOverhead) {
		requested.Add(overhead)
	}
	requests[corev1.ResourceMemory] = requested
	if limited {
		limit.Add(overhead)
		limits[corev1.ResourceMemory] = limit
	}
}

// beyond is what q is more than part, or nothing.
func beyond(q, part resource.Quantity) resource.Quantity {
	if q.Cmp(part) <= 0 {
		return *resource.NewQuantity(0, resource.BinarySI)
	}
	q = q.DeepCopy()
	q.Sub(part)
	return q
}

// cpu requests a share of a CPU for each vCPU unless the user has said otherwise.
func cpu(spec *virtv1.VirtualMachineInstanceSpec, requests, limits corev1.ResourceList, o RenderOptions) {
	_, asked := requests[corev1.ResourceCPU]
	_, limited := limits[corev1.ResourceCPU]
	if asked || limited {
		return
	}
	ratio := int64(defaultCPUAllocationRatio)
	if d := o.Config.DeveloperConfiguration; d != nil && d.CPUAllocationRatio != nil && *d.CPUAllocationRatio > 0 {
		ratio = int64(*d.CPUAllocationRatio)
	}
	// A request of nothing at all would be no request.
	requests[corev1.ResourceCPU] = *resource.NewMilliQuantity(max(int64(machine.VCPUs(spec.Domain.CPU))*1000/ratio, 1), resource.DecimalSI)
}

func autoLimit(spec *virtv1.VirtualMachineInstanceSpec, requests, limits corev1.ResourceList, auto AutoLimits) {
	if _, limited := limits[corev1.ResourceMemory]; !limited && auto.MemoryRatio > 0 {
		q := requests[corev1.ResourceMemory]
		limits[corev1.ResourceMemory] = *resource.NewQuantity(int64(float64(q.Value())*auto.MemoryRatio), resource.BinarySI)
	}
	if _, limited := limits[corev1.ResourceCPU]; !limited && auto.CPU {
		limit := whole(machine.VCPUs(spec.Domain.CPU))
		if q := requests[corev1.ResourceCPU]; q.Cmp(limit) > 0 {
			limit = q
		}
		limits[corev1.ResourceCPU] = limit
	}
}

// devices names the device-plugin resources that the machine opens (decision 20). Each guest asks for at least one that only
// a node's agent offers, so that it does not come to a node without one.
func devices(spec *virtv1.VirtualMachineInstanceSpec, o RenderOptions) []corev1.ResourceName {
	var out []corev1.ResourceName
	if len(spec.Domain.Devices.Interfaces) > 0 || o.emulation() {
		out = append(out, machine.ResourceTun)
	}
	if !o.emulation() {
		out = append(out, machine.ResourceKVM)
		if slices.ContainsFunc(spec.Domain.Devices.Interfaces, func(i virtv1.Interface) bool { return i.Model == "" || i.Model == "virtio" }) {
			out = append(out, machine.ResourceVhostNet)
		}
	}
	if machine.IsTrue(spec.Domain.Devices.AutoattachVSOCK) {
		out = append(out, machine.ResourceVhostVSOCK)
	}
	for _, d := range spec.Domain.Devices.GPUs {
		if d.DeviceName != "" {
			out = append(out, corev1.ResourceName(d.DeviceName))
		}
	}
	for _, d := range spec.Domain.Devices.HostDevices {
		if d.DeviceName != "" {
			out = append(out, corev1.ResourceName(d.DeviceName))
		}
	}
	return out
}
