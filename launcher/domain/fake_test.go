package domain

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/dhcp"
	"github.com/virtplane/virtplane/launcher/qmp"
	"github.com/virtplane/virtplane/launcher/supervise"
)

// patience bounds the waits of these tests.
const patience = 30 * time.Second

// world is a supervisor and a QEMU that exist in memory.
type world struct {
	t *testing.T

	mu       sync.Mutex
	status   supervise.Status
	changes  chan supervise.Status
	spawned  []supervise.Spawn
	signals  []syscall.Signal
	finished []supervise.Outcome

	// What QEMU does.
	state    string
	commands []string
	conns    []net.Conn
	action   string
	agentOn  bool
	// Knobs.
	spawnFails error
	dieAtStart *supervise.Exit
	deaf       bool // ignores the power button
	deafToQuit bool
	mute       map[string]bool // commands that get no reply
	served     []string
	dhcpFails  error
	given      dhcp.Given
	agent      func(context.Context) (*agent.Client, error)
}

func newWorld(t *testing.T) *world {
	return &world{t: t, changes: make(chan supervise.Status, 16), mute: map[string]bool{}, action: "poweroff"}
}

func (w *world) Status(context.Context) (supervise.Status, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status, nil
}

func (w *world) Changes() <-chan supervise.Status { return w.changes }

func (w *world) Spawn(_ context.Context, s supervise.Spawn) (supervise.Status, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.spawnFails != nil {
		return w.status, w.spawnFails
	}
	w.spawned = append(w.spawned, s)
	w.boot()
	if w.dieAtStart != nil {
		w.exit(*w.dieAtStart)
	}
	return w.status, nil
}

// boot has QEMU run, halted; mu is held.
func (w *world) boot() {
	w.state = "prelaunch"
	w.status.QEMU = &supervise.Process{PID: 42}
}

func (w *world) Signal(_ context.Context, s syscall.Signal) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.signals = append(w.signals, s)
	w.exit(supervise.Exit{Code: 128 + int(s), Signal: int(s)})
	return nil
}

func (w *world) Finish(_ context.Context, o supervise.Outcome) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = append(w.finished, o)
	return nil
}

// exit ends QEMU; mu is held.
func (w *world) exit(x supervise.Exit) {
	if w.status.QEMU == nil || w.status.QEMU.Exit != nil {
		return
	}
	w.state = ""
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
	w.status.QEMU = &supervise.Process{PID: 42, Exit: &x}
	w.changes <- w.status
}

// terminate tells the pod to end.
func (w *world) terminate(by time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.TerminateBy = &by
	w.changes <- w.status
}

// dial is the way to QEMU's monitor.
func (w *world) dial(ctx context.Context) (*qmp.Client, error) {
	for {
		w.mu.Lock()
		up := w.state != ""
		w.mu.Unlock()
		if up {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	ours, theirs := net.Pipe()
	w.mu.Lock()
	w.conns = append(w.conns, theirs)
	w.mu.Unlock()
	go w.serve(theirs)
	return qmp.New(ctx, ours)
}

func (w *world) serve(conn net.Conn) {
	fmt.Fprint(conn, `{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}`)
	d := json.NewDecoder(conn)
	for {
		var r struct {
			Execute   string          `json:"execute"`
			Arguments json.RawMessage `json:"arguments"`
			ID        string          `json:"id"`
		}
		if d.Decode(&r) != nil {
			return
		}
		w.mu.Lock()
		before, result, after := w.do(r.Execute, string(r.Arguments))
		silent := w.mute[r.Execute]
		w.mu.Unlock()
		io.WriteString(conn, before)
		if !silent {
			fmt.Fprintf(conn, `{"return": %s, "id": %q}`, result, r.ID)
		}
		if after != nil {
			w.mu.Lock()
			after()
			w.mu.Unlock()
		}
	}
}

// do acts as QEMU would; mu is held. It gives events to send first, the result, and what happens afterwards.
func (w *world) do(command, arguments string) (events, result string, after func()) {
	if command != "qmp_capabilities" && command != "query-status" {
		w.commands = append(w.commands, command)
	}
	event := func(name, data string) string {
		return `{"timestamp": {"seconds": 1700000000, "microseconds": 0}, "event": "` + name + `", "data": ` + data + `}`
	}
	switch command {
	case "query-status":
		return "", fmt.Sprintf(`{"status": %q, "running": %v}`, w.state, w.state == "running"), nil
	case "qom-get":
		return "", `"pc-q35-7.2-machine"`, nil
	case "query-chardev":
		return "", fmt.Sprintf(`[{"label": "agent0", "filename": "", "frontend-open": %v}]`, w.agentOn), nil
	case "query-cpus-fast":
		return "", `[{"cpu-index": 0, "thread-id": 50, "qom-path": "", "target": "x86_64"}, {"cpu-index": 1, "thread-id": 51, "qom-path": "", "target": "x86_64"}]`, nil
	case "query-iothreads":
		return "", `[{"id": "iothread1", "thread-id": 60}, {"id": "iothread2", "thread-id": 61}]`, nil
	case "cont":
		w.state = "running"
		return event("RESUME", "{}"), "{}", nil
	case "screendump":
		var a struct{ Filename, Format string }
		if json.Unmarshal([]byte(arguments), &a) != nil || a.Format != "png" || os.WriteFile(a.Filename, []byte("PNG"), 0o600) != nil {
			w.t.Errorf("screendump of %s", arguments)
		}
	case "stop":
		w.state = "paused"
		return event("STOP", "{}"), "{}", nil
	case "system_reset":
		return event("RESET", `{"guest": false, "reason": "host-qmp-system-reset"}`), "{}", nil
	case "set-action":
		w.action = "poweroff"
		if strings.Contains(arguments, "pause") {
			w.action = "pause"
		}
	case "system_powerdown":
		switch {
		case w.deaf || w.state != "running":
		case w.action == "pause":
			w.state = "shutdown"
			return event("SHUTDOWN", `{"guest": true, "reason": "guest-shutdown"}`), "{}", nil
		default:
			return event("SHUTDOWN", `{"guest": true, "reason": "guest-shutdown"}`), "{}", func() { w.exit(supervise.Exit{}) }
		}
	case "quit":
		if !w.deafToQuit {
			return event("SHUTDOWN", `{"guest": false, "reason": "host-qmp-quit"}`), "{}", func() { w.exit(supervise.Exit{}) }
		}
	}
	return "", "{}", nil
}

// event has QEMU send one, after it has changed its state.
func (w *world) event(state, name, data string) {
	w.t.Helper()
	w.mu.Lock()
	if state != "" {
		w.state = state
	}
	conns := slices.Clone(w.conns)
	w.mu.Unlock()
	for _, c := range conns {
		fmt.Fprintf(c, `{"timestamp": {"seconds": 1700000000, "microseconds": 0}, "event": %q, "data": %s}`, name, data)
	}
}

// sent tells which commands QEMU was sent since the last call.
func (w *world) sent() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.commands
	w.commands = nil
	return out
}

// output is the log of a test. What a domain still does when the test is over has nowhere to write to.
type output struct {
	mu   sync.Mutex
	to   io.Writer
	over bool
}

func outputOf(t *testing.T) *output {
	o := &output{to: t.Output()}
	t.Cleanup(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.over = true
	})
	return o
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return len(p), nil
	}
	return o.to.Write(p)
}

