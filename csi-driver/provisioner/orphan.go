package provisioner

import (
	"context"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
)

const (
	sweepInterval = 10 * time.Minute
	// orphanAge keeps the sweep away from volumes that are just being made.
	orphanAge = 10 * time.Minute
)

// sweepOrphans removes volumes that were made for a claim which then went away, or to another node, before the PersistentVolume was written.
func (p *Provisioner) sweepOrphans(ctx context.Context) {
	wait.JitterUntilWithContext(ctx, p.sweepOnce, sweepInterval, 0.2, true)
}

func (p *Provisioner) sweepOnce(ctx context.Context) {
	for _, volume := range p.Local(ctx) {
		log := klog.FromContext(ctx).WithValues("volume", volume.ID)
		orphan, err := p.isOrphan(ctx, volume)
		if err == nil && orphan {
			log.Info("Removing a volume that no claim waits for and no pod has ever had")
			_, err = p.Volumes.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: volume.ID})
		}
		if err != nil {
			log.Error(err, "Could not judge or remove a volume without an owner")
		}
	}
}

// isOrphan is sure only of volumes that hold nothing: no pod has ever had them.
func (p *Provisioner) isOrphan(ctx context.Context, volume LocalVolume) (bool, error) {
	uid, ours := strings.CutPrefix(volume.ID, volumePrefix)
	if !ours || volume.Published || time.Since(volume.Created) < orphanAge || p.claims.waitsFor(types.UID(uid)) {
		return false, nil
	}
	_, err := p.Client.CoreV1().PersistentVolumes().Get(ctx, volume.ID, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return false, err
}
