package machine

import virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"

// Where the huge pages of a guest that has its memory on them are mounted.
const (
	HugepagesVolume = "hugepages"
	HugepagesDir    = "/dev/hugepages"
)

// HugepagesSize is the size of the pages that the guest's memory is on, such as 2Mi; empty for ordinary ones.
func HugepagesSize(spec *virtv1.VirtualMachineInstanceSpec) string {
	if m := spec.Domain.Memory; m != nil && m.Hugepages != nil {
		return m.Hugepages.PageSize
	}
	return ""
}
