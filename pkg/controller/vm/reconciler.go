package vm

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/controller/limits"
)

// soon is when to look again at a machine of which the cache shows an old state.
const soon = time.Second

// Reconciler reconciles VirtualMachines. Reads go to the manager's cache.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live     client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
}

// SetupWithManager registers the reconciler and its watches.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, workers int) error {
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &virtv1.VirtualMachine{}, machineByTemplate, templatesOf); err != nil {
		return fmt.Errorf("indexing machines by their dataVolumeTemplates: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).Named("vm").
		For(&virtv1.VirtualMachine{}).
		// An instance concerns the machine of its name, whoever owns it: a stranger's holds the machine up until it is gone.
		Watches(&virtv1.VirtualMachineInstance{}, &handler.EnqueueRequestForObject{}).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(r.ofTemplate)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: limits.Retries()}).
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
	if vmi, err = r.blame(ctx, &vm, vmi); err != nil {
		return ctrl.Result{}, err
	}
	// The store keeps whole seconds: what is computed from them is found there again.
	now := metav1.NewTime(r.Clock.Now().Truncate(time.Second))
	if vm.DeletionTimestamp != nil {
		return r.remove(ctx, &vm, vmi, now)
	}
	d := decide(&vm, vmi, now.Time)
	if d.unmade, err = r.unmade(ctx, &vm); err != nil {
		return ctrl.Result{}, err
	}
	var failed error
	if problem != (failure{}) {
		// Nothing is done and nothing served, until the stranger's instance is gone.
		d = decision{requests: vm.Status.StateChangeRequests, startFailure: d.startFailure, ended: d.ended, unmade: d.unmade}
	} else {
		switch d.action {
		case start:
			vmi, problem, failed = r.start(ctx, &vm, d)
			if apierrors.IsAlreadyExists(failed) {
				// The cache is behind, and what follows from it would be wrong. The instance's event brings us back sooner.
				return ctrl.Result{RequeueAfter: soon}, nil
			}
			d.refused = apierrors.IsForbidden(failed) || apierrors.IsInvalid(failed) || apierrors.IsBadRequest(failed)
			if vmi == nil {
				d.requests = vm.Status.StateChangeRequests // not served: keep them
			}
		case stop:
			if done, err := r.putDown(ctx, &vm, vmi, d, now); err != nil {
				return ctrl.Result{}, err
			} else if !done {
				return ctrl.Result{RequeueAfter: soon}, nil
			}
			failed = r.stop(ctx, &vm, vmi, d.reason)
			if failed != nil {
				d.requests = vm.Status.StateChangeRequests
			}
		}
	}
	if _, err := r.writeStatus(ctx, &vm, summarize(&vm, vmi, d, problem, now)); err != nil {
		return ctrl.Result{}, err
	}
	if failed != nil {
		return ctrl.Result{}, failed
	}
	return ctrl.Result{RequeueAfter: max(d.retryIn, d.stableIn)}, nil
}

// putDown writes the failure of an instance into the machine's status before the instance is deleted: its reason must
// outlive it, and the count of failures slows the next start down. It says whether that is done; if not, the machine has
// changed and must be looked at again first.
func (r *Reconciler) putDown(ctx context.Context, vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, d decision, now metav1.Time) (bool, error) {
	if failureOf(vmi) == (failure{}) || sameFailure(vm.Status.StartFailure, d.startFailure) {
		return true, nil
	}
	d.requests = vm.Status.StateChangeRequests // none is served yet
	return r.writeStatus(ctx, vm, summarize(vm, vmi, d, failure{}, now))
}

func sameFailure(a, b *virtv1.VirtualMachineStartFailure) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.LastFailedVMIUID == b.LastFailedVMIUID
}

// instanceOf finds the machine's instance. One of the same name that belongs to nobody or to someone else is a problem
// that the user must solve, since names are shared by design.
func (r *Reconciler) instanceOf(ctx context.Context, vm *virtv1.VirtualMachine) (*virtv1.VirtualMachineInstance, failure, error) {
	var vmi virtv1.VirtualMachineInstance
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(vm), &vmi)
	if apierrors.IsNotFound(err) && (vm.Status.Created || vm.DeletionTimestamp != nil) {
		// The cache may be behind our own create. An instance that was there is believed to be gone only when it is.
		err = r.Live.Get(ctx, client.ObjectKeyFromObject(vm), &vmi)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, failure{}, nil
	case err != nil:
		return nil, failure{}, fmt.Errorf("getting instance: %w", err)
	case !metav1.IsControlledBy(&vmi, vm):
		return nil, failure{reasonNotOwned, fmt.Sprintf("a VirtualMachineInstance named %s exists that is not this machine's: delete it or rename the machine", vm.Name)}, nil
	}
	return &vmi, failure{}, nil
}

func (r *Reconciler) start(ctx context.Context, vm *virtv1.VirtualMachine, d decision) (*virtv1.VirtualMachineInstance, failure, error) {
	vmi, err := instance(vm, d.paused)
	if err != nil {
		return nil, failure{reasonFailedCreate, err.Error()}, nil
	}
	if err := r.record(ctx, vm); err != nil {
		return nil, failure{reasonFailedCreate, err.Error()}, err
	}
	err = r.Client.Create(ctx, vmi)
	switch {
	case err == nil:
		if err := r.forget(ctx, vm); err != nil {
			// It costs a little memory until the next start, and must not cost this one.
			ctrl.LoggerFrom(ctx).Error(err, "Could not forget what earlier instances were made from")
		}
		r.Recorder.Eventf(vm, vmi, corev1.EventTypeNormal, "SuccessfulCreate", "CreateInstance", "Started the virtual machine by creating the new virtual machine instance %s", vmi.Name)
		return vmi, failure{}, nil
	case apierrors.IsAlreadyExists(err):
		return nil, failure{}, err
	}
	return nil, failure{reasonFailedCreate, err.Error()}, fmt.Errorf("creating instance: %w", err)
}

