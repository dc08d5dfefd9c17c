package app

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/testguest"
	"github.com/virtplane/virtplane/test/spec"
)

// Short names of the states.
const (
	stateNone     = api.DomainState_DOMAIN_STATE_NONE
	stateRunning  = api.DomainState_DOMAIN_STATE_RUNNING
	statePaused   = api.DomainState_DOMAIN_STATE_PAUSED
	stateShutdown = api.DomainState_DOMAIN_STATE_SHUTDOWN
	stateCrashed  = api.DomainState_DOMAIN_STATE_CRASHED
)

// TestLife goes from an empty pod to a guest that powers down, with a launcher killed in between.
func TestLife(t *testing.T) {
	p := newPod(t)
	ctx := p.context()
	if e := p.await(stateNone, ""); e.QemuPid != 0 || e.Uid != "" {
		t.Errorf("before Sync: %v", e)
	}
	if _, err := p.client.Pause(ctx, &api.PauseRequest{}); api.ReasonOf(err) != api.ReasonNotRunning || status.Code(err) != codes.FailedPrecondition {
		t.Errorf("Pause of nothing: %v", err)
	}
	p.mustSync("")
	console := p.serial()
	running := p.await(stateRunning, "")
	if running.QemuPid == 0 || running.Uid != "the-uid" || running.StartedAt == nil || !strings.HasPrefix(running.MachineType, "pc-q35-") || !running.Emulation {
		t.Errorf("running: %v", running)
	}
	console.ping()
	p.mustSync("") // again: nothing happens
	if e := p.await(stateRunning, ""); e.QemuPid != running.QemuPid {
		t.Errorf("a second Sync started another QEMU: %v", e)
	}
	info, err := p.client.Info(ctx, &api.InfoRequest{})
	if err != nil || info.ProtocolVersion != 1 || info.Name != "testvm" || info.Uid != "the-uid" || info.QemuVersion == "" {
		t.Errorf("Info: %v, %v", info, err)
	}
	if _, err := p.client.GuestInfo(ctx, &api.GuestInfoRequest{}); api.ReasonOf(err) != api.ReasonAgentUnavailable {
		t.Errorf("GuestInfo without an agent: %v", err)
	}

	for range 2 {
		if _, err := p.client.Pause(ctx, &api.PauseRequest{}); err != nil {
			t.Errorf("Pause: %v", err)
		}
	}
	p.await(statePaused, api.ReasonPausedByUser)
	console.say("y")
	for range 2 {
		if _, err := p.client.Unpause(ctx, &api.UnpauseRequest{}); err != nil {
			t.Errorf("Unpause: %v", err)
		}
	}
	p.await(stateRunning, "")
	console.hear("y")

	// The console is QEMU's own: it does not notice the death of the launcher.
	p.killLauncher()
	again := p.watch("taken over", func(e *api.Event) bool { return e.State == stateRunning })
	if again.QemuPid != running.QemuPid || again.LauncherRestarts != 1 || again.Uid != "the-uid" || !again.StartedAt.AsTime().Equal(running.StartedAt.AsTime()) {
		t.Errorf("after the launcher's death: %v\nbefore: %v", again, running)
	}
	console.ping()

	if _, err := p.client.Shutdown(ctx, &api.ShutdownRequest{}); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	console.hear("button")
	console.hear("off")
	last := p.await(stateShutdown, api.ReasonGuestShutdown)
	if last.Exit == nil || last.Exit.Code != 0 || last.QemuPid != 0 {
		t.Errorf("last event: %v", last)
	}
	if m := p.expectEnd(0, api.ReasonGuestShutdown); m.Restarts != 1 {
		t.Errorf("termination message: %+v", m)
	}
}

