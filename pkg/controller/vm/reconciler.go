package vm

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Reconciler reconciles VirtualMachines. Reads go to the manager's cache.
type Reconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
}

// SetupWithManager registers the reconciler and its watches.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, workers int) error {
	return ctrl.NewControllerManagedBy(mgr).Named("vm").
		For(&virtv1.VirtualMachine{}).
		Owns(&virtv1.VirtualMachineInstance{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// Reconcile brings one machine a step nearer to what its run strategy asks for.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var vm virtv1.VirtualMachine
	if err := r.Client.Get(ctx, req.NamespacedName, &vm); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	vmi, problem, err := r.instanceOf(ctx, &vm)
	if err != nil {
		return ctrl.Result{}, err
	}
	now := metav1.NewTime(r.Clock.Now())
	if vm.DeletionTimestamp != nil {
		return ctrl.Result{}, r.remove(ctx, &vm, vmi, now)
	}
	d := decide(&vm, vmi, now.Time)
	var failed error
	if problem == (failure{}) {
		switch d.action {
		case start:
			vmi, problem, failed = r.start(ctx, &vm, d)
			if vmi == nil {
				d.requests = vm.Status.StateChangeRequests // not served: keep them
			}
		case stop:
			failed = r.stop(ctx, &vm, vmi, d.reason)
			if failed != nil {
				d.requests = vm.Status.StateChangeRequests
			}
		}
	}
	if err := r.writeStatus(ctx, &vm, summarize(&vm, vmi, d, problem, now)); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: d.retryIn}, failed
}

// instanceOf finds the machine's instance. One of the same name that belongs to nobody or to someone else is a problem
// that the user must solve, since names are shared by design.
func (r *Reconciler) instanceOf(ctx context.Context, vm *virtv1.VirtualMachine) (*virtv1.VirtualMachineInstance, failure, error) {
	var vmi virtv1.VirtualMachineInstance
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(vm), &vmi)
	switch {
	case apierrors.IsNotFound(err):
		return nil, failure{}, nil
	case err != nil:
		return nil, failure{}, fmt.Errorf("getting instance: %w", err)
	case !metav1.IsControlledBy(&vmi, vm):
		return nil, failure{"InstanceNotOwned", fmt.Sprintf("a VirtualMachineInstance named %s exists that is not this machine's: delete it or rename the machine", vm.Name)}, nil
	}
	return &vmi, failure{}, nil
}

func (r *Reconciler) start(ctx context.Context, vm *virtv1.VirtualMachine, d decision) (*virtv1.VirtualMachineInstance, failure, error) {
	vmi, err := instance(vm, d.paused)
	if err != nil {
		return nil, failure{"FailedCreate", err.Error()}, nil
	}
	err = r.Client.Create(ctx, vmi)
	switch {
	case err == nil:
		r.Recorder.Eventf(vm, vmi, corev1.EventTypeNormal, "SuccessfulCreate", "CreateInstance", "Started the virtual machine by creating the new virtual machine instance %s", vmi.Name)
		return vmi, failure{}, nil
	case apierrors.IsAlreadyExists(err):
		// The cache is behind: the instance's event brings us back.
		return nil, failure{}, nil
	}
	r.Recorder.Eventf(vm, nil, corev1.EventTypeWarning, "FailedCreate", "CreateInstance", "Could not create the virtual machine instance: %v", err)
	return nil, failure{"FailedCreate", err.Error()}, fmt.Errorf("creating instance: %w", err)
}

func (r *Reconciler) stop(ctx context.Context, vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, why string) error {
	if vmi.DeletionTimestamp != nil {
		return nil
	}
	// The precondition keeps a stop that was meant for this instance from hitting its successor.
	err := r.Client.Delete(ctx, vmi, client.Preconditions{UID: &vmi.UID})
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		r.Recorder.Eventf(vm, nil, corev1.EventTypeWarning, "FailedDelete", "DeleteInstance", "Could not delete the virtual machine instance: %v", err)
		return fmt.Errorf("deleting instance: %w", err)
	}
	r.Recorder.Eventf(vm, nil, corev1.EventTypeNormal, "SuccessfulDelete", "DeleteInstance", "Stopped the virtual machine by deleting the virtual machine instance %s: %s", vmi.Name, why)
	return nil
}

// remove deletes the instance of a deleted machine and lets the machine go when the instance is gone (row P2-VMI-06).
func (r *Reconciler) remove(ctx context.Context, vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, now metav1.Time) error {
	if !controllerutil.ContainsFinalizer(vm, virtv1.VirtualMachineControllerFinalizer) {
		return nil
	}
	if vmi != nil {
		if err := r.stop(ctx, vm, vmi, "the virtual machine is deleted"); err != nil {
			return err
		}
		return r.writeStatus(ctx, vm, summarize(vm, vmi, decision{action: stop}, failure{}, now))
	}
	updated := vm.DeepCopy()
	controllerutil.RemoveFinalizer(updated, virtv1.VirtualMachineControllerFinalizer)
	if err := r.Client.Update(ctx, updated); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing finalizer: %w", err)
	}
	return nil
}

func (r *Reconciler) writeStatus(ctx context.Context, vm *virtv1.VirtualMachine, status virtv1.VirtualMachineStatus) error {
	if apiequality.Semantic.DeepEqual(status, vm.Status) {
		return nil
	}
	updated := vm.DeepCopy()
	updated.Status = status
	if err := r.Client.Status().Update(ctx, updated); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("updating status: %w", err)
	}
	return nil
}
