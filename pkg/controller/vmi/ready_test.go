package vmi

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// containersRun lets all containers of a pod run and be ready.
func containersRun(p *corev1.Pod) {
	p.Status.Phase, p.Status.ContainerStatuses = corev1.PodRunning, nil
	for _, c := range p.Spec.Containers {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
	}
	containersReady(p, corev1.ConditionTrue, "", "")
}

func containersReady(p *corev1.Pod, is corev1.ConditionStatus, reason, message string) {
	p.Status.Conditions = slices.DeleteFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.ContainersReady })
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.ContainersReady, Status: is, Reason: reason, Message: message})
}

// TestScheduledOnlyWithAReadyPod: who sees an instance run must find a pod that runs.
func TestScheduledOnlyWithAReadyPod(t *testing.T) {
	with := func(changes ...func(*corev1.Pod)) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			for _, change := range append([]func(*corev1.Pod){containersRun}, changes...) {
				change(p)
			}
		}
	}
	of := func(name string, change func(*corev1.ContainerStatus)) func(*corev1.Pod) {
		return func(p *corev1.Pod) { change(statusOf(p.Status.ContainerStatuses, name)) }
	}
	state := func(s corev1.ContainerState) func(*corev1.ContainerStatus) {
		return func(c *corev1.ContainerStatus) { c.State, c.Ready = s, false }
	}
	waiting := state(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}})
	gone := state(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}})
	unfit := func(c *corev1.ContainerStatus) { c.Ready = false }
	probe := &virtv1.Probe{TCPSocket: &corev1.TCPSocketAction{}}
	sidecar := func(ready bool) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "setup"}, {Name: "proxy", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "setup", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}},
				{Name: "proxy", Ready: ready, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		}
	}
	for _, tc := range []struct {
		name  string
		probe *virtv1.Probe
		pod   func(*corev1.Pod)
		want  virtv1.VirtualMachineInstancePhase
	}{
		{"all containers run", nil, with(), virtv1.Scheduled},
		{"nothing is known of its containers", nil, func(*corev1.Pod) {}, virtv1.Scheduling},
		{"the guest's container is created", nil, with(of("compute", waiting)), virtv1.Scheduling},
		{"the guest's container is not ready, and nothing asks it", nil, with(of("compute", unfit)), virtv1.Scheduling},
		{"the guest's container is not ready before its guest", probe, with(of("compute", unfit)), virtv1.Scheduled},
		{"the log's container is created", nil, with(of("guest-console-log", waiting)), virtv1.Scheduling},
		{"the log's container is created, with a probe", probe, with(of("guest-console-log", waiting)), virtv1.Scheduling},
		{"the log's container has given up", nil, with(of("guest-console-log", gone)), virtv1.Scheduled},
		{"a container of somebody else is not ready", nil, with(func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "proxy"})
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: "proxy", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
		}), virtv1.Scheduling},
		{"a sidecar is not ready", nil, with(sidecar(false)), virtv1.Scheduling},
		{"a sidecar is ready", nil, with(sidecar(true)), virtv1.Scheduled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := pending()
			vmi.Spec.ReadinessProbe = tc.probe
			w := newWorld(t, vmi)
			w.reconcile()
			w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
			w.reconcile() // opens the readiness gate
			w.updatePod(func(p *corev1.Pod) {
				tc.pod(p)
				if slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return !c.Ready }) {
					containersReady(p, corev1.ConditionFalse, "ContainersNotReady", "some are not")
				}
			})
			w.reconcile()
			w.reconcile()
			now := w.vmi()
			if now.Status.Phase != tc.want {
				t.Errorf("phase %s, want %s", now.Status.Phase, tc.want)
			}
			if want := map[virtv1.VirtualMachineInstancePhase]int{virtv1.Scheduling: 1, virtv1.Scheduled: 2}[tc.want]; w.writes != want {
				t.Errorf("%d status writes, want %d", w.writes, want)
			}
		})
	}
	t.Run("the readiness gate is shut", func(t *testing.T) {
		vmi := pending()
		vmi.Status.Phase, vmi.Status.NodeName = virtv1.Scheduling, "node-1"
		pod := Pod(vmi, 0, emulation(true))
		pod.Spec.NodeName = "node-1"
		containersRun(pod)
		if prepared(vmi, pod) {
			t.Error("the pod is not ready, whatever its containers are")
		}
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: unpaused, Status: corev1.ConditionTrue})
		if !prepared(vmi, pod) {
			t.Error("the pod is ready")
		}
	})
}