func TestEnds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		domain string
		end    func(p *pod, console *serial)
		state  api.DomainState
		reason string
		code   int
	}{
		{"guest powers down by itself", "", func(_ *pod, c *serial) { c.say("s") }, stateShutdown, api.ReasonGuestShutdown, 0},
		{"guest panics", "", func(_ *pod, c *serial) { c.say("p") }, stateCrashed, api.ReasonGuestPanicked, 1},
		{"deaf guest is killed after its grace period", "", func(p *pod, c *serial) {
			c.say("d")
			c.hear("d")
			one := int64(1)
			p.client.Shutdown(p.context(), &api.ShutdownRequest{GracePeriodSeconds: &one})
			c.hear("button")
		}, stateShutdown, api.ReasonGracePeriodExceeded, 0},
		{"killed", "", func(p *pod, _ *serial) { p.client.Kill(p.context(), &api.KillRequest{}) }, stateShutdown, api.ReasonKilled, 0},
		{"no grace period", "", func(p *pod, _ *serial) {
			zero := int64(0)
			p.client.Shutdown(p.context(), &api.ShutdownRequest{GracePeriodSeconds: &zero})
		}, stateShutdown, api.ReasonGracePeriodExceeded, 0},
		{"paused guest is let run to power down", "", func(p *pod, _ *serial) {
			p.client.Pause(p.context(), &api.PauseRequest{})
			p.client.Shutdown(p.context(), &api.ShutdownRequest{})
		}, stateShutdown, api.ReasonGuestShutdown, 0},
		{"pod is told to end", "", func(p *pod, c *serial) {
			p.init.Process.Signal(syscall.SIGTERM)
			c.hear("button")
		}, stateShutdown, api.ReasonGuestShutdown, 0},
		{"QEMU dies", "", func(p *pod, _ *serial) {
			syscall.Kill(p.qemuPID(), syscall.SIGKILL)
		}, stateCrashed, api.ReasonQEMUKilled, 137},
		{"guest reboots and may not", `"rebootPolicy":"Terminate"`, func(_ *pod, c *serial) { c.say("r") }, stateShutdown, api.ReasonGuestRebooted, 0},
		{"QEMU dies while the launcher is dead", "", func(p *pod, _ *serial) {
			pid := p.qemuPID()
			p.strike()
			syscall.Kill(pid, syscall.SIGSEGV)
		}, stateCrashed, api.ReasonQEMUKilled, 139},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t)
			p.mustSync(tc.domain)
			console := p.serial()
			console.ping()
			// Watched before it happens: the launcher goes as soon as it has told somebody.
			end := p.follow(tc.reason, func(e *api.Event) bool { return e.State == tc.state && e.Reason == tc.reason })
			tc.end(p, console)
			asked := tc.name == "pod is told to end"
			if e := end(); e.PodTerminated != asked {
				t.Errorf("last event: %v", e)
			}
			if m := p.expectEnd(tc.code, tc.reason); m.PodTerminated != asked {
				t.Errorf("termination message: %+v", m)
			}
		})
	}
}

func TestReboots(t *testing.T) {
	p := newPod(t)
	p.mustSync("")
	console := p.serial()
	console.ping()
	qemu := p.await(stateRunning, "").QemuPid

	console.say("r")
	console.hear("boot")
	first := p.watch("a reset", func(e *api.Event) bool { return e.LastResetAt != nil })
	if len(first.Incidents) != 1 || first.Incidents[0].Reason != api.ReasonGuestReset || first.Incidents[0].At.AsTime().After(first.LastResetAt.AsTime()) {
		t.Errorf("incidents of a guest that reset its machine: %v", first.Incidents)
	}

	if _, err := p.client.Reset(p.context(), &api.ResetRequest{}); err != nil {
		t.Fatal(err)
	}
	console.hear("boot")
	second := p.watch("another reset", func(e *api.Event) bool { return e.LastResetAt.AsTime().After(first.LastResetAt.AsTime()) })
	if len(second.Incidents) != 1 || !second.Incidents[0].At.AsTime().Equal(first.Incidents[0].At.AsTime()) {
		t.Errorf("incidents after a reset that was asked for: %v, before: %v", second.Incidents, first.Incidents)
	}
	// The next launcher knows what the one before has heard.
	p.killLauncher()
	again := p.watch("taken over", func(e *api.Event) bool { return e.State == stateRunning && e.LauncherRestarts == 1 })
	if len(again.Incidents) != 1 || again.LastResetAt.AsTime().Before(second.LastResetAt.AsTime()) {
		t.Errorf("after the launcher's death: %v\nbefore: %v", again, second)
	}

	// Without an agent the guest powers down and the machine is reset in place.
	if _, err := p.client.SoftReboot(p.context(), &api.SoftRebootRequest{}); err != nil {
		t.Fatal(err)
	}
	console.hear("button\noff\nboot")
	if e := p.await(stateRunning, ""); e.QemuPid != qemu {
		t.Errorf("QEMU was started anew: %v", e)
	}
	// And the next power-down is one again.
	console.say("s")
	p.await(stateShutdown, api.ReasonGuestShutdown)
	p.expectEnd(0, api.ReasonGuestShutdown)
}

func TestStartPaused(t *testing.T) {
	p := newPod(t)
	p.mustSync(`spec:"startStrategy":"Paused"`)
	console := p.serial()
	if e := p.await(statePaused, api.ReasonPausedStartStrategy); e.StartedAt != nil {
		t.Errorf("started paused: %v", e)
	}
	p.killLauncher()
	p.await(statePaused, api.ReasonPausedStartStrategy)
	if _, err := p.client.Unpause(p.context(), &api.UnpauseRequest{}); err != nil {
		t.Fatal(err)
	}
	console.hear("boot")
	if e := p.await(stateRunning, ""); e.StartedAt == nil {
		t.Errorf("running: %v", e)
	}
	// A guest that is stopped before it ran has nothing to put in order; this one has run.
	p.client.Shutdown(p.context(), &api.ShutdownRequest{})
	console.hear("button")
	p.expectEnd(0, api.ReasonGuestShutdown)
}

