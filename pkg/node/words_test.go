package node

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestLastWords: why QEMU has ended stands in all conditions and events of a guest that never ran, whatever was said before.
func TestLastWords(t *testing.T) {
	const words = "QEMU failed with exit code 1: qemu-system-x86_64: -device x: no such device"
	stale := launcher.Errorf(codes.Unavailable, launcher.ReasonUnavailable, "connecting to QEMU: qmp qmp_capabilities: connection reset by peer").GRPCStatus().Err()
	told := launcher.Errorf(codes.FailedPrecondition, launcher.ReasonQEMUFailed, "%s", words).GRPCStatus().Err()
	for _, tc := range []struct {
		name string
		sync error
		// late has the end told only after the failure of the start was written.
		late   bool
		events []string
	}{
		{"the end is told before the start has failed", stale, false, []string{"Warning SyncFailed"}},
		{"the start fails by a consequence of the end", stale, true, []string{"Warning SyncFailed", "Warning SyncFailed"}},
		{"the start fails by the end", told, true, []string{"Warning SyncFailed"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, nil)
			l.launcher.syncErrs = []error{tc.sync}
			if !tc.late {
				l.launcher.hang = true
			}
			l.serve()
			l.start()
			l.awaitCall("Sync", 1)
			if tc.late {
				l.await("a condition tells of the failure", 0, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "Synchronized") != nil })
			}
			l.launcher.become(launcher.DomainState_DOMAIN_STATE_CRASHED, func(e *launcher.Event) { e.Reason, e.Message = launcher.ReasonQEMUFailed, words })
			vmi := l.awaitPhase(virtv1.Failed)
			for kind, want := range map[virtv1.VirtualMachineInstanceConditionType]string{
				virtv1.VirtualMachineInstanceSynchronized: "QEMUFailed", virtv1.VirtualMachineInstanceReady: virtv1.GuestNotRunningReason,
			} {
				if c := condition(&vmi.Status, kind); c == nil || c.Status != corev1.ConditionFalse || c.Reason != want || !strings.Contains(c.Message, words) {
					t.Errorf("condition %s: %+v", kind, c)
				}
			}
			if vmi.Status.Reason != launcher.ReasonQEMUFailed {
				t.Errorf("reason %q", vmi.Status.Reason)
			}
			l.await("events tell of it", 0, func(*virtv1.VirtualMachineInstance) bool { return len(l.recorder.all()) >= len(tc.events) })
			if diff := cmp.Diff(tc.events, l.recorder.all()); diff != "" {
				t.Error(diff)
			}
			if got := l.recorder.note(len(tc.events) - 1); !strings.Contains(got, words) {
				t.Errorf("the last event says %q", got)
			}
		})
	}
	t.Run("a guest that ran", func(t *testing.T) {
		l := newLab(t, nil)
		l.serve()
		l.start()
		l.awaitPhase(virtv1.Running)
		l.launcher.become(launcher.DomainState_DOMAIN_STATE_CRASHED, func(e *launcher.Event) {
			e.Reason, e.Message = launcher.ReasonQEMUKilled, "QEMU was ended by signal 9: out of luck"
		})
		l.awaitPhase(virtv1.Failed)
		l.await("an event tells of it", 0, func(*virtv1.VirtualMachineInstance) bool { return len(l.recorder.all()) == 3 })
		if got := l.recorder.note(2); !strings.Contains(got, "QEMUKilled") || !strings.Contains(got, "signal 9: out of luck") {
			t.Errorf("the event says %q", got)
		}
	})
}

// TestShortfalls tells of what a guest runs without, as long as it does.
func TestShortfalls(t *testing.T) {
	dhcp := &launcher.Shortfall{Reason: launcher.ReasonDHCPOptionsLeftOut, Message: "interface default: no room for search domain a"}
	fields := &launcher.Shortfall{Reason: launcher.ReasonFieldsWithoutEffect, Message: "spec.x: has no effect"}
	l := newLab(t, nil)
	l.serve()
	l.start()
	l.awaitPhase(virtv1.Running)
	become := func(all ...*launcher.Shortfall) {
		l.launcher.become(launcher.DomainState_DOMAIN_STATE_RUNNING, func(e *launcher.Event) { e.Shortfalls = all })
	}
	expect := func(reason, message string, events ...string) {
		t.Helper()
		l.await("a condition tells of it", 0, func(v *virtv1.VirtualMachineInstance) bool {
			c := condition(&v.Status, virtv1.VirtualMachineInstanceDegraded)
			return reason == "" && c == nil || c != nil && c.Status == corev1.ConditionTrue && c.Reason == reason && c.Message == message
		})
		want := append([]string{"Normal Created", "Normal Started"}, events...)
		l.await("events tell of it", 0, func(*virtv1.VirtualMachineInstance) bool { return len(l.recorder.all()) >= len(want) })
		if diff := cmp.Diff(want, l.recorder.all()); diff != "" {
			t.Error(diff)
		}
	}
	become(fields)
	expect(fields.Reason, fields.Message, "Normal FieldsWithoutEffect")
	become(dhcp, fields)
	expect(dhcp.Reason, dhcp.Message+"; "+fields.Message, "Normal FieldsWithoutEffect", "Warning DHCPOptionsLeftOut")
	become()
	expect("", "", "Normal FieldsWithoutEffect", "Warning DHCPOptionsLeftOut")
	if c := condition(&l.vmi().Status, virtv1.VirtualMachineInstanceReady); c == nil || c.Status != corev1.ConditionTrue {
		t.Errorf("ready: %+v", c)
	}
}

// TestProbeFailureIsSeen: Ready says why the readiness probe does not pass, where the launcher knows.
func TestProbeFailureIsSeen(t *testing.T) {
	failures := []*launcher.ProbeFailure{{Message: "the guest agent is not connected"}, {Command: []string{"cat", "/x"}, Message: "it ended with exit code 1: no such file"}}
	for _, tc := range []struct {
		name  string
		probe *virtv1.Probe
		told  bool
		want  string
	}{
		{"exec", &virtv1.Probe{Exec: &corev1.ExecAction{Command: []string{"cat", "/x"}}}, true, "the readiness probe fails: it ended with exit code 1: no such file"},
		{"exec that has not passed yet", &virtv1.Probe{Exec: &corev1.ExecAction{Command: []string{"cat", "/x"}}}, false, "the readiness probe has not passed yet: it ended with exit code 1: no such file"},
		{"ping", &virtv1.Probe{GuestAgentPing: &virtv1.GuestAgentPing{}}, true, "the readiness probe fails: the guest agent is not connected"},
		{"another command than the liveness probe's", &virtv1.Probe{Exec: &corev1.ExecAction{Command: []string{"true"}}}, true, "the readiness probe fails"},
		{"by network", &virtv1.Probe{TCPSocket: &corev1.TCPSocketAction{}}, true, "the readiness probe fails"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := &virtv1.VirtualMachineInstance{}
			vmi.Spec.ReadinessProbe = tc.probe
			if tc.told {
				vmi.Status.Conditions = []virtv1.VirtualMachineInstanceCondition{{Type: virtv1.VirtualMachineInstanceReadinessProbe, Status: corev1.ConditionFalse}}
			}
			observeReady(&vmi.Status, vmi, &launcher.Event{ProbeFailures: failures}, metav1.Now())
			if c := condition(&vmi.Status, virtv1.VirtualMachineInstanceReady); c.Status != corev1.ConditionFalse || c.Message != tc.want {
				t.Errorf("got %+v, want %q", c, tc.want)
			}
		})
	}
}
