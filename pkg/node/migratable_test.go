package node

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

// TestWhatKeepsAGuestOnItsNode wants each obstacle of a live migration to be told, the first one of several.
func TestWhatKeepsAGuestOnItsNode(t *testing.T) {
	spec.Covers(t, "P1-PLAN-17")
	claim := func(modes ...corev1.PersistentVolumeAccessMode) func(*virtv1.VirtualMachineInstance) {
		return func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Status.VolumeStatus = []virtv1.VolumeStatus{{Name: "root", PersistentVolumeClaimInfo: &virtv1.PersistentVolumeClaimInfo{AccessModes: modes}}}
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*virtv1.VirtualMachineInstance)
		want   string
	}{
		{"a claim of one node", claim(corev1.ReadWriteOnce), `False DisksNotLiveMigratable the claim of volume "root" is not shared: it lacks access mode ReadWriteMany`},
		{"a claim that many nodes read", claim(corev1.ReadOnlyMany), `False DisksNotLiveMigratable the claim of volume "root" is not shared: it lacks access mode ReadWriteMany`},
		{"a shared claim", claim(corev1.ReadWriteOnce, corev1.ReadWriteMany), "False MigrationNotSupported this version does not migrate running instances yet"},
		{"a disk of the node", func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Volumes = []virtv1.Volume{{Name: "data", HostDisk: &virtv1.HostDisk{Path: "/data.img"}}}
		}, `False DisksNotLiveMigratable volume "data" is a disk of the node`},
		{"a GPU", func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Domain.Devices.GPUs = []virtv1.GPU{{Name: "a", DeviceName: "example.com/gpu"}}
		}, "False HostDeviceNotLiveMigratable a device of the node is passed through"},
		{"the node's own CPU", func(vmi *virtv1.VirtualMachineInstance) { vmi.Spec.Domain.CPU = &virtv1.CPU{Model: "host-passthrough"} },
			"False CPUModeLiveMigratable the CPU model host-passthrough belongs to this node"},
		{"a claim of one node and a GPU", func(vmi *virtv1.VirtualMachineInstance) {
			claim(corev1.ReadWriteOnce)(vmi)
			vmi.Spec.Domain.Devices.GPUs = []virtv1.GPU{{Name: "a", DeviceName: "example.com/gpu"}}
		}, `False DisksNotLiveMigratable the claim of volume "root" is not shared: it lacks access mode ReadWriteMany`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := &virtv1.VirtualMachineInstance{Status: virtv1.VirtualMachineInstanceStatus{Phase: virtv1.Scheduled}}
			tc.change(vmi)
			status := observe(vmi, view{event: &launcher.Event{State: launcher.DomainState_DOMAIN_STATE_RUNNING}}, metav1.Now())
			c := condition(&status, virtv1.VirtualMachineInstanceIsMigratable)
			if c == nil {
				t.Fatal("no condition LiveMigratable")
			}
			if got := string(c.Status) + " " + c.Reason + " " + c.Message; got != tc.want {
				t.Errorf("it is %s, want %s", got, tc.want)
			}
		})
	}
}
