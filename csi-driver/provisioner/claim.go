package provisioner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/csi-driver/driver"
)

const (
	volumePrefix = "hostpath-"

	// claimSpread is over how long the nodes spread their attempts to take a claim that may be anywhere.
	claimSpread = 2 * time.Second
	// claimAgain is when a node that could not take such a claim looks again.
	claimAgain = 2 * time.Minute
)

// The reasons of events. They are those that users know from other provisioners.
const (
	reasonProvisioning = "Provisioning"
	reasonSucceeded    = "ProvisioningSucceeded"
	reasonFailed       = "ProvisioningFailed"
	reasonPopulator    = "WaitingForPopulator"
	reasonDeleteFailed = "VolumeFailedDelete"
	reasonNoCapacity   = "NoCapacity"
)

// refusal is an error that another try cannot mend: the claim or its class must change first.
type refusal struct{ error }

// failure is an error of the driver, as users shall read it: its words, without gRPC's.
type failure struct {
	code    codes.Code
	message string
}

func (f failure) Error() string { return "making the volume: " + f.message }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

// syncClaim makes the volume of a claim if it is this node's to make. after says when to look again.
func (p *Provisioner) syncClaim(ctx context.Context, key string) (after time.Duration, err error) {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return 0, nil
	}
	claim, err := p.Client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading claim: %w", err)
	}
	// The API server's answer counts, not the watch's, which may be old. A claim that has a volume needs none.
	if claim.Spec.VolumeName != "" || !p.claims.interesting(claim) {
		return 0, nil
	}
	class, err := p.class(ctx, className(claim))
	if err != nil {
		p.events.Event(claim, corev1.EventTypeWarning, reasonFailed, err.Error())
		return 0, err
	}
	if claim.Annotations[annSelectedNode] == "" {
		return p.claimForThisNode(ctx, claim, class)
	}
	err = p.provision(ctx, claim, class)
	var refused refusal
	var failed failure
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &refused):
		p.events.Event(claim, corev1.EventTypeWarning, reasonFailed, err.Error())
		klog.FromContext(ctx).Info("Refused a claim", "err", err)
		return retryMost, nil
	case errors.As(err, &failed) && failed.code == codes.ResourceExhausted:
		p.events.Eventf(claim, corev1.EventTypeWarning, reasonFailed, "%v; giving the claim back so that another node can be chosen", err)
		return 0, p.giveBack(ctx, claim)
	default:
		p.events.Event(claim, corev1.EventTypeWarning, reasonFailed, err.Error())
		return 0, err
	}
}

// claimForThisNode takes a claim that may be on any node, for a class that does not wait for a pod. All nodes do so; the first whose write the API server accepts has it.
func (p *Provisioner) claimForThisNode(ctx context.Context, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) (time.Duration, error) {
	if class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer {
		return 0, nil // the scheduler will write the node's name, which wakes us
	}
	if !allows(class, p.NodeName) {
		return 0, nil
	}
	if age, turn := time.Since(claim.CreationTimestamp.Time), p.turn(claim.UID); age < turn {
		return turn - age, nil
	}
	capacity, err := p.Volumes.GetCapacity(ctx, &csi.GetCapacityRequest{Parameters: class.Parameters})
	if err != nil {
		p.events.Eventf(claim, corev1.EventTypeWarning, reasonFailed, "Node %q cannot make the volume: %s", p.NodeName, status.Convert(err).Message())
		return claimAgain, nil
	}
	if size := claim.Spec.Resources.Requests.Storage(); capacity.GetAvailableCapacity() < size.Value() {
		p.events.Eventf(claim, corev1.EventTypeWarning, reasonFailed, "Node %q cannot make the volume: its pool can promise %d more bytes, %s were asked for", p.NodeName, capacity.GetAvailableCapacity(), size)
		return claimAgain, nil
	}
	err = p.patchClaim(ctx, claim, p.NodeName)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return 0, nil
	}
	return 0, err
}

// turn is when this node may take a claim, after its creation: different for each node and each claim, so that not all write at once and not always the same one wins.
func (p *Provisioner) turn(claim types.UID) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(p.NodeName + "/" + string(claim)))
	return claimSpread * time.Duration(h.Sum32()%1000) / 1000
}

// giveBack lets the scheduler choose again. Without room here it would otherwise wait for this node for ever.
func (p *Provisioner) giveBack(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	err := p.patchClaim(ctx, claim, nil)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// patchClaim writes the selected node, or removes it, provided that nobody changed the claim since it was read.
func (p *Provisioner) patchClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim, node any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             claim.UID,
		"resourceVersion": claim.ResourceVersion,
		"annotations":     map[string]any{annSelectedNode: node},
	}})
	if err != nil {
		return fmt.Errorf("writing the selected node: %w", err)
	}
	if _, err := p.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("writing the selected node: %w", err)
	}
	return nil
}

func (p *Provisioner) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) error {
	name := volumePrefix + string(claim.UID)
	volumes := p.Client.CoreV1().PersistentVolumes()
	existing, err := volumes.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		return p.adopt(claim, existing)
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading volume %q: %w", name, err)
	}
	if populated(claim) {
		p.events.Eventf(claim, corev1.EventTypeNormal, reasonPopulator, "The claim's content comes from %s %q, whose populator makes the volume", claim.Spec.DataSourceRef.Kind, claim.Spec.DataSourceRef.Name)
		return nil
	}
	request, err := requestFor(claim, class)
	if err != nil {
		return err
	}
	if !allows(class, p.NodeName) {
		return refuse("storage class %q does not allow volumes on node %q: its allowedTopologies name others", class.Name, p.NodeName)
	}
	p.events.Eventf(claim, corev1.EventTypeNormal, reasonProvisioning, "Making a volume on node %q", p.NodeName)
	response, err := p.Volumes.CreateVolume(ctx, request)
	if err != nil {
		failed := failure{status.Code(err), status.Convert(err).Message()}
		if failed.code == codes.InvalidArgument {
			return refusal{failed}
		}
		return failed
	}
	volume := volumeFor(claim, class, response.Volume, p.NodeName)
	// AlreadyExists means that the answer to an earlier attempt was lost; the next one adopts what that wrote, or says what is wrong.
	if _, err := volumes.Create(ctx, volume, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("writing volume %q: %w", name, err)
	}
	p.events.Eventf(claim, corev1.EventTypeNormal, reasonSucceeded, "Made volume %s on node %q", name, p.NodeName)
	p.capacity.poke()
	return nil
}

