package driver

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/virtplane/virtplane/csi-driver/pool"
)

// tokenPrefix marks the tokens of ListVolumes, so that a foreign one is noticed.
const tokenPrefix = "after:"

// Controller is the CSI controller service. Each node runs its own, which makes the volumes of that node only.
type Controller struct {
	csi.UnimplementedControllerServer
	*Driver
}

// ControllerGetCapabilities lists what the service offers.
func (c Controller) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	var all []*csi.ControllerServiceCapability
	for _, t := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_LIST_VOLUMES,
		csi.ControllerServiceCapability_RPC_GET_CAPACITY,
		csi.ControllerServiceCapability_RPC_GET_VOLUME,
		csi.ControllerServiceCapability_RPC_GET_VOLUME_HEALTH,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		all = append(all, &csi.ControllerServiceCapability{Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: t}}})
	}
	return &csi.ControllerGetCapabilitiesResponse{Capabilities: all}, nil
}

// CreateVolume makes a volume on this node.
func (c Controller) CreateVolume(ctx context.Context, r *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	poolName, err := c.checkCreate(r)
	if err != nil {
		return nil, err
	}
	unlock, err := c.pools.Lock(pool.VolumeID(r.GetName()))
	if err != nil {
		return nil, statusOf(err)
	}
	defer unlock()
	volume, err := c.pools.Create(ctx, pool.CreateRequest{
		Name:    r.GetName(),
		Pool:    poolName,
		MinSize: r.GetCapacityRange().GetRequiredBytes(),
		MaxSize: r.GetCapacityRange().GetLimitBytes(),
	})
	if err != nil {
		return nil, statusOf(err)
	}
	return &csi.CreateVolumeResponse{Volume: c.describe(volume)}, nil
}

func (c Controller) checkCreate(r *csi.CreateVolumeRequest) (poolName string, err error) {
	if r.GetName() == "" {
		return "", invalid("name: must be set")
	}
	if len(r.GetVolumeCapabilities()) == 0 {
		return "", invalid("volume_capabilities: must be set")
	}
	for _, capability := range r.GetVolumeCapabilities() {
		if err := checkCapability(capability); err != nil {
			return "", err
		}
	}
	if r.GetVolumeContentSource() != nil {
		return "", invalid("volume_content_source: this driver makes empty volumes only")
	}
	if len(r.GetMutableParameters()) > 0 {
		return "", invalid("mutable_parameters: this driver has none")
	}
	if requisite := r.GetAccessibilityRequirements().GetRequisite(); len(requisite) > 0 && !slices.ContainsFunc(requisite, c.isHere) {
		return "", status.Errorf(codes.ResourceExhausted, "accessibility_requirements: volumes of this driver instance are on node %q, which is not among those asked for", c.nodeID)
	}
	return checkParameters(r.GetParameters())
}

func checkParameters(parameters map[string]string) (poolName string, err error) {
	for _, key := range slices.Sorted(maps.Keys(parameters)) {
		// Provisioners add keys of this prefix that say for whom the volume is.
		if key != ParameterPool && !strings.HasPrefix(key, "csi.storage.k8s.io/") {
			return "", invalid("parameters: %q is not known, the only one is %q", key, ParameterPool)
		}
	}
	return parameters[ParameterPool], nil
}

func (d *Driver) isHere(t *csi.Topology) bool {
	for key, value := range t.GetSegments() {
		if key != TopologyKey || value != d.nodeID {
			return false
		}
	}
	return true
}

func (c Controller) describe(volume pool.Volume) *csi.Volume {
	return &csi.Volume{
		VolumeId:           volume.ID,
		CapacityBytes:      volume.Size,
		VolumeContext:      map[string]string{ParameterPool: volume.Pool},
		AccessibleTopology: []*csi.Topology{c.Topology()},
	}
}

// DeleteVolume removes a volume and its content, unless a pod still has it.
func (c Controller) DeleteVolume(ctx context.Context, r *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	id := r.GetVolumeId()
	if id == "" {
		return nil, invalid("volume_id: must be set")
	}
	unlock, err := c.pools.Lock(id)
	if err != nil {
		return nil, statusOf(err)
	}
	defer unlock()
	if content, err := c.pools.OpenContent(ctx, id); err == nil {
		targets, err := c.mounts.Targets(content)
		_ = content.Close()
		if err != nil {
			return nil, statusOf(err)
		}
		if len(targets) > 0 {
			return nil, status.Errorf(codes.FailedPrecondition, "volume %q is still mounted at %s", id, strings.Join(targets, ", "))
		}
	}
	if err := c.pools.Delete(ctx, id); err != nil {
		return nil, statusOf(err)
	}
	return &csi.DeleteVolumeResponse{}, nil
}