// closer counts the DHCP servers that are closed.
type closer func()

func (c closer) Close() error { c(); return nil }

// domain makes a domain in this world and starts it.
func (w *world) domain(change ...func(*Config)) *Domain {
	w.t.Helper()
	d := New(w.config(change...))
	if err := d.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { die(d) })
	return d
}

// die has a domain ask its guest and remember nothing more, as a launcher that was killed. Its QEMU never ends if the
// test has not ended it, and what it still did would reach the files of the next launcher, and those that are removed
// after the test.
func die(d *Domain) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.StateFile = "/dev/null/of a launcher that died"
	d.agent.connected, d.rec.Frozen = false, false
}

// config is what a domain needs of this world.
func (w *world) config(change ...func(*Config)) Config {
	w.t.Helper()
	c := Config{
		UID: "u", QEMU: "/usr/bin/qemu", StateFile: filepath.Join(w.t.TempDir(), "state.json"), Supervisor: w, Dial: w.dial,
		Prepare: func(context.Context, *api.SyncRequest) (*Guest, error) { return aGuest(), nil },
		ServeDHCP: func(_ context.Context, bridge string, l dhcp.Lease, given dhcp.Given) (io.Closer, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.dhcpFails != nil {
				return nil, w.dhcpFails
			}
			w.served = append(w.served, bridge+" "+l.MAC)
			w.given = given
			return closer(func() {}), nil
		},
		Agent: func(ctx context.Context) (*agent.Client, error) { return w.agent(ctx) },
		Log:   slog.New(slog.NewTextHandler(outputOf(w.t), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Times: Times{
			Press: 20 * time.Millisecond, Quit: 50 * time.Millisecond, Spawn: patience,
			PollSoon: time.Millisecond, PollLater: time.Millisecond, Retry: 5 * time.Millisecond, AskAgain: 5 * time.Millisecond, Recheck: 20 * time.Millisecond, Settle: 50 * time.Millisecond,
		},
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

// prepared has a domain run that guest.
func prepared(g *Guest) func(*Config) {
	return func(c *Config) {
		c.Prepare = func(context.Context, *api.SyncRequest) (*Guest, error) { return g, nil }
	}
}

// dhcpGiven is what the DHCP server of the moment calls when the guest takes its address.
func (w *world) dhcpGiven() dhcp.Given {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.given
}

func aGuest() *Guest {
	return &Guest{
		UID: "u", Args: []string{"-S"}, Grace: time.Hour, LinksDown: []string{"net-b"},
		Interfaces: []Interface{
			{Name: "a", MAC: "02:00:00:00:00:0a", Bridge: "k6t-eth0", Lease: &dhcp.Lease{MAC: "02:00:00:00:00:0a"}},
			{Name: "b", MAC: "02:00:00:00:00:0b", Queues: 2, Down: true},
		},
	}
}

var aRequest = &api.SyncRequest{Vmi: []byte(`{"metadata":{"uid":"u"}}`)}

// await waits for a state and gives the event.
func await(t *testing.T, d *Domain, what string, ok func(*api.Event) bool) *api.Event {
	t.Helper()
	timeout := time.After(patience)
	for {
		e, changed := d.Current()
		if ok(e) {
			return e
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%s: not within %s, but %v", what, patience, e)
		}
	}
}

func awaitState(t *testing.T, d *Domain, state api.DomainState, reason string) *api.Event {
	t.Helper()
	return await(t, d, state.String()+" "+reason, func(e *api.Event) bool { return e.State == state && e.Reason == reason })
}
