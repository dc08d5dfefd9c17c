// Package actions starts, stops and restarts virtual machines. It is the one implementation behind kubevirt.io and
// subresources.kubevirt.io. An action is one write of the machine through the store, which the controller then follows; the
// decisions are pure functions. The package must not talk to nodes.
package actions

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/virtualmachine"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/virtualmachineinstance"
)

// Actions acts on the machines of a store.
type Actions struct {
	machines  *registry.Store
	instances *registry.Store
	// evacuating writes the status of instances.
	evacuating *registry.Store
	clock      clock.PassiveClock
	admission  admitter
}

// New makes the actions on the given stores. They write spec and status of a machine together, which neither of its
// endpoints lets anybody do.
func New(scheme *runtime.Scheme, machines, instances *registry.Store, env environment.Environment) *Actions {
	acting, dying := *machines, *instances
	acting.UpdateStrategy = virtualmachine.ActionStrategy{Strategy: virtualmachine.NewStrategy(scheme, env)}
	dying.UpdateStrategy = virtualmachineinstance.GraceStrategy{Strategy: virtualmachineinstance.NewStrategy(scheme, env)}
	evacuating := *instances
	evacuating.UpdateStrategy = virtualmachineinstance.StatusStrategy{Strategy: virtualmachineinstance.NewStrategy(scheme, env)}
	return &Actions{machines: &acting, instances: &dying, evacuating: &evacuating, clock: env.Clock, admission: newAdmitter(scheme, env.Admission)}
}

// Start starts a machine.
func (a *Actions) Start(ctx context.Context, name string, options *virtv1.StartOptions) error {
	if err := validDryRun(options.DryRun); err != nil {
		return err
	}
	return a.act(ctx, name, options.DryRun, nil, func(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance) error {
		return start(vm, vmi, options)
	})
}

// Stop stops a machine. With a grace period, the guest has that long instead of what its spec gives it.
func (a *Actions) Stop(ctx context.Context, name string, options *virtv1.StopOptions) error {
	if err := validDryRun(options.DryRun); err != nil {
		return err
	}
	if g := options.GracePeriod; g != nil && *g < 0 {
		return apierrors.NewBadRequest("gracePeriod has to be greater or equal to 0")
	}
	return a.act(ctx, name, options.DryRun, options.GracePeriod, func(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance) error {
		return stop(vm, vmi, options)
	})
}

// giveBackTimeout bounds the write that gives a guest its grace period back.
const giveBackTimeout = 10 * time.Second

// forcedRestartGrace is what the instance of a forced restart is left with, in seconds, as the reference has it.
const forcedRestartGrace = 1

// Restart stops a machine and starts it anew. With a grace period of 0, which is the only one, the guest is not waited for.
func (a *Actions) Restart(ctx context.Context, name string, options *virtv1.RestartOptions) error {
	if err := validDryRun(options.DryRun); err != nil {
		return err
	}
	if g := options.GracePeriodSeconds; g != nil {
		switch {
		case *g > 0:
			return apierrors.NewBadRequest("For force restart, only gracePeriod=0 is supported for now")
		case *g < 0:
			return apierrors.NewBadRequest("gracePeriod has to be greater or equal to 0")
		}
	}
	grace := options.GracePeriodSeconds
	if grace != nil {
		grace = ptr.To(int64(forcedRestartGrace))
	}
	return a.act(ctx, name, options.DryRun, grace, restart)
}

func validDryRun(dryRun []string) error {
	if errs := metav1validation.ValidateDryRun(field.NewPath("dryRun"), dryRun); len(errs) > 0 {
		return apierrors.NewBadRequest(errs.ToAggregate().Error())
	}
	return nil
}

type change func(*virtv1.VirtualMachine, *virtv1.VirtualMachineInstance) error

// act changes a machine in one write. Its instance is read before; requests for it carry its UID, so that one that has
// been replaced meanwhile is left alone.
func (a *Actions) act(ctx context.Context, name string, dryRun []string, grace *int64, change change) (outcome error) {
	vmi, err := a.instance(ctx, name)
	if err != nil {
		return err
	}
	if grace != nil && vmi != nil && !final(vmi) {
		// The controllers take the grace period from the instance when they delete it, so it must stand there before
		// they are asked to. By itself it changes nothing, but not even that may happen when the action is refused.
		obj, err := a.machines.Get(ctx, name, &metav1.GetOptions{})
		if err != nil {
			return notFound(name, err)
		}
		if err := change(obj.DeepCopyObject().(*virtv1.VirtualMachine), vmi); err != nil {
			return err
		}
		switch err := a.setGracePeriod(ctx, vmi, grace, dryRun); {
		case apierrors.IsNotFound(err):
			vmi = nil // it has ended meanwhile
		case err != nil:
			return err
		default:
			defer func() {
				if outcome == nil {
					return
				}
				// The machine was refused after all: its guest keeps the time that it had.
				// Also when it was the client that has gone.
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTimeout)
				defer cancel()
				if back := a.setGracePeriod(ctx, vmi, vmi.Spec.TerminationGracePeriodSeconds, dryRun); back != nil && !apierrors.IsNotFound(back) {
					klog.FromContext(ctx).Error(back, "Could not give a guest its grace period back", "vmi", klog.KObj(vmi))
				}
			}()
		}
	}
	info := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		was := old.(*virtv1.VirtualMachine)
		vm := was.DeepCopy()
		if err := change(vm, vmi); err != nil {
			return nil, err
		}
		if err := own(vm, was, a.clock.Now()); err != nil {
			return nil, err
		}
		return vm, nil
	}, a.admission.mutate(name, dryRun))
	_, _, err = a.machines.Update(ctx, name, info, rest.ValidateAllObjectFunc, a.admission.validate(ctx, name, dryRun), false, &metav1.UpdateOptions{DryRun: dryRun})
	return notFound(name, err)
}

// notFound names the kind as clients of either group know it, and not the group through which they came.
func notFound(name string, err error) error {
	if apierrors.IsNotFound(err) {
		return apierrors.NewNotFound(virtv1.Resource("virtualmachine"), name)
	}
	return err
}

// instance reads the instance of a machine, or nil if there is none.
func (a *Actions) instance(ctx context.Context, name string) (*virtv1.VirtualMachineInstance, error) {
	obj, err := a.instances.Get(ctx, name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return obj.(*virtv1.VirtualMachineInstance), nil
}

func (a *Actions) setGracePeriod(ctx context.Context, vmi *virtv1.VirtualMachineInstance, seconds *int64, dryRun []string) error {
	info := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		out := old.(*virtv1.VirtualMachineInstance).DeepCopy()
		if out.UID != vmi.UID {
			return nil, apierrors.NewConflict(virtv1.Resource("virtualmachineinstance"), vmi.Name, fmt.Errorf("the instance was replaced meanwhile: try again"))
		}
		out.Spec.TerminationGracePeriodSeconds = seconds
		return out, nil
	})
	// The spec of an instance is not the user's to change: this is the server's own write.
	ctx = genericapirequest.WithUser(ctx, serverUser)
	_, _, err := a.instances.Update(ctx, vmi.Name, info, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{DryRun: dryRun})
	return err
}