// TestUnreadyContainersAreTold: a guest may run for long in a pod that does not become ready.
func TestUnreadyContainersAreTold(t *testing.T) {
	w := newWorld(t, pending())
	w.reconcile()
	w.updatePod(func(p *corev1.Pod) {
		p.Spec.NodeName = "node-1"
		containersRun(p)
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: "PodScheduled", Status: "True", LastTransitionTime: metav1.NewTime(noon)})
		statusOf(p.Status.ContainerStatuses, "guest-console-log").Ready = false
	})
	if r := w.reconcile(); r.RequeueAfter != creationPatience {
		t.Errorf("looked at again in %v", r.RequeueAfter)
	}
	w.clock.SetTime(noon.Add(creationPatience))
	w.reconcile()
	c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning)
	if c == nil || c.Reason != ReasonContainers || !strings.Contains(c.Message, "not ready: guest-console-log;") {
		t.Errorf("condition %+v", c)
	}
	w.updatePod(containersRun)
	w.reconcile()
	w.reconcile()
	if now := w.vmi(); now.Status.Phase != virtv1.Scheduled || conditionOf(&now.Status, virtv1.VirtualMachineInstanceProvisioning) != nil {
		t.Errorf("phase %s, conditions %+v", now.Status.Phase, now.Status.Conditions)
	}
}

// TestEndOfTheGuestsContainer: another container may run on, or wait, for as long as it likes.
func TestEndOfTheGuestsContainer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		end    corev1.ContainerStateTerminated
		phase  virtv1.VirtualMachineInstancePhase
		reason string
	}{
		{"before there is a guest", corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}, virtv1.Failed, "Error"},
		{"it cannot be started", corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError", Message: "exec: no such file"}, virtv1.Failed, "StartError"},
		{"it takes too much memory", corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}, virtv1.Failed, "OOMKilled"},
		{"the guest powers down", corev1.ContainerStateTerminated{Message: `{"reason":"GuestShutdown"}`}, virtv1.Succeeded, "GuestShutdown"},
		{"QEMU fails", corev1.ContainerStateTerminated{ExitCode: 1, Message: `{"reason":"QEMUFailed","exitCode":1,"message":"no such device"}`}, virtv1.Failed, "QEMUFailed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, pending())
			w.reconcile()
			w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
			w.reconcile()
			w.updatePod(func(p *corev1.Pod) {
				containersRun(p)
				*statusOf(p.Status.ContainerStatuses, "compute") = corev1.ContainerStatus{Name: "compute", State: corev1.ContainerState{Terminated: &tc.end}}
				containersReady(p, corev1.ConditionFalse, "ContainersNotReady", "containers with unready status: [compute]")
			})
			w.reconcile()
			now := w.vmi()
			if now.Status.Phase != tc.phase || now.Status.Reason != tc.reason {
				t.Errorf("phase %s, reason %q", now.Status.Phase, now.Status.Reason)
			}
			if c := conditionOf(&now.Status, virtv1.VirtualMachineInstanceReady); c == nil || c.Status != corev1.ConditionFalse {
				t.Errorf("ready %+v", c)
			}
			if told := w.told(); tc.phase == virtv1.Failed && !strings.Contains(told, "Warning Stopped") {
				t.Errorf("events: %s", told)
			}
			// What is left of the pod goes, too.
			w.clock.SetTime(noon.Add(lingering + time.Second))
			w.reconcile()
			if p := w.pod(); p != nil && p.DeletionTimestamp == nil {
				t.Error("the pod stays, with a container that nobody ends")
			}
		})
	}
}

