package machine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func TestDiskTargets(t *testing.T) {
	var spec virtv1.VirtualMachineInstanceSpec
	disk := func(d virtv1.Disk) {
		spec.Domain.Devices.Disks = append(spec.Domain.Devices.Disks, d)
	}
	disk(virtv1.Disk{Name: "root", Disk: &virtv1.DiskTarget{Bus: "virtio"}})
	disk(virtv1.Disk{Name: "cd", Cdrom: &virtv1.CDRomTarget{Bus: "sata"}})
	disk(virtv1.Disk{Name: "data", Disk: &virtv1.DiskTarget{Bus: "virtio"}})
	disk(virtv1.Disk{Name: "lun", Lun: &virtv1.LunTarget{Bus: "scsi"}})
	disk(virtv1.Disk{Name: "usual"})
	want := map[string]string{"root": "vda", "cd": "sda", "data": "vdb", "lun": "sdb", "usual": "sdc"}
	if diff := cmp.Diff(want, DiskTargets(&spec)); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	for n, want := range map[int]string{0: "a", 25: "z", 26: "aa", 51: "az", 52: "ba", 701: "zz", 702: "aaa"} {
		if got := letters(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
