package domain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/qmp"
	"github.com/virtplane/virtplane/launcher/supervise"
)

// Short names of the states.
const (
	none     = api.DomainState_DOMAIN_STATE_NONE
	starting = api.DomainState_DOMAIN_STATE_STARTING
	running  = api.DomainState_DOMAIN_STATE_RUNNING
	paused   = api.DomainState_DOMAIN_STATE_PAUSED
	stopping = api.DomainState_DOMAIN_STATE_STOPPING
	shutdown = api.DomainState_DOMAIN_STATE_SHUTDOWN
	crashed  = api.DomainState_DOMAIN_STATE_CRASHED
)

func mustSync(t *testing.T, d *Domain) {
	t.Helper()
	if err := d.Sync(t.Context(), aRequest); err != nil {
		t.Fatal(err)
	}
}

func TestStart(t *testing.T) {
	w := newWorld(t)
	d := w.domain()
	if e, _ := d.Current(); e.State != none {
		t.Errorf("before: %v", e)
	}
	mustSync(t, d)
	e := awaitState(t, d, running, "")
	if e.Uid != "u" || e.QemuPid != 42 || e.MachineType != "pc-q35-7.2" || e.StartedAt == nil || d.QEMUVersion() != "7.2.0" {
		t.Errorf("running: %v", e)
	}
	if diff := cmp.Diff([]string{"qom-get", "query-chardev", "set_link", "cont"}, w.sent()); diff != "" {
		t.Errorf("commands: %s", diff)
	}
	want := []supervise.Spawn{{Path: "/usr/bin/qemu", Args: []string{"-S"}, GraceSeconds: 3600}}
	if diff := cmp.Diff(want, w.spawned); diff != "" {
		t.Errorf("spawned: %s", diff)
	}
	if diff := cmp.Diff([]string{"k6t-eth0 02:00:00:00:00:0a"}, w.served); diff != "" {
		t.Errorf("served: %s", diff)
	}
	mustSync(t, d)
	if len(w.spawned) != 1 || len(w.sent()) != 0 {
		t.Error("a second Sync did something")
	}
	err := d.Sync(t.Context(), &api.SyncRequest{Vmi: []byte(`{"metadata":{"uid":"other"}}`)})
	if api.ReasonOf(err) != api.ReasonWrongInstance {
		t.Errorf("another VMI: %v", err)
	}
}

func TestOneStartOfMany(t *testing.T) {
	w := newWorld(t)
	d := w.domain()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { mustSync(t, d) })
	}
	wg.Wait()
	if len(w.spawned) != 1 {
		t.Errorf("%d QEMUs", len(w.spawned))
	}
}

func TestStartFailsAndIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	fail := true
	d := w.domain(func(c *Config) {
		good := c.Prepare
		c.Prepare = func(ctx context.Context, r *api.SyncRequest) (*Guest, error) {
			if fail {
				return nil, api.Errorf(9, api.ReasonImageTooLarge, "too large")
			}
			return good(ctx, r)
		}
	})
	err := d.Sync(t.Context(), aRequest)
	if err == nil || err.Error() != "preparing disks and machine: too large" || api.ReasonOf(err) != api.ReasonImageTooLarge {
		t.Errorf("Sync: %v", err)
	}
	if e := awaitState(t, d, none, api.ReasonImageTooLarge); e.Message != "preparing disks and machine: too large" {
		t.Errorf("event: %v", e)
	}
	fail, w.dhcpFails = false, errors.New("no such bridge")
	err = d.Sync(t.Context(), aRequest)
	if err == nil || err.Error() != "serving DHCP: interface a: no such bridge" || api.ReasonOf(err) != api.ReasonNetworkUnavailable {
		t.Errorf("Sync: %v", err)
	}
	if _, err := os.Stat(d.StateFile); !os.IsNotExist(err) {
		t.Errorf("state file after a failed start: %v", err)
	}
	w.dhcpFails, w.spawnFails = nil, errors.New("no memory")
	if err = d.Sync(t.Context(), aRequest); err == nil || err.Error() != "starting QEMU: no memory" {
		t.Errorf("Sync: %v", err)
	}
	w.spawnFails = nil
	mustSync(t, d)
	awaitState(t, d, running, "")
}

