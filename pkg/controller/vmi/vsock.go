package vmi

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// instanceByCID is the field of the cache's index of VSOCK addresses.
const instanceByCID = "virtplane.vsockCID"

const (
	// firstCID is the lowest address that guests may have: those below mean the hypervisor, the guest itself and the host.
	firstCID = 3
	// cids is how many addresses there are. The highest means any address.
	cids = 1<<32 - 1 - firstCID
)

func cidOf(o client.Object) []string {
	if cid := o.(*virtv1.VirtualMachineInstance).Status.VSOCKCID; cid != nil {
		return []string{strconv.FormatUint(uint64(*cid), 10)}
	}
	return nil
}

// address finds the VSOCK address for an instance that wants one and has none: unique in the cluster, so that a guest can keep
// it when it migrates. It begins with a hash of the instance's uid: two instances whose addresses the cache does not show yet
// are as unlikely to want the same one as two of 2^32 numbers are to be equal.
func (r *Reconciler) address(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (*uint32, error) {
	if vmi.Status.VSOCKCID != nil || !machine.IsTrue(vmi.Spec.Domain.Devices.AutoattachVSOCK) {
		return vmi.Status.VSOCKCID, nil
	}
	sum := sha256.Sum256([]byte(vmi.UID))
	for n := uint64(binary.BigEndian.Uint32(sum[:])); ; n++ {
		cid := uint32(firstCID + n%cids)
		var others virtv1.VirtualMachineInstanceList
		if err := r.Client.List(ctx, &others, client.MatchingFields{instanceByCID: strconv.FormatUint(uint64(cid), 10)}); err != nil {
			return nil, fmt.Errorf("looking who has VSOCK address %d: %w", cid, err)
		}
		if len(others.Items) == 0 {
			return ptr.To(cid), nil
		}
	}
}
