package vm

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// inst makes an instance in a phase; one that ended after running began to run ran ago.
func inst(phase virtv1.VirtualMachineInstancePhase, ran time.Duration) *virtv1.VirtualMachineInstance {
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "u1"}}
	vmi.Status.Phase = phase
	stamp := func(p virtv1.VirtualMachineInstancePhase, at time.Time) {
		vmi.Status.PhaseTransitionTimestamps = append(vmi.Status.PhaseTransitionTimestamps,
			virtv1.VirtualMachineInstancePhaseTransitionTimestamp{Phase: p, PhaseTransitionTimestamp: metav1.NewTime(at)})
	}
	if ran > 0 {
		stamp(virtv1.Running, noon.Add(-ran))
	}
	if final(vmi) {
		stamp(phase, noon)
	}
	return vmi
}

func deleting(vmi *virtv1.VirtualMachineInstance) *virtv1.VirtualMachineInstance {
	vmi.DeletionTimestamp = ptr.To(metav1.NewTime(noon))
	return vmi
}

var (
	startReq  = virtv1.VirtualMachineStateChangeRequest{Action: virtv1.StartRequest}
	pausedReq = virtv1.VirtualMachineStateChangeRequest{Action: virtv1.StartRequest, Data: map[string]string{"paused": "true"}}
	stopReq   = virtv1.VirtualMachineStateChangeRequest{Action: virtv1.StopRequest, UID: ptr.To(types.UID("u1"))}
	staleStop = virtv1.VirtualMachineStateChangeRequest{Action: virtv1.StopRequest, UID: ptr.To(types.UID("old"))}
)

func TestDecide(t *testing.T) {
	type reqs = []virtv1.VirtualMachineStateChangeRequest
	for _, tc := range []struct {
		name     string
		strategy virtv1.VirtualMachineRunStrategy
		running  *bool
		vmi      *virtv1.VirtualMachineInstance
		requests reqs
		want     action
		paused   bool
		left     reqs
		retry    time.Duration
	}{
		{name: "always creates", strategy: virtv1.RunStrategyAlways, want: start},
		{name: "running true creates", running: ptr.To(true), want: start},
		{name: "running false does not", running: ptr.To(false), want: keep},
		{name: "neither is halted", want: keep},
		{name: "always keeps a running one", strategy: virtv1.RunStrategyAlways, vmi: inst(virtv1.Running, time.Hour), want: keep},
		{name: "always replaces one that powered off", strategy: virtv1.RunStrategyAlways, vmi: inst(virtv1.Succeeded, time.Hour), want: stop},
		{name: "always replaces one that failed", strategy: virtv1.RunStrategyAlways, vmi: inst(virtv1.Failed, time.Hour), want: stop},
		{name: "always waits for one that is being deleted", strategy: virtv1.RunStrategyAlways, vmi: deleting(inst(virtv1.Running, 0)), want: keep},
		{name: "halted stops", strategy: virtv1.RunStrategyHalted, vmi: inst(virtv1.Running, 0), want: stop},
		{name: "halted keeps none", strategy: virtv1.RunStrategyHalted, want: keep},
		{name: "manual creates nothing by itself", strategy: virtv1.RunStrategyManual, want: keep},
		{name: "manual starts on request", strategy: virtv1.RunStrategyManual, requests: reqs{startReq}, want: start},
		{name: "manual starts paused", strategy: virtv1.RunStrategyManual, requests: reqs{pausedReq}, want: start, paused: true},
		{name: "manual clears away one that powered off", strategy: virtv1.RunStrategyManual, vmi: inst(virtv1.Succeeded, 0), want: stop},
		{name: "manual stops on request", strategy: virtv1.RunStrategyManual, vmi: inst(virtv1.Running, 0), requests: reqs{stopReq}, want: stop},
		{name: "manual restarts", strategy: virtv1.RunStrategyManual, vmi: inst(virtv1.Running, 0), requests: reqs{stopReq, startReq}, want: stop, left: reqs{startReq}},
		{name: "a start waits for the old one to go", strategy: virtv1.RunStrategyManual, vmi: deleting(inst(virtv1.Running, 0)), requests: reqs{startReq}, want: keep, left: reqs{startReq}},
		{name: "a stop for an older instance is void", strategy: virtv1.RunStrategyManual, vmi: inst(virtv1.Running, 0), requests: reqs{staleStop}, want: keep},
		{name: "rerun on failure creates", strategy: virtv1.RunStrategyRerunOnFailure, want: start},
		{name: "rerun on failure replaces a failed one", strategy: virtv1.RunStrategyRerunOnFailure, vmi: inst(virtv1.Failed, time.Hour), want: stop},
		{name: "rerun on failure leaves an orderly end", strategy: virtv1.RunStrategyRerunOnFailure, vmi: inst(virtv1.Succeeded, time.Hour), want: keep},
		{name: "rerun on failure starts an ended one on request", strategy: virtv1.RunStrategyRerunOnFailure, vmi: inst(virtv1.Succeeded, time.Hour), requests: reqs{startReq}, want: stop, left: reqs{startReq}},
		{name: "once creates one", strategy: virtv1.RunStrategyOnce, want: start},
		{name: "once leaves its end", strategy: virtv1.RunStrategyOnce, vmi: inst(virtv1.Failed, 0), want: keep},
		{name: "always restarts on request", strategy: virtv1.RunStrategyAlways, vmi: inst(virtv1.Running, 0), requests: reqs{stopReq, startReq}, want: stop, left: reqs{startReq}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm := &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{RunStrategy: tc.strategy, Running: tc.running}}
			vm.Status.StateChangeRequests = tc.requests
			d := decide(vm, tc.vmi, noon)
			if d.action != tc.want || d.paused != tc.paused || d.retryIn != tc.retry {
				t.Errorf("action %d paused %v retry %v, want %d %v %v", d.action, d.paused, d.retryIn, tc.want, tc.paused, tc.retry)
			}
			if diff := cmp.Diff(tc.left, d.requests); diff != "" {
				t.Errorf("requests left (-want +got):\n%s", diff)
			}
		})
	}
	spec.Covers(t, "P1-RUN-02", "P1-RUN-03", "P1-RUN-05", "P2-X-05", "P2-X-06")
}

