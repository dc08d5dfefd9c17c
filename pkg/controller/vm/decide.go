package vm

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// action is what to do about the instance of a machine.
type action int

const (
	keep action = iota
	start
	stop
)

// decision is the outcome for one machine at one moment.
type decision struct {
	action action
	// paused starts the instance with its CPUs stopped.
	paused bool
	// requests are the state change requests that remain.
	requests []virtv1.VirtualMachineStateChangeRequest
	// startFailure is the record of failed starts from now on.
	startFailure *virtv1.VirtualMachineStartFailure
	// retryIn is when a start that backs off is tried again, zero if none does.
	retryIn time.Duration
	// stableIn is when the instance will have run long enough for earlier failures to be forgotten, zero if there are none.
	stableIn time.Duration
	// ended is how the last instance has ended, zero while the strategy has another start or one runs.
	ended end
	// refused says that the API does not take the instance.
	refused bool
	// unmade says that claims of dataVolumeTemplates are missing, which nobody makes; zero if none is.
	unmade failure
	// reason says why, for events.
	reason string
}

// RunStrategy is the strategy that a machine's spec asks for. A machine that asks for none is halted (decision 6).
func RunStrategy(spec *virtv1.VirtualMachineSpec) virtv1.VirtualMachineRunStrategy {
	switch {
	case spec.RunStrategy != "":
		return spec.RunStrategy
	case spec.Running != nil && *spec.Running:
		return virtv1.RunStrategyAlways
	}
	return virtv1.RunStrategyHalted
}

// decide says what the run strategy and the requests ask for, given the machine and its instance (nil if none exists).
// Rows P1-RUN-02 to -06.
func decide(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, now time.Time) decision {
	strategy := RunStrategy(&vm.Spec)
	d := decision{startFailure: recordFailure(vm.Status.StartFailure, vmi, strategy, now)}
	if vmi == nil && (strategy == virtv1.RunStrategyHalted || edited(vm)) {
		d.startFailure = nil // whoever stopped or changed the machine has seen to it
	}
	if ran, since := running(vmi); d.startFailure != nil && ran && vmi.Status.Phase == virtv1.Running {
		d.stableIn = since.Add(stableAfter).Sub(now)
	}
	stopping, starting := requested(vm.Status.StateChangeRequests, vmi)
	changed := vm.Status.RunStrategy != strategy
	d.ended = endOf(vm, vmi, starting != nil)
	switch {
	case vmi != nil && vmi.DeletionTimestamp != nil:
		// On its way out; whatever is wanted next happens once it is gone.
		d.requests = withoutStop(vm.Status.StateChangeRequests)
		if changed && starting == nil && runsOut(strategy) {
			// Whoever has just chosen the strategy wants an instance, and its present one goes on behalf of another.
			d.requests, d.ended = append(d.requests, virtv1.VirtualMachineStateChangeRequest{Action: virtv1.StartRequest}), end{}
		}
		return d
	case vmi != nil && stopping:
		d.action, d.reason = stop, "a stop was requested"
		d.requests = withoutStop(vm.Status.StateChangeRequests)
		return d
	}
	if vmi != nil && strategy != virtv1.RunStrategyHalted && superseded(vm, vmi) {
		d.action, d.reason = stop, "spec.template has changed, and the instance made from the old one does not start"
		next := virtv1.VirtualMachineStateChangeRequest{Action: virtv1.StartRequest}
		if s := vmi.Spec.StartStrategy; s != nil && *s == virtv1.StartStrategyPaused {
			next.Data = map[string]string{virtv1.StartRequestDataPausedKey: virtv1.StartRequestDataPausedTrue}
		}
		if starting != nil {
			next = *starting
		}
		d.requests = []virtv1.VirtualMachineStateChangeRequest{next}
		return d
	}
	done := vmi != nil && final(vmi)
	failed := done && vmi.Status.Phase == virtv1.Failed
	switch strategy {
	case virtv1.RunStrategyAlways:
		d.want(vmi, done, starting, now)
	case virtv1.RunStrategyRerunOnFailure:
		switch {
		case vmi == nil && d.ended == (end{}), failed, done && starting != nil:
			d.want(vmi, done, starting, now)
		}
	case virtv1.RunStrategyManual:
		switch {
		case done:
			d.action, d.reason = stop, ending(vmi)
		case vmi == nil && starting != nil:
			d.want(nil, false, starting, now)
		}
	case virtv1.RunStrategyOnce:
		if vmi == nil && d.ended == (end{}) {
			d.want(nil, false, starting, now)
		}
	case virtv1.RunStrategyHalted:
		if vmi != nil {
			d.action, d.reason = stop, "the run strategy is Halted"
		}
	}
	// A start request that has been served, or that a running instance makes pointless, is dropped; one that waits for
	// the old instance to go stays.
	if starting != nil && (d.action == stop || d.retryIn > 0) {
		d.requests = []virtv1.VirtualMachineStateChangeRequest{*starting}
	}
	return d
}

// edited says whether the spec of a machine without an instance is another one than that which its last instance was made
// from, or which was looked at last.
func edited(vm *virtv1.VirtualMachine) bool {
	seen := vm.Status.ObservedGeneration
	return seen != 0 && seen != vm.Generation
}