// TestContainersThatAreNotReady are told of, so that Ready of the instance says no more than that of its pod.
func TestContainersThatAreNotReady(t *testing.T) {
	for _, tc := range []struct {
		name  string
		phase virtv1.VirtualMachineInstancePhase
		probe *virtv1.Probe
		pod   func(*corev1.Pod)
		want  string
	}{
		{"all are", virtv1.Running, nil, func(*corev1.Pod) {}, ""},
		{"the log has given up", virtv1.Running, nil, func(p *corev1.Pod) {
			containersReady(p, corev1.ConditionFalse, "ContainersNotReady", "containers with unready status: [guest-console-log]")
		}, "ContainersNotReady: containers with unready status: [guest-console-log]"},
		{"the probe's condition tells it", virtv1.Running, &virtv1.Probe{}, func(p *corev1.Pod) { containersReady(p, corev1.ConditionFalse, "ContainersNotReady", "x") }, ""},
		{"before it is scheduled", virtv1.Scheduling, nil, func(p *corev1.Pod) {
			statusOf(p.Status.ContainerStatuses, "guest-console-log").Ready = false
			containersReady(p, corev1.ConditionFalse, "ContainersNotReady", "x")
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := pending()
			vmi.Status.Phase, vmi.Status.NodeName, vmi.Spec.ReadinessProbe = tc.phase, "node-1", tc.probe
			pod := Pod(vmi, 0, emulation(true))
			pod.Spec.NodeName = "node-1"
			containersRun(pod)
			tc.pod(pod)
			status := observe(vmi, pod, wait{}, metav1.NewTime(noon), emulation(true))
			got := ""
			if c := conditionOf(&status, virtv1.VirtualMachineInstanceContainersReady); c != nil && c.Status == corev1.ConditionFalse {
				got = c.Reason + ": " + c.Message
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			vmi.Status = status
			containersRun(pod)
			status = observe(vmi, pod, wait{}, metav1.NewTime(noon), emulation(true))
			if conditionOf(&status, virtv1.VirtualMachineInstanceContainersReady) != nil {
				t.Error("the condition stays though all are ready")
			}
		})
	}
}

// TestPodOnItsWayOut is a guest whose pod is deleted, with its namespace or by a drain: it is told as long as the end takes.
func TestPodOnItsWayOut(t *testing.T) {
	for _, tc := range []struct {
		name  string
		probe *virtv1.Probe
		pod   func(*corev1.Pod)
		want  string
	}{
		{"deleted", nil, func(*corev1.Pod) {}, "with its namespace"},
		{"deleted, with a probe", &virtv1.Probe{}, func(*corev1.Pod) {}, "with its namespace"},
		{"evicted", nil, func(p *corev1.Pod) {
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting"})
		}, "EvictionByEvictionAPI: Eviction API: evicting"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := pending()
			vmi.Status.Phase, vmi.Status.NodeName, vmi.Spec.ReadinessProbe = virtv1.Running, "node-1", tc.probe
			pod := Pod(vmi, 0, emulation(true))
			pod.Spec.NodeName = "node-1"
			containersRun(pod)
			tc.pod(pod)
			deleted(pod, noon)
			status := observe(vmi, pod, wait{}, metav1.NewTime(noon), emulation(true))
			c := conditionOf(&status, virtv1.VirtualMachineInstanceContainersReady)
			if c == nil || c.Status != corev1.ConditionFalse || c.Reason != "PodTerminating" || !strings.Contains(c.Message, tc.want) || !strings.Contains(c.Message, "until 2026-01-02T12:00:45Z") {
				t.Errorf("condition %+v", c)
			}
		})
	}
}
