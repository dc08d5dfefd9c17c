package driver

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/virtplane/virtplane/csi-driver/mount"
)

// Node is the CSI node service. A volume needs no staging: its directory is there already, and each pod gets a bind mount of it.
type Node struct {
	csi.UnimplementedNodeServer
	*Driver
}

// NodeGetCapabilities lists what the service offers.
func (n Node) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	var all []*csi.NodeServiceCapability
	for _, t := range []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
		csi.NodeServiceCapability_RPC_GET_VOLUME_HEALTH,
		csi.NodeServiceCapability_RPC_GET_STORAGE_HEALTH,
		csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		all = append(all, &csi.NodeServiceCapability{Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: t}}})
	}
	return &csi.NodeGetCapabilitiesResponse{Capabilities: all}, nil
}

// NodeGetInfo names the node; the kubelet makes the topology a label of its Node.
func (n Node) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: n.nodeID, AccessibleTopology: n.Topology()}, nil
}

// NodePublishVolume mounts a volume for a pod.
func (n Node) NodePublishVolume(ctx context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	id, target := r.GetVolumeId(), r.GetTargetPath()
	switch {
	case id == "":
		return nil, invalid("volume_id: must be set")
	case target == "":
		return nil, invalid("target_path: must be set")
	}
	if err := checkCapability(r.GetVolumeCapability()); err != nil {
		return nil, err
	}
	unlock, err := n.pools.Lock(id)
	if err != nil {
		return nil, statusOf(err)
	}
	defer unlock()
	if err := n.publish(ctx, r); err != nil {
		return nil, statusOf(err)
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (n Node) publish(ctx context.Context, r *csi.NodePublishVolumeRequest) error {
	id, target, mode := r.GetVolumeId(), filepath.Clean(r.GetTargetPath()), r.GetVolumeCapability().GetAccessMode().GetMode()
	readOnly := r.GetReadonly() || mode == csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY
	content, err := n.pools.OpenContent(ctx, id)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	state, isReadOnly, err := n.mounts.State(content, target)
	switch {
	case err != nil:
		return err
	case state == mount.Foreign:
		return status.Errorf(codes.FailedPrecondition, "target_path: something else is mounted at %s", target)
	case state == mount.Mounted && isReadOnly == readOnly:
		return nil
	case state == mount.Mounted:
		return status.Errorf(codes.AlreadyExists, "volume %q is mounted at %s with readonly %v, asked for was %v", id, target, isReadOnly, readOnly)
	}
	if mode == csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER {
		targets, err := n.mounts.Targets(content)
		if err != nil {
			return err
		}
		if others := slices.DeleteFunc(targets, func(t string) bool { return t == target }); len(others) > 0 {
			return status.Errorf(codes.FailedPrecondition, "volume %q may be used by one pod only and is mounted at %s", id, others[0])
		}
	}
	if err := n.pools.MarkPublished(ctx, id); err != nil {
		return err
	}
	return n.mounts.Bind(content, target, readOnly)
}

// NodeUnpublishVolume takes the mount of a pod away. It does so too when the volume is not known any more: the pod must be able to end.
func (n Node) NodeUnpublishVolume(_ context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	switch {
	case r.GetVolumeId() == "":
		return nil, invalid("volume_id: must be set")
	case r.GetTargetPath() == "":
		return nil, invalid("target_path: must be set")
	}
	unlock, err := n.pools.Lock(r.GetVolumeId())
	if err != nil {
		return nil, statusOf(err)
	}
	defer unlock()
	if err := n.mounts.Unmount(filepath.Clean(r.GetTargetPath())); err != nil {
		return nil, statusOf(err)
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// NodeGetVolumeStats says how full a volume is, measured against what it was promised and not against the pool that it shares with others.
func (n Node) NodeGetVolumeStats(ctx context.Context, r *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	switch {
	case r.GetVolumeId() == "":
		return nil, invalid("volume_id: must be set")
	case r.GetVolumePath() == "":
		return nil, invalid("volume_path: must be set")
	}
	volume, err := n.pools.Get(ctx, r.GetVolumeId())
	if err != nil {
		return nil, statusOf(err)
	}
	if _, err := os.Lstat(r.GetVolumePath()); errors.Is(err, fs.ErrNotExist) {
		return nil, status.Errorf(codes.NotFound, "volume_path: there is nothing at %s", r.GetVolumePath())
	}
	usage, err := n.pools.Usage(ctx, volume.ID)
	if err != nil {
		return nil, statusOf(err)
	}
	capacity, err := n.pools.Capacity(ctx, volume.Pool)
	if err != nil {
		return nil, statusOf(err)
	}
	inodes, freeInodes, err := n.pools.Inodes(ctx, volume.Pool)
	if err != nil {
		return nil, statusOf(err)
	}
	size := volume.Size
	if size == 0 {
		size = capacity.Total
	}
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{
		{Unit: csi.VolumeUsage_BYTES, Total: size, Used: usage.Bytes, Available: min(max(0, size-usage.Bytes), capacity.Free)},
		{Unit: csi.VolumeUsage_INODES, Total: inodes, Used: usage.Inodes, Available: freeInodes},
	}}, nil
}

// NodeGetVolumeHealth says what is wrong with a volume.
func (n Node) NodeGetVolumeHealth(ctx context.Context, r *csi.NodeGetVolumeHealthRequest) (*csi.NodeGetVolumeHealthResponse, error) {
	health, err := n.volumeHealth(ctx, r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.NodeGetVolumeHealthResponse{VolumeHealth: health}, nil
}

// NodeGetStorageHealth says what is wrong with the pools.
func (n Node) NodeGetStorageHealth(ctx context.Context, _ *csi.NodeGetStorageHealthRequest) (*csi.NodeGetStorageHealthResponse, error) {
	return &csi.NodeGetStorageHealthResponse{BackendHealth: n.storageHealth(ctx)}, nil
}
