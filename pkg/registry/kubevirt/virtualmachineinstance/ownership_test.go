package virtualmachineinstance

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/writer"
)

// TestEveryPartHasAnOwner fails when a field is added to the status that the table does not know.
func TestEveryPartHasAnOwner(t *testing.T) {
	known := map[string]bool{"phase": true, "phaseTransitionTimestamps": true, "conditions": true, "memory": true, "volumeStatus": true}
	for _, p := range parts {
		if known[p.name] {
			t.Errorf("%s is in the table twice", p.name)
		}
		known[p.name] = true
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[status]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !known[name] {
			t.Errorf("status.%s has no owner", name)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("The table knows status.%s, which does not exist", name)
	}
}

// TestEveryConditionHasAnOwner fails when a condition type is declared that the table does not know.
func TestEveryConditionHasAnOwner(t *testing.T) {
	for _, c := range []virtv1.VirtualMachineInstanceConditionType{
		virtv1.VirtualMachineInstanceProvisioning, virtv1.VirtualMachineInstanceReady, virtv1.VirtualMachineInstanceSynchronized, virtv1.VirtualMachineInstancePaused,
		virtv1.VirtualMachineInstanceAgentConnected, virtv1.VirtualMachineInstanceAccessCredentialsSynchronized, virtv1.VirtualMachineInstanceUnsupportedAgent,
		virtv1.VirtualMachineInstanceIsMigratable, virtv1.VirtualMachineInstanceIsStorageLiveMigratable, virtv1.VirtualMachineInstanceVCPUChange,
		virtv1.VirtualMachineInstanceMemoryChange, virtv1.VirtualMachineInstanceVolumesChange, virtv1.VirtualMachineInstanceDataVolumesReady,
		virtv1.VirtualMachineInstanceMigrationRequired, virtv1.VirtualMachineInstanceEvictionRequested, virtv1.VirtualMachineInstanceSoftwareEmulation,
	} {
		if _, ok := conditions[c]; !ok {
			t.Errorf("Condition %s has no owner", c)
		}
	}
}

// TestConditionsOfARunningGuest says who may set which condition while a guest runs, and take it away again.
func TestConditionsOfARunningGuest(t *testing.T) {
	const controller, handler, both = "controller", "handler", "controller and handler"
	for kind, want := range map[virtv1.VirtualMachineInstanceConditionType]string{
		"Provisioning": controller, "PodScheduled": controller, "DataVolumesReady": controller, "MigrationRequired": controller,
		"EvictionRequested": controller, "DecentralizedLiveMigrationFailure": controller, "Blocked": controller, "ReadinessProbe": controller, "ContainersReady": controller,
		"Ready": handler, "Paused": handler, "AgentConnected": handler, "AgentVersionNotSupported": handler, "LiveMigratable": handler,
		"StorageLiveMigratable": handler, "SoftwareEmulation": handler, "AccessCredentialsSynchronized": handler, "Degraded": handler,
		"Synchronized": both, "HotVCPUChange": both, "HotMemoryChange": both, "VolumesChange": both, "example.com/Own": both,
	} {
		without := status{Phase: virtv1.Running}
		with := status{Phase: virtv1.Running, Conditions: []condition{{Type: kind, Status: "True"}}}
		var set, removed []string
		for _, w := range []struct {
			name   string
			writer writer.Writer
		}{{controller, writer.Controller}, {handler, writer.Handler}} {
			is := *with.DeepCopy()
			restore(&is, without.DeepCopy(), w.writer)
			if len(is.Conditions) == 1 {
				set = append(set, w.name)
			}
			is = *without.DeepCopy()
			restore(&is, with.DeepCopy(), w.writer)
			if len(is.Conditions) == 0 {
				removed = append(removed, w.name)
			}
		}
		if got := strings.Join(set, " and "); got != want {
			t.Errorf("Condition %s is set by %q, want %q", kind, got, want)
		}
		if got := strings.Join(removed, " and "); got != want {
			t.Errorf("Condition %s is removed by %q, want %q", kind, got, want)
		}
	}
}

func at(phases ...phase) []virtv1.VirtualMachineInstancePhaseTransitionTimestamp {
	var out []virtv1.VirtualMachineInstancePhaseTransitionTimestamp
	for _, p := range phases {
		out = append(out, virtv1.VirtualMachineInstancePhaseTransitionTimestamp{Phase: p, PhaseTransitionTimestamp: metav1.Unix(1, 0)})
	}
	return out
}

func quantity(s string) *resource.Quantity { return ptr.To(resource.MustParse(s)) }

// TestRestore shows what each writer can change, at each stage of an instance's life.
func TestRestore(t *testing.T) {
	ready := func(s corev1.ConditionStatus) condition {
		return condition{Type: virtv1.VirtualMachineInstanceReady, Status: s}
	}
	unreachable := func(s corev1.ConditionStatus) condition {
		return condition{Type: virtv1.VirtualMachineInstanceReady, Status: s, Reason: "NodeUnreachable"}
	}
	provisioning := condition{Type: virtv1.VirtualMachineInstanceProvisioning, Status: "True"}
	paused := condition{Type: virtv1.VirtualMachineInstancePaused, Status: "True"}
	own := condition{Type: "example.com/Own", Status: "True"}
	for _, row := range []struct {
		name          string
		writer        writer.Writer
		was, is, want status
	}{
		{
			name: "controller schedules", writer: writer.Controller,
			was:  status{Phase: virtv1.Pending, PhaseTransitionTimestamps: at(virtv1.Pending)},
			is:   status{Phase: virtv1.Scheduling, NodeName: "n", ActivePods: map[types.UID]string{"u": "n"}, PhaseTransitionTimestamps: at(virtv1.Pending, virtv1.Scheduling)},
			want: status{Phase: virtv1.Scheduling, NodeName: "n", ActivePods: map[types.UID]string{"u": "n"}, PhaseTransitionTimestamps: at(virtv1.Pending, virtv1.Scheduling)},
		},
		{
			name: "controller may not run a guest", writer: writer.Controller,
			was:  status{Phase: virtv1.Scheduling, PhaseTransitionTimestamps: at(virtv1.Scheduling)},
			is:   status{Phase: virtv1.Running, GuestOSInfo: virtv1.VirtualMachineInstanceGuestOSInfo{Name: "x"}, PhaseTransitionTimestamps: at(virtv1.Scheduling, virtv1.Running)},
			want: status{Phase: virtv1.Scheduling, PhaseTransitionTimestamps: at(virtv1.Scheduling)},
		},
		{
			name: "controller says that the pod is ready for the guest", writer: writer.Controller,
			was:  status{Phase: virtv1.Scheduling, NodeName: "n", PhaseTransitionTimestamps: at(virtv1.Scheduling), Conditions: []condition{provisioning}},
			is:   status{Phase: virtv1.Scheduled, NodeName: "n", PhaseTransitionTimestamps: at(virtv1.Scheduling, virtv1.Scheduled)},
			want: status{Phase: virtv1.Scheduled, NodeName: "n", PhaseTransitionTimestamps: at(virtv1.Scheduling, virtv1.Scheduled)},
		},
		{
			name: "handler runs the guest in one write", writer: writer.Handler,
			was:  status{Phase: virtv1.Scheduling, NodeName: "n", PhaseTransitionTimestamps: at(virtv1.Scheduling), Conditions: []condition{provisioning}},
			is:   status{Phase: virtv1.Running, NodeName: "n", PhaseTransitionTimestamps: at(virtv1.Scheduling, virtv1.Scheduled, virtv1.Running), Conditions: []condition{ready("True")}, Interfaces: []virtv1.VirtualMachineInstanceNetworkInterface{{Name: "default"}}},
			want: status{Phase: virtv1.Running, NodeName: "n", PhaseTransitionTimestamps: at(virtv1.Scheduling, virtv1.Scheduled, virtv1.Running), Conditions: []condition{ready("True")}, Interfaces: []virtv1.VirtualMachineInstanceNetworkInterface{{Name: "default"}}},
		},
		{
			name: "handler may not schedule", writer: writer.Handler,
			was:  status{Phase: virtv1.Pending},
			is:   status{Phase: virtv1.Scheduling, NodeName: "mine", ActivePods: map[types.UID]string{"u": "mine"}, Reason: "x"},
			want: status{Phase: virtv1.Pending},
		},
		{
			name: "controller leaves a running guest alone", writer: writer.Controller,
			was: status{Phase: virtv1.Running, NodeName: "n", Conditions: []condition{paused, ready("True"), own}, Interfaces: []virtv1.VirtualMachineInstanceNetworkInterface{{Name: "default"}}, Reason: "r"},
			is:  status{Phase: virtv1.Running, NodeName: "other", Conditions: []condition{provisioning, ready("False"), own}, Reason: "changed"},
			want: status{Phase: virtv1.Running, NodeName: "n", Conditions: []condition{provisioning, ready("True"), own, paused},
				Interfaces: []virtv1.VirtualMachineInstanceNetworkInterface{{Name: "default"}}, Reason: "r"},
		},
		{
			name: "controller says that nobody hears of the guest", writer: writer.Controller,
			was:  status{Phase: virtv1.Running, NodeName: "n", Conditions: []condition{paused, ready("True")}},
			is:   status{Phase: virtv1.Running, NodeName: "n", Conditions: []condition{unreachable("False")}, Reason: "changed"},
			want: status{Phase: virtv1.Running, NodeName: "n", Conditions: []condition{unreachable("False"), paused}},
		},
		{
			name: "controller says that nobody hears of a guest of which nothing was said", writer: writer.Controller,
			was:  status{Phase: virtv1.Scheduled},
			is:   status{Phase: virtv1.Scheduled, Conditions: []condition{unreachable("False")}},
			want: status{Phase: virtv1.Scheduled, Conditions: []condition{unreachable("False")}},
		},
		{
			name: "controller may not take back what it said", writer: writer.Controller,
			was:  status{Phase: virtv1.Running, Conditions: []condition{unreachable("False")}},
			is:   status{Phase: virtv1.Running, Conditions: []condition{ready("True")}},
			want: status{Phase: virtv1.Running, Conditions: []condition{unreachable("False")}},
		},
		{
			name: "controller may not forget what it said", writer: writer.Controller,
			was:  status{Phase: virtv1.Running, Conditions: []condition{unreachable("False")}},
			is:   status{Phase: virtv1.Running},
			want: status{Phase: virtv1.Running, Conditions: []condition{unreachable("False")}},
		},
		{
			name: "controller may not say that a guest is ready, whatever the reason", writer: writer.Controller,
			was:  status{Phase: virtv1.Running, Conditions: []condition{ready("False")}},
			is:   status{Phase: virtv1.Running, Conditions: []condition{unreachable("True")}},
			want: status{Phase: virtv1.Running, Conditions: []condition{ready("False")}},
		},
		{
			name: "controller may not give that reason to anything else", writer: writer.Controller,
			was:  status{Phase: virtv1.Running, Conditions: []condition{paused}},
			is:   status{Phase: virtv1.Running, Conditions: []condition{{Type: virtv1.VirtualMachineInstancePaused, Status: "False", Reason: "NodeUnreachable"}}},
			want: status{Phase: virtv1.Running, Conditions: []condition{paused}},
		},
		{
			name: "handler takes back what controller said", writer: writer.Handler,
			was:  status{Phase: virtv1.Running, Conditions: []condition{unreachable("False")}},
			is:   status{Phase: virtv1.Running, Conditions: []condition{ready("True")}},
			want: status{Phase: virtv1.Running, Conditions: []condition{ready("True")}},
		},
		{
			name: "controller ends a guest whose node is gone", writer: writer.Controller,
			was:  status{Phase: virtv1.Running, NodeName: "n", Conditions: []condition{ready("True"), paused}},
			is:   status{Phase: virtv1.Failed, NodeName: "n", Conditions: []condition{ready("False")}, Reason: "NodeGone"},
			want: status{Phase: virtv1.Failed, NodeName: "n", Conditions: []condition{ready("False"), paused}, Reason: "NodeGone"},
		},
		{
			name: "memory has two owners: controller", writer: writer.Controller,
			was:  status{Phase: virtv1.Scheduling, Memory: &virtv1.MemoryStatus{GuestCurrent: quantity("1Gi")}},
			is:   status{Phase: virtv1.Scheduling, Memory: &virtv1.MemoryStatus{GuestCurrent: quantity("2Gi"), GuestAtBoot: quantity("1Gi"), MemoryOverhead: quantity("1Mi")}},
			want: status{Phase: virtv1.Scheduling, Memory: &virtv1.MemoryStatus{GuestCurrent: quantity("1Gi"), GuestAtBoot: quantity("1Gi"), MemoryOverhead: quantity("1Mi")}},
		},
		{
			name: "memory has two owners: handler", writer: writer.Handler,
			was:  status{Phase: virtv1.Running, Memory: &virtv1.MemoryStatus{GuestAtBoot: quantity("1Gi"), MemoryOverhead: quantity("1Mi")}},
			is:   status{Phase: virtv1.Running, Memory: &virtv1.MemoryStatus{GuestCurrent: quantity("1Gi")}},
			want: status{Phase: virtv1.Running, Memory: &virtv1.MemoryStatus{GuestCurrent: quantity("1Gi"), GuestAtBoot: quantity("1Gi"), MemoryOverhead: quantity("1Mi")}},
		},
		{
			name: "volumes have two owners: handler", writer: writer.Handler,
			was:  status{Phase: virtv1.Running, VolumeStatus: []virtv1.VolumeStatus{{Name: "a", PersistentVolumeClaimInfo: &virtv1.PersistentVolumeClaimInfo{ClaimName: "c"}}, {Name: "b", HotplugVolume: &virtv1.HotplugVolumeStatus{}}}},
			is:   status{Phase: virtv1.Running, VolumeStatus: []virtv1.VolumeStatus{{Name: "a", Target: "vda", SizeBytes: 1}}},
			want: status{Phase: virtv1.Running, VolumeStatus: []virtv1.VolumeStatus{{Name: "a", Target: "vda", SizeBytes: 1, PersistentVolumeClaimInfo: &virtv1.PersistentVolumeClaimInfo{ClaimName: "c"}}, {Name: "b", HotplugVolume: &virtv1.HotplugVolumeStatus{}}}},
		},
		{
			name: "volumes have two owners: controller", writer: writer.Controller,
			was:  status{Phase: virtv1.Running, VolumeStatus: []virtv1.VolumeStatus{{Name: "a", Target: "vda"}}},
			is:   status{Phase: virtv1.Running, VolumeStatus: []virtv1.VolumeStatus{{Name: "b", Target: "vdb", HotplugVolume: &virtv1.HotplugVolumeStatus{}}}},
			want: status{Phase: virtv1.Running, VolumeStatus: []virtv1.VolumeStatus{{Name: "b", HotplugVolume: &virtv1.HotplugVolumeStatus{}}, {Name: "a", Target: "vda"}}},
		},
		{
			name: "history is kept for everybody", writer: writer.User,
			was:  status{Phase: virtv1.Scheduling, PhaseTransitionTimestamps: at(virtv1.Pending, virtv1.Scheduling)},
			is:   status{Phase: virtv1.Running, Reason: "repaired"},
			want: status{Phase: virtv1.Running, Reason: "repaired", PhaseTransitionTimestamps: at(virtv1.Pending, virtv1.Scheduling)},
		},
		{
			name: "an administrator repairs everything", writer: writer.User,
			was:  status{Phase: virtv1.Running, NodeName: "n", Conditions: []condition{ready("True")}},
			is:   status{Phase: virtv1.Failed, NodeName: "m", GuestOSInfo: virtv1.VirtualMachineInstanceGuestOSInfo{Name: "x"}},
			want: status{Phase: virtv1.Failed, NodeName: "m", GuestOSInfo: virtv1.VirtualMachineInstanceGuestOSInfo{Name: "x"}},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			was := row.was.DeepCopy()
			restore(&row.is, &row.was, row.writer)
			if diff := cmp.Diff(row.want, row.is); diff != "" {
				t.Errorf("Status (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(*was, row.was); diff != "" {
				t.Errorf("The old status was changed (-want +got):\n%s", diff)
			}
		})
	}
}
