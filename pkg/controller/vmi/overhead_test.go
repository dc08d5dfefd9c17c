package vmi

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

const mebibyte = 1 << 20

// memoryOf is all memory that a pod requests, as the scheduler counts it.
func memoryOf(pod *corev1.Pod) int64 {
	var together, first int64
	for i := range pod.Spec.Containers {
		together += pod.Spec.Containers[i].Resources.Requests.Memory().Value()
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			together += c.Resources.Requests.Memory().Value()
		} else {
			first = max(first, c.Resources.Requests.Memory().Value())
		}
	}
	return max(together, first)
}

// TestMemoryOfPods holds the manual's figures for a machine with hardware virtualization as an upper bound: who plans a
// cluster by them has planned enough.
func TestMemoryOfPods(t *testing.T) {
	spec.Covers(t, "P1-PLAN-08", "P1-PLAN-14")
	for _, memory := range []string{"64Mi", "1Gi", "16Gi", "1Ti"} {
		for _, cpus := range []uint32{1, 2, 16, 240} {
			for _, graphics := range []uint32{0, 1} {
				vmi := guest(memory)
				vmi.Spec.Domain.CPU = &virtv1.CPU{Cores: cpus}
				vmi.Spec.Domain.Devices.AutoattachGraphicsDevice = ptr.To(graphics == 1)
				size := resource.MustParse(memory)
				most := size.Value()*1002/1000 + (146+8*int64(cpus)+16*int64(graphics))*mebibyte
				got := memoryOf(Pod(&vmi, 0, emulation(false)))
				if got > most {
					t.Errorf("%s, %d vCPUs, %d graphics devices: the pod requests %d MiB, the manual says %d", memory, cpus, graphics, got/mebibyte, most/mebibyte)
				}
				if got <= size.Value() {
					t.Errorf("%s: the pod requests %d MiB, which leaves nothing beside the guest", memory, got/mebibyte)
				}
			}
		}
	}
	// The manual's example: ten machines with 1 GiB and two vCPUs take 11.60 GiB by its formula.
	vmi := guest("1Gi")
	vmi.Spec.Domain.CPU = &virtv1.CPU{Cores: 2}
	if got := 10 * memoryOf(Pod(&vmi, 0, emulation(false))); got > 1160*1024*mebibyte/100 {
		t.Errorf("ten machines request %d MiB", got/mebibyte)
	}
}

// TestMemoryForPassedThroughDevices wants a gigabyte for each device of the node.
func TestMemoryForPassedThroughDevices(t *testing.T) {
	spec.Covers(t, "P1-PLAN-09")
	plain := guest("1Gi")
	before := memoryOf(Pod(&plain, 0, emulation(false)))
	gpu := func(name string) virtv1.GPU { return virtv1.GPU{Name: name, DeviceName: "example.com/gpu"} }
	for _, tc := range []struct {
		name   string
		change func(*virtv1.VirtualMachineInstanceSpec)
		more   int64
	}{
		{"none", func(*virtv1.VirtualMachineInstanceSpec) {}, 0},
		{"a GPU", func(s *virtv1.VirtualMachineInstanceSpec) { s.Domain.Devices.GPUs = []virtv1.GPU{gpu("a")} }, 1},
		{"two GPUs and an SR-IOV interface", func(s *virtv1.VirtualMachineInstanceSpec) {
			s.Domain.Devices.GPUs = []virtv1.GPU{gpu("a"), gpu("b")}
			s.Domain.Devices.Interfaces = []virtv1.Interface{{Name: "fast", Sriov: &virtv1.InterfaceSRIOV{}}}
			s.Networks = []virtv1.Network{{Name: "fast", Multus: &virtv1.MultusNetwork{NetworkName: "fast"}}}
		}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := guest("1Gi")
			tc.change(&vmi.Spec)
			if got := memoryOf(Pod(&vmi, 0, emulation(false))) - before; got != tc.more<<30 {
				t.Errorf("%d MiB more, want %d GiB", got/mebibyte, tc.more)
			}
		})
	}
}
