package driver

import (
	"context"
	"errors"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/virtplane/virtplane/csi-driver/pool"
)

// fullBelow is the share of a pool's file system, in percent, below which writes of any volume may fail soon.
const fullBelow = 3

// The reasons that health reports give, for people and programs to search for.
const (
	reasonPoolUnusable  = "PoolUnusable"
	reasonPoolFull      = "PoolFull"
	reasonContentGone   = "ContentGone"
	reasonOverSize      = "OverSize"
	reasonNotMeasurable = "NotMeasurable"
	reasonTooDeep       = "TooDeep"
)

func (d *Driver) volumeHealth(ctx context.Context, id string) (*csi.VolumeHealth, error) {
	if id == "" {
		return nil, invalid("volume_id: must be set")
	}
	health := &csi.VolumeHealth{VolumeId: id}
	report := func(status csi.VolumeHealthErrorType, reason, message string) {
		health.HealthStatuses = append(health.HealthStatuses, &csi.VolumeHealth_VolumeHealthEntry{Status: status, Reason: reason, Message: message})
	}
	volume, err := d.pools.Get(ctx, id)
	if errors.Is(err, pool.ErrUnusable) {
		report(csi.VolumeHealthErrorType_INACCESSIBLE, reasonPoolUnusable, err.Error())
		return health, nil
	}
	if err != nil {
		return nil, statusOf(err)
	}
	content, err := d.pools.OpenContent(ctx, id)
	if err != nil {
		report(csi.VolumeHealthErrorType_DATA_LOSS, reasonContentGone, err.Error())
		return health, nil
	}
	_ = content.Close()
	usage, err := d.pools.Usage(ctx, id)
	switch {
	case errors.Is(err, pool.ErrTooDeep):
		report(csi.VolumeHealthErrorType_DEGRADED, reasonTooDeep, err.Error())
	case err != nil:
		report(csi.VolumeHealthErrorType_DEGRADED, reasonNotMeasurable, err.Error())
	case volume.Size > 0 && usage.Bytes > volume.Size:
		report(csi.VolumeHealthErrorType_DEGRADED, reasonOverSize, fmt.Sprintf("volume holds %d bytes, it was promised %d", usage.Bytes, volume.Size))
	}
	if full := d.poolFull(ctx, volume.Pool); full != "" {
		report(csi.VolumeHealthErrorType_DEGRADED, reasonPoolFull, full)
	}
	return health, nil
}

func (d *Driver) storageHealth(ctx context.Context) []*csi.NodeGetStorageHealthResponse_StorageBackendHealth {
	var all []*csi.NodeGetStorageHealthResponse_StorageBackendHealth
	for _, spec := range d.pools.Specs() {
		if _, err := d.pools.Capacity(ctx, spec.Name); err != nil {
			all = append(all, &csi.NodeGetStorageHealthResponse_StorageBackendHealth{
				Status: csi.StorageHealthErrorType_STORAGE_UNREACHABLE, Reason: reasonPoolUnusable, Message: err.Error(),
			})
			continue
		}
		if full := d.poolFull(ctx, spec.Name); full != "" {
			all = append(all, &csi.NodeGetStorageHealthResponse_StorageBackendHealth{
				Status: csi.StorageHealthErrorType_STORAGE_DEGRADED, Reason: reasonPoolFull, Message: full,
			})
		}
	}
	return unique(all)
}

// unique joins the messages of entries of one status and reason, of which the specification allows only one.
func unique(all []*csi.NodeGetStorageHealthResponse_StorageBackendHealth) []*csi.NodeGetStorageHealthResponse_StorageBackendHealth {
	var joined []*csi.NodeGetStorageHealthResponse_StorageBackendHealth
	for _, one := range all {
		found := false
		for _, other := range joined {
			if other.Status == one.Status && other.Reason == one.Reason {
				other.Message += "; " + one.Message
				found = true
			}
		}
		if !found {
			joined = append(joined, one)
		}
	}
	return joined
}

func (d *Driver) poolFull(ctx context.Context, name string) string {
	capacity, err := d.pools.Capacity(ctx, name)
	if err != nil || capacity.Free >= capacity.Total/100*fullBelow {
		return ""
	}
	return fmt.Sprintf("file system of pool %q has %d of %d bytes left", name, capacity.Free, capacity.Total)
}
