package vmi

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// Reasons of the kubelet and of the volume controllers, as they stand in the events of a pod whose volumes are not to be had: a
// ConfigMap or Secret that does not exist, storage that does not answer. They become those of the Provisioning condition.
const (
	ReasonFailedMount  = "FailedMount"
	ReasonFailedMap    = "FailedMapVolume"
	ReasonFailedAttach = "FailedAttachVolume"
)

const (
	// mountPatience is how long a pod that has its node may be without containers before its events are read, and mountInterval how
	// often they are read from then on.
	mountPatience = 3 * time.Second
	mountInterval = 20 * time.Second
)

// mountWait looks for what keeps the volumes of a pod from it. The pod's status does not say, only its events do.
func (r *Reconciler) mountWait(ctx context.Context, vmi *virtv1.VirtualMachineInstance, pod *corev1.Pod, w wait) wait {
	waits := !slices.ContainsFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.State.Waiting == nil || !creating(c.State.Waiting)
	})
	if pod.Spec.NodeName == "" || ended(pod) || !waits || !mountsOthers(&vmi.Spec) || w.reason != "" && w.reason != ReasonContainers {
		return w
	}
	due := after(bound(pod), mountPatience, r.Clock.Now(), wait{reason: ReasonFailedMount})
	if due.reason == "" {
		w.again = soonest(w.again, due.again)
		return w
	}
	w.again = soonest(w.again, mountInterval)
	var list corev1.EventList
	if err := r.Live.List(ctx, &list, client.InNamespace(pod.Namespace), client.MatchingFields{"involvedObject.uid": string(pod.UID)}); err != nil {
		// Events only help to say why; without them the instance goes on all the same.
		ctrl.LoggerFrom(ctx).Error(err, "Could not read the events of a pod", "pod", pod.Name)
		return w
	}
	if e := lastFailure(list.Items); e != nil {
		w.reason, w.message = e.Reason, fmt.Sprintf("pod %s waits for a volume: %s", pod.Name, nameVolumes(vmi, e.Message))
	}
	return w
}

// mountsOthers tells whether the pod has volumes that depend on other objects. What is made for it alone cannot be missing, and a
// missing image shows in the pod's status.
func mountsOthers(spec *virtv1.VirtualMachineInstanceSpec) bool {
	return slices.ContainsFunc(spec.Volumes, func(v virtv1.Volume) bool {
		switch {
		case v.CloudInitNoCloud != nil:
			return v.CloudInitNoCloud.SecretRef != nil || v.CloudInitNoCloud.NetworkDataSecretRef != nil
		case v.CloudInitConfigDrive != nil:
			return v.CloudInitConfigDrive.SecretRef != nil || v.CloudInitConfigDrive.NetworkDataSecretRef != nil
		}
		return claimOf(v) != "" || configSource(v) != nil || v.HostDisk != nil
	}) || len(spec.AccessCredentials) > 0 || machine.KeepsState(spec)
}

// summary begins the events in which the kubelet only sums up what others have said in plain words.
const summary = "Unable to attach or mount volumes"

// lastFailure is the newest event about a volume, a plain one before a summary.
func lastFailure(list []corev1.Event) *corev1.Event {
	var last *corev1.Event
	for i := range list {
		e := &list[i]
		if !slices.Contains([]string{ReasonFailedMount, ReasonFailedMap, ReasonFailedAttach}, e.Reason) {
			continue
		}
		if last != nil {
			was, is := strings.HasPrefix(last.Message, summary), strings.HasPrefix(e.Message, summary)
			if is && !was || is == was && !occurred(e).After(occurred(last)) {
				continue
			}
		}
		last = e
	}
	return last
}

// occurred is when an event was seen last, in either of the two forms that events have.
func occurred(e *corev1.Event) time.Time {
	if e.Series != nil {
		return e.Series.LastObservedTime.Time
	}
	if !e.LastTimestamp.IsZero() {
		return e.LastTimestamp.Time
	}
	return e.EventTime.Time
}

var podVolume = regexp.MustCompile(`"(volume|userdata|networkdata)-(\d+)"`)

// nameVolumes puts the names of the instance's volumes in the place of those of the pod's.
func nameVolumes(vmi *virtv1.VirtualMachineInstance, message string) string {
	return podVolume.ReplaceAllStringFunc(message, func(quoted string) string {
		n, err := strconv.Atoi(podVolume.FindStringSubmatch(quoted)[2])
		if err != nil || n >= len(vmi.Spec.Volumes) {
			return quoted
		}
		return strconv.Quote(vmi.Spec.Volumes[n].Name)
	})
}
