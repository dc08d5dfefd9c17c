package node

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

const guestRuns = launcher.DomainState_DOMAIN_STATE_RUNNING

// TestAgentConditions follows an agent that comes, says what it can, freezes its guest and goes.
func TestAgentConditions(t *testing.T) {
	spec.Covers(t, "P2-GA-02", "P3-QGA-02")
	l := newLab(t, nil)
	l.serve()
	l.start()
	l.awaitPhase(virtv1.Running)
	agent := func(change func(*launcher.GuestAgent)) {
		a := &launcher.GuestAgent{Connected: true, Version: "7.2", SupportedCommands: basicCommands}
		change(a)
		l.launcher.become(guestRuns, func(e *launcher.Event) { e.Agent = a })
	}
	agent(func(a *launcher.GuestAgent) { a.SupportedCommands = []string{"guest-info", "guest-ping"} })
	vmi := l.await("the agent lacks commands", 0, func(v *virtv1.VirtualMachineInstance) bool {
		return condition(&v.Status, "AgentVersionNotSupported") != nil
	})
	if got := conditions(vmi); got["AgentConnected"] != "True " || got["AgentVersionNotSupported"] != "True CommandsMissing" {
		t.Errorf("conditions %v", got)
	}
	agent(func(a *launcher.GuestAgent) { a.FsFrozen = true })
	vmi = l.await("the guest is frozen", 0, func(v *virtv1.VirtualMachineInstance) bool { return v.Status.FSFreezeStatus == "frozen" })
	if c := condition(&vmi.Status, "AgentVersionNotSupported"); c != nil {
		t.Errorf("a capable agent: %+v", c)
	}
	writes := l.statusWrites()
	agent(func(a *launcher.GuestAgent) { a.FsFrozen, a.Timezone = true, &launcher.Timezone{Zone: "CET"} }) // not in the status
	agent(func(a *launcher.GuestAgent) {})
	l.await("the guest is thawed", 0, func(v *virtv1.VirtualMachineInstance) bool { return v.Status.FSFreezeStatus == "" })
	if n := l.statusWrites() - writes; n != 1 {
		t.Errorf("%d writes for one change", n)
	}
	l.launcher.become(guestRuns, func(e *launcher.Event) { e.Agent = &launcher.GuestAgent{} })
	l.await("the agent is gone", 0, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "AgentConnected") == nil })
}

