package node

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// ReasonAgentTooOld is the reason of an agent that lacks commands which the instance needs.
const ReasonAgentTooOld = "CommandsMissing"

// frozen is what the status says of a guest whose file systems are frozen; it says nothing of others.
const frozen = "frozen"

// observeAgent tells what the guest agent has told. What is known of the operating system outlives the connection.
func observeAgent(status *virtv1.VirtualMachineInstanceStatus, vmi *virtv1.VirtualMachineInstance, e *launcher.Event, now metav1.Time) {
	agent := e.GetAgent()
	status.FSFreezeStatus = ""
	if agent.GetFsFrozen() {
		status.FSFreezeStatus = frozen
	}
	if !agent.GetConnected() {
		remove(status, virtv1.VirtualMachineInstanceAgentConnected)
		remove(status, virtv1.VirtualMachineInstanceUnsupportedAgent)
		return
	}
	set(status, virtv1.VirtualMachineInstanceAgentConnected, corev1.ConditionTrue, "", "", now)
	// Before it has told its version it has told nothing.
	if missing := missingCommands(&vmi.Spec, agent.GetSupportedCommands()); missing != "" && agent.GetVersion() != "" {
		set(status, virtv1.VirtualMachineInstanceUnsupportedAgent, corev1.ConditionTrue, ReasonAgentTooOld, missing, now)
	} else {
		remove(status, virtv1.VirtualMachineInstanceUnsupportedAgent)
	}
	if os := agent.GetOs(); os != nil {
		status.GuestOSInfo = virtv1.VirtualMachineInstanceGuestOSInfo{
			ID: os.GetId(), Name: os.GetName(), PrettyName: os.GetPrettyName(), Version: os.GetVersion(), VersionID: os.GetVersionId(),
			KernelRelease: os.GetKernelRelease(), KernelVersion: os.GetKernelVersion(), Machine: os.GetMachine(),
		}
	}
}

// Commands of the guest agent by what they are for, as the reference names them.
var (
	basicCommands = []string{"guest-ping", "guest-get-time", "guest-info", "guest-shutdown", "guest-network-get-interfaces", "guest-get-fsinfo",
		"guest-get-host-name", "guest-get-users", "guest-get-timezone", "guest-get-osinfo"}
	keyCommands      = []string{"guest-ssh-get-authorized-keys", "guest-ssh-add-authorized-keys", "guest-ssh-remove-authorized-keys"}
	execCommands     = []string{"guest-exec-status", "guest-exec"}
	passwordCommands = []string{"guest-set-user-password"}
)

// missingCommands says what the agent lacks of what the instance needs, empty if nothing.
func missingCommands(spec *virtv1.VirtualMachineInstanceSpec, supported []string) string {
	has := func(commands []string) bool {
		return !slices.ContainsFunc(commands, func(c string) bool { return !slices.Contains(supported, c) })
	}
	if !has(basicCommands) {
		return "This guest agent doesn't support required basic commands"
	}
	for i := range spec.AccessCredentials {
		c := &spec.AccessCredentials[i]
		// Agents from before 5.2 have no commands for keys, but run programs that write them.
		if k := c.SSHPublicKey; k != nil && k.PropagationMethod.QemuGuestAgent != nil && !has(keyCommands) && !has(execCommands) {
			return "This guest agent doesn't support required public key commands"
		}
		if p := c.UserPassword; p != nil && p.PropagationMethod.QemuGuestAgent != nil && !has(passwordCommands) {
			return "This guest agent doesn't support required password commands"
		}
	}
	for _, p := range []*virtv1.Probe{spec.ReadinessProbe, spec.LivenessProbe} {
		if p != nil && p.Exec != nil && !has(execCommands) {
			return "This guest agent doesn't support the commands that exec probes need"
		}
	}
	return ""
}

