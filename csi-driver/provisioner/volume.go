package provisioner

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/csi-driver/driver"
)

// protection is what Kubernetes keeps a volume with while a claim or pod uses it.
const protection = "kubernetes.io/pv-protection"

// plan is what a volume needs.
type plan int

const (
	planNothing plan = iota
	planAddFinalizer
	planRemoveFinalizer
	planDelete
)

// planFor decides about a volume of this node. It is a function of the object alone.
func planFor(volume *corev1.PersistentVolume) plan {
	source := volume.Spec.CSI
	if source == nil || source.Driver != driver.Name || volume.Annotations[annProvisionedBy] != driver.Name {
		return planNothing
	}
	held := slices.Contains(volume.Finalizers, finalizer)
	going := volume.DeletionTimestamp != nil
	if volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		// The content shall outlive the object.
		if held {
			return planRemoveFinalizer
		}
		return planNothing
	}
	released := volume.Status.Phase == corev1.VolumeReleased || volume.Status.Phase == corev1.VolumeFailed
	used := volume.Status.Phase == corev1.VolumeBound || slices.Contains(volume.Finalizers, protection) && !released
	switch {
	case released && (held || !going):
		return planDelete
	case going && held && !used:
		// Deleted by hand, and no claim has it.
		return planDelete
	case !going && !held:
		return planAddFinalizer
	}
	return planNothing
}

// syncVolume removes a volume that nobody needs any more, content first.
func (p *Provisioner) syncVolume(ctx context.Context, name string) error {
	obj, found, err := p.volumes.GetStore().GetByKey(name)
	if err != nil || !found {
		return err
	}
	volume, ok := obj.(*corev1.PersistentVolume)
	if !ok {
		return fmt.Errorf("watching volumes: got a %T", obj)
	}
	switch planFor(volume) {
	case planAddFinalizer:
		return p.setFinalizers(ctx, volume, append(slices.Clone(volume.Finalizers), finalizer))
	case planRemoveFinalizer:
		return p.releaseFinalizer(ctx, volume)
	case planDelete:
		return p.deleteVolume(ctx, volume)
	}
	return nil
}

func (p *Provisioner) deleteVolume(ctx context.Context, seen *corev1.PersistentVolume) error {
	// The watch may be old, and content that is gone does not come back: ask before.
	volumes := p.Client.CoreV1().PersistentVolumes()
	volume, err := volumes.Get(ctx, seen.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading volume: %w", err)
	}
	if volume.UID != seen.UID || planFor(volume) != planDelete {
		return nil
	}
	if _, err := p.Volumes.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: volume.Spec.CSI.VolumeHandle}); err != nil {
		p.events.Event(volume, corev1.EventTypeWarning, reasonDeleteFailed, err.Error())
		return fmt.Errorf("removing volume %q: %w", volume.Spec.CSI.VolumeHandle, err)
	}
	p.capacity.poke()
	klog.FromContext(ctx).Info("Removed the content of a volume")
	err = volumes.Delete(ctx, volume.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(volume.UID))})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting volume object: %w", err)
	}
	return p.releaseFinalizer(ctx, volume)
}

// releaseFinalizer takes our finalizer off what the API server has now. Kubernetes takes off its own at the same moment, so conflicts are usual.
func (p *Provisioner) releaseFinalizer(ctx context.Context, seen *corev1.PersistentVolume) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		volume, err := p.Client.CoreV1().PersistentVolumes().Get(ctx, seen.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading volume: %w", err)
		}
		if volume.UID != seen.UID || !slices.Contains(volume.Finalizers, finalizer) {
			return nil
		}
		return p.setFinalizers(ctx, volume, slices.DeleteFunc(slices.Clone(volume.Finalizers), func(f string) bool { return f == finalizer }))
	})
}

// setFinalizers replaces the list, provided that nobody changed the object since it was read.
func (p *Provisioner) setFinalizers(ctx context.Context, volume *corev1.PersistentVolume, finalizers []string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": volume.UID, "resourceVersion": volume.ResourceVersion, "finalizers": finalizers,
	}})
	if err != nil {
		return fmt.Errorf("writing finalizers: %w", err)
	}
	_, err = p.Client.CoreV1().PersistentVolumes().Patch(ctx, volume.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("writing finalizers: %w", err)
	}
	return nil
}