func TestMissingCommands(t *testing.T) {
	key := virtv1.VirtualMachineInstanceSpec{AccessCredentials: []virtv1.AccessCredential{{SSHPublicKey: &virtv1.SSHPublicKeyAccessCredential{
		PropagationMethod: virtv1.SSHPublicKeyAccessCredentialPropagationMethod{QemuGuestAgent: &virtv1.QemuGuestAgentSSHPublicKeyAccessCredentialPropagation{}}}}}}
	password := virtv1.VirtualMachineInstanceSpec{AccessCredentials: []virtv1.AccessCredential{{UserPassword: &virtv1.UserPasswordAccessCredential{
		PropagationMethod: virtv1.UserPasswordAccessCredentialPropagationMethod{QemuGuestAgent: &virtv1.QemuGuestAgentUserPasswordAccessCredentialPropagation{}}}}}}
	exec := virtv1.VirtualMachineInstanceSpec{LivenessProbe: &virtv1.Probe{Exec: &corev1.ExecAction{Command: []string{"true"}}}}
	for _, tc := range []struct {
		name string
		spec virtv1.VirtualMachineInstanceSpec
		has  []string
		want string
	}{
		{"nothing", virtv1.VirtualMachineInstanceSpec{}, nil, "This guest agent doesn't support required basic commands"},
		{"basic", virtv1.VirtualMachineInstanceSpec{}, basicCommands, ""},
		{"keys", key, basicCommands, "This guest agent doesn't support required public key commands"},
		{"keys of a new agent", key, slices.Concat(basicCommands, keyCommands), ""},
		{"keys of an old agent", key, slices.Concat(basicCommands, execCommands), ""},
		{"password", password, basicCommands, "This guest agent doesn't support required password commands"},
		{"password of an agent that can", password, slices.Concat(basicCommands, passwordCommands), ""},
		{"probe", exec, basicCommands, "This guest agent doesn't support the commands that exec probes need"},
		{"probe of an agent that can", exec, slices.Concat(basicCommands, execCommands), ""},
	} {
		if got := missingCommands(&tc.spec, tc.has); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestCredentialsAreTold looks at condition and events. That the agent has yet to connect is in the write that says Running,
// and no failure.
func TestCredentialsAreTold(t *testing.T) {
	l := newLab(t, nil)
	l.launcher.become(guestRuns, func(e *launcher.Event) {
		e.Credentials = &launcher.CredentialsState{Reason: launcher.ReasonAgentUnavailable, Message: "not yet"}
	})
	l.serve()
	l.start()
	vmi := l.awaitPhase(virtv1.Running)
	if got := conditions(vmi)["AccessCredentialsSynchronized"]; got != "False AgentUnavailable" {
		t.Errorf("at first: %q", got)
	}
	state := func(synced bool, reason, message string) {
		t.Helper()
		l.launcher.become(guestRuns, func(e *launcher.Event) {
			e.Credentials = &launcher.CredentialsState{Synced: synced, Reason: reason, Message: message}
		})
		l.await(message, 0, func(v *virtv1.VirtualMachineInstance) bool {
			c := condition(&v.Status, "AccessCredentialsSynchronized")
			return c != nil && (c.Status == corev1.ConditionTrue) == synced && c.Message == message
		})
	}
	state(true, "", "")
	state(false, launcher.ReasonCredentialsRefused, "no such user")
	state(true, "", "")
	l.await("all is told", 0, func(*virtv1.VirtualMachineInstance) bool { return len(l.recorder.all()) == 5 })
	want := []string{"Normal AccessCredentialsSyncSuccess", "Warning AccessCredentialsSyncFailed", "Normal AccessCredentialsSyncSuccess"}
	if diff := cmp.Diff(want, l.recorder.all()[2:]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestReadyFollowsTheProbe has virt-controller tell of the probe's outcome.
func TestReadyFollowsTheProbe(t *testing.T) {
	spec.Covers(t, "P4-PROBE-03")
	l := newLab(t, func(v *virtv1.VirtualMachineInstance) {
		v.Spec.ReadinessProbe = &virtv1.Probe{GuestAgentPing: &virtv1.GuestAgentPing{}}
	})
	l.serve()
	l.start()
	vmi := l.awaitPhase(virtv1.Running)
	if got := conditions(vmi)["Ready"]; got != "False ContainersNotReady" {
		t.Errorf("before the probe has passed: %q", got)
	}
	tell := func(value corev1.ConditionStatus, want string) {
		t.Helper()
		vmi := l.vmi().DeepCopy()
		set(&vmi.Status, virtv1.VirtualMachineInstanceReadinessProbe, value, "", "", metav1.NewTime(l.clock.Now()))
		if _, err := l.client.KubevirtV1().VirtualMachineInstances("default").UpdateStatus(t.Context(), vmi, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		l.await("Ready is "+want, 0, func(v *virtv1.VirtualMachineInstance) bool { return conditions(v)["Ready"] == want })
	}
	tell(corev1.ConditionTrue, "True ")
	tell(corev1.ConditionFalse, "False ContainersNotReady")
	tell(corev1.ConditionTrue, "True ")
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_PAUSED, func(e *launcher.Event) { e.Reason = launcher.ReasonPausedByUser })
	l.await("a paused guest is not ready", 0, func(v *virtv1.VirtualMachineInstance) bool { return conditions(v)["Ready"] == "False GuestNotRunning" })
	l.launcher.become(guestRuns, nil)
	l.await("it is ready again", 0, func(v *virtv1.VirtualMachineInstance) bool { return conditions(v)["Ready"] == "True " })
}
