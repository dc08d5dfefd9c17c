package node

import (
	"slices"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// volumes lists the volumes of the spec with the names of their disks, and then what others have listed.
func volumes(vmi *virtv1.VirtualMachineInstance, before []virtv1.VolumeStatus) []virtv1.VolumeStatus {
	rest := slices.Clone(before)
	targets := machine.DiskTargets(&vmi.Spec)
	var out []virtv1.VolumeStatus
	for _, v := range vmi.Spec.Volumes {
		one := virtv1.VolumeStatus{Name: v.Name}
		if at := slices.IndexFunc(rest, func(s virtv1.VolumeStatus) bool { return s.Name == v.Name }); at >= 0 {
			one = rest[at]
			rest = slices.Delete(rest, at, at+1)
		}
		one.Target = targets[v.Name]
		out = append(out, one)
	}
	return append(out, rest...)
}
