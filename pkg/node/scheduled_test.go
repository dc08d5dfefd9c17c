package node

import (
	"maps"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestRunsOnlyWhatIsScheduled: the guest does not wait for the kubelet's word that its pod runs, but nobody sees it run before.
func TestRunsOnlyWhatIsScheduled(t *testing.T) {
	l := newLab(t, func(v *virtv1.VirtualMachineInstance) { v.Status.Phase = virtv1.Scheduling })
	l.serve()
	l.start()
	l.awaitCall("Sync", 1)
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_RUNNING, func(e *launcher.Event) { e.Agent = &launcher.GuestAgent{Connected: true} })
	for s := range maps.Values(l.agent.sessionsNow()) {
		l.await("the agent has heard of it", 0, func(*virtv1.VirtualMachineInstance) bool { return s.view().event.GetAgent().GetConnected() })
	}
	time.Sleep(100 * time.Millisecond)
	if n := l.statusWrites(); n != 0 || l.vmi().Status.Phase != virtv1.Scheduling || len(l.recorder.all()) != 0 {
		t.Errorf("%d status writes before the instance is scheduled, phase %s, events %v", n, l.vmi().Status.Phase, l.recorder.all())
	}
	vmi := l.vmi()
	vmi.Status.Phase = virtv1.Scheduled
	l.update(vmi)
	vmi = l.awaitPhase(virtv1.Running)
	if got := conditions(vmi); got["Ready"] != "True " || got["AgentConnected"] != "True " {
		t.Errorf("conditions %v", got)
	}
	if n := l.statusWrites(); n != 1 {
		t.Errorf("%d status writes until Running, want 1", n)
	}
	if n := l.launcher.called("Sync"); n != 1 {
		t.Errorf("%d Syncs", n)
	}
}

// TestEndsBeforeItIsScheduled is a guest that does not live to see the kubelet's word.
func TestEndsBeforeItIsScheduled(t *testing.T) {
	l := newLab(t, func(v *virtv1.VirtualMachineInstance) { v.Status.Phase = virtv1.Scheduling })
	l.serve()
	l.start()
	l.awaitCall("Sync", 1)
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_SHUTDOWN, func(e *launcher.Event) { e.Reason = "GuestShutdown" })
	if vmi := l.awaitPhase(virtv1.Succeeded); vmi.Status.Reason != "GuestShutdown" {
		t.Errorf("reason %q", vmi.Status.Reason)
	}
}

// TestReadyFollowsThePod: an instance is not ready while a container of its pod is not.
func TestReadyFollowsThePod(t *testing.T) {
	l := newLab(t, nil)
	l.serve()
	l.start()
	vmi := l.awaitPhase(virtv1.Running)
	set(&vmi.Status, virtv1.VirtualMachineInstanceContainersReady, corev1.ConditionFalse, "ContainersNotReady", "containers with unready status: [guest-console-log]", metav1.Now())
	l.update(vmi)
	vmi = l.await("it is not ready", 0, func(v *virtv1.VirtualMachineInstance) bool {
		return conditions(v)["Ready"] == "False ContainersNotReady"
	})
	if c := condition(&vmi.Status, "Ready"); c.Message != "the pod is not ready: containers with unready status: [guest-console-log]" {
		t.Errorf("message %q", c.Message)
	}
	remove(&vmi.Status, virtv1.VirtualMachineInstanceContainersReady)
	l.update(vmi)
	l.await("it is ready again", 0, func(v *virtv1.VirtualMachineInstance) bool { return conditions(v)["Ready"] == "True " })
}

// TestNotReadyOnceThePodGoes: a guest whose pod is being ended is not ready, although it runs on or takes its time to end.
func TestNotReadyOnceThePodGoes(t *testing.T) {
	for _, state := range []launcher.DomainState{launcher.DomainState_DOMAIN_STATE_RUNNING, launcher.DomainState_DOMAIN_STATE_STOPPING} {
		t.Run(state.String(), func(t *testing.T) {
			l := newLab(t, nil)
			l.serve()
			l.start()
			vmi := l.awaitPhase(virtv1.Running)
			l.launcher.become(state, nil)
			set(&vmi.Status, virtv1.VirtualMachineInstanceContainersReady, corev1.ConditionFalse, "PodTerminating", "pod p is being ended", metav1.Now())
			l.update(vmi)
			vmi = l.await("it is not ready", 0, func(v *virtv1.VirtualMachineInstance) bool {
				return conditions(v)["Ready"] == "False PodTerminating"
			})
			if c := condition(&vmi.Status, "Ready"); c.Message != "pod p is being ended" {
				t.Errorf("message %q", c.Message)
			}
		})
	}
}
