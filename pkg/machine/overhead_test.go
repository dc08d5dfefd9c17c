package machine

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func instance(guest string, change func(*virtv1.DomainSpec)) *virtv1.VirtualMachineInstanceSpec {
	q := resource.MustParse(guest)
	spec := &virtv1.VirtualMachineInstanceSpec{Domain: virtv1.DomainSpec{Memory: &virtv1.Memory{Guest: &q}}}
	if change != nil {
		change(&spec.Domain)
	}
	return spec
}

func TestMemoryOverhead(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*virtv1.DomainSpec)
		o      Options
		want   string
	}{
		{name: "with a display", want: "120Mi"},
		{name: "without", change: func(d *virtv1.DomainSpec) { d.Devices.AutoattachGraphicsDevice = ptr.To(false) }, want: "96Mi"},
		{name: "four CPUs", change: func(d *virtv1.DomainSpec) { d.CPU = &virtv1.CPU{Sockets: 2, Cores: 2} }, want: "144Mi"},
		{name: "emulated", o: Options{Emulation: true}, want: "208Mi"},
		{name: "dedicated CPUs", change: func(d *virtv1.DomainSpec) { d.CPU = &virtv1.CPU{DedicatedCPUPlacement: ptr.To(true)} }, want: "184Mi"},
		{name: "a GPU and a function of a network card", change: func(d *virtv1.DomainSpec) {
			d.Devices.GPUs = []virtv1.GPU{{Name: "a"}}
			d.Devices.Interfaces = []virtv1.Interface{{Name: "b", Sriov: &virtv1.InterfaceSRIOV{}}, {Name: "c"}}
		}, want: "2168Mi"},
		{name: "a TPM", change: func(d *virtv1.DomainSpec) { d.Devices.TPM = &virtv1.TPMDevice{} }, want: "136Mi"},
		{name: "a TPM that is off", change: func(d *virtv1.DomainSpec) { d.Devices.TPM = &virtv1.TPMDevice{Enabled: ptr.To(false)} }, want: "120Mi"},
		{name: "two file systems", change: func(d *virtv1.DomainSpec) { d.Devices.Filesystems = []virtv1.Filesystem{{Name: "a"}, {Name: "b"}} }, want: "152Mi"},
		{name: "figures of the node", change: func(d *virtv1.DomainSpec) { d.Devices.DownwardMetrics = &virtv1.DownwardMetrics{} }, want: "121Mi"},
		{name: "a ratio", o: Options{Ratio: "1.5"}, want: "180Mi"},
		{name: "a ratio below one", o: Options{Ratio: "0.5"}, want: "120Mi"},
		{name: "no ratio", o: Options{Ratio: "much"}, want: "120Mi"},
		{name: "reserved", change: func(d *virtv1.DomainSpec) {
			d.Memory.ReservedOverhead = &virtv1.ReservedOverhead{AddedOverhead: ptr.To(resource.MustParse("10Mi"))}
		}, want: "130Mi"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := MemoryOverhead(instance("1Gi", tc.change), tc.o)
			if got.Cmp(resource.MustParse(tc.want)) != 0 {
				t.Errorf("overhead %s, want %s", got.String(), tc.want)
			}
		})
	}
}

// TestOverheadOfTheManual compares with the formula that the manual plans clusters by: 1.002 times the memory, 146 MiB, 8 MiB for each
// CPU, 16 MiB for each display, 1 GiB for each device of the node. A cluster that was planned by it has room for our guests.
func TestOverheadOfTheManual(t *testing.T) {
	for _, guest := range []string{"64Mi", "1Gi", "4Gi", "64Gi", "512Gi"} {
		for _, cpus := range []uint32{1, 2, 16, 64} {
			for _, graphics := range []bool{false, true} {
				for _, devices := range []int{0, 2} {
					t.Run(fmt.Sprintf("%s-%d-%v-%d", guest, cpus, graphics, devices), func(t *testing.T) {
						spec := instance(guest, func(d *virtv1.DomainSpec) {
							d.CPU = &virtv1.CPU{Cores: cpus}
							d.Devices.AutoattachGraphicsDevice = &graphics
							d.Devices.HostDevices = make([]virtv1.HostDevice, devices)
						})
						got, memory := MemoryOverhead(spec, Options{}), GuestMemory(spec)
						want := 0.002*float64(memory.Value()) + (146+8*float64(cpus))*mebibyte + float64(devices)*1024*mebibyte
						if graphics {
							want += 16 * mebibyte
						}
						if float64(got.Value()) > want {
							t.Errorf("overhead %s, the manual plans %.0f MiB", got.String(), want/mebibyte)
						}
					})
				}
			}
		}
	}
}

func TestCPUFeature(t *testing.T) {
	for name, want := range map[string]string{
		"apic": "apic", "lahf-lm": "lahf_lm", "lahf_lm": "lahf_lm", "pclmulqdq": "pclmuldq", "pclmuldq": "pclmuldq", "sse4_1": "sse4.1", "sse4.2": "sse4.2",
		"tsc-deadline": "tsc-deadline", "avx512-vpopcntdq": "avx512-vpopcntdq",
	} {
		if got := CPUFeature(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
