package vmi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// ReasonClaimInUse is that of an instance whose claim another one has, or another pod where the claim is for one pod alone.
const ReasonClaimInUse = "PersistentVolumeClaimInUse"

// use is what an instance does with the disk image in a claim. A folder that is shared with the guest is no image, and anybody
// may have it too.
type use struct {
	image, writes, shares bool
}

// uses says what an instance does with a claim, by the rules of QEMU's locks on images.
func uses(vmi *virtv1.VirtualMachineInstance, claim string) use {
	if claim == stateClaim(vmi) {
		return use{image: true, writes: true}
	}
	devices := &vmi.Spec.Domain.Devices
	out := use{shares: true}
	for _, v := range vmi.Spec.Volumes {
		if claimOf(v) != claim || slices.ContainsFunc(devices.Filesystems, func(f virtv1.Filesystem) bool { return f.Name == v.Name }) {
			continue
		}
		out.image = true
		reads, shares := claimReadOnly(v) || v.Ephemeral != nil, false // below an overlay, the claim is only read
		for i := range devices.Disks {
			if d := &devices.Disks[i]; d.Name == v.Name {
				reads, shares = reads || readsOnly(d), machine.IsTrue(d.Shareable)
			}
		}
		out.writes, out.shares = out.writes || !reads, out.shares && shares
	}
	return out
}

func readsOnly(d *virtv1.Disk) bool {
	switch {
	case d.Cdrom != nil:
		return true
	case d.Lun != nil:
		return machine.IsTrue(d.Lun.Readonly)
	}
	return d.Disk != nil && machine.IsTrue(d.Disk.Readonly)
}

// excludes says whether two uses of one image are not possible at the same time: what one of them writes the other must share.
func (u use) excludes(o use) bool {
	return u.image && o.image && (u.writes && !o.shares || o.writes && !u.shares)
}

// claimInUse looks for another instance that has a claim which this one cannot have beside it. The lock on the image would
// refuse it too, but only once its guest starts. The end of the holder brings this one back.
func (r *Reconciler) claimInUse(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (wait, error) {
	for _, name := range claims(vmi) {
		var list virtv1.VirtualMachineInstanceList
		if err := r.Client.List(ctx, &list, client.InNamespace(vmi.Namespace), client.MatchingFields{instanceByClaim: name}); err != nil {
			return wait{}, fmt.Errorf("listing the instances that use claim %s: %w", name, err)
		}
		mine := uses(vmi, name)
		for i := range list.Items {
			other := &list.Items[i]
			if other.UID == vmi.UID || !mine.excludes(uses(other, name)) {
				continue
			}
			if holds, err := r.holds(ctx, other, vmi); err != nil {
				return wait{}, err
			} else if holds {
				return wait{reason: ReasonClaimInUse, message: fmt.Sprintf("PersistentVolumeClaim %s is in use by VirtualMachineInstance %s: the machine starts when that has ended; "+
					"several machines can have one claim only if all read it, or if its disk is shareable in each", name, other.Name)}, nil
			}
		}
	}
	return wait{}, nil
}

// holds says whether an instance has its claims, or comes before another one: the older of two that have nothing else to wait
// for, so that each of two that begin at once knows which it is.
func (r *Reconciler) holds(ctx context.Context, holder, waiting *virtv1.VirtualMachineInstance) (bool, error) {
	switch {
	case final(holder.Status.Phase):
		return false, nil
	case holder.Status.NodeName != "":
		return true, nil
	}
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(holder.Namespace), client.MatchingFields{podByInstance: string(holder.UID)}); err != nil {
		return false, fmt.Errorf("listing pods of instance %s: %w", holder.Name, err)
	}
	if len(pods.Items) > 0 {
		return true, nil
	}
	if holder.DeletionTimestamp != nil || conditionOf(&holder.Status, virtv1.VirtualMachineInstanceProvisioning) != nil || synchronizedFalse(&holder.Status) {
		return false, nil
	}
	older := holder.CreationTimestamp.Compare(waiting.CreationTimestamp.Time)
	return older < 0 || older == 0 && holder.UID < waiting.UID, nil
}

func synchronizedFalse(status *virtv1.VirtualMachineInstanceStatus) bool {
	c := conditionOf(status, virtv1.VirtualMachineInstanceSynchronized)
	return c != nil && c.Status == corev1.ConditionFalse
}

// rivals are the instances without a node that want a claim of another one.
func (r *Reconciler) rivals(ctx context.Context, o client.Object) []reconcile.Request {
	vmi := o.(*virtv1.VirtualMachineInstance)
	var out []reconcile.Request
	for _, name := range claims(vmi) {
		var list virtv1.VirtualMachineInstanceList
		if err := r.Client.List(ctx, &list, client.InNamespace(vmi.Namespace), client.MatchingFields{instanceByClaim: name}); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Could not list the instances that use a claim", "claim", name)
			return nil
		}
		for i := range list.Items {
			if other := &list.Items[i]; other.UID != vmi.UID && other.Status.NodeName == "" && !final(other.Status.Phase) {
				out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(other)})
			}
		}
	}
	return out
}

// givesWay are the events by which an instance stops to hold its claims: it ends, it goes, or something else keeps it from
// starting, so that it does not come before others any more.
var givesWay = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	DeleteFunc:  func(event.DeleteEvent) bool { return true },
	UpdateFunc: func(e event.UpdateEvent) bool {
		was, is := e.ObjectOld.(*virtv1.VirtualMachineInstance), e.ObjectNew.(*virtv1.VirtualMachineInstance)
		stuck := func(vmi *virtv1.VirtualMachineInstance) bool {
			return vmi.DeletionTimestamp != nil || final(vmi.Status.Phase) || synchronizedFalse(&vmi.Status) ||
				conditionOf(&vmi.Status, virtv1.VirtualMachineInstanceProvisioning) != nil
		}
		return !stuck(was) && stuck(is) || !final(was.Status.Phase) && final(is.Status.Phase)
	},
}

// onePod is how the scheduler speaks of a claim with the access mode ReadWriteOncePod that another pod has.
const onePod = "ReadWriteOncePod access mode"

// heldByPod names the pod that has a claim which is for one pod alone, in the place of the scheduler's words. The scheduler
// tries again when that pod goes. With ReadWriteOnce a claim is one node's, whose pods may all have it: what any other pod does
// with an image no lock tells.
func (r *Reconciler) heldByPod(ctx context.Context, pod *corev1.Pod, found map[string]*corev1.PersistentVolumeClaim, w wait) (wait, error) {
	if w.reason != ReasonUnschedulable || !strings.Contains(w.message, onePod) {
		return w, nil
	}
	var all corev1.PodList
	if err := r.Live.List(ctx, &all, client.InNamespace(pod.Namespace)); err != nil {
		return w, fmt.Errorf("looking for the pod that has a claim of pod %s: %w", pod.Name, err)
	}
	for i := range all.Items {
		other := &all.Items[i]
		if other.UID == pod.UID || other.Spec.NodeName == "" || ended(other) {
			continue
		}
		for _, v := range other.Spec.Volumes {
			if c := v.PersistentVolumeClaim; c != nil && exclusive(found[c.ClaimName]) {
				return wait{reason: ReasonClaimInUse, message: fmt.Sprintf("PersistentVolumeClaim %s is in use by pod %s, and its access mode ReadWriteOncePod lets no other have it: the machine starts when that pod is gone", c.ClaimName, other.Name)}, nil
			}
		}
	}
	return w, nil
}

func exclusive(claim *corev1.PersistentVolumeClaim) bool {
	return claim != nil && slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteOncePod)
}
