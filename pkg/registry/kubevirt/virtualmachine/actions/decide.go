package actions

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Texts that clients and scripts match.
var (
	errRunning    = errors.New("VM is already running")
	errNotRunning = errors.New("VM is not running")
	errUnderway   = errors.New("unable to complete request: stop/start already underway")
	//lint:ignore ST1005 the text is part of the API
	errShorterGrace = errors.New("Halted only supports manual stop requests with a shorter graceperiod")
	errRecovery     = errors.New("VM needs manual recovery after a failed migration of its volumes: set its volumes back first")
)

func conflict(vm *virtv1.VirtualMachine, err error) error {
	return apierrors.NewConflict(virtv1.Resource("virtualmachine"), vm.Name, err)
}

// RunStrategy is the strategy that a machine asks for; one that asks for none is halted (decision 6).
func RunStrategy(spec *virtv1.VirtualMachineSpec) virtv1.VirtualMachineRunStrategy {
	switch {
	case spec.RunStrategy != "":
		return spec.RunStrategy
	case ptr.Deref(spec.Running, false):
		return virtv1.RunStrategyAlways
	}
	return virtv1.RunStrategyHalted
}

// setRunning writes the field that the machine uses: running where that is set, runStrategy otherwise.
func setRunning(spec *virtv1.VirtualMachineSpec, run bool) {
	switch {
	case spec.RunStrategy == "" && spec.Running != nil:
		spec.Running = &run
	case run:
		spec.RunStrategy = virtv1.RunStrategyAlways
	default:
		spec.RunStrategy = virtv1.RunStrategyHalted
	}
}

func final(vmi *virtv1.VirtualMachineInstance) bool {
	return vmi.Status.Phase == virtv1.Succeeded || vmi.Status.Phase == virtv1.Failed
}

// request records requests for the controller. A stop overrides whatever was asked before; anything else waits for that.
func request(vm *virtv1.VirtualMachine, requests ...virtv1.VirtualMachineStateChangeRequest) error {
	stopOnly := len(requests) == 1 && requests[0].Action == virtv1.StopRequest
	if len(vm.Status.StateChangeRequests) > 0 && !stopOnly {
		return conflict(vm, errUnderway)
	}
	vm.Status.StateChangeRequests = requests
	vm.Status.StartFailure = nil // whoever asks now does not want to wait for a back-off
	return nil
}

func stopRequest(vmi *virtv1.VirtualMachineInstance) virtv1.VirtualMachineStateChangeRequest {
	return virtv1.VirtualMachineStateChangeRequest{Action: virtv1.StopRequest, UID: ptr.To(vmi.UID)}
}

func startRequest(paused bool) virtv1.VirtualMachineStateChangeRequest {
	r := virtv1.VirtualMachineStateChangeRequest{Action: virtv1.StartRequest}
	if paused {
		r.Data = map[string]string{virtv1.StartRequestDataPausedKey: virtv1.StartRequestDataPausedTrue}
	}
	return r
}

// backsOff says whether a machine waits to be started again after failures. Start and restart then mean: now.
func backsOff(vm *virtv1.VirtualMachine) bool {
	f := vm.Status.StartFailure
	return f != nil && f.RetryAfterTimestamp != nil
}

// startNow asks for a start of a machine that backs off, in the place of the instance that has failed if that is still there.
func startNow(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, paused bool) error {
	if vmi == nil {
		return request(vm, startRequest(paused))
	}
	return request(vm, stopRequest(vmi), startRequest(paused))
}

// start changes a machine so that it starts (row P1-RUN-06). vmi is its instance, or nil.
func start(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, options *virtv1.StartOptions) error {
	if vmi != nil && !final(vmi) && vmi.Status.Phase != virtv1.Unknown && vmi.Status.Phase != virtv1.VmPhaseUnset {
		return conflict(vm, errRunning)
	}
	for _, c := range vm.Status.Conditions {
		if c.Type == virtv1.VirtualMachineManualRecoveryRequired && c.Status == corev1.ConditionTrue {
			return conflict(vm, errRecovery)
		}
	}
	if name := vm.Status.RestoreInProgress; name != "" {
		return conflict(vm, fmt.Errorf("cannot start VM until restore %q completes", name))
	}
	strategy := RunStrategy(&vm.Spec)
	if backsOff(vm) && strategy != virtv1.RunStrategyHalted && strategy != virtv1.RunStrategyOnce {
		return startNow(vm, vmi, options.Paused)
	}
	switch strategy {
	case virtv1.RunStrategyHalted:
		if options.Paused {
			if err := request(vm, startRequest(true)); err != nil {
				return err
			}
		}
		setRunning(&vm.Spec, true)
		vm.Status.StartFailure = nil
		return nil
	case virtv1.RunStrategyManual, virtv1.RunStrategyRerunOnFailure:
		if vmi == nil || !final(vmi) {
			// Nothing is stopped for it: an instance that is being made, or whose node is lost, may be what was asked for.
			return request(vm, startRequest(options.Paused))
		}
		if strategy == virtv1.RunStrategyRerunOnFailure && vmi.Status.Phase == virtv1.Failed {
			return conflict(vm, fmt.Errorf("%s does not support starting VM from failed state", strategy))
		}
		return request(vm, stopRequest(vmi), startRequest(options.Paused))
	default:
		return conflict(vm, fmt.Errorf("%s does not support manual start requests", strategy))
	}
}

// stop changes a machine so that it stops (row P1-RUN-06). It says whether the instance is to be given the grace period of
// the options, which must then be done first.
func stop(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, options *virtv1.StopOptions) error {
	running := vmi != nil && !final(vmi)
	switch RunStrategy(&vm.Spec) {
	case virtv1.RunStrategyHalted:
		if !running {
			return conflict(vm, errNotRunning)
		}
		if options.GracePeriod == nil || *options.GracePeriod >= ptr.Deref(vmi.Spec.TerminationGracePeriodSeconds, virtv1.DefaultGracePeriodSeconds) {
			return conflict(vm, errShorterGrace)
		}
		return request(vm, stopRequest(vmi))
	case virtv1.RunStrategyManual:
		if !running {
			return conflict(vm, errNotRunning)
		}
		return request(vm, stopRequest(vmi))
	default:
		setRunning(&vm.Spec, false)
		vm.Status.StateChangeRequests = nil // what was asked before must not start it again
		vm.Status.StartFailure = nil
		return nil
	}
}

// restart changes a machine so that it starts anew, in one write.
func restart(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance) error {
	strategy := RunStrategy(&vm.Spec)
	if strategy == virtv1.RunStrategyHalted || strategy == virtv1.RunStrategyOnce {
		// The misspelling is part of the contract.
		return conflict(vm, fmt.Errorf("RunStategy %s does not support manual restart requests", strategy))
	}
	if vmi == nil && !backsOff(vm) {
		return conflict(vm, errNotRunning)
	}
	return startNow(vm, vmi, false)
}
