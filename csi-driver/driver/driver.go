// Package driver is the CSI face of the hostpath driver: identity, controller and node service over the pools and mounts of one node. Here CSI requests are validated and turned into calls of package pool, and its errors
// into gRPC codes; nowhere else does a gRPC code appear. It keeps no state, and knows nothing of Kubernetes.
package driver

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/virtplane/virtplane/csi-driver/mount"
	"github.com/virtplane/virtplane/csi-driver/pool"
)

const (
	// Name is the driver's name, as StorageClasses and PersistentVolumes have it.
	Name = "kubevirt.io.hostpath-provisioner"
	// TopologyKey is the node label whose value says on which node a volume is.
	TopologyKey = "topology.hostpath.csi/node"
	// ParameterPool names the pool in a StorageClass, and in the context of a volume.
	ParameterPool = "storagePool"

	// maxNodeID is what a Kubernetes label value may hold, which the node id becomes.
	maxNodeID = 63
)

// Mounts is what the node service needs of the kubelet's directory.
type Mounts interface {
	// Bind mounts source at target, where nothing is mounted.
	Bind(source *os.File, target string, readOnly bool) error
	// State says what is mounted at target.
	State(source *os.File, target string) (state mount.State, readOnly bool, err error)
	// Unmount removes the mount and the target.
	Unmount(target string) error
	// Targets lists where the source is mounted.
	Targets(source *os.File) ([]string, error)
}

// Driver serves the pools of one node.
type Driver struct {
	nodeID  string
	version string
	pools   *pool.Pools
	mounts  Mounts
	ready   func() error
}

// New makes the driver of a node. ready says what else keeps the driver from being ready, beside its pools.
func New(nodeID, version string, pools *pool.Pools, mounts Mounts, ready func() error) (*Driver, error) {
	if nodeID == "" || len(nodeID) > maxNodeID {
		return nil, fmt.Errorf("node id %q: must have 1 to %d characters, since it becomes a label value", nodeID, maxNodeID)
	}
	return &Driver{nodeID: nodeID, version: version, pools: pools, mounts: mounts, ready: ready}, nil
}

// Topology is where this driver's volumes are.
func (d *Driver) Topology() *csi.Topology {
	return &csi.Topology{Segments: map[string]string{TopologyKey: d.nodeID}}
}

// statusOf gives an error of the other packages its code. The text stays, it is written for users.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	for _, known := range []struct {
		err  error
		code codes.Code
	}{
		{pool.ErrNotFound, codes.NotFound},
		{pool.ErrConflict, codes.AlreadyExists},
		{pool.ErrNoSpace, codes.ResourceExhausted},
		{pool.ErrShared, codes.ResourceExhausted}, // another node may have room
		{pool.ErrTooDeep, codes.FailedPrecondition},
		{pool.ErrInvalid, codes.InvalidArgument},
		{pool.ErrBusy, codes.Aborted},
		{pool.ErrUnusable, codes.Unavailable},
		{unix.EROFS, codes.Unavailable}, // its file system has become read-only; a later try may find it repaired
		{mount.ErrOutside, codes.InvalidArgument},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{context.Canceled, codes.Canceled},
	} {
		if errors.Is(err, known.err) {
			return status.Error(known.code, err.Error())
		}
	}
	return status.Error(codes.Internal, err.Error())
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// checkCapability says whether a volume can be used as asked for.
func checkCapability(c *csi.VolumeCapability) error {
	if c == nil {
		return invalid("volume_capability: must be set")
	}
	switch {
	case c.GetBlock() != nil:
		return invalid("volume_capability.block: volumes of this driver have volumeMode Filesystem")
	case c.GetMount() == nil:
		return invalid("volume_capability.mount: must be set")
	case c.GetMount().GetFsType() != "":
		return invalid("volume_capability.mount.fs_type: %q cannot be chosen, the volume is a directory of the pool's file system; leave it empty", c.GetMount().GetFsType())
	case len(c.GetMount().GetMountFlags()) > 0:
		return invalid("volume_capability.mount.mount_flags: %q cannot be applied to a directory of a pool; remove mountOptions", c.GetMount().GetMountFlags())
	}
	switch mode := c.GetAccessMode().GetMode(); mode {
	case csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER,
		csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY,
		csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER,
		csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER:
		return nil
	case csi.VolumeCapability_AccessMode_UNKNOWN:
		return invalid("volume_capability.access_mode: must be set")
	default:
		return invalid("volume_capability.access_mode: %s is not possible, a volume is on one node only; use ReadWriteOnce or ReadWriteOncePod", mode)
	}
}
