package vmi

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// Reasons of the Provisioning condition that concern the claim for what firmware and TPM remember.
const (
	ReasonStateClaimFailed   = "PersistentStateClaimFailed"
	ReasonStateClaimNotOwned = "PersistentStateClaimNotOwned"
)

// stateSize is what the claim asks for: UEFI variables take half a MiB, the TPM's state less.
const stateSize = "10Mi"

// stateClaim is the name of the instance's claim for what its firmware and TPM remember, empty if it needs none.
func stateClaim(vmi *virtv1.VirtualMachineInstance) string {
	if !machine.KeepsState(&vmi.Spec) {
		return ""
	}
	return machine.StateClaimName(vmi.Name)
}

// renderStateClaim is the claim as it is created. It belongs to the machine, whose instances come and go, and to the instance
// itself if that has no machine.
func renderStateClaim(vmi *virtv1.VirtualMachineInstance, class string) *corev1.PersistentVolumeClaim {
	owner := *metav1.NewControllerRef(vmi, virtv1.SchemeGroupVersion.WithKind("VirtualMachineInstance"))
	if ref := metav1.GetControllerOf(vmi); ref != nil && ref.Kind == "VirtualMachine" {
		owner = *ref.DeepCopy()
	}
	owner.BlockOwnerDeletion = nil // who deletes a machine need not wait for its storage
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: vmi.Namespace, Name: stateClaim(vmi),
			Labels:          map[string]string{machine.StateLabel: machine.HostName("", vmi.Name)},
			OwnerReferences: []metav1.OwnerReference{owner},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, VolumeMode: ptr.To(corev1.PersistentVolumeFilesystem),
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(stateSize)}},
		},
	}
	if class != "" {
		claim.Spec.StorageClassName = &class
	}
	return claim
}

// createStateClaim makes the claim, or finds the one that the cache does not show yet.
func (r *Reconciler) createStateClaim(ctx context.Context, vmi *virtv1.VirtualMachineInstance, class string) (*corev1.PersistentVolumeClaim, wait, error) {
	claim := renderStateClaim(vmi, class)
	ranges, err := r.ranges(ctx, vmi.Namespace)
	if err != nil {
		return nil, wait{}, err
	}
	if least, ok := ranges.claim.min[corev1.ResourceStorage]; ok {
		asked := claim.Spec.Resources.Requests
		asked[corev1.ResourceStorage] = larger(asked[corev1.ResourceStorage], least.Quantity)
	}
	err = r.Client.Create(ctx, claim)
	switch {
	case err == nil:
		r.Recorder.Eventf(vmi, claim, corev1.EventTypeNormal, "SuccessfulCreate", "CreateClaim", "Created PersistentVolumeClaim %s for what the machine's firmware and TPM remember", claim.Name)
		return claim, wait{}, nil
	case apierrors.IsAlreadyExists(err):
		if err := r.Live.Get(ctx, client.ObjectKeyFromObject(claim), claim); err != nil {
			return nil, wait{}, fmt.Errorf("getting claim %s: %w", claim.Name, err)
		}
		return claim, wait{}, nil
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return nil, wait{reason: ReasonStateClaimFailed, message: fmt.Sprintf("the claim for what the machine's firmware and TPM remember cannot be made: %v", err), again: unseen}, nil
	}
	return nil, wait{}, fmt.Errorf("creating claim %s: %w", claim.Name, err)
}

// ownsState says why the claim that is there is not to be used: what another machine's TPM keeps secret is not this one's. A claim
// that nobody owns was put there by someone, from a backup for instance. What becomes of the claim brings us back.
func ownsState(vmi *virtv1.VirtualMachineInstance, claim *corev1.PersistentVolumeClaim) wait {
	want := renderStateClaim(vmi, "").OwnerReferences[0]
	if claim.DeletionTimestamp != nil {
		return wait{reason: ReasonStateClaimNotOwned, message: fmt.Sprintf("PersistentVolumeClaim %s is being deleted: the machine starts with a new one once it is gone", claim.Name)}
	}
	if owner := metav1.GetControllerOf(claim); owner != nil && owner.UID != want.UID {
		return wait{reason: ReasonStateClaimNotOwned, message: fmt.Sprintf("PersistentVolumeClaim %s belongs to %s %s (uid %s), not to this machine (uid %s): delete it, or take its ownerReferences away to let this machine have it",
			claim.Name, owner.Kind, owner.Name, owner.UID, want.UID)}
	}
	return wait{}
}
