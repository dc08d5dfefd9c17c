package actions

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestActionsCutABackOffShort: who starts or restarts a machine that waits after failures does not want to wait.
func TestActionsCutABackOffShort(t *testing.T) {
	type reqs = []virtv1.VirtualMachineStateChangeRequest
	failed := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Status: virtv1.VirtualMachineInstanceStatus{Phase: virtv1.Failed}}
	startIt, paused := startRequest(false), startRequest(true)
	waits := &virtv1.VirtualMachineStartFailure{ConsecutiveFailCount: ptr.To(int32(4)), RetryAfterTimestamp: ptr.To(metav1.NewTime(time.Now().Add(time.Minute)))}
	counted := &virtv1.VirtualMachineStartFailure{ConsecutiveFailCount: ptr.To(int32(4))}
	begin := func(options virtv1.StartOptions) change {
		return func(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance) error {
			return start(vm, vmi, &options)
		}
	}
	for _, tc := range []struct {
		name     string
		strategy virtv1.VirtualMachineRunStrategy
		vmi      *virtv1.VirtualMachineInstance
		failure  *virtv1.VirtualMachineStartFailure
		do       change
		want     reqs
	}{
		{"start, always", virtv1.RunStrategyAlways, nil, waits, begin(virtv1.StartOptions{}), reqs{startIt}},
		{"start paused, always", virtv1.RunStrategyAlways, nil, waits, begin(virtv1.StartOptions{Paused: true}), reqs{paused}},
		{"start, always, failed a moment ago", virtv1.RunStrategyAlways, failed, waits, begin(virtv1.StartOptions{}), reqs{stopRequest(failed), startIt}},
		{"start, rerun", virtv1.RunStrategyRerunOnFailure, nil, waits, begin(virtv1.StartOptions{}), reqs{startIt}},
		{"start, rerun, failed a moment ago", virtv1.RunStrategyRerunOnFailure, failed, waits, begin(virtv1.StartOptions{}), reqs{stopRequest(failed), startIt}},
		{"restart, always", virtv1.RunStrategyAlways, nil, waits, restart, reqs{startIt}},
		{"restart, rerun, failed a moment ago", virtv1.RunStrategyRerunOnFailure, failed, waits, restart, reqs{stopRequest(failed), startIt}},
		{"start, always, not backing off", virtv1.RunStrategyAlways, nil, nil, begin(virtv1.StartOptions{}), nil},
		{"restart, manual, which never backs off", virtv1.RunStrategyManual, nil, counted, restart, nil},
		{"start, once", virtv1.RunStrategyOnce, nil, waits, begin(virtv1.StartOptions{}), nil},
		{"restart, once", virtv1.RunStrategyOnce, nil, waits, restart, nil},
		{"restart, halted", virtv1.RunStrategyHalted, nil, waits, restart, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: virtv1.VirtualMachineSpec{RunStrategy: tc.strategy}}
			vm.Status.StartFailure = tc.failure.DeepCopy()
			if err := tc.do(vm, tc.vmi); (err == nil) != (tc.want != nil) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tc.want, vm.Status.StateChangeRequests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if tc.want != nil && vm.Status.StartFailure != nil {
				t.Errorf("the back-off stays: %+v", vm.Status.StartFailure)
			}
		})
	}
}
