package domain

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/qmp"
	"github.com/virtplane/virtplane/launcher/supervise"
)

// publish makes the event of the present state and wakes those who wait, if anything has changed. mu is held.
func (d *Domain) publish() {
	e := d.describe()
	if old := d.event; old != nil {
		e.Sequence, e.ChangedAt = old.Sequence, old.ChangedAt
		if proto.Equal(old, e) {
			return
		}
		if old.State != e.State || old.Reason != e.Reason {
			e.ChangedAt = timestamppb.Now()
			d.Log.Info("Guest changed", "state", strings.TrimPrefix(e.State.String(), "DOMAIN_STATE_"), "reason", e.Reason, "message", e.Message)
		}
	} else {
		e.ChangedAt = timestamppb.Now()
	}
	e.Sequence++
	d.event = e
	close(d.changed)
	d.changed = make(chan struct{})
}

// describe makes the event; mu is held.
func (d *Domain) describe() *api.Event {
	e := &api.Event{
		MachineType: d.machine, DroppedQmpEvents: d.dropped, LauncherRestarts: uint32(d.restarts),
		LastResetAt: stamp(d.rec.Heard.Reset), StartedAt: stamp(d.rec.Started), StopDeadline: stamp(d.rec.StopBy),
	}
	if g := d.rec.Guest; g != nil {
		e.Uid, e.Emulation = g.UID, g.Emulation
		e.Interfaces = d.describeInterfaces()
		e.Agent = d.describeAgent()
		e.Credentials = d.describeCredentials()
	}
	for _, i := range d.rec.Heard.Incidents {
		e.Incidents = append(e.Incidents, &api.Incident{Reason: i.Reason, Message: i.Message, At: stamp(i.At)})
	}
	e.PodTerminated = d.rec.PodTerminated
	e.Shortfalls, e.ProbeFailures = d.shortfalls(), d.probeFailures()
	if d.qemu != nil {
		e.QemuPid = int32(d.qemu.PID)
		if x := d.qemu.Exit; x != nil {
			e.QemuPid = 0
			e.Exit = &api.QEMUExit{Code: int32(x.Code), Signal: int32(x.Signal), Stderr: x.Stderr}
		}
	}
	e.State, e.Reason, e.Message = d.state()
	return e
}

// state tells the present state with its reason; mu is held.
func (d *Domain) state() (api.DomainState, string, string) {
	switch {
	case d.isEnded():
		return d.final()
	case d.rec.Guest == nil && d.starting:
		return api.DomainState_DOMAIN_STATE_STARTING, "", ""
	case d.rec.Guest == nil && d.failure != nil:
		return api.DomainState_DOMAIN_STATE_NONE, api.ReasonOf(d.failure), d.failure.Error()
	case d.rec.Guest == nil:
		return api.DomainState_DOMAIN_STATE_NONE, "", ""
	case !d.rec.StopBy.IsZero():
		return api.DomainState_DOMAIN_STATE_STOPPING, api.ReasonStopRequested, ""
	case d.starting:
		return api.DomainState_DOMAIN_STATE_STARTING, "", ""
	case d.run == qmp.StateRunning:
		return api.DomainState_DOMAIN_STATE_RUNNING, "", ""
	}
	return d.paused()
}

// paused tells why the CPUs do not run; mu is held.
func (d *Domain) paused() (api.DomainState, string, string) {
	const state = api.DomainState_DOMAIN_STATE_PAUSED
	switch d.run {
	case qmp.StatePaused:
		return state, api.ReasonPausedByUser, "the guest was paused on request"
	case qmp.StatePrelaunch:
		return state, api.ReasonPausedStartStrategy, "the guest was started paused"
	case qmp.StateIOError:
		message := d.rec.Heard.IOError
		if message == "" {
			message = "a disk failed; the log of the pod may tell which"
		}
		return state, api.ReasonPausedIOError, message
	case qmp.StateWatchdog:
		return state, api.ReasonPausedWatchdog, "the watchdog expired"
	case qmp.StateGuestPanicked:
		return state, api.ReasonPausedGuestPanic, "the guest panicked"
	case qmp.StateShutdown:
		return state, api.ReasonPausedShutdown, "the guest has powered down"
	case "":
		return api.DomainState_DOMAIN_STATE_STARTING, "", ""
	}
	return state, api.ReasonPausedUnknown, fmt.Sprintf("QEMU says %q", d.run)
}