// adopt accepts the volume that an earlier attempt made for the same claim.
func (p *Provisioner) adopt(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) error {
	ref := volume.Spec.ClaimRef
	if ref == nil || ref.UID != claim.UID {
		return refuse("volume %q exists and does not belong to this claim; delete it", volume.Name)
	}
	return nil
}

// populated says whether somebody else fills, and therefore makes, the volume.
func populated(claim *corev1.PersistentVolumeClaim) bool {
	ref := claim.Spec.DataSourceRef
	if ref == nil {
		return false
	}
	group := ""
	if ref.APIGroup != nil {
		group = *ref.APIGroup
	}
	isClaim := group == "" && ref.Kind == "PersistentVolumeClaim"
	isSnapshot := group == "snapshot.storage.k8s.io" && ref.Kind == "VolumeSnapshot"
	return !isClaim && !isSnapshot
}

// requestFor says what volume a claim asks for.
func requestFor(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) (*csi.CreateVolumeRequest, error) {
	switch {
	case claim.Spec.DataSource != nil || claim.Spec.DataSourceRef != nil:
		return nil, refuse("spec.dataSourceRef: this provisioner makes empty volumes only; use a DataVolume to fill one")
	case claim.Spec.Selector != nil:
		return nil, refuse("spec.selector: cannot be used with a storage class that makes volumes; remove it")
	case claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode != corev1.PersistentVolumeFilesystem:
		return nil, refuse("spec.volumeMode: %s is not offered by this provisioner; use Filesystem", *claim.Spec.VolumeMode)
	}
	size := claim.Spec.Resources.Requests.Storage().Value()
	if size <= 0 {
		return nil, refuse("spec.resources.requests.storage: must be greater than 0")
	}
	request := &csi.CreateVolumeRequest{
		Name:          volumePrefix + string(claim.UID),
		CapacityRange: &csi.CapacityRange{RequiredBytes: size},
		Parameters:    class.Parameters,
	}
	for _, mode := range claim.Spec.AccessModes {
		csiMode, err := accessMode(mode)
		if err != nil {
			return nil, err
		}
		request.VolumeCapabilities = append(request.VolumeCapabilities, &csi.VolumeCapability{
			AccessMode: &csi.VolumeCapability_AccessMode{Mode: csiMode},
			AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{MountFlags: class.MountOptions}},
		})
	}
	return request, nil
}

func accessMode(mode corev1.PersistentVolumeAccessMode) (csi.VolumeCapability_AccessMode_Mode, error) {
	switch mode {
	case corev1.ReadWriteOnce:
		return csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER, nil
	case corev1.ReadWriteOncePod:
		return csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER, nil
	default:
		return 0, refuse("spec.accessModes: %s is not possible, a volume is on one node only; use ReadWriteOnce or ReadWriteOncePod", mode)
	}
}

// volumeFor describes the volume to Kubernetes.
func volumeFor(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, made *csi.Volume, node string) *corev1.PersistentVolume {
	policy := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		policy = *class.ReclaimPolicy
	}
	mode := corev1.PersistentVolumeFilesystem
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        made.VolumeId,
			Labels:      map[string]string{driver.TopologyKey: node},
			Annotations: map[string]string{annProvisionedBy: driver.Name},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(made.CapacityBytes, resource.BinarySI)},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: policy,
			StorageClassName:              class.Name,
			VolumeMode:                    &mode,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: termsFor(made.AccessibleTopology)}},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: driver.Name, VolumeHandle: made.VolumeId, VolumeAttributes: made.VolumeContext,
			}},
		},
	}
	if policy == corev1.PersistentVolumeReclaimDelete {
		volume.Finalizers = []string{finalizer}
	}
	return volume
}

func termsFor(topologies []*csi.Topology) []corev1.NodeSelectorTerm {
	var terms []corev1.NodeSelectorTerm
	for _, topology := range topologies {
		var term corev1.NodeSelectorTerm
		for key, value := range topology.Segments {
			term.MatchExpressions = append(term.MatchExpressions, corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}})
		}
		terms = append(terms, term)
	}
	return terms
}

// allows says whether a class permits volumes on a node, as far as it speaks of the driver's own topology.
func allows(class *storagev1.StorageClass, node string) bool {
	if len(class.AllowedTopologies) == 0 {
		return true
	}
	for _, term := range class.AllowedTopologies {
		fits := true
		for _, expression := range term.MatchLabelExpressions {
			if expression.Key != driver.TopologyKey {
				continue
			}
			found := false
			for _, value := range expression.Values {
				found = found || value == node
			}
			fits = fits && found
		}
		if fits {
			return true
		}
	}
	return false
}

func className(claim *corev1.PersistentVolumeClaim) string {
	if claim.Spec.StorageClassName != nil {
		return *claim.Spec.StorageClassName
	}
	return claim.Annotations[corev1.BetaStorageClassAnnotation]
}
