package vmi

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// prepared says whether the pod is as ready as it can be before its guest runs: each container runs and is ready, but for the
// guest's own, whose readiness probe asks the guest, and for one that has ended and will not come back. Only then is the
// instance scheduled: who sees it run finds a pod that runs, and who sees it ready one that is.
func prepared(vmi *virtv1.VirtualMachineInstance, pod *corev1.Pod) bool {
	return pod.Spec.NodeName != "" && computeRuns(pod) && len(unready(vmi, pod)) == 0 && (!gated(pod) || open(pod))
}

// unready names the containers that may still become ready before the guest runs.
func unready(vmi *virtv1.VirtualMachineInstance, pod *corev1.Pod) []string {
	var out []string
	for _, c := range pod.Spec.Containers {
		if s := statusOf(pod.Status.ContainerStatuses, c.Name); !fit(s, c.Name == machine.ComputeContainer && vmi.Spec.ReadinessProbe != nil) {
			out = append(out, c.Name)
		}
	}
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			continue
		}
		if s := statusOf(pod.Status.InitContainerStatuses, c.Name); !fit(s, false) {
			out = append(out, c.Name)
		}
	}
	return out
}

// fit says whether a container runs and is ready, unless nothing asks whether it is, or has ended for good.
func fit(s *corev1.ContainerStatus, unasked bool) bool {
	return s != nil && (s.State.Terminated != nil || s.State.Running != nil && (s.Ready || unasked))
}

func statusOf(all []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	if i := slices.IndexFunc(all, func(s corev1.ContainerStatus) bool { return s.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// open says whether the pod's readiness gate is.
func open(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == unpaused && c.Status == corev1.ConditionTrue
	})
}

func computeRuns(pod *corev1.Pod) bool {
	s := statusOf(pod.Status.ContainerStatuses, machine.ComputeContainer)
	return s != nil && s.State.Running != nil
}

// over says whether nothing of the guest runs in the pod any more, though another container may: the guest's own has ended,
// and is not started again.
func over(pod *corev1.Pod) bool {
	s := statusOf(pod.Status.ContainerStatuses, machine.ComputeContainer)
	return ended(pod) || s != nil && s.State.Terminated != nil
}

// unreadyWait says which containers keep an instance from being scheduled although the guest's own runs.
func unreadyWait(vmi *virtv1.VirtualMachineInstance, pod *corev1.Pod, now time.Time) wait {
	names := unready(vmi, pod)
	if len(names) == 0 || !computeRuns(pod) {
		return wait{}
	}
	return after(bound(pod), creationPatience, now, wait{reason: ReasonContainers,
		message: fmt.Sprintf("containers of pod %s do not run or are not ready: %s; the events of the pod say why", pod.Name, strings.Join(names, ", "))})
}

// observeContainers tells when the pod of an instance without a readiness probe has a container that is not ready: virt-handler,
// which owns Ready, sees no pods. The pod's own word for an instance with a probe is that probe's condition.
func observeContainers(status *virtv1.VirtualMachineInstanceStatus, vmi *virtv1.VirtualMachineInstance, pod *corev1.Pod, now metav1.Time) {
	if final(status.Phase) || before(status.Phase, virtv1.Scheduled) {
		return
	}
	if pod.DeletionTimestamp != nil {
		setCondition(status, virtv1.VirtualMachineInstanceContainersReady, corev1.ConditionFalse, virtv1.PodTerminatingReason, terminating(pod), now)
		return
	}
	var unfit *corev1.PodCondition
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.ContainersReady && c.Status == corev1.ConditionFalse {
			unfit = c
		}
	}
	if unfit == nil || vmi.Spec.ReadinessProbe != nil || !computeRuns(pod) {
		setWait(status, virtv1.VirtualMachineInstanceContainersReady, wait{}, now)
		return
	}
	setCondition(status, virtv1.VirtualMachineInstanceContainersReady, corev1.ConditionFalse, unfit.Reason, unfit.Message, now)
}

// terminating says why a pod is on its way out although its instance is not, and how long that may take.
func terminating(pod *corev1.Pod) string {
	why := "it was deleted, by itself or with its namespace"
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			why = c.Reason + ": " + c.Message
		}
	}
	return fmt.Sprintf("pod %s is being ended, and the guest with it, until %s at the latest: %s", pod.Name, pod.DeletionTimestamp.UTC().Format(time.RFC3339), why)
}
