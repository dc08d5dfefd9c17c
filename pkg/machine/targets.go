package machine

import virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"

// DiskTargets are the names of a machine's disks as the reference counts them, by volume: vda, vdb, … on virtio and sda, sdb, … on
// all other buses, in the order of the spec. A guest may count otherwise.
func DiskTargets(spec *virtv1.VirtualMachineInstanceSpec) map[string]string {
	out := map[string]string{}
	count := map[string]int{}
	for i := range spec.Domain.Devices.Disks {
		d := &spec.Domain.Devices.Disks[i]
		prefix := "sd"
		if virtv1.DiskBus(d) == "virtio" {
			prefix = "vd"
		}
		out[d.Name] = prefix + letters(count[prefix])
		count[prefix]++
	}
	return out
}

// letters counts a, b, …, z, aa, ab, …
func letters(n int) string {
	out := ""
	for n++; n > 0; n = (n - 1) / 26 {
		out = string(rune('a'+(n-1)%26)) + out
	}
	return out
}