// otherSector is a boot sector that writes "other" on the first serial port, again and again.
var otherSector = append([]byte{
	0x31, 0xc0, 0x8e, 0xd8, // ds = 0
	0xba, 0xf8, 0x03, 0xbe, 0x13, 0x7c, // dx = port, si = text
	0xac, 0x84, 0xc0, 0x74, 0xf8, 0xee, 0xeb, 0xf8, 0x90, // write up to the zero, begin again
}, "other\x00"...)

// TestBootOrder has two disks to boot from. Without an order it is the first.
func TestBootOrder(t *testing.T) {
	spec.Covers(t, "P1-BOOT-04", "P2-VIRTIOWIN-06", "P2-VIRTIOWIN-07")
	for _, tc := range []struct {
		name, disks string
		other       bool
	}{
		{"no order, other first", `{"name":"other","disk":{"bus":"virtio"}},{"name":"root","disk":{"bus":"virtio"}}`, true},
		{"no order, other last", `{"name":"root","disk":{"bus":"virtio"}},{"name":"other","disk":{"bus":"virtio"}}`, false},
		{"order against the list", `{"name":"other","disk":{"bus":"virtio"},"bootOrder":2},{"name":"root","disk":{"bus":"sata"},"bootOrder":1}`, false},
		{"order of one", `{"name":"root","disk":{"bus":"virtio"}},{"name":"other","disk":{"bus":"scsi"},"bootOrder":1}`, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := makePod(t, func(p *pod) {
				if err := testguest.Write(p.path("container-disk/root/disk/guest.img")); err != nil {
					t.Fatal(err)
				}
				disk := make([]byte, 1<<20)
				copy(disk, otherSector)
				disk[510], disk[511] = 0x55, 0xaa
				if err := os.MkdirAll(p.path("container-disk/other/disk"), 0o755); err != nil {
					t.Fatal(err)
				}
				p.write("container-disk/other/disk/guest.img", string(disk))
			})
			p.syncLinux(`{"domain":{"memory":{"guest":"64Mi"},"devices":{"disks":[` + tc.disks + `]}},"volumes":[{"name":"root","containerDisk":{"image":"guest"}},{"name":"other","containerDisk":{"image":"guest"}}]}`)
			console := p.serial()
			if tc.other {
				console.hear("otherother")
			} else {
				console.ping()
			}
		})
	}
}

