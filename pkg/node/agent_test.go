package node

import (
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func addrs(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, t := range texts {
		all = append(all, netip.MustParseAddr(t))
	}
	return all
}

func phases(vmi *virtv1.VirtualMachineInstance) []string {
	var all []string
	for _, p := range vmi.Status.PhaseTransitionTimestamps {
		all = append(all, string(p.Phase))
	}
	return all
}

func conditions(vmi *virtv1.VirtualMachineInstance) map[string]string {
	all := map[string]string{}
	for _, c := range vmi.Status.Conditions {
		all[string(c.Type)] = string(c.Status) + " " + c.Reason
	}
	return all
}

func TestRunsAnInstance(t *testing.T) {
	l := newLab(t, func(v *virtv1.VirtualMachineInstance) {
		v.Spec.Domain.CPU = &virtv1.CPU{Cores: 2}
	})
	l.start()
	l.serve() // the launcher comes after the agent waits for it
	vmi := l.awaitPhase(virtv1.Running)
	if diff := cmp.Diff([]string{"Running"}, phases(vmi)); diff != "" {
		t.Errorf("phases: %s", diff)
	}
	want := map[string]string{"Ready": "True ", "SoftwareEmulation": "True SoftwareEmulation", "LiveMigratable": "False MigrationNotSupported"}
	if diff := cmp.Diff(want, conditions(vmi)); diff != "" {
		t.Errorf("conditions: %s", diff)
	}
	one := int32(1)
	wantInterfaces := []virtv1.VirtualMachineInstanceNetworkInterface{{
		Name: "default", MAC: "02:00:00:aa:bb:cc", IPAddress: "10.244.1.7", IPAddresses: []string{"10.244.1.7", "fd44::7"},
		InfoSource: "domain", PodInterfaceName: "eth0", QueueCount: &one, LinkState: "up",
	}}
	if diff := cmp.Diff(wantInterfaces, vmi.Status.Interfaces); diff != "" {
		t.Errorf("interfaces: %s", diff)
	}
	if diff := cmp.Diff(&virtv1.CPUTopology{Sockets: 1, Cores: 2, Threads: 1}, vmi.Status.CurrentCPUTopology); diff != "" {
		t.Errorf("topology: %s", diff)
	}
	if vmi.Status.Machine == nil || vmi.Status.Machine.Type != "pc-q35-7.2" {
		t.Errorf("machine: %v", vmi.Status.Machine)
	}
	if diff := cmp.Diff([]string{"Normal Created", "Normal Started"}, l.recorder.all()); diff != "" {
		t.Errorf("events: %s", diff)
	}
	if n := l.statusWrites(); n != 1 {
		t.Errorf("%d status writes until Running, want 1", n)
	}
}

func TestWhatTheLauncherIsGiven(t *testing.T) {
	l := newLab(t, func(v *virtv1.VirtualMachineInstance) {
		v.Spec.Domain.Devices.Interfaces[0].MACAddress = "02:11:22:33:44:55"
		v.Spec.Volumes = []virtv1.Volume{
			{Name: "plain", CloudInitNoCloud: &virtv1.CloudInitNoCloudSource{UserData: "#cloud-config"}},
			{Name: "seed", CloudInitNoCloud: &virtv1.CloudInitNoCloudSource{
				SecretRef: &corev1.LocalObjectReference{Name: "user"}, NetworkDataSecretRef: &corev1.LocalObjectReference{Name: "net"}}},
		}
	})
	l.process.files = map[string]string{
		"/var/run/kubevirt-secrets/seed/userdata":                "#cloud-config of a secret",
		"/var/run/kubevirt-secrets/seed-networkdata/networkdata": "version: 2",
	}
	l.serve()
	l.start()
	l.awaitPhase(virtv1.Running)
	r := l.launcher.syncs[0]
	var sent virtv1.VirtualMachineInstance
	if err := json.Unmarshal(r.GetVmi(), &sent); err != nil || sent.Kind != "VirtualMachineInstance" || sent.APIVersion != "kubevirt.io/v1" || sent.UID != vmiUID {
		t.Errorf("the launcher was sent %s, %v", r.GetVmi(), err)
	}
	type iface struct {
		Name, Tap, Bridge, MAC, Guest, Gateway string
		MTU, Queues                            uint32
		Vhost                                  bool
	}
	var got []iface
	for _, i := range r.GetOptions().GetInterfaces() {
		got = append(got, iface{i.GetName(), i.GetTap(), i.GetBridge(), i.GetMac(), i.GetGuestIpv4(), i.GetGatewayIpv4(), i.GetMtu(), i.GetQueues(), i.GetVhost()})
	}
	want := []iface{{"default", "tap0", "k6t-eth0", "02:11:22:33:44:55", "10.0.2.2/24", "10.0.2.1", 1400, 1, false}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if o := r.GetOptions(); !o.GetEmulation() || o.GetDefaultMachineType() != "q35" {
		t.Errorf("options %v", o)
	}
	data := r.GetOptions().GetCloudInit()
	if len(data) != 1 || data[0].GetVolume() != "seed" || string(data[0].GetUserData()) != "#cloud-config of a secret" || string(data[0].GetNetworkData()) != "version: 2" {
		t.Errorf("cloud-init data %v", data)
	}
}

func TestStartFailures(t *testing.T) {
	grpcErr := func(code codes.Code, reason, text string) error {
		return launcher.Errorf(code, reason, "%s", text).GRPCStatus().Err()
	}
	for _, tc := range []struct {
		name          string
		change        func(*virtv1.VirtualMachineInstance)
		err           error
		network       error
		reason        string
		message       string
		final, killed bool
	}{
		{name: "corrupt cloud-init", err: grpcErr(codes.InvalidArgument, "CloudInitInvalid", `preparing disks and machine: volume seed: spec.volumes[0].cloudInitNoCloud.userData: line 4: did not find expected key`),
			reason: "CloudInitInvalid", message: `preparing disks and machine: volume seed: spec.volumes[0].cloudInitNoCloud.userData: line 4: did not find expected key`, final: true},
		{name: "image without a disk", err: grpcErr(codes.FailedPrecondition, "ImageMissing", `volume "root": the image has no file in /disk`),
			reason: "ImageMissing", message: `volume "root": the image has no file in /disk`, final: true},
		{name: "image too large", err: grpcErr(codes.FailedPrecondition, "ImageTooLarge", "2 TiB is more than the limit of 1 TiB"),
			reason: "ImageTooLarge", message: "2 TiB is more than the limit of 1 TiB", final: true},
		{name: "full disk", err: grpcErr(codes.ResourceExhausted, "NoSpace", "writing the overlay: no space left on device"),
			reason: "NoSpace", message: "writing the overlay: no space left on device"},
		{name: "claim not mounted", err: grpcErr(codes.FailedPrecondition, "ClaimUnavailable", "disk.img is locked"), reason: "ClaimUnavailable", message: "disk.img is locked"},
		{name: "launcher starts", err: grpcErr(codes.Unavailable, "Unavailable", "QEMU does not answer"), reason: "Unavailable", message: "QEMU does not answer"},
		{name: "unknown error", err: errors.New("boom"), reason: "SyncFailed", message: "boom"},
		{name: "network fails", network: errors.New("no route"), reason: "NetworkUnavailable", message: "connecting the guest to the pod's network: no route"},
		{name: "bridge binding", change: func(v *virtv1.VirtualMachineInstance) {
			v.Spec.Domain.Devices.Interfaces[0] = virtv1.Interface{Name: "default", Bridge: &virtv1.InterfaceBridge{}}
		}, reason: "UnsupportedNetwork", message: "spec.domain.devices.interfaces[0].bridge: this binding is not supported yet; use `masquerade: {}`", final: true},
		{name: "secret without key", change: func(v *virtv1.VirtualMachineInstance) {
			v.Spec.Volumes = []virtv1.Volume{{Name: "seed", CloudInitNoCloud: &virtv1.CloudInitNoCloudSource{SecretRef: &corev1.LocalObjectReference{Name: "user"}}}}
		}, reason: "SecretMissing", message: `volume "seed": secret "user" has no key "userdata"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, tc.change)
			if tc.err != nil {
				l.launcher.syncErrs = []error{tc.err}
			}
			if tc.network != nil {
				l.network.errs = []error{tc.network}
			}
			l.serve()
			l.start()
			vmi := l.await("a condition tells of the failure", 0, func(v *virtv1.VirtualMachineInstance) bool {
				return condition(&v.Status, "Synchronized") != nil
			})
			c := condition(&vmi.Status, "Synchronized")
			if c.Status != "False" || c.Reason != tc.reason || c.Message != tc.message {
				t.Errorf("condition %+v", c)
			}
			l.await("an event tells of the failure", 0, func(*virtv1.VirtualMachineInstance) bool { return len(l.recorder.all()) > 0 })
			if diff := cmp.Diff([]string{"Warning SyncFailed"}, l.recorder.all()); diff != "" {
				t.Errorf("events: %s", diff)
			}
			if tc.final {
				if vmi.Status.Phase != virtv1.Failed || vmi.Status.Reason != tc.reason {
					t.Errorf("phase %s, reason %q", vmi.Status.Phase, vmi.Status.Reason)
				}
				l.awaitCall("Kill", 1) // so that the pod ends
				return
			}
			if vmi.Status.Phase != virtv1.Scheduled {
				t.Errorf("phase %s", vmi.Status.Phase)
			}
			if tc.reason == "SecretMissing" {
				return // what it lacks does not come in this test
			}
			vmi = l.await("a later try succeeds", time.Second, func(v *virtv1.VirtualMachineInstance) bool { return v.Status.Phase == virtv1.Running })
			if c := condition(&vmi.Status, "Synchronized"); c != nil {
				l.await("the condition goes", 0, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "Synchronized") == nil })
			}
		})
	}
}

func TestFollowsTheGuest(t *testing.T) {
	l := newLab(t, nil)
	l.serve()
	l.start()
	l.awaitPhase(virtv1.Running)
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_PAUSED, func(e *launcher.Event) {
		e.Reason, e.Message = "PausedIOError", "disk disk-root: write failed: no space is left on the node or claim"
	})
	vmi := l.await("the guest is paused", 0, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "Paused") != nil })
	if got := conditions(vmi); got["Paused"] != "True PausedIOError" || got["Ready"] != "False GuestNotRunning" {
		t.Errorf("conditions %v", got)
	}
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_RUNNING, func(e *launcher.Event) {
		e.Agent = &launcher.GuestAgent{Connected: true, Os: &launcher.OSInfo{Id: "debian", PrettyName: "Debian GNU/Linux 12 (bookworm)", VersionId: "12"}}
		e.Interfaces = append(e.Interfaces, &launcher.GuestInterface{GuestName: "docker0", Mac: "02:42:00:00:00:01", IpAddresses: []string{"172.17.0.1"}})
		e.Interfaces[0].GuestName, e.Interfaces[0].Sources = "enp1s0", []string{"domain", "guest-agent"}
	})
	vmi = l.await("the agent is connected", 0, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "AgentConnected") != nil })
	if got := conditions(vmi); got["Ready"] != "True " || got["Paused"] != "" {
		t.Errorf("conditions %v", got)
	}
	if vmi.Status.GuestOSInfo.ID != "debian" || vmi.Status.GuestOSInfo.PrettyName != "Debian GNU/Linux 12 (bookworm)" {
		t.Errorf("guest %+v", vmi.Status.GuestOSInfo)
	}
	if len(vmi.Status.Interfaces) != 2 || vmi.Status.Interfaces[0].InterfaceName != "enp1s0" || vmi.Status.Interfaces[0].InfoSource != "domain, guest-agent" ||
		vmi.Status.Interfaces[0].IPAddress != "10.244.1.7" || vmi.Status.Interfaces[1].IPAddress != "172.17.0.1" || vmi.Status.Interfaces[1].InfoSource != "guest-agent" {
		t.Errorf("interfaces %+v", vmi.Status.Interfaces)
	}
	l.await("events tell of it", 0, func(*virtv1.VirtualMachineInstance) bool { return len(l.recorder.all()) == 4 })
	if diff := cmp.Diff([]string{"Normal Created", "Normal Started", "Warning Paused", "Normal Resumed"}, l.recorder.all()); diff != "" {
		t.Error(diff)
	}
	if got := l.recorder.note(2); got != "The guest was paused: PausedIOError: disk disk-root: write failed: no space is left on the node or claim" {
		t.Errorf("note %q", got)
	}
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_PAUSED, func(e *launcher.Event) { e.Reason = "PausedByUser" })
	l.await("an event tells of it", 0, func(*virtv1.VirtualMachineInstance) bool { return len(l.recorder.all()) == 5 })
	if got := l.recorder.all()[4]; got != "Normal Paused" {
		t.Errorf("event %q", got)
	}
}

// TestIncidents tells each thing that happens to a guest once, whoever asks again.
func TestIncidents(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	incident := func(reason string, after time.Duration) *launcher.Incident {
		return &launcher.Incident{Reason: reason, Message: "what " + reason + " means", At: timestamppb.New(at.Add(after))}
	}
	l := newLab(t, nil)
	l.serve()
	l.start()
	l.awaitPhase(virtv1.Running)
	become := func(all ...*launcher.Incident) {
		l.launcher.become(launcher.DomainState_DOMAIN_STATE_RUNNING, func(e *launcher.Event) { e.Incidents = all })
	}
	told := func(want ...string) {
		t.Helper()
		want = append([]string{"Normal Created", "Normal Started"}, want...)
		l.await("events tell of it", 0, func(*virtv1.VirtualMachineInstance) bool { return len(l.recorder.all()) >= len(want) })
		if diff := cmp.Diff(want, l.recorder.all()); diff != "" {
			t.Error(diff)
		}
	}
	become(incident("WatchdogExpired", 0))
	told("Warning WatchdogExpired")
	if got := l.recorder.note(2); got != "At 2026-11-22T12:00:00Z: what WatchdogExpired means" {
		t.Errorf("note %q", got)
	}
	become(incident("WatchdogExpired", 0), incident("GuestReset", time.Second))
	told("Warning WatchdogExpired", "Normal GuestReset")
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_RUNNING, func(e *launcher.Event) {
		e.Incidents, e.Agent = []*launcher.Incident{incident("GuestReset", time.Second), incident("WatchdogExpired", 2*time.Second)}, &launcher.GuestAgent{Connected: true}
	})
	l.await("the agent is connected", 0, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "AgentConnected") != nil })
	told("Warning WatchdogExpired", "Normal GuestReset") // not each of many
	l.clock.Step(2 * time.Minute)
	become(incident("GuestReset", time.Second), incident("WatchdogExpired", time.Minute))
	told("Warning WatchdogExpired", "Normal GuestReset", "Warning WatchdogExpired")
	l.stop()
	l.start() // a successor does not tell again what it finds
	l.awaitCall("Sync", 2)
	become(incident("GuestReset", time.Second), incident("WatchdogExpired", time.Minute), incident("GuestPanicked", time.Hour))
	told("Warning WatchdogExpired", "Normal GuestReset", "Warning WatchdogExpired", "Warning GuestPanicked")
}

// TestPodTerminated is a guest that ends because its pod does: only whoever deleted the instance wanted that.
func TestPodTerminated(t *testing.T) {
	for _, tc := range []struct {
		name    string
		deleted bool
		state   launcher.DomainState
		reason  string
		phase   virtv1.VirtualMachineInstancePhase
		want    string
	}{
		{"drained", false, launcher.DomainState_DOMAIN_STATE_SHUTDOWN, "GuestShutdown", "Failed", "PodTerminated"},
		{"drained and killed", false, launcher.DomainState_DOMAIN_STATE_SHUTDOWN, "GracePeriodExceeded", "Failed", "PodTerminated"},
		{"drained and panicked", false, launcher.DomainState_DOMAIN_STATE_CRASHED, "GuestPanicked", "Failed", "GuestPanicked"},
		{"deleted", true, launcher.DomainState_DOMAIN_STATE_SHUTDOWN, "GuestShutdown", "Succeeded", "GuestShutdown"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, nil)
			l.serve()
			l.start()
			l.awaitPhase(virtv1.Running)
			if tc.deleted {
				l.remove(60)
				l.awaitCall("Shutdown", 1)
			}
			l.launcher.become(tc.state, func(e *launcher.Event) { e.Reason, e.PodTerminated = tc.reason, true })
			if vmi := l.awaitPhase(tc.phase); vmi.Status.Reason != tc.want {
				t.Errorf("reason %q, want %q", vmi.Status.Reason, tc.want)
			}
		})
	}
}

// TestStopsWithoutTheAPI has an API that takes no status: the guest of an instance that was deleted ends all the same.
func TestStopsWithoutTheAPI(t *testing.T) {
	for _, tc := range []struct {
		name string
		hang bool
		call string
	}{{"guest that runs", false, "Shutdown"}, {"start that hangs", true, "Kill"}} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, nil)
			l.launcher.hang = tc.hang
			l.serve()
			l.start()
			if tc.hang {
				l.awaitCall("Sync", 1)
			} else {
				l.awaitPhase(virtv1.Running)
			}
			l.client.PrependReactor("update", "virtualmachineinstances", func(action clienttesting.Action) (bool, runtime.Object, error) {
				return action.GetSubresource() == "status", nil, apierrors.NewServiceUnavailable("the store is away")
			})
			writes := l.statusWrites()
			if tc.hang {
				// There is something to write, in vain: what the launcher says of its failure.
				for s := range maps.Values(l.agent.sessionsNow()) {
					s.change(func() { s.start.failure = &failure{reason: "ClaimUnavailable", message: "it hangs"} })
				}
			} else {
				l.launcher.become(launcher.DomainState_DOMAIN_STATE_RUNNING, func(e *launcher.Event) { e.Agent = &launcher.GuestAgent{Connected: true} })
			}
			if !tc.hang {
				l.await("the status was tried", 0, func(*virtv1.VirtualMachineInstance) bool { return l.statusWrites() > writes })
			}
			l.remove(0)
			l.awaitCall(tc.call, 1)
			l.await("the status was tried", 0, func(*virtv1.VirtualMachineInstance) bool { return l.statusWrites() > writes })
			if tc.hang {
				return
			}
			// And so does the kill when the guest does not heed it.
			l.await("the guest is killed", time.Second, func(*virtv1.VirtualMachineInstance) bool { return l.launcher.called("Kill") > 0 })
		})
	}
}

func TestEnds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		state  launcher.DomainState
		reason string
		phase  virtv1.VirtualMachineInstancePhase
		event  string
	}{
		{"guest powered down", launcher.DomainState_DOMAIN_STATE_SHUTDOWN, "GuestShutdown", "Succeeded", "Normal Stopped"},
		{"guest panicked", launcher.DomainState_DOMAIN_STATE_CRASHED, "GuestPanicked", "Failed", "Warning Stopped"},
		{"QEMU was killed", launcher.DomainState_DOMAIN_STATE_CRASHED, "QEMUKilled", "Failed", "Warning Stopped"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, nil)
			stop := l.serve()
			l.start()
			l.awaitPhase(virtv1.Running)
			l.launcher.become(tc.state, func(e *launcher.Event) { e.Reason = tc.reason })
			vmi := l.awaitPhase(tc.phase)
			if vmi.Status.Reason != tc.reason || conditions(vmi)["Ready"] != "False GuestNotRunning" {
				t.Errorf("reason %q, conditions %v", vmi.Status.Reason, conditions(vmi))
			}
			stop()
			l.await("an event tells of it", 0, func(*virtv1.VirtualMachineInstance) bool { return len(l.recorder.all()) == 3 })
			if got := l.recorder.all()[2]; got != tc.event {
				t.Errorf("event %q", got)
			}
			if l.launcher.called("Kill") != 0 {
				t.Error("what has ended was killed")
			}
			writes := l.statusWrites()
			l.update(vmi.DeepCopy()) // a look at a final instance changes nothing
			l.stop()
			if n := l.statusWrites(); n != writes {
				t.Errorf("%d status writes after the final phase", n-writes)
			}
		})
	}
}

// TestEndsWithTheConnection is a launcher that ends as soon as its guest has.
func TestEndsWithTheConnection(t *testing.T) {
	l := newLab(t, nil)
	stop := l.serve()
	a := l.start()
	l.awaitPhase(virtv1.Running)
	// The agent sees both at once: hold it off by its own lock while the launcher ends.
	a.mu.Lock()
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_SHUTDOWN, func(e *launcher.Event) { e.Reason = "GuestShutdown" })
	for s := range maps.Values(a.sessions) {
		for end := time.Now().Add(waitFor); !ended(s.view().event) && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
	}
	stop()
	a.mu.Unlock()
	l.awaitPhase(virtv1.Succeeded)
}

func TestDeletion(t *testing.T) {
	l := newLab(t, nil)
	l.serve()
	l.start()
	l.awaitPhase(virtv1.Running)
	l.remove(60)
	l.awaitCall("Shutdown", 1)
	l.await("an event tells of it", 0, func(*virtv1.VirtualMachineInstance) bool { return len(l.recorder.all()) == 3 })
	if l.recorder.all()[2] != "Normal ShuttingDown" || l.launcher.graces[0] != 60 {
		t.Errorf("events %v, grace periods %v", l.recorder.all(), l.launcher.graces)
	}
	// A shorter time is passed on.
	l.clock.Step(10 * time.Second)
	vmi := l.vmi()
	twenty := int64(20)
	vmi.Spec.TerminationGracePeriodSeconds = &twenty
	vmi.Generation++
	l.update(vmi)
	l.awaitCall("Shutdown", 2)
	if l.launcher.graces[1] != 10 {
		t.Errorf("grace periods %v", l.launcher.graces)
	}
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_SHUTDOWN, func(e *launcher.Event) { e.Reason = "GuestShutdown" })
	l.awaitPhase(virtv1.Succeeded)
	if n := l.launcher.called("Sync"); n != 1 {
		t.Errorf("%d Syncs", n)
	}
}

func TestKillsWhatDoesNotEnd(t *testing.T) {
	l := newLab(t, nil)
	l.serve()
	l.start()
	l.awaitPhase(virtv1.Running)
	l.remove(0)
	l.awaitCall("Shutdown", 1)
	l.await("the guest is killed", time.Second, func(v *virtv1.VirtualMachineInstance) bool { return v.Status.Phase == virtv1.Succeeded })
	if l.launcher.called("Kill") != 1 {
		t.Errorf("calls %v", l.launcher.calls)
	}
}

func TestDeletionBeforeTheStart(t *testing.T) {
	l := newLab(t, nil)
	l.launcher.hang = true
	l.serve()
	l.start()
	l.awaitCall("Sync", 1)
	l.remove(60)
	l.awaitCall("Kill", 1)
	l.awaitPhase(virtv1.Succeeded)
}

// TestSuccessor is an agent that was killed and started again beside a guest.
func TestSuccessor(t *testing.T) {
	l := newLab(t, nil)
	l.serve()
	l.start()
	before := l.awaitPhase(virtv1.Running)
	l.stop()
	writes := l.statusWrites()
	l.start()
	l.awaitCall("Sync", 2) // it may be repeated; and the network is looked at
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_PAUSED, func(e *launcher.Event) { e.Reason = "PausedByUser" })
	after := l.await("the successor follows the guest", 0, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "Paused") != nil })
	if diff := cmp.Diff(before.Status.PhaseTransitionTimestamps, after.Status.PhaseTransitionTimestamps); diff != "" {
		t.Error(diff)
	}
	if n := l.statusWrites() - writes; n != 1 {
		t.Errorf("%d status writes, want the one about the pause", n)
	}
	for _, call := range []string{"Kill", "Shutdown"} {
		if l.launcher.called(call) != 0 {
			t.Errorf("the successor called %s", call)
		}
	}
	if len(l.network.plans) != 2 {
		t.Errorf("the network was looked at %d times", len(l.network.plans))
	}
}

// TestSpokenFor takes back what virt-controller has said while the agent was silent.
func TestSpokenFor(t *testing.T) {
	speak := func(v *virtv1.VirtualMachineInstance) {
		set(&v.Status, "Ready", "False", "NodeUnreachable", "node node1 does not answer", metav1.NewTime(time.Unix(1, 0)))
	}
	is := func(want string) func(*virtv1.VirtualMachineInstance) bool {
		return func(v *virtv1.VirtualMachineInstance) bool { return conditions(v)["Ready"] == want }
	}
	t.Run("the agent was cut off", func(t *testing.T) {
		l := newLab(t, nil)
		l.serve()
		l.start()
		for range 2 {
			vmi := l.awaitPhase(virtv1.Running)
			writes := l.statusWrites()
			speak(vmi)
			l.update(vmi)
			l.await("the guest is ready", 0, is("True "))
			if n := l.statusWrites() - writes; n != 1 {
				t.Errorf("%d status writes", n)
			}
		}
	})
	t.Run("the agent's watch broke and missed it", func(t *testing.T) {
		l := newLab(t, nil)
		var mu sync.Mutex
		var first watch.Interface
		l.client.PrependWatchReactor("virtualmachineinstances", func(action clienttesting.Action) (bool, watch.Interface, error) {
			mu.Lock()
			defer mu.Unlock()
			if first != nil {
				// The server begins with what the broken watch has missed.
				vmi, err := l.client.Tracker().Get(action.GetResource(), "default", "testvm")
				next := watch.NewRaceFreeFake()
				next.Modify(vmi)
				return true, next, err
			}
			w, err := l.client.Tracker().Watch(action.GetResource(), action.GetNamespace())
			first = watch.Filter(w, func(e watch.Event) (watch.Event, bool) {
				vmi, ok := e.Object.(*virtv1.VirtualMachineInstance)
				return e, !ok || conditions(vmi)["Ready"] != "False NodeUnreachable"
			})
			return true, first, err
		})
		l.serve()
		l.start()
		vmi := l.awaitPhase(virtv1.Running)
		speak(vmi)
		l.update(vmi)
		time.Sleep(50 * time.Millisecond)
		if c := conditions(l.vmi())["Ready"]; c != "False NodeUnreachable" {
			t.Fatalf("the agent, which could not see it, has changed it to %q", c)
		}
		mu.Lock()
		first.Stop()
		mu.Unlock()
		l.await("the guest is ready", 0, is("True "))
	})
	for _, tc := range []struct {
		name   string
		state  launcher.DomainState
		paused bool
		want   string
	}{
		{"the guest runs", launcher.DomainState_DOMAIN_STATE_RUNNING, false, "True "},
		{"the guest is paused", launcher.DomainState_DOMAIN_STATE_PAUSED, true, "False GuestNotRunning"},
		{"the guest was unpaused", launcher.DomainState_DOMAIN_STATE_RUNNING, true, "True "},
		{"the guest is on its way down", launcher.DomainState_DOMAIN_STATE_STOPPING, false, "True "},
		{"the guest is on its way down and paused", launcher.DomainState_DOMAIN_STATE_STOPPING, true, "False GuestNotRunning"},
		{"the guest has ended", launcher.DomainState_DOMAIN_STATE_CRASHED, false, "False GuestNotRunning"},
		{"the launcher knows no guest", launcher.DomainState_DOMAIN_STATE_NONE, false, "False GuestNotRunning"},
	} {
		t.Run("the agent is new/"+tc.name, func(t *testing.T) {
			l := newLab(t, func(v *virtv1.VirtualMachineInstance) {
				v.Status.Phase = virtv1.Running
				if tc.paused {
					set(&v.Status, "Paused", "True", "PausedByUser", "", metav1.NewTime(time.Unix(1, 0)))
				}
				speak(v)
			})
			l.launcher.become(tc.state, nil)
			l.serve()
			l.start()
			vmi := l.await("the agent has spoken", 0, is(tc.want))
			if c := condition(&vmi.Status, "Ready"); c.Message == "node node1 does not answer" {
				t.Errorf("ready %+v", c)
			}
		})
	}
	t.Run("the launcher is away", func(t *testing.T) {
		l := newLab(t, func(v *virtv1.VirtualMachineInstance) {
			v.Status.Phase = virtv1.Running
			speak(v)
		})
		l.start()
		l.await("the agent has spoken", time.Second, is("False GuestNotRunning"))
	})
}

// TestMachineBeforeTheCache answers by what the launcher says while the agent's cache is behind its own writes, which others
// can see before it.
func TestMachineBeforeTheCache(t *testing.T) {
	l := newLab(t, nil)
	l.client.PrependWatchReactor("virtualmachineinstances", func(clienttesting.Action) (bool, watch.Interface, error) {
		return true, watch.NewRaceFreeFake(), nil // nothing comes
	})
	l.serve()
	a := l.start()
	told := func() *virtv1.VirtualMachineInstance {
		vmi, _, _, err := a.Machine("default", "testvm")
		if err != nil {
			t.Fatal(err)
		}
		return vmi
	}
	l.awaitPhase(virtv1.Running)
	if phase := told().Status.Phase; phase != virtv1.Running {
		t.Errorf("others see that the guest runs, and its agent says that it is %s", phase)
	}
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_PAUSED, func(e *launcher.Event) { e.Reason = "PausedByUser" })
	l.await("the agent knows of the pause", 0, func(*virtv1.VirtualMachineInstance) bool { return condition(&told().Status, "Paused") != nil })
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_CRASHED, func(e *launcher.Event) { e.Reason = "GuestPanicked" })
	l.await("the agent knows of the end", 0, func(*virtv1.VirtualMachineInstance) bool { return told().Status.Phase == virtv1.Failed })
	cached, err := a.instances.VirtualMachineInstances("default").Get("testvm")
	if err != nil || cached.Status.Phase != virtv1.Scheduled {
		t.Errorf("the cache has %v, %v: this test shows nothing", cached, err)
	}
}

// TestLauncherRestart is a launcher that was killed beside its guest and started again.
func TestLauncherRestart(t *testing.T) {
	l := newLab(t, nil)
	stop := l.serve()
	l.start()
	l.awaitPhase(virtv1.Running)
	stop()
	_ = os.Remove(filepath.Join(l.dir, string(podUID), "volumes/kubernetes.io~empty-dir/sockets/launcher.sock"))
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_RUNNING, func(e *launcher.Event) { e.Sequence = 1; e.LauncherRestarts = 1 })
	l.serve()
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_CRASHED, func(e *launcher.Event) { e.Reason = "GuestPanicked" })
	l.await("the phase is Failed", 10*time.Millisecond, func(v *virtv1.VirtualMachineInstance) bool { return v.Status.Phase == virtv1.Failed })
}

func TestLauncherNeverComes(t *testing.T) {
	l := newLab(t, nil)
	l.start()
	vmi := l.await("a condition tells of it", 10*time.Second, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "Synchronized") != nil })
	if c := condition(&vmi.Status, "Synchronized"); c.Reason != "LauncherNotReady" || vmi.Status.Phase != virtv1.Scheduled {
		t.Errorf("phase %s, condition %+v", vmi.Status.Phase, c)
	}
	l.serve()
	vmi = l.awaitPhase(virtv1.Running)
	if c := condition(&vmi.Status, "Synchronized"); c != nil {
		t.Errorf("condition %+v is left", c)
	}
}

func TestLauncherOfAnotherInstance(t *testing.T) {
	l := newLab(t, nil)
	l.launcher.uid = "another"
	l.serve()
	l.start()
	vmi := l.await("a condition tells of it", 0, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "Synchronized") != nil })
	if c := condition(&vmi.Status, "Synchronized"); c.Reason != "LauncherUntrusted" {
		t.Errorf("condition %+v", c)
	}
	if l.launcher.called("Sync") != 0 {
		t.Error("the instance was handed to a launcher that is not its own")
	}
}

// TestGuestIsNotStartedTwice is a launcher that has forgotten a guest that ran.
func TestGuestIsNotStartedTwice(t *testing.T) {
	l := newLab(t, func(v *virtv1.VirtualMachineInstance) { v.Status.Phase = virtv1.Running })
	l.serve()
	l.start()
	l.await("a condition tells of it", 0, func(v *virtv1.VirtualMachineInstance) bool {
		c := condition(&v.Status, "Synchronized")
		return c != nil && c.Reason == "GuestLost"
	})
	l.stop()
	if l.launcher.called("Sync") != 0 {
		t.Error("the guest was started again")
	}
}

func TestFinalInstanceHasNoGuest(t *testing.T) {
	l := newLab(t, func(v *virtv1.VirtualMachineInstance) { v.Status.Phase = virtv1.Failed })
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_RUNNING, nil)
	l.serve()
	l.start()
	l.awaitCall("Kill", 1)
	l.stop()
	if n := l.statusWrites(); n != 0 {
		t.Errorf("%d status writes to a final instance", n)
	}
}

// TestHangingLauncher is one that keeps its connection and says nothing any more.
func TestHangingLauncher(t *testing.T) {
	l := newLab(t, nil)
	l.pulse = pulse{every: 20 * time.Millisecond, within: 500 * time.Millisecond}
	l.serve()
	l.start()
	l.awaitPhase(virtv1.Running)
	dead := func(is bool) {
		l.launcher.mu.Lock()
		defer l.launcher.mu.Unlock()
		l.launcher.dead = is
	}
	dead(true)
	vmi := l.await("a condition tells of it", time.Second, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "Synchronized") != nil })
	c := condition(&vmi.Status, "Synchronized")
	if c.Status != "False" || c.Reason != "LauncherNotReady" || vmi.Status.Phase != virtv1.Running {
		t.Errorf("phase %s, condition %+v", vmi.Status.Phase, c)
	}
	dead(false)
	l.await("the condition goes", time.Second, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "Synchronized") == nil })
}

func TestForgotten(t *testing.T) {
	l := newLab(t, nil)
	forgotten := make(chan types.NamespacedName, 100)
	l.forgotten = func(key types.NamespacedName) { forgotten <- key }
	l.serve()
	l.start()
	l.awaitPhase(virtv1.Running)
	if len(forgotten) != 0 {
		t.Error("an instance that runs was forgotten")
	}
	l.launcher.become(launcher.DomainState_DOMAIN_STATE_SHUTDOWN, func(e *launcher.Event) { e.Reason = "GuestShutdown" })
	l.awaitPhase(virtv1.Succeeded)
	select {
	case key := <-forgotten:
		if key != (types.NamespacedName{Namespace: "default", Name: "testvm"}) {
			t.Errorf("forgot %s", key)
		}
	case <-time.After(waitFor):
		t.Error("an instance that has ended was not forgotten")
	}
}

func TestSpecChangeReachesTheLauncher(t *testing.T) {
	l := newLab(t, nil)
	l.serve()
	l.start()
	vmi := l.awaitPhase(virtv1.Running)
	vmi.Generation = 2
	l.update(vmi)
	l.awaitCall("Sync", 2)
	// A guest that runs does not fail because it cannot be changed.
	l.launcher.mu.Lock()
	l.launcher.syncErrs = []error{launcher.Errorf(codes.InvalidArgument, "UnsupportedField", "spec.x: cannot be changed").GRPCStatus().Err()}
	l.launcher.mu.Unlock()
	vmi = l.vmi()
	vmi.Generation = 3
	l.update(vmi)
	vmi = l.await("a condition tells of it", 0, func(v *virtv1.VirtualMachineInstance) bool { return condition(&v.Status, "Synchronized") != nil })
	if vmi.Status.Phase != virtv1.Running {
		t.Errorf("phase %s", vmi.Status.Phase)
	}
}

func TestConfigured(t *testing.T) {
	l := newLab(t, nil)
	got := make(chan int32, 10)
	l.config = func(c virtv1.KubeVirtConfiguration) {
		if c.VirtualMachineInstancesPerNode != nil {
			got <- *c.VirtualMachineInstancesPerNode
		}
	}
	l.start()
	kv, err := l.client.KubevirtV1().KubeVirts("kubevirt").Get(t.Context(), "kubevirt", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := int32(110)
	kv.Spec.Configuration.VirtualMachineInstancesPerNode = &want
	if _, err := l.client.KubevirtV1().KubeVirts("kubevirt").Update(t.Context(), kv, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case n := <-got:
		if n != want {
			t.Errorf("got %d", n)
		}
	case <-time.After(waitFor):
		t.Fatal("waiting for the configuration")
	}
}