func TestBackoffGrowsAndForgets(t *testing.T) {
	vm := &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyAlways}}
	early := inst(virtv1.Failed, 0)
	var waits []time.Duration
	now := noon
	for i := range 7 {
		early.UID = types.UID(rune('a' + i))
		d := decide(vm, early, now)
		vm.Status.StartFailure = d.startFailure
		if again := decide(vm, early, now); !cmp.Equal(again.startFailure, d.startFailure) {
			t.Fatalf("the same failure was counted twice: %v", again.startFailure)
		}
		gone := decide(vm, nil, now)
		if gone.action != keep {
			t.Fatalf("round %d: started although a back-off runs", i)
		}
		waits = append(waits, gone.retryIn)
		now = now.Add(gone.retryIn)
		if due := decide(vm, nil, now); due.action != start {
			t.Fatalf("round %d: not started when due", i)
		}
	}
	want := []time.Duration{10 * time.Second, 40 * time.Second, 90 * time.Second, 160 * time.Second, 250 * time.Second, 300 * time.Second, 300 * time.Second}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if d := decide(vm, inst(virtv1.Running, 2*time.Minute), noon); d.startFailure != nil {
		t.Errorf("a stable run did not clear the record: %v", d.startFailure)
	}
	if d := decide(vm, nil, now.Add(-time.Second)); d.action != keep {
		t.Error("started before the back-off was over")
	}
	vm.Status.StateChangeRequests = []virtv1.VirtualMachineStateChangeRequest{startReq}
	if d := decide(vm, nil, now.Add(-time.Second)); d.action != start {
		t.Error("an explicit start did not override the back-off")
	}
}

// TestLongRunIsNoFailedStart: a guest that fails after it has run for long is started again at once.
func TestLongRunIsNoFailedStart(t *testing.T) {
	earlier := &virtv1.VirtualMachineStartFailure{ConsecutiveFailCount: ptr.To(int32(4)), LastFailedVMIUID: "old"}
	for _, tc := range []struct {
		name   string
		before *virtv1.VirtualMachineStartFailure
		vmi    *virtv1.VirtualMachineInstance
		count  int32
	}{
		{"it never ran", nil, inst(virtv1.Failed, 0), 1},
		{"it ran for a moment", nil, inst(virtv1.Failed, 59*time.Second), 1},
		{"it ran for a moment, as others before it", earlier, inst(virtv1.Failed, 59*time.Second), 5},
		{"it ran for a minute", nil, inst(virtv1.Failed, time.Minute), 0},
		{"it ran for a minute, unlike others before it", earlier, inst(virtv1.Failed, time.Minute), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm := &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyAlways}}
			vm.Status.StartFailure = tc.before
			vm.Status.StartFailure = decide(vm, tc.vmi, noon).startFailure
			var count int32
			if f := vm.Status.StartFailure; f != nil {
				count = *f.ConsecutiveFailCount
			}
			if count != tc.count {
				t.Errorf("%d failures in a row, want %d", count, tc.count)
			}
			want := start
			if tc.count > 0 {
				want = keep
			}
			if got := decide(vm, nil, noon).action; got != want {
				t.Errorf("action %d once it is gone, want %d", got, want)
			}
		})
	}
}