// A start that fails before QEMU leaves the pod ready for the next try.
func TestBadStarts(t *testing.T) {
	p := newPod(t)
	extra := p.path("container-disk/root/disk/second.img")
	if err := testguest.Write(extra); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, domain string
		options      *api.SyncOptions
		code         codes.Code
		reason       string
	}{
		{"two images", "", nil, codes.FailedPrecondition, api.ReasonImageAmbiguous},
		{"image too large", "", &api.SyncOptions{ImageSizeLimitBytes: 1024}, codes.FailedPrecondition, api.ReasonImageTooLarge},
		{"unsupported field", `"launchSecurity":{"sev":{}}`, nil, codes.InvalidArgument, api.ReasonUnsupportedField},
		{"invalid field", `"cpu":{"features":[{"name":"x","policy":"maybe"}]}`, nil, codes.InvalidArgument, api.ReasonInvalidSpec},
		{"no kernel", `"firmware":{"kernelBoot":{"container":{"image":"i","kernelPath":"/vmlinuz"}}}`, nil, codes.FailedPrecondition, api.ReasonKernelMissing},
	} {
		err := p.sync(tc.domain, tc.options)
		if status.Code(err) != tc.code || api.ReasonOf(err) != tc.reason {
			t.Errorf("%s: got %v, reason %q", tc.name, err, api.ReasonOf(err))
		}
		if e := p.watch("failure told", func(e *api.Event) bool { return e.State == stateNone }); e.Reason != tc.reason || e.Message == "" {
			t.Errorf("%s: event %v", tc.name, e)
		}
		if tc.name == "two images" {
			if err := os.Remove(extra); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := p.client.Sync(p.context(), &api.SyncRequest{Vmi: []byte(`{"metadata":{"uid":"another"}}`)}); api.ReasonOf(err) != api.ReasonWrongInstance {
		t.Errorf("another VMI: %v", err)
	}
	if _, err := p.client.Shutdown(p.context(), &api.ShutdownRequest{}); err != nil {
		t.Errorf("Shutdown of nothing: %v", err)
	}
	p.mustSync("")
	p.serial().ping()
	if _, err := p.client.Sync(p.context(), &api.SyncRequest{Vmi: []byte(`{"metadata":{"uid":"another"}}`)}); api.ReasonOf(err) != api.ReasonWrongInstance {
		t.Errorf("another VMI beside the guest: %v", err)
	}
}

// What the node agent is told of corrupt cloud-init; its own tests take the text from here.
func TestCorruptCloudInit(t *testing.T) {
	p := newPod(t)
	_, err := p.client.Sync(p.context(), &api.SyncRequest{Options: &api.SyncOptions{Emulation: true}, Vmi: []byte(
		strings.Replace(vmiJSON(""), `"volumes":[`, `"volumes":[{"name":"seed","cloudInitNoCloud":{"userData":"#cloud-config\nusers:\n  - name: a\n shell: b\n"}},`, 1))})
	const want = "preparing disks and machine: volume seed: spec.volumes[0].cloudInitNoCloud.userData: line 4: did not find expected key"
	if st := status.Convert(err); st.Code() != codes.InvalidArgument || api.ReasonOf(err) != api.ReasonCloudInitInvalid || st.Message() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A machine that QEMU refuses ends the pod, and QEMU's words say why.
func TestQEMURefuses(t *testing.T) {
	p := newPod(t)
	err := p.sync(`"machine":{"type":"pc-q35-99.9"}`, nil)
	if status.Code(err) != codes.FailedPrecondition || api.ReasonOf(err) != api.ReasonQEMUFailed || !strings.Contains(err.Error(), "unsupported machine type") {
		t.Errorf("Sync: %v, reason %q", err, api.ReasonOf(err))
	}
	if e := p.await(stateCrashed, api.ReasonQEMUFailed); !strings.Contains(e.Message, "unsupported machine type") || !strings.Contains(e.Exit.Stderr, "unsupported machine type") {
		t.Errorf("event: %v", e)
	}
	if m := p.expectEnd(1, api.ReasonQEMUFailed); !strings.Contains(m.Stderr, "unsupported machine type") {
		t.Errorf("termination message: %+v", m)
	}
}

// A pod that is told to end before there is a guest ends at once, and has not succeeded.
func TestEndBeforeStart(t *testing.T) {
	p := newPod(t)
	p.init.Process.Signal(syscall.SIGTERM)
	p.expectEnd(1, "NotStarted")
}

// A guest that cannot be started is given up by Kill: the pod ends, failed, and says why.
func TestKillBeforeStart(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options *api.SyncOptions
		reason  string
		message string
	}{
		{"after a start that failed", &api.SyncOptions{ImageSizeLimitBytes: 1024}, api.ReasonImageTooLarge, "is over the limit of 1024"},
		{"before any start", nil, "NotStarted", "before it was started"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPod(t)
			if tc.options != nil && p.sync("", tc.options) == nil {
				t.Fatal("the guest was started")
			}
			events, err := p.client.Events(p.context(), &api.EventsRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.client.Kill(p.context(), &api.KillRequest{}); err != nil {
				t.Errorf("Kill: %v", err)
			}
			last := &api.Event{}
			for err == nil {
				var e *api.Event
				if e, err = events.Recv(); err == nil {
					last = e
				}
			}
			if last.State != stateShutdown || last.Reason != tc.reason {
				t.Errorf("last event: %v", last)
			}
			if m := p.expectEnd(1, tc.reason); !strings.Contains(m.Message, tc.message) {
				t.Errorf("termination message: %+v", m)
			}
		})
	}
}

// TestLauncherKilledWhileStarting kills the launcher at moments all over a start. The node agent sends the VMI again, and
// there is one QEMU and a guest that runs.
func TestLauncherKilledWhileStarting(t *testing.T) {
	for moment := time.Duration(0); moment <= 150*time.Millisecond; moment += 15 * time.Millisecond {
		t.Run(moment.String(), func(t *testing.T) {
			p := newPod(t)
			first := make(chan error, 1)
			go func() { first <- p.sync("", nil) }()
			time.Sleep(moment) // no wait for anything: the moment is what is tried
			p.killLauncher()
			<-first
			p.eventually("the VMI is taken", func() bool { return p.sync("", nil) == nil })
			e := p.await(stateRunning, "")
			console := p.serial()
			console.ping()
			var guests []int
			for _, child := range children(p.init.Process.Pid) {
				if raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child)); strings.Contains(string(raw), "guest=default_testvm") {
					guests = append(guests, child)
				}
			}
			if len(guests) != 1 || guests[0] != int(e.QemuPid) {
				t.Errorf("QEMUs %v, want one: %d", guests, e.QemuPid)
			}
			p.client.Shutdown(p.context(), &api.ShutdownRequest{})
			p.await(stateShutdown, api.ReasonGuestShutdown)
			p.expectEnd(0, api.ReasonGuestShutdown)
		})
	}
}
