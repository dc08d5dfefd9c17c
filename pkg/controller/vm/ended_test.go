package vm

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

// delete deletes the instance, as somebody who is not its machine does.
func (w *world) delete() {
	w.t.Helper()
	if err := w.server.Delete(w.t.Context(), w.vmi()); err != nil {
		w.t.Fatal(err)
	}
}

// choose gives the machine another run strategy.
func (w *world) choose(strategy virtv1.VirtualMachineRunStrategy) {
	w.t.Helper()
	vm := w.vm()
	vm.Spec.RunStrategy = strategy
	if err := w.server.Update(w.t.Context(), vm); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) request(requests ...virtv1.VirtualMachineStateChangeRequest) {
	w.t.Helper()
	vm := w.vm()
	vm.Status.StateChangeRequests = requests
	if err := w.server.Status().Update(w.t.Context(), vm); err != nil {
		w.t.Fatal(err)
	}
}

// ends gives the instance a status in which its guest ran for a while and has ended.
func ends(phase virtv1.VirtualMachineInstancePhase, reason string) func(*virtv1.VirtualMachineInstanceStatus) {
	return func(s *virtv1.VirtualMachineInstanceStatus) {
		*s = inst(phase, time.Hour).Status
		s.Reason = reason
	}
}

// TestWhatIsDownStaysDown follows machines whose instance has ended or is deleted: what becomes of the object decides nothing.
func TestWhatIsDownStaysDown(t *testing.T) {
	rerun, once, always, manual, halted := virtv1.RunStrategyRerunOnFailure, virtv1.RunStrategyOnce, virtv1.RunStrategyAlways, virtv1.RunStrategyManual, virtv1.RunStrategyHalted
	succeeded, failed, runs := ends(virtv1.Succeeded, "GuestShutdown"), ends(virtv1.Failed, "QEMUKilled"), ends(virtv1.Running, "")
	waits := func(s *virtv1.VirtualMachineInstanceStatus) { *s = inst(virtv1.Scheduling, 0).Status }
	for _, tc := range []struct {
		name     string
		strategy virtv1.VirtualMachineRunStrategy
		status   func(*virtv1.VirtualMachineInstanceStatus)
		// unseen hides the status from the machine until the instance is deleted; after it changes on the way down.
		unseen bool
		after  func(*virtv1.VirtualMachineInstanceStatus)
		runs   bool
		reason string
	}{
		{name: "rerun on failure, shut down", strategy: rerun, status: succeeded, reason: "GuestShutdown"},
		{name: "rerun on failure, shut down and deleted at once", strategy: rerun, status: succeeded, unseen: true, reason: "GuestShutdown"},
		{name: "rerun on failure, no reason given", strategy: rerun, status: ends(virtv1.Succeeded, ""), reason: "GuestEnded"},
		{name: "rerun on failure, failed", strategy: rerun, status: failed, runs: true},
		{name: "rerun on failure, failed and deleted at once", strategy: rerun, status: failed, unseen: true, runs: true},
		{name: "rerun on failure, deleted while it runs", strategy: rerun, status: runs, after: succeeded, reason: "GuestShutdown"},
		{name: "rerun on failure, deleted and then gone", strategy: rerun, status: runs, reason: "InstanceDeleted"},
		{name: "rerun on failure, failed on the way down", strategy: rerun, status: runs, after: failed, reason: "InstanceDeleted"},
		{name: "rerun on failure, deleted before it ran", strategy: rerun, status: waits, runs: true},
		{name: "once, shut down", strategy: once, status: succeeded, reason: "GuestShutdown"},
		{name: "once, failed", strategy: once, status: failed, reason: "QEMUKilled"},
		{name: "once, failed before it ran", strategy: once, status: refuse, reason: "DiskInvalid"},
		{name: "once, deleted while it runs", strategy: once, status: runs, reason: "InstanceDeleted"},
		{name: "once, failed on the way down", strategy: once, status: runs, after: failed, reason: "QEMUKilled"},
		{name: "once, deleted before it ran", strategy: once, status: waits, runs: true},
		{name: "always, shut down", strategy: always, status: succeeded, runs: true},
		{name: "always, deleted while it runs", strategy: always, status: runs, after: succeeded, runs: true},
		{name: "manual, shut down", strategy: manual, status: succeeded, reason: "GuestShutdown"},
		{name: "manual, failed", strategy: manual, status: failed, reason: "QEMUKilled"},
		{name: "halted while it ran", strategy: halted, status: ends(virtv1.Succeeded, "StopRequested"), reason: "StopRequested"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := ended(t, tc.strategy, tc.status, tc.unseen, tc.after)
			for range 3 {
				w.reconcile()
			}
			c := conditionOf(w.vm(), virtv1.VirtualMachineEnded)
			if got := w.vmi() != nil; got != tc.runs {
				t.Errorf("runs again %v, want %v", got, tc.runs)
			}
			if c.Reason != tc.reason || tc.reason != "" && (c.Status != corev1.ConditionTrue || c.Message == "") {
				t.Errorf("ended %+v, want reason %q", c, tc.reason)
			}
			want := virtv1.VirtualMachineStatusStopped
			if tc.runs {
				want = virtv1.VirtualMachineStatusStarting
			}
			if got := w.vm().Status.PrintableStatus; got != want {
				t.Errorf("status %s, want %s", got, want)
			}
		})
	}
	spec.Covers(t, "P1-RUN-03")
}