// observeCredentials tells whether the guest has the keys and passwords of its Secrets; of a guest that gets none it tells
// nothing.
func observeCredentials(status *virtv1.VirtualMachineInstanceStatus, c *launcher.CredentialsState, now metav1.Time) {
	switch {
	case c == nil:
		remove(status, virtv1.VirtualMachineInstanceAccessCredentialsSynchronized)
	case c.GetSynced():
		set(status, virtv1.VirtualMachineInstanceAccessCredentialsSynchronized, corev1.ConditionTrue, "", "", now)
	default:
		set(status, virtv1.VirtualMachineInstanceAccessCredentialsSynchronized, corev1.ConditionFalse, c.GetReason(), c.GetMessage(), now)
	}
}

// ReasonNotReady is the reason of a guest whose readiness probe has not passed; it is the kubelet's own word for it.
const ReasonNotReady = "ContainersNotReady"

// observeReady says whether a guest that runs may be sent work: always, unless there is a readiness probe or a container of the pod
// that is not ready, of which virt-controller tells.
func observeReady(status *virtv1.VirtualMachineInstanceStatus, vmi *virtv1.VirtualMachineInstance, e *launcher.Event, now metav1.Time) {
	probe, containers := condition(status, virtv1.VirtualMachineInstanceReadinessProbe), condition(status, virtv1.VirtualMachineInstanceContainersReady)
	switch {
	case vmi.Spec.ReadinessProbe == nil && containers != nil && containers.Status == corev1.ConditionFalse:
		set(status, virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse, ReasonNotReady, "the pod is not ready: "+containers.Message, now)
	case vmi.Spec.ReadinessProbe == nil, probe != nil && probe.Status == corev1.ConditionTrue:
		set(status, virtv1.VirtualMachineInstanceReady, corev1.ConditionTrue, "", "", now)
	case probe == nil:
		set(status, virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse, ReasonNotReady, "the readiness probe has not passed yet"+probeFailure(vmi, e), now)
	default:
		set(status, virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse, ReasonNotReady, "the readiness probe fails"+probeFailure(vmi, e), now)
	}
}

// probeFailure says what the guest has answered to the readiness probe, as far as the launcher has asked it. What the kubelet
// asks by network stands in the pod's events only.
func probeFailure(vmi *virtv1.VirtualMachineInstance, e *launcher.Event) string {
	var command []string
	switch p := vmi.Spec.ReadinessProbe; {
	case p == nil, p.Exec == nil && p.GuestAgentPing == nil:
		return ""
	case p.Exec != nil:
		command = p.Exec.Command
	}
	for _, f := range e.GetProbeFailures() {
		if slices.Equal(f.GetCommand(), command) {
			return ": " + cut(f.GetMessage(), mostWords)
		}
	}
	return ""
}

// mostWords bounds what a status holds of a launcher's words, in bytes.
const mostWords = 2048

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + " …"
}

// observeShortfalls tells what the guest runs without.
func observeShortfalls(status *virtv1.VirtualMachineInstanceStatus, all []*launcher.Shortfall, now metav1.Time) {
	if len(all) == 0 {
		remove(status, virtv1.VirtualMachineInstanceDegraded)
		return
	}
	var messages []string
	for _, s := range all {
		messages = append(messages, s.GetMessage())
	}
	set(status, virtv1.VirtualMachineInstanceDegraded, corev1.ConditionTrue, all[0].GetReason(), cut(strings.Join(messages, "; "), mostWords), now)
}

// observeTermination takes back that a guest is ready whose pod is on its way out, as virt-controller tells: no work is to come to
// it, however long it takes to end.
func observeTermination(status *virtv1.VirtualMachineInstanceStatus, now metav1.Time) {
	if c := condition(status, virtv1.VirtualMachineInstanceContainersReady); c != nil && c.Status == corev1.ConditionFalse && c.Reason == virtv1.PodTerminatingReason {
		set(status, virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse, c.Reason, c.Message, now)
	}
}