func TestQEMUDiesAtStart(t *testing.T) {
	w := newWorld(t)
	w.dieAtStart = &supervise.Exit{Code: 1, Stderr: "one\ntwo"}
	d := w.domain()
	err := d.Sync(t.Context(), aRequest)
	if want := "QEMU failed with exit code 1: one; two"; err == nil || err.Error() != want || api.ReasonOf(err) != api.ReasonQEMUFailed {
		t.Errorf("got %v, want %s", err, want)
	}
	<-d.Ended()
	want := supervise.Outcome{Reason: api.ReasonQEMUFailed, Message: "QEMU failed with exit code 1: one; two"}
	if diff := cmp.Diff(want, d.Outcome()); diff != "" {
		t.Error(diff)
	}
	if err := d.Sync(t.Context(), aRequest); api.ReasonOf(err) != api.ReasonEnded {
		t.Errorf("Sync after the end: %v", err)
	}
	if err := d.Pause(t.Context()); api.ReasonOf(err) != api.ReasonEnded {
		t.Errorf("Pause after the end: %v", err)
	}
}

// TestQEMURefusesItsMachine: a connection that breaks is heard of before the end of QEMU, whose words alone say what is wrong.
func TestQEMURefusesItsMachine(t *testing.T) {
	const words = "QEMU failed with exit code 1: qemu-system-x86_64: -device pc-dimm: not enough slots"
	reset := &net.OpError{Op: "read", Net: "unix", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	dies := func(w *world) {
		time.Sleep(20 * time.Millisecond)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.exit(supervise.Exit{Code: 1, Stderr: "qemu-system-x86_64: -device pc-dimm: not enough slots"})
	}
	for _, tc := range []struct {
		name string
		dial func(*world, context.Context) (*qmp.Client, error)
		want string
	}{
		{"reset while it shakes hands", func(w *world, _ context.Context) (*qmp.Client, error) {
			go dies(w)
			return nil, fmt.Errorf("qmp qmp_capabilities: %w", reset)
		}, words},
		{"closed before its greeting", func(w *world, ctx context.Context) (*qmp.Client, error) {
			go dies(w)
			ours, theirs := net.Pipe()
			theirs.Close()
			return qmp.New(ctx, ours)
		}, words},
		{"closed after its greeting", func(w *world, ctx context.Context) (*qmp.Client, error) {
			mon, err := w.dial(ctx)
			w.mu.Lock()
			for _, c := range w.conns {
				c.Close()
			}
			w.mu.Unlock()
			go dies(w)
			return mon, err
		}, words},
		{"no socket at all", func(w *world, ctx context.Context) (*qmp.Client, error) {
			go dies(w)
			<-ctx.Done()
			return nil, ctx.Err()
		}, words},
		{"a break of which nothing follows", func(*world, context.Context) (*qmp.Client, error) {
			return nil, fmt.Errorf("qmp qmp_capabilities: %w", reset)
		}, "connecting to QEMU: qmp qmp_capabilities: read unix: read: connection reset by peer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			d := w.domain(func(c *Config) {
				c.Times.Quit = time.Second
				c.Dial = func(ctx context.Context) (*qmp.Client, error) { return tc.dial(w, ctx) }
			})
			if err := d.Sync(t.Context(), aRequest); err == nil || err.Error() != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestStopDuringStart(t *testing.T) {
	w := newWorld(t)
	preparing := make(chan struct{})
	d := w.domain(func(c *Config) {
		c.Prepare = func(ctx context.Context, _ *api.SyncRequest) (*Guest, error) {
			close(preparing)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	done := make(chan error)
	go func() { done <- d.Sync(t.Context(), aRequest) }()
	<-preparing
	d.Shutdown(nil)
	if err := <-done; api.ReasonOf(err) != api.ReasonStopRequested {
		t.Errorf("Sync: %v", err)
	}
	if len(w.spawned) != 0 {
		t.Error("QEMU was started")
	}
	if err := d.Kill(t.Context()); err != nil {
		t.Errorf("Kill of nothing: %v", err)
	}
}

// A start goes on when its caller has gone.
func TestCallerLeavesDuringStart(t *testing.T) {
	w := newWorld(t)
	preparing, goOn := make(chan struct{}), make(chan struct{})
	d := w.domain(func(c *Config) {
		c.Prepare = func(ctx context.Context, _ *api.SyncRequest) (*Guest, error) {
			close(preparing)
			<-goOn
			return aGuest(), ctx.Err()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go d.Sync(ctx, aRequest)
	<-preparing
	awaitState(t, d, starting, "")
	cancel()
	close(goOn)
	awaitState(t, d, running, "")
}

// What hangs in a start is left when the caller's time is over, and does not keep the next one away.
// A tenth of that time is kept back for the answer: enough of it for a busy machine.
func TestHangInStart(t *testing.T) {
	w := newWorld(t)
	hang := true
	d := w.domain(func(c *Config) {
		c.Prepare = func(ctx context.Context, _ *api.SyncRequest) (*Guest, error) {
			if !hang {
				return aGuest(), nil
			}
			select {
			case <-ctx.Done():
			case <-time.After(patience):
			}
			return nil, api.Errorf(14, api.ReasonClaimUnavailable, "claim p: its storage has not answered")
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	err := d.Sync(ctx, aRequest)
	if err == nil || err.Error() != "preparing disks and machine: claim p: its storage has not answered" || api.ReasonOf(err) != api.ReasonClaimUnavailable {
		t.Errorf("Sync: %v", err)
	}
	if ctx.Err() != nil {
		t.Error("the caller had gone when the answer came")
	}
	awaitState(t, d, none, api.ReasonClaimUnavailable)
	hang = false
	mustSync(t, d)
}

func TestPauseAndUnpause(t *testing.T) {
	w := newWorld(t)
	d := w.domain()
	mustSync(t, d)
	for range 2 {
		if err := d.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaitState(t, d, paused, api.ReasonPausedByUser)
	}
	for range 2 {
		if err := d.Unpause(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaitState(t, d, running, "")
	}
}

func TestStates(t *testing.T) {
	for _, tc := range []struct {
		name    string
		happen  func(*world)
		state   api.DomainState
		reason  string
		message string
	}{
		{"disk full", func(w *world) {
			w.event("", "BLOCK_IO_ERROR", `{"node-name": "disk-root", "operation": "write", "action": "stop", "nospace": true, "reason": "x"}`)
			w.event("io-error", "STOP", "{}")
		}, paused, api.ReasonPausedIOError, "disk disk-root: write failed: no space is left on the node or claim"},
		{"disk broken", func(w *world) {
			w.event("", "BLOCK_IO_ERROR", `{"node-name": "disk-root", "operation": "read", "action": "stop", "nospace": false, "reason": "Input/output error"}`)
			w.event("io-error", "STOP", "{}")
		}, paused, api.ReasonPausedIOError, "disk disk-root: read failed: Input/output error"},
		{"unknown", func(w *world) { w.event("save-vm", "STOP", "{}") }, paused, api.ReasonPausedUnknown, `QEMU says "save-vm"`},
		{"watchdog", func(w *world) {
			w.event("", "WATCHDOG", `{"action": "poweroff"}`)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.exit(supervise.Exit{})
		}, crashed, api.ReasonWatchdogExpired, "the watchdog expired and powered the guest off"},
		{"panic", func(w *world) {
			w.event("", "GUEST_PANICKED", `{"action": "poweroff"}`)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.exit(supervise.Exit{Code: 1})
		}, crashed, api.ReasonGuestPanicked, "the guest panicked"},
		{"panic that only the end tells", func(w *world) {
			w.event("", "SHUTDOWN", `{"guest": true, "reason": "guest-panic"}`)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.exit(supervise.Exit{Code: 1})
		}, crashed, api.ReasonGuestPanicked, "the guest panicked"},
		{"end without a word", func(w *world) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.exit(supervise.Exit{})
		}, shutdown, api.ReasonGuestShutdown, "the guest powered down"},
		{"told to end by a stranger", func(w *world) {
			w.event("", "SHUTDOWN", `{"guest": false, "reason": "host-signal"}`)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.exit(supervise.Exit{})
		}, shutdown, api.ReasonKilled, "QEMU was told to end"},
		{"ended by the first process", func(w *world) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.exit(supervise.Exit{Code: 137, Signal: 9, Killed: true})
		}, shutdown, api.ReasonGracePeriodExceeded, "the guest did not power down within its grace period and was killed"},
		{"out of memory", func(w *world) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.exit(supervise.Exit{Code: 137, Signal: 9})
		}, crashed, api.ReasonQEMUKilled, "QEMU was ended by signal 9"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			d := w.domain()
			mustSync(t, d)
			tc.happen(w)
			if e := awaitState(t, d, tc.state, tc.reason); e.Message != tc.message {
				t.Errorf("message %q, want %q", e.Message, tc.message)
			}
			if tc.state != paused {
				<-d.Ended()
				if o := d.Outcome(); o.Expected != (tc.state == shutdown) || o.Reason != tc.reason {
					t.Errorf("outcome %+v", o)
				}
			}
		})
	}
}

func TestIncidents(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events [][2]string
		want   []string
	}{
		{"watchdog that resets", [][2]string{{"WATCHDOG", `{"action": "reset"}`}, {"RESET", `{"guest": true, "reason": "guest-reset"}`}},
			[]string{"WatchdogExpired: the watchdog expired: the guest had not fed it in time; action: reset"}},
		{"guest resets", [][2]string{{"RESET", `{"guest": true, "reason": "guest-reset"}`}}, []string{"GuestReset: the guest has reset its machine"}},
		{"reset on request", [][2]string{{"RESET", `{"guest": false, "reason": "host-qmp-system-reset"}`}}, nil},
		{"firmware that resets after a reset on request", [][2]string{{"RESET", `{"guest": false, "reason": "host-qmp-system-reset"}`}, {"RESET", `{"guest": true, "reason": "guest-reset"}`}}, nil},
		{"panic with a crash kernel", [][2]string{{"GUEST_CRASHLOADED", `{"action": "run"}`}}, []string{"GuestPanicked: the guest panicked and goes on with its crash kernel"}},
		{"one after the other", [][2]string{{"WATCHDOG", `{"action": "none"}`}, {"RESET", `{"guest": true, "reason": "guest-reset"}`}, {"WATCHDOG", `{"action": "inject-nmi"}`}},
			[]string{"GuestReset: the guest has reset its machine", "WatchdogExpired: the watchdog expired: the guest had not fed it in time; action: inject-nmi"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			d := w.domain()
			mustSync(t, d)
			for _, e := range tc.events {
				w.event("", e[0], e[1])
			}
			// What comes before this has been dealt with.
			w.event("", "BLOCK_IO_ERROR", `{"node-name": "disk-root", "operation": "write", "action": "stop", "nospace": true, "reason": "x"}`)
			w.event("io-error", "STOP", "{}")
			e := awaitState(t, d, paused, api.ReasonPausedIOError)
			var got []string
			for _, i := range e.Incidents {
				if i.At == nil {
					t.Errorf("without a time: %v", i)
				}
				got = append(got, i.Reason+": "+i.Message)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLostMonitor(t *testing.T) {
	w := newWorld(t)
	d := w.domain()
	mustSync(t, d)
	w.mu.Lock()
	w.state = "paused" // nobody hears of it
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
	w.mu.Unlock()
	awaitState(t, d, paused, api.ReasonPausedByUser)
	if err := d.Unpause(t.Context()); err != nil {
		t.Errorf("Unpause: %v", err)
	}
	awaitState(t, d, running, "")
}

func TestAgent(t *testing.T) {
	w := newWorld(t)
	w.agent = func(ctx context.Context) (*agent.Client, error) {
		ours, theirs := net.Pipe()
		go func() {
			d := json.NewDecoder(theirs)
			for {
				var r struct{ Execute string }
				if d.Decode(&r) != nil {
					return
				}
				answer := map[string]string{
					"guest-info":                   `{"version": "7.2", "supported_commands": [{"name": "guest-ping", "enabled": true}]}`,
					"guest-get-host-name":          `{"host-name": "vm"}`,
					"guest-get-osinfo":             `{"id": "debian", "kernel-release": "6.1"}`,
					"guest-get-timezone":           `{"zone": "UTC", "offset": 0}`,
					"guest-network-get-interfaces": `[{"name": "enp1s0", "hardware-address": "02:00:00:00:00:0a", "ip-addresses": [{"ip-address": "10.0.2.2"}]}, {"name": "docker0", "hardware-address": "02:42:00:00:00:01"}]`,
					"guest-fsfreeze-status":        `"thawed"`,
				}[r.Execute]
				if answer == "" {
					theirs.Write([]byte(`{"error": {"class": "CommandNotFound", "desc": "no"}}` + "\n"))
					continue
				}
				theirs.Write([]byte(`{"return": ` + answer + "}\n"))
			}
		}()
		return agent.New(ours), nil
	}
	d := w.domain()
	mustSync(t, d)
	if _, err := d.GuestInfo(t.Context()); api.ReasonOf(err) != api.ReasonAgentUnavailable {
		t.Errorf("GuestInfo without an agent: %v", err)
	}
	w.event("", "VSERPORT_CHANGE", `{"id": "other", "open": true}`)
	w.event("", "VSERPORT_CHANGE", `{"id": "agent0", "open": true}`)
	e := await(t, d, "agent", func(e *api.Event) bool { return e.Agent.GetVersion() != "" })
	want := &api.GuestAgent{
		Connected: true, ChangedAt: e.Agent.ChangedAt, Version: "7.2", SupportedCommands: []string{"guest-ping"}, Hostname: "vm",
		Os: &api.OSInfo{Id: "debian", KernelRelease: "6.1"}, Timezone: &api.Timezone{Zone: "UTC"},
	}
	if diff := cmp.Diff(want, e.Agent, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	interfaces := []*api.GuestInterface{
		{Name: "a", Mac: "02:00:00:00:00:0a", GuestName: "enp1s0", IpAddresses: []string{"10.0.2.2"}, Sources: []string{"domain", "guest-agent"}, QueueCount: 1, LinkState: "up"},
		{Name: "b", Mac: "02:00:00:00:00:0b", Sources: []string{"domain"}, QueueCount: 2, LinkState: "down"},
		{Mac: "02:42:00:00:00:01", GuestName: "docker0", Sources: []string{"guest-agent"}},
	}
	if diff := cmp.Diff(interfaces, e.Interfaces, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if got, err := d.GuestInfo(t.Context()); err != nil || got.Agent.Hostname != "vm" || len(got.Interfaces) != 3 {
		t.Errorf("GuestInfo: %v, %v", got, err)
	}
	w.event("", "VSERPORT_CHANGE", `{"id": "agent0", "open": false}`)
	if e := await(t, d, "no agent", func(e *api.Event) bool { return !e.Agent.GetConnected() }); len(e.Interfaces) != 2 || e.Agent.Version != "" {
		t.Errorf("without agent: %v", e)
	}
}