// final tells how the guest ended; mu is held.
func (d *Domain) final() (api.DomainState, string, string) {
	const (
		shut    = api.DomainState_DOMAIN_STATE_SHUTDOWN
		crashed = api.DomainState_DOMAIN_STATE_CRASHED
	)
	if g := d.givenUp; g != nil {
		return shut, g.Reason, g.Message
	}
	x, h := d.qemu.Exit, &d.rec.Heard
	switch {
	case h.Panicked, h.Shutdown == "guest-panic":
		return crashed, api.ReasonGuestPanicked, "the guest panicked"
	case d.rec.Killed == api.ReasonGracePeriodExceeded || x.Killed:
		return shut, api.ReasonGracePeriodExceeded, "the guest did not power down within its grace period and was killed"
	case d.rec.Killed != "":
		return shut, d.rec.Killed, "the guest was killed on request"
	case h.Watchdog == "poweroff":
		return crashed, api.ReasonWatchdogExpired, "the watchdog expired and powered the guest off"
	case x.Signal != 0:
		return crashed, api.ReasonQEMUKilled, withStderr(fmt.Sprintf("QEMU was ended by signal %d", x.Signal), x)
	case x.Code != 0:
		return crashed, api.ReasonQEMUFailed, withStderr(fmt.Sprintf("QEMU failed with exit code %d", x.Code), x)
	case h.Shutdown == "guest-reset":
		return shut, api.ReasonGuestRebooted, "the guest rebooted, and its reboot policy ends it then"
	case h.Shutdown == "host-signal", h.Shutdown == "host-qmp-quit":
		return shut, api.ReasonKilled, "QEMU was told to end"
	case h.Shutdown == "" && d.connects == 0 && d.rec.StopBy.IsZero():
		// A guest that powers down is told by an event, a watchdog's poweroff ends QEMU with the same exit code.
		return crashed, api.ReasonEndUnknown, "QEMU ended while no launcher heard it, so that nobody knows whether the guest powered down"
	}
	return shut, api.ReasonGuestShutdown, "the guest powered down"
}

// maxWords bounds what a message holds of QEMU's own words.
const maxWords = 600

func withStderr(s string, x *supervise.Exit) string {
	if x.Stderr == "" {
		return s
	}
	text := strings.ReplaceAll(x.Stderr, "\n", "; ")
	if over := len(text) - maxWords; over > 0 {
		text = "…" + strings.ToValidUTF8(text[over:], "")
	}
	return s + ": " + text
}

func (d *Domain) describeAgent() *api.GuestAgent {
	a := &api.GuestAgent{Connected: d.agent.connected, ChangedAt: stamp(d.agent.since), FsFrozen: d.rec.Frozen}
	if i := d.agent.info; i != nil && d.agent.connected {
		a.Version, a.SupportedCommands, a.Hostname = i.Version, i.Commands, i.Hostname
		a.Os = &api.OSInfo{
			Id: i.OS.ID, Name: i.OS.Name, PrettyName: i.OS.PrettyName, Version: i.OS.Version, VersionId: i.OS.VersionID,
			KernelRelease: i.OS.KernelRelease, KernelVersion: i.OS.KernelVersion, Machine: i.OS.Machine,
		}
		a.Timezone = &api.Timezone{Zone: i.Timezone.Zone, OffsetSeconds: i.Timezone.OffsetSeconds}
	}
	return a
}

// Sources of what is known of an interface.
const (
	sourceDomain = "domain"
	sourceAgent  = "guest-agent"
)

// describeInterfaces lists the machine's interfaces and after them those that the guest has made itself.
func (d *Domain) describeInterfaces() []*api.GuestInterface {
	var out []*api.GuestInterface
	byMAC := map[string]*api.GuestInterface{}
	for _, i := range d.rec.Guest.Interfaces {
		g := &api.GuestInterface{
			Name: i.Name, Mac: i.MAC, Sources: []string{sourceDomain}, QueueCount: max(i.Queues, 1), LinkState: "up",
			LeasedAt: stamp(d.leases[i.Name]),
		}
		if i.Down {
			g.LinkState = "down"
		}
		byMAC[i.MAC] = g
		out = append(out, g)
	}
	if d.agent.info == nil || !d.agent.connected {
		return out
	}
	for _, i := range d.agent.info.Interfaces {
		g := byMAC[i.MAC]
		if g == nil || i.MAC == "" || g.GuestName != "" {
			g = &api.GuestInterface{Mac: i.MAC}
			out = append(out, g)
		}
		g.GuestName, g.IpAddresses, g.Sources = i.Name, i.IPs, append(g.Sources, sourceAgent)
	}
	return out
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