// ended makes a machine whose instance had a status, was deleted and is gone.
func ended(t *testing.T, strategy virtv1.VirtualMachineRunStrategy, status func(*virtv1.VirtualMachineInstanceStatus), unseen bool, after func(*virtv1.VirtualMachineInstanceStatus)) *world {
	t.Helper()
	vm := machine(virtv1.RunStrategyManual)
	vm.Status.StateChangeRequests = []virtv1.VirtualMachineStateChangeRequest{startReq}
	w := newWorld(t, vm)
	w.reconcile()
	w.report(func(s *virtv1.VirtualMachineInstanceStatus) { *s = inst(virtv1.Running, time.Second).Status })
	w.choose(strategy)
	if strategy != virtv1.RunStrategyHalted {
		w.reconcile()
	}
	w.report(status)
	if !unseen {
		w.reconcile()
	}
	if w.vmi().DeletionTimestamp == nil {
		w.delete()
	}
	w.reconcile()
	if after != nil {
		w.report(after)
		w.reconcile()
	}
	w.letGo()
	return w
}

// TestWhatIsDownIsStartedOnDemand: a request, a restart and the choice of a strategy start what stays down by itself.
func TestWhatIsDownIsStartedOnDemand(t *testing.T) {
	rerun, once := virtv1.RunStrategyRerunOnFailure, virtv1.RunStrategyOnce
	down := func(t *testing.T, strategy virtv1.VirtualMachineRunStrategy) *world {
		w := ended(t, strategy, ends(virtv1.Succeeded, "GuestShutdown"), false, nil)
		w.reconcile()
		if w.vmi() != nil {
			t.Fatal("it does not stay down")
		}
		return w
	}
	for _, tc := range []struct {
		name string
		from virtv1.VirtualMachineRunStrategy
		do   func(*world)
	}{
		{"a start request", rerun, func(w *world) { w.request(startReq) }},
		{"another strategy", once, func(w *world) { w.choose(rerun) }},
		{"once after rerun", rerun, func(w *world) { w.choose(once) }},
		{"always", once, func(w *world) { w.choose(virtv1.RunStrategyAlways) }},
		{"halted and back", rerun, func(w *world) {
			w.choose(virtv1.RunStrategyHalted)
			w.reconcile()
			if c := conditionOf(w.vm(), virtv1.VirtualMachineEnded); c.Reason != "GuestShutdown" {
				w.t.Errorf("the reason is forgotten: %+v", c)
			}
			w.choose(rerun)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := down(t, tc.from)
			tc.do(w)
			w.reconcile()
			w.reconcile()
			if w.vmi() == nil {
				t.Error("it is not started")
			}
			if c := conditionOf(w.vm(), virtv1.VirtualMachineEnded); c.Type != "" {
				t.Errorf("it runs and has ended: %+v", c)
			}
		})
	}
	runs := func(t *testing.T, strategy virtv1.VirtualMachineRunStrategy) *world {
		w := newWorld(t, machine(strategy))
		w.reconcile()
		w.report(ends(virtv1.Running, ""))
		w.reconcile()
		return w
	}
	t.Run("a restart", func(t *testing.T) {
		w := runs(t, rerun)
		stop := stopReq
		stop.UID = &w.vmi().UID
		w.request(stop, startReq)
		w.reconcile()
		w.report(ends(virtv1.Succeeded, "StopRequested"))
		w.reconcile()
		w.letGo()
		w.reconcile()
		if w.vmi() == nil {
			t.Error("it is not started again")
		}
	})
	t.Run("a strategy chosen while the old instance goes", func(t *testing.T) {
		w := runs(t, virtv1.RunStrategyAlways)
		w.choose(virtv1.RunStrategyHalted)
		w.reconcile()
		w.choose(rerun)
		w.reconcile()
		w.report(ends(virtv1.Succeeded, "StopRequested"))
		w.reconcile()
		w.letGo()
		w.reconcile()
		if w.vmi() == nil {
			t.Error("it is not started")
		}
	})
	t.Run("the way is in the message", func(t *testing.T) {
		for strategy, want := range map[virtv1.VirtualMachineRunStrategy]string{rerun: "virtctl start web", once: "another spec.runStrategy"} {
			if c := conditionOf(down(t, strategy).vm(), virtv1.VirtualMachineEnded); !strings.Contains(c.Message, want) {
				t.Errorf("%s: %s", strategy, c.Message)
			}
		}
	})
}
