package vm

import (
	"fmt"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// end is how an instance has ended, for the condition Ended; the zero value says that none has, or that another follows.
type end struct{ reason, message string }

const (
	// ReasonInstanceDeleted is that of a guest that ran and whose instance was deleted by somebody else.
	ReasonInstanceDeleted = "InstanceDeleted"
	// reasonGuestEnded is that of an instance that has succeeded and gives no reason.
	reasonGuestEnded = "GuestEnded"
)

// runsOut says whether a strategy starts an instance by itself, but not another one after each end.
func runsOut(strategy virtv1.VirtualMachineRunStrategy) bool {
	return strategy == virtv1.RunStrategyRerunOnFailure || strategy == virtv1.RunStrategyOnce
}

// reruns says whether a strategy has another instance follow one that has failed.
func reruns(strategy virtv1.VirtualMachineRunStrategy) bool {
	return strategy == virtv1.RunStrategyAlways || strategy == virtv1.RunStrategyRerunOnFailure
}

// endOf is how the last instance of a machine has ended, unless its strategy or a request has another follow. The machine's
// status keeps it when the instance is gone: what was shut down in order stays down whatever becomes of the old object.
func endOf(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, starting bool) end {
	strategy := RunStrategy(&vm.Spec)
	kept := keptEnd(&vm.Status)
	if vm.Status.RunStrategy != strategy && (runsOut(strategy) || strategy == virtv1.RunStrategyAlways) {
		kept = end{} // whoever chooses the strategy wants an instance
	}
	ran, _ := running(vmi)
	switch {
	case starting, strategy == virtv1.RunStrategyAlways:
		return end{}
	case vmi == nil:
		return kept
	case vmi.Status.Phase == virtv1.Failed && reruns(strategy):
		if vmi.DeletionTimestamp == nil {
			return end{}
		}
		return kept // it may have failed on the way down
	case final(vmi):
		return end{endReason(vmi), endMessage(vmi, strategy)}
	case vmi.DeletionTimestamp != nil && kept != (end{}):
		return kept
	case vmi.DeletionTimestamp != nil && ran && runsOut(strategy):
		return end{ReasonInstanceDeleted, "the instance was deleted while its guest ran" + again(strategy, vm.Name)}
	}
	return end{}
}

func keptEnd(status *virtv1.VirtualMachineStatus) end {
	for _, c := range status.Conditions {
		if c.Type == virtv1.VirtualMachineEnded {
			return end{c.Reason, c.Message}
		}
	}
	return end{}
}

func endReason(vmi *virtv1.VirtualMachineInstance) string {
	switch f := failureOf(vmi); {
	case f != (failure{}):
		return f.reason
	case vmi.Status.Reason != "":
		return vmi.Status.Reason
	}
	return reasonGuestEnded
}

func endMessage(vmi *virtv1.VirtualMachineInstance, strategy virtv1.VirtualMachineRunStrategy) string {
	message := "the guest has ended"
	if f := failureOf(vmi); f != (failure{}) {
		message = "the instance has failed"
		if f.message != "" {
			message += ": " + f.message
		}
	}
	return message + again(strategy, vmi.Name)
}

// again says what starts a machine again that its strategy leaves down.
func again(strategy virtv1.VirtualMachineRunStrategy, name string) string {
	switch strategy {
	case virtv1.RunStrategyRerunOnFailure:
		return fmt.Sprintf("; run strategy %s starts it again only after a failure: virtctl start %s", strategy, name)
	case virtv1.RunStrategyOnce:
		return fmt.Sprintf("; run strategy %s starts it no second time: choose another spec.runStrategy to do that", strategy)
	}
	return ""
}

// EndTold says whether a machine can let an instance go: its status keeps the end, where that decides what follows, or nothing is
// to be kept.
func EndTold(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance) bool {
	_, starting := requested(vm.Status.StateChangeRequests, vmi)
	return !runsOut(RunStrategy(&vm.Spec)) || keptEnd(&vm.Status) != (end{}) || endOf(vm, vmi, starting != nil) == (end{})
}
