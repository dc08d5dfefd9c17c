package vm

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	naming "github.com/virtplane/virtplane/pkg/machine"
)

// ReasonContainerKilled is that of a guest whose container was told to end although its pod was to stay.
const ReasonContainerKilled = "ContainerKilled"

// reasonPodTerminated is the reason of a guest that went because its pod or container was told to.
const reasonPodTerminated = "PodTerminated"

// interruptions are the reasons of instances from which their pod was taken: a drain, an eviction by API, taint or scarcity
// on the node, preemption, a deletion, the end of the node. Some are virt-handler's and virt-controller's, some the kubelet's.
var interruptions = []string{reasonPodTerminated, "PodGone", "Evicted", "Preempting", "Terminated"}

// interrupted says whether an instance has failed by no fault of its guest. It is no crash: nothing is gained by a delay of
// the next start.
func interrupted(vmi *virtv1.VirtualMachineInstance) bool {
	return vmi.Status.Phase == virtv1.Failed && slices.Contains(interruptions, vmi.Status.Reason)
}

// blame gives back the instance with the reason of its end as its pod tells it. Whoever saw the end from within cannot tell a
// pod that was taken away from one whose liveness probe has failed; the latter would fail again.
func (r *Reconciler) blame(ctx context.Context, vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance) (*virtv1.VirtualMachineInstance, error) {
	if vmi == nil || vmi.Status.Phase != virtv1.Failed || vmi.Status.Reason != reasonPodTerminated {
		return vmi, nil
	}
	// Once the failure counts, the instance is deleted, and its pod with it.
	counted := vm.Status.StartFailure != nil && vm.Status.StartFailure.LastFailedVMIUID == vmi.UID
	if !counted {
		var pod corev1.Pod
		key := client.ObjectKey{Namespace: vmi.Namespace, Name: naming.LauncherPodName(vmi.Namespace, vmi.Name, vmi.UID, 0)}
		err := r.Live.Get(ctx, key, &pod)
		if apierrors.IsNotFound(err) || err == nil && takenAway(&pod) {
			return vmi, nil
		}
		if err != nil {
			return nil, fmt.Errorf("looking for what ended launcher pod %s: %w", key.Name, err)
		}
	}
	vmi = vmi.DeepCopy()
	vmi.Status.Reason = ReasonContainerKilled
	return vmi, nil
}

// takenAway says whether somebody wanted a pod to go, rather than its container alone.
func takenAway(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil || slices.Contains(interruptions, pod.Status.Reason) ||
		slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue
		})
}