// ValidateVolumeCapabilities says whether a volume can be used in all of the ways asked for.
func (c Controller) ValidateVolumeCapabilities(ctx context.Context, r *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, invalid("volume_id: must be set")
	}
	if len(r.GetVolumeCapabilities()) == 0 {
		return nil, invalid("volume_capabilities: must be set")
	}
	if _, err := c.pools.Get(ctx, r.GetVolumeId()); err != nil {
		return nil, statusOf(err)
	}
	for _, capability := range r.GetVolumeCapabilities() {
		if err := checkCapability(capability); err != nil {
			return &csi.ValidateVolumeCapabilitiesResponse{Message: status.Convert(err).Message()}, nil
		}
	}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
		VolumeContext:      r.GetVolumeContext(),
		VolumeCapabilities: r.GetVolumeCapabilities(),
		Parameters:         r.GetParameters(),
	}}, nil
}

// ListVolumes lists the node's volumes by id; a token names the last id of the page before, so pages stay right when volumes come and go in between.
func (c Controller) ListVolumes(ctx context.Context, r *csi.ListVolumesRequest) (*csi.ListVolumesResponse, error) {
	if r.GetMaxEntries() < 0 {
		return nil, invalid("max_entries: %d must not be negative", r.GetMaxEntries())
	}
	after, valid := strings.CutPrefix(r.GetStartingToken(), tokenPrefix)
	if r.GetStartingToken() != "" && !valid {
		return nil, status.Errorf(codes.Aborted, "starting_token: %q was not given by this driver", r.GetStartingToken())
	}
	response := &csi.ListVolumesResponse{}
	for _, volume := range c.pools.List(ctx) {
		if !volume.Ready || volume.ID <= after {
			continue
		}
		if n := len(response.Entries); r.GetMaxEntries() > 0 && n == int(r.GetMaxEntries()) {
			response.NextToken = tokenPrefix + response.Entries[n-1].Volume.VolumeId
			break
		}
		response.Entries = append(response.Entries, &csi.ListVolumesResponse_Entry{Volume: c.describe(volume)})
	}
	return response, nil
}

// ControllerGetVolume describes one volume.
func (c Controller) ControllerGetVolume(ctx context.Context, r *csi.ControllerGetVolumeRequest) (*csi.ControllerGetVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, invalid("volume_id: must be set")
	}
	volume, err := c.pools.Get(ctx, r.GetVolumeId())
	if err != nil {
		return nil, statusOf(err)
	}
	return &csi.ControllerGetVolumeResponse{Volume: c.describe(volume), Status: &csi.ControllerGetVolumeResponse_VolumeStatus{}}, nil
}

// ControllerGetVolumeHealth says what is wrong with a volume.
func (c Controller) ControllerGetVolumeHealth(ctx context.Context, r *csi.ControllerGetVolumeHealthRequest) (*csi.ControllerGetVolumeHealthResponse, error) {
	health, err := c.volumeHealth(ctx, r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.ControllerGetVolumeHealthResponse{VolumeHealth: health}, nil
}

// GetCapacity says what new volumes of a pool can be promised.
func (c Controller) GetCapacity(ctx context.Context, r *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	if t := r.GetAccessibleTopology(); t != nil && !c.isHere(t) {
		return &csi.GetCapacityResponse{}, nil
	}
	for _, capability := range r.GetVolumeCapabilities() {
		if checkCapability(capability) != nil {
			return &csi.GetCapacityResponse{}, nil
		}
	}
	poolName, err := checkParameters(r.GetParameters())
	if err != nil {
		return nil, err
	}
	if err := c.pools.Accepts(ctx, poolName); err != nil {
		return nil, statusOf(err)
	}
	capacity, err := c.pools.Capacity(ctx, poolName)
	if err != nil {
		return nil, statusOf(err)
	}
	return &csi.GetCapacityResponse{AvailableCapacity: capacity.Available, MaximumVolumeSize: wrapperspb.Int64(capacity.Available)}, nil
}
