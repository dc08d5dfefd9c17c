package replicaset

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Reasons of events and of the condition ReplicaFailure.
const (
	ReasonCreated      = "SuccessfulCreate"
	ReasonDeleted      = "SuccessfulDelete"
	ReasonCreateFailed = "FailedCreate"
	ReasonDeleteFailed = "FailedDelete"
	ReasonPaused       = "SuccessfulPaused"
	ReasonResumed      = "SuccessfulResumed"
)

// maxStrangers is how many names may be those of others' instances before that is a failure.
const maxStrangers = 100

// problem is what could not be done.
type problem struct {
	reason string
	err    error
}

// carryOut does what is planned up to the first failure, and gives the members as they are then.
func (r *Reconciler) carryOut(ctx context.Context, set *virtv1.VirtualMachineInstanceReplicaSet, members []virtv1.VirtualMachineInstance, p plan) ([]virtv1.VirtualMachineInstance, *problem) {
	made, strangers, next := 0, 0, names(set, members)
	for made < p.create {
		vmi := instance(set, next())
		err := r.Client.Create(ctx, vmi)
		if apierrors.IsAlreadyExists(err) && strangers < maxStrangers {
			if vmi, err = r.there(ctx, set, vmi.Name); err == nil && vmi == nil {
				strangers++
				continue
			}
		}
		if err != nil {
			r.Recorder.Eventf(set, nil, corev1.EventTypeWarning, ReasonCreateFailed, "CreateInstance", "Error creating virtual machine instance: %v", err)
			return members, &problem{ReasonCreateFailed, fmt.Errorf("creating an instance: %w", err)}
		}
		r.Recorder.Eventf(set, vmi, corev1.EventTypeNormal, ReasonCreated, "CreateInstance", "Started the virtual machine by creating the new virtual machine instance %s", vmi.Name)
		members = append(members, *vmi)
		made++
	}
	for _, group := range []struct {
		instances []virtv1.VirtualMachineInstance
		note      string
	}{{p.remove, "Stopped the virtual machine by deleting the virtual machine instance %s"}, {p.ended, "Deleted finished virtual machine: %s"}} {
		for i := range group.instances {
			vmi := &group.instances[i]
			if err := r.Client.Delete(ctx, vmi, client.Preconditions{UID: &vmi.UID}); client.IgnoreNotFound(err) != nil {
				r.Recorder.Eventf(set, nil, corev1.EventTypeWarning, ReasonDeleteFailed, "DeleteInstance", "Error deleting virtual machine instance %s: %v", vmi.Name, err)
				return members, &problem{ReasonDeleteFailed, fmt.Errorf("deleting instance %s: %w", vmi.Name, err)}
			}
			r.Recorder.Eventf(set, nil, corev1.EventTypeNormal, ReasonDeleted, "DeleteInstance", group.note, vmi.Name)
			members = slices.DeleteFunc(slices.Clone(members), func(m virtv1.VirtualMachineInstance) bool { return m.UID == vmi.UID })
		}
	}
	return members, nil
}

// there is the instance that has a name already, if it is the set's own: an earlier life of this controller has made it.
func (r *Reconciler) there(ctx context.Context, set *virtv1.VirtualMachineInstanceReplicaSet, name string) (*virtv1.VirtualMachineInstance, error) {
	var vmi virtv1.VirtualMachineInstance
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: set.Namespace, Name: name}, &vmi)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("looking for instance %s: %w", name, err)
	}
	if err != nil || !metav1.IsControlledBy(&vmi, set) || !active(&vmi) {
		return nil, nil
	}
	return &vmi, nil
}

// summarize is the status that follows from the members.
func summarize(set *virtv1.VirtualMachineInstanceReplicaSet, selector labels.Selector, members []virtv1.VirtualMachineInstance, failed *problem, now metav1.Time) virtv1.VirtualMachineInstanceReplicaSetStatus {
	status := *set.Status.DeepCopy()
	status.LabelSelector = selector.String()
	status.Replicas, status.ReadyReplicas = 0, 0
	for i := range members {
		if !active(&members[i]) {
			continue
		}
		status.Replicas++
		if ready(&members[i]) {
			status.ReadyReplicas++
		}
	}
	if failed != nil {
		setCondition(&status, virtv1.VirtualMachineInstanceReplicaSetReplicaFailure, failed.reason, failed.err.Error(), now)
	} else {
		dropCondition(&status, virtv1.VirtualMachineInstanceReplicaSetReplicaFailure)
	}
	if paused(set) {
		setCondition(&status, virtv1.VirtualMachineInstanceReplicaSetReplicaPaused, "Paused", "Controller got paused", now)
	} else {
		dropCondition(&status, virtv1.VirtualMachineInstanceReplicaSetReplicaPaused)
	}
	return status
}

func setCondition(status *virtv1.VirtualMachineInstanceReplicaSetStatus, t virtv1.VirtualMachineInstanceReplicaSetConditionType, reason, message string, now metav1.Time) {
	i := slices.IndexFunc(status.Conditions, func(c virtv1.VirtualMachineInstanceReplicaSetCondition) bool { return c.Type == t })
	if i < 0 {
		status.Conditions = append(status.Conditions, virtv1.VirtualMachineInstanceReplicaSetCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: now})
		i = len(status.Conditions) - 1
	}
	status.Conditions[i].Reason, status.Conditions[i].Message = reason, message
}

func dropCondition(status *virtv1.VirtualMachineInstanceReplicaSetStatus, t virtv1.VirtualMachineInstanceReplicaSetConditionType) {
	status.Conditions = slices.DeleteFunc(status.Conditions, func(c virtv1.VirtualMachineInstanceReplicaSetCondition) bool { return c.Type == t })
}

// announce tells as an event that a set was paused or goes on.
func (r *Reconciler) announce(was, is *virtv1.VirtualMachineInstanceReplicaSet) {
	has := func(s *virtv1.VirtualMachineInstanceReplicaSet) bool {
		return slices.ContainsFunc(s.Status.Conditions, func(c virtv1.VirtualMachineInstanceReplicaSetCondition) bool {
			return c.Type == virtv1.VirtualMachineInstanceReplicaSetReplicaPaused
		})
	}
	switch {
	case has(is) && !has(was):
		r.Recorder.Eventf(is, nil, corev1.EventTypeNormal, ReasonPaused, "Pause", "Paused")
	case has(was) && !has(is):
		r.Recorder.Eventf(is, nil, corev1.EventTypeNormal, ReasonResumed, "Resume", "Resumed")
	}
}