// superseded says whether an instance that waits for something, and has no guest yet, is made from a template that was corrected
// since: nothing is lost by another one, and it may have what this one lacks.
func superseded(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance) bool {
	switch vmi.Status.Phase {
	case virtv1.VmPhaseUnset, virtv1.Pending, virtv1.Scheduling:
	default:
		return false
	}
	sync := find(vmi, virtv1.VirtualMachineInstanceSynchronized)
	if !isTrue(vmi, virtv1.VirtualMachineInstanceProvisioning) && (sync == nil || sync.Status != corev1.ConditionFalse) {
		return false
	}
	made, known := vmi.Annotations[templateHashAnnotation]
	hash, err := templateHash(vm)
	return known && err == nil && made != hash
}

// want asks for a running instance: start one if none is there, unless a back-off runs; clear away one that has ended.
func (d *decision) want(vmi *virtv1.VirtualMachineInstance, done bool, starting *virtv1.VirtualMachineStateChangeRequest, now time.Time) {
	switch {
	case done:
		d.action, d.reason = stop, ending(vmi)+"; another instance takes its place"
	case vmi == nil:
		if wait := backoffLeft(d.startFailure, now); wait > 0 && starting == nil {
			d.retryIn = wait
			return
		}
		d.action = start
		d.paused = starting != nil && starting.Data[virtv1.StartRequestDataPausedKey] == virtv1.StartRequestDataPausedTrue
	}
}

// ending says how an instance has ended.
func ending(vmi *virtv1.VirtualMachineInstance) string {
	f := failureOf(vmi)
	switch {
	case f == (failure{}):
		return "the guest has ended"
	case interrupted(vmi):
		return "its pod was taken away: " + f.reason
	case f.message == "":
		return "it has failed: " + f.reason
	}
	return "it has failed: " + f.reason + ": " + f.message
}

// requested finds a stop request for this instance and a start request. A stop request for an instance that is gone is
// void.
func requested(requests []virtv1.VirtualMachineStateChangeRequest, vmi *virtv1.VirtualMachineInstance) (stopping bool, starting *virtv1.VirtualMachineStateChangeRequest) {
	for i := range requests {
		r := &requests[i]
		switch r.Action {
		case virtv1.StopRequest:
			stopping = stopping || vmi != nil && (r.UID == nil || *r.UID == vmi.UID)
		case virtv1.StartRequest:
			starting = r
		}
	}
	return stopping, starting
}

func withoutStop(requests []virtv1.VirtualMachineStateChangeRequest) []virtv1.VirtualMachineStateChangeRequest {
	var out []virtv1.VirtualMachineStateChangeRequest
	for _, r := range requests {
		if r.Action != virtv1.StopRequest {
			out = append(out, r)
		}
	}
	return out
}

func final(vmi *virtv1.VirtualMachineInstance) bool {
	return vmi.Status.Phase == virtv1.Succeeded || vmi.Status.Phase == virtv1.Failed
}

// Back-off after failures: the delay grows with the square of the number of failures in a row, from ten seconds to five
// minutes, so that a guest that cannot start costs little and one that failed once is soon tried again.
const (
	backoffUnit = 10 * time.Second
	backoffMax  = 5 * time.Minute
	// stableAfter is how long an instance must have run for its end not to count as a failed start.
	stableAfter = time.Minute
)

func backoff(failures int32) time.Duration {
	return min(time.Duration(failures)*time.Duration(failures)*backoffUnit, backoffMax)
}

func backoffLeft(f *virtv1.VirtualMachineStartFailure, now time.Time) time.Duration {
	if f == nil || f.RetryAfterTimestamp == nil {
		return 0
	}
	return max(f.RetryAfterTimestamp.Sub(now), 0)
}

// recordFailure counts an instance that failed early, once; it forgets the count when one runs stably. A strategy that starts
// no other by itself knows no delay.
func recordFailure(f *virtv1.VirtualMachineStartFailure, vmi *virtv1.VirtualMachineInstance, strategy virtv1.VirtualMachineRunStrategy, now time.Time) *virtv1.VirtualMachineStartFailure {
	if vmi == nil {
		return f
	}
	ran, since := running(vmi)
	switch {
	case vmi.Status.Phase == virtv1.Running && now.Sub(since) >= stableAfter:
		return nil
	case vmi.Status.Phase == virtv1.Failed && ran && ranFor(vmi, since) >= stableAfter:
		return nil
	case interrupted(vmi):
		return f
	case vmi.Status.Phase == virtv1.Failed && (f == nil || f.LastFailedVMIUID != vmi.UID):
		count := int32(1)
		if f != nil {
			count = ptr.Deref(f.ConsecutiveFailCount, 0) + 1
		}
		out := &virtv1.VirtualMachineStartFailure{ConsecutiveFailCount: &count, LastFailedVMIUID: vmi.UID}
		if reruns(strategy) {
			out.RetryAfterTimestamp = ptr.To(metaTime(now.Add(backoff(count))))
		}
		return out
	}
	return f
}

func running(vmi *virtv1.VirtualMachineInstance) (bool, time.Time) {
	if vmi == nil {
		return false, time.Time{}
	}
	for _, t := range vmi.Status.PhaseTransitionTimestamps {
		if t.Phase == virtv1.Running {
			return true, t.PhaseTransitionTimestamp.Time
		}
	}
	return false, time.Time{}
}

func ranFor(vmi *virtv1.VirtualMachineInstance, since time.Time) time.Duration {
	for _, t := range vmi.Status.PhaseTransitionTimestamps {
		if t.Phase == virtv1.Failed {
			return t.PhaseTransitionTimestamp.Sub(since)
		}
	}
	return 0
}