func (r *Reconciler) stop(ctx context.Context, vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, why string) error {
	if vmi.DeletionTimestamp != nil {
		return nil
	}
	// The precondition keeps a stop that was meant for this instance from hitting its successor.
	_, err := r.deleteInstance(ctx, vm, vmi, client.Preconditions{UID: &vmi.UID}, why)
	return err
}

// deleteInstance deletes an instance unless it is another one by now. It says whether it is deleted or gone.
func (r *Reconciler) deleteInstance(ctx context.Context, vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, only client.Preconditions, why string) (bool, error) {
	err := r.Client.Delete(ctx, vmi, only)
	switch {
	case apierrors.IsConflict(err):
		return false, nil
	case client.IgnoreNotFound(err) != nil:
		r.Recorder.Eventf(vm, nil, corev1.EventTypeWarning, "FailedDelete", "DeleteInstance", "Could not delete the virtual machine instance: %v", err)
		return false, fmt.Errorf("deleting instance: %w", err)
	}
	r.Recorder.Eventf(vm, nil, corev1.EventTypeNormal, "SuccessfulDelete", "DeleteInstance", "Stopped the virtual machine by deleting the virtual machine instance %s: %s", vmi.Name, why)
	return true, nil
}

// remove deletes the instance of a deleted machine and lets the machine go when the instance is gone (row P2-VMI-06). An
// instance that is to outlive its machine, as kubectl delete --cascade=orphan asks, is left alone: Kubernetes' garbage
// collector takes the machine off its owners, before or after us.
func (r *Reconciler) remove(ctx context.Context, vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, now metav1.Time) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(vm, virtv1.VirtualMachineControllerFinalizer) {
		return ctrl.Result{}, nil
	}
	if vmi != nil && !controllerutil.ContainsFinalizer(vm, metav1.FinalizerOrphanDependents) {
		if vmi.DeletionTimestamp == nil {
			if done, err := r.removeInstance(ctx, vm, vmi); err != nil {
				return ctrl.Result{}, err
			} else if !done {
				return ctrl.Result{RequeueAfter: soon}, nil
			}
		}
		_, err := r.writeStatus(ctx, vm, summarize(vm, vmi, decision{action: stop}, failure{}, now))
		return ctrl.Result{}, err
	}
	updated := vm.DeepCopy()
	controllerutil.RemoveFinalizer(updated, virtv1.VirtualMachineControllerFinalizer)
	if err := r.Client.Update(ctx, updated); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("removing finalizer: %w", err)
	}
	return ctrl.Result{}, nil
}

// removeInstance deletes the instance of a deleted machine and says whether it is on its way out. Caches may not know yet that
// the instance was orphaned, and that the collector is through with the machine: what is deleted is the instance as it was seen
// to be the machine's own a moment ago, and no later state of it.
func (r *Reconciler) removeInstance(ctx context.Context, vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance) (bool, error) {
	var now virtv1.VirtualMachineInstance
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(vmi), &now)
	switch {
	case apierrors.IsNotFound(err), err == nil && !metav1.IsControlledBy(&now, vm):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("getting instance: %w", err)
	}
	if now.DeletionTimestamp != nil {
		return true, nil // by us, a moment ago
	}
	return r.deleteInstance(ctx, vm, &now, client.Preconditions{UID: &now.UID, ResourceVersion: &now.ResourceVersion}, "the virtual machine is deleted")
}

// writeStatus writes a status that has changed and tells what it brings. It says whether the status stands now as given;
// if the machine has changed meanwhile it does not, and the newer machine brings us back.
func (r *Reconciler) writeStatus(ctx context.Context, vm *virtv1.VirtualMachine, status virtv1.VirtualMachineStatus) (bool, error) {
	if apiequality.Semantic.DeepEqual(status, vm.Status) {
		return true, nil
	}
	was := vm.Status
	updated := vm.DeepCopy()
	updated.Status = status
	if err := r.Client.Status().Update(ctx, updated); err != nil {
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return false, nil
		}
		return false, fmt.Errorf("updating status: %w", err)
	}
	*vm = *updated
	r.announce(vm, &was)
	return true, nil
}

// announce tells a failure once, as an event: each failed instance, and each new reason.
func (r *Reconciler) announce(vm *virtv1.VirtualMachine, was *virtv1.VirtualMachineStatus) {
	old, now := failureCondition(was), failureCondition(&vm.Status)
	if now == nil || old != nil && old.Reason == now.Reason && (vm.Status.StartFailure == nil || sameFailure(was.StartFailure, vm.Status.StartFailure)) {
		return
	}
	switch f := vm.Status.StartFailure; {
	case now.Reason == reasonNotOwned, now.Reason == reasonFailedCreate:
		r.Recorder.Eventf(vm, nil, corev1.EventTypeWarning, now.Reason, "CreateInstance", "Could not create the virtual machine instance: %s", now.Message)
	case f != nil && f.RetryAfterTimestamp != nil && !sameFailure(was.StartFailure, f):
		r.Recorder.Eventf(vm, nil, corev1.EventTypeWarning, reasonInstanceFailed, "Observe", "The virtual machine instance has failed %d times in a row, not to be started again before %s: %s: %s",
			ptr.Deref(f.ConsecutiveFailCount, 1), f.RetryAfterTimestamp.UTC().Format(time.RFC3339), now.Reason, now.Message)
	default:
		r.Recorder.Eventf(vm, nil, corev1.EventTypeWarning, reasonInstanceFailed, "Observe", "The virtual machine instance has failed: %s: %s", now.Reason, now.Message)
	}
}
