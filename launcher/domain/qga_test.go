package domain

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/test/spec"
)

// fakeAgent is a guest agent that keeps a guest in memory.
type fakeAgent struct {
	mu        sync.Mutex
	frozen    bool
	freezes   int
	thaws     int
	silent    map[string]bool // commands that get no answer
	lacks     map[string]bool
	keys      map[string][]string // of the users there are
	passwords map[string]string
	times     []time.Time
	runs      []string
	running   int // looks until a command has ended
	exit      string
	out       string // what the command writes beside; empty: as others do
	// refusing is called when the clock is to be set, which is then refused, once.
	refusing func()
}

func newFakeAgent() *fakeAgent {
	return &fakeAgent{silent: map[string]bool{}, lacks: map[string]bool{}, keys: map[string][]string{}, passwords: map[string]string{}, exit: `"exitcode": 0`}
}

func (f *fakeAgent) dial(ctx context.Context) (*agent.Client, error) {
	ours, theirs := net.Pipe()
	go f.serve(theirs)
	return agent.New(ours), nil
}

func (f *fakeAgent) serve(conn net.Conn) {
	defer conn.Close()
	d := json.NewDecoder(conn)
	for {
		var r struct {
			Execute   string
			Arguments json.RawMessage
		}
		if d.Decode(&r) != nil {
			return
		}
		f.mu.Lock()
		answer, err := f.do(r.Execute, r.Arguments)
		silent := f.silent[r.Execute]
		f.mu.Unlock()
		switch {
		case silent:
			return // as good as no answer, and sooner
		case err != nil:
			class := "GenericError"
			if errors.Is(err, errors.ErrUnsupported) {
				class = "CommandNotFound"
			}
			fmt.Fprintf(conn, `{"error": {"class": %q, "desc": %q}}`+"\n", class, err.Error())
		default:
			raw, _ := json.Marshal(map[string]any{"return": answer})
			conn.Write(append(raw, '\n'))
		}
	}
}

// do acts as the agent would; mu is held.
func (f *fakeAgent) do(command string, raw json.RawMessage) (any, error) {
	if f.lacks[command] {
		return nil, errors.ErrUnsupported
	}
	if refusing := f.refusing; refusing != nil && command == "guest-set-time" {
		f.refusing = nil
		refusing()
		return nil, fmt.Errorf("frozen: %w", errors.ErrUnsupported)
	}
	if f.frozen && !slices.Contains([]string{"guest-ping", "guest-info", "guest-fsfreeze-status", "guest-fsfreeze-thaw"}, command) {
		return nil, fmt.Errorf("frozen: %w", errors.ErrUnsupported)
	}
	var a struct {
		Username, Path, Password string
		Keys, Arg                []string
		Reset                    bool
		Time                     int64
		Input                    []byte `json:"input-data"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, err
		}
	}
	none := map[string]any{}
	switch command {
	case "guest-ping":
	case "guest-info":
		return json.RawMessage(`{"version": "8.0", "supported_commands": []}`), nil
	case "guest-fsfreeze-status":
		return map[bool]string{true: "frozen", false: "thawed"}[f.frozen], nil
	case "guest-fsfreeze-freeze":
		f.frozen = true
		f.freezes++
		return 2, nil
	case "guest-fsfreeze-thaw":
		f.frozen = false
		f.thaws++
		return 2, nil
	case "guest-set-time":
		f.times = append(f.times, time.Unix(0, a.Time))
	case "guest-get-users":
		return json.RawMessage(`[{"user": "root\u001b", "login-time": 1700000000.5}, {"user": "ann", "domain": "OFFICE", "login-time": -1}, {"user": ""}]`), nil
	case "guest-get-fsinfo":
		return json.RawMessage(`[{"name": "vdb", "mountpoint": "/data", "type": "xfs", "disk": []},
			{"name": "vda1", "mountpoint": "/", "type": "ext4", "used-bytes": 10, "total-bytes": 100, "disk": [{"bus-type": "virtio", "serial": "s1"}]}]`), nil
	case "guest-ssh-get-authorized-keys":
		keys, ok := f.keys[a.Username]
		if !ok {
			return nil, errors.New("no such user")
		}
		return map[string]any{"keys": keys}, nil
	case "guest-ssh-add-authorized-keys":
		if _, ok := f.keys[a.Username]; !ok {
			return nil, errors.New("no such user")
		}
		if a.Reset {
			return nil, errors.New("the test wants the owner's keys kept")
		}
		for _, k := range a.Keys {
			if !slices.Contains(f.keys[a.Username], k) {
				f.keys[a.Username] = append(f.keys[a.Username], k)
			}
		}
	case "guest-ssh-remove-authorized-keys":
		f.keys[a.Username] = slices.DeleteFunc(f.keys[a.Username], func(k string) bool { return slices.Contains(a.Keys, k) })
	case "guest-set-user-password":
		var p struct{ Password []byte }
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, err
		}
		f.passwords[a.Username] = string(p.Password)
	case "guest-exec":
		f.runs = append(f.runs, strings.Join(append(append([]string{a.Path}, a.Arg...), string(a.Input)), " "))
		return map[string]any{"pid": 7}, nil
	case "guest-exec-status":
		if f.running > 0 {
			f.running--
			return map[string]any{"exited": false}, nil
		}
		out := []byte(f.out)
		if f.out == "" {
			out = []byte("out")
		}
		return json.RawMessage(fmt.Sprintf(`{"exited": true, %s, "out-data": %q, "err-data": "ZXJy"}`, f.exit, base64.StdEncoding.EncodeToString(out))), nil
	default:
		return nil, errors.ErrUnsupported
	}
	return none, nil
}

// with looks at the agent, or changes it, while it does nothing.
func (f *fakeAgent) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// guestWithAgent runs a guest whose agent has connected.
func guestWithAgent(t *testing.T, change ...func(*Config)) (*world, *fakeAgent, *Domain) {
	t.Helper()
	w, a := newWorld(t), newFakeAgent()
	w.agent = a.dial
	d := w.domain(change...)
	mustSync(t, d)
	awaitState(t, d, running, "")
	w.connectAgent(t, d)
	return w, a, d
}

func (w *world) connectAgent(t *testing.T, d *Domain) {
	t.Helper()
	w.event("", "VSERPORT_CHANGE", `{"id": "agent0", "open": true}`)
	await(t, d, "agent", func(e *api.Event) bool { return e.Agent.GetVersion() != "" })
}

func TestFreeze(t *testing.T) {
	spec.Covers(t, "P2-GA-05")
	frozen := func(e *api.Event) bool { return e.Agent.GetFsFrozen() }
	thawed := func(e *api.Event) bool { return !e.Agent.GetFsFrozen() }
	t.Run("until it is ended", func(t *testing.T) {
		_, a, d := guestWithAgent(t)
		for range 2 { // a repeated call changes nothing
			if err := d.Freeze(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		e := await(t, d, "frozen", frozen)
		if e.Agent.Version != "8.0" || !e.Agent.Connected {
			t.Errorf("What was known before is gone: %v", e.Agent)
		}
		if got, err := d.GuestInfo(t.Context()); err != nil || !got.Agent.FsFrozen || got.Agent.Version != "8.0" {
			t.Errorf("GuestInfo of a frozen guest: %v, %v", got, err)
		}
		for range 2 {
			if err := d.Unfreeze(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		await(t, d, "thawed", thawed)
		a.with(func() {
			if a.freezes != 1 || a.thaws != 1 {
				t.Errorf("%d freezes, %d thaws, want one of each", a.freezes, a.thaws)
			}
		})
	})
	t.Run("for a time", func(t *testing.T) {
		_, a, d := guestWithAgent(t)
		if err := d.Freeze(t.Context(), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		await(t, d, "thawed", thawed)
		a.with(func() {
			if a.frozen || a.freezes != 1 {
				t.Errorf("after its time: frozen %v, %d freezes", a.frozen, a.freezes)
			}
		})
	})
	t.Run("launcher dies meanwhile", func(t *testing.T) {
		state := filepath.Join(t.TempDir(), "state.json")
		w, a, d := guestWithAgent(t, func(c *Config) { c.StateFile = state })
		if err := d.Freeze(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		d.mu.Lock()
		d.rec.ThawBy = time.Now().Add(50 * time.Millisecond)
		d.save()
		d.mu.Unlock()
		die(d)
		w.mu.Lock()
		w.agentOn = true
		w.mu.Unlock()
		next := w.domain(func(c *Config) { c.StateFile = state })
		await(t, next, "thawed by the next launcher", thawed)
		a.with(func() {
			if a.frozen {
				t.Error("the guest is still frozen")
			}
		})
	})
	t.Run("no answer", func(t *testing.T) {
		_, a, d := guestWithAgent(t)
		a.with(func() { a.silent["guest-fsfreeze-freeze"] = true })
		if err := d.Freeze(t.Context(), 0); api.ReasonOf(err) != api.ReasonAgentUnavailable {
			t.Errorf("Freeze: %v", err)
		}
		// The guest has frozen although it did not say so.
		await(t, d, "thawed", thawed)
		a.with(func() {
			if a.frozen || a.freezes != 1 {
				t.Errorf("a freeze that failed has stayed: frozen %v, %d freezes", a.frozen, a.freezes)
			}
		})
	})
	t.Run("refused", func(t *testing.T) {
		_, a, d := guestWithAgent(t)
		a.with(func() { a.lacks["guest-fsfreeze-freeze"] = true })
		err := d.Freeze(t.Context(), 0)
		if api.ReasonOf(err) != api.ReasonAgentRefused {
			t.Errorf("Freeze: %v", err)
		}
		if e, _ := d.Current(); e.Agent.FsFrozen {
			t.Error("a refused freeze is taken for one")
		}
	})
	t.Run("stop", func(t *testing.T) {
		_, a, d := guestWithAgent(t)
		if err := d.Freeze(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		d.Shutdown(nil)
		awaitState(t, d, shutdown, api.ReasonGuestShutdown)
		a.with(func() {
			if a.frozen {
				t.Error("the guest was asked to power down while it could not write")
			}
		})
	})
	t.Run("reboot", func(t *testing.T) {
		w, a, d := guestWithAgent(t)
		if err := d.Freeze(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		a.with(func() { a.frozen = false })
		w.event("", "RESET", `{"guest": true, "reason": "guest-reset"}`)
		await(t, d, "thawed", thawed)
	})
	t.Run("by somebody else", func(t *testing.T) {
		_, a, d := guestWithAgent(t)
		a.with(func() { a.frozen = true })
		await(t, d, "frozen", frozen)
		a.with(func() { a.frozen = false })
		await(t, d, "thawed", thawed)
	})
	t.Run("without an agent", func(t *testing.T) {
		w := newWorld(t)
		d := w.domain()
		mustSync(t, d)
		for name, err := range map[string]error{"Freeze": d.Freeze(t.Context(), 0), "Unfreeze": d.Unfreeze(t.Context())} {
			if api.ReasonOf(err) != api.ReasonAgentUnavailable {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("paused", func(t *testing.T) {
		_, _, d := guestWithAgent(t)
		if err := d.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.Freeze(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "CPUs are halted") {
			t.Errorf("Freeze: %v", err)
		}
	})
}

func TestGuestLists(t *testing.T) {
	_, _, d := guestWithAgent(t)
	users, err := d.GuestUsers(t.Context())
	if got := fmt.Sprint(users.GetUsers()); err != nil || got != `[name:"root"  login_time:1.7000000005e+09 name:"ann"  domain:"OFFICE"]` && len(users.GetUsers()) != 2 {
		t.Errorf("Users: %s, %v", got, err)
	}
	filesystems, err := d.GuestFilesystems(t.Context())
	if err != nil || len(filesystems.GetFilesystems()) != 2 {
		t.Fatalf("Filesystems: %v, %v", filesystems, err)
	}
	root := filesystems.GetFilesystems()[0]
	if root.Mountpoint != "/" || root.Name != "vda1" || root.Type != "ext4" || root.UsedBytes != 10 || root.TotalBytes != 100 || root.Disks[0].Bus != "virtio" || root.Disks[0].Serial != "s1" {
		t.Errorf("root: %v", root)
	}
	info, err := d.GuestInfo(t.Context())
	if err != nil || len(info.Users) != 2 || info.Users[0].Name != "root" || len(info.Filesystems) != 2 {
		t.Errorf("GuestInfo: %v, %v", info, err)
	}
	if err := d.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.GuestUsers(t.Context()); api.ReasonOf(err) != api.ReasonAgentUnavailable {
		t.Errorf("Users of a paused guest: %v", err)
	}
	if info, err := d.GuestInfo(t.Context()); err != nil || info.Agent.Version != "8.0" {
		t.Errorf("GuestInfo of a paused guest: %v, %v", info, err)
	}
}

func TestTimeAfterPause(t *testing.T) {
	_, a, d := guestWithAgent(t, func(c *Config) {
		c.Prepare = func(context.Context, *api.SyncRequest) (*Guest, error) {
			g := aGuest()
			g.ClockOffset = time.Hour
			return g, nil
		}
	})
	rested := func() {
		t.Helper()
		if err := d.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.Unpause(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	set := func(n int) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			var times []time.Time
			a.with(func() { times = slices.Clone(a.times) })
			if len(times) == n {
				if off := time.Until(times[n-1]) - time.Hour; off.Abs() > patience {
					t.Errorf("the guest's clock was set %s off", off)
				}
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the guest's clock was set %d times, want %d", len(times), n)
			}
		}
	}
	rested()
	set(1)
	// A frozen guest's agent sets no clock; it is made up for.
	if err := d.Freeze(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	rested()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		behind := d.rec.ClockBehind
		d.mu.Unlock()
		if behind {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is not noted that the clock is behind")
		}
	}
	if err := d.Unfreeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	set(2)
	// It may be thawed just when its agent has refused.
	if err := d.Freeze(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	a.with(func() {
		a.refusing = func() {
			a.frozen = false
			d.mu.Lock()
			defer d.mu.Unlock()
			d.rec.Frozen = false
		}
	})
	rested()
	set(3)
}

func TestProbe(t *testing.T) {
	spec.Covers(t, "P4-PROBE-08", "P4-PROBE-05")
	w, a, d := guestWithAgent(t)
	if r, err := d.Probe(t.Context(), nil); err != nil || r.ExitCode != 0 || r.Excused != "" {
		t.Errorf("ping: %v, %v", r, err)
	}
	a.with(func() { a.running, a.exit = 2, `"exitcode": 3` })
	if r, err := d.Probe(t.Context(), []string{"cat", "/tmp/healthy"}); err != nil || r.ExitCode != 3 || string(r.Output) != "outerr" {
		t.Errorf("exec: %v, %v", r, err)
	}
	a.with(func() { a.exit = `"signal": 9` })
	if r, err := d.Probe(t.Context(), []string{"true"}); err != nil || r.ExitCode != 137 {
		t.Errorf("exec that was killed: %v, %v", r, err)
	}
	a.with(func() {
		if diff := cmp.Diff([]string{"cat /tmp/healthy ", "true "}, a.runs); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		a.running = 1 << 30
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := d.Probe(ctx, []string{"sleep", "1000"}); err == nil {
		t.Error("a command without an end has passed")
	}
	// What a frozen guest cannot be asked stays as it was.
	a.with(func() { a.running, a.exit = 0, `"exitcode": 0` })
	if r, err := d.Probe(t.Context(), []string{"true"}); err != nil || r.ExitCode != 0 {
		t.Errorf("exec: %v, %v", r, err)
	}
	if err := d.Freeze(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for command, code := range map[string]int32{"true": 0, "cat /tmp/healthy": 3, "never run": 1} {
		if r, err := d.Probe(t.Context(), strings.Fields(command)); err != nil || r.ExitCode != code || r.Excused == "" {
			t.Errorf("%s of a frozen guest: %v, %v, want %d", command, r, err, code)
		}
	}
	if err := d.Unfreeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.with(func() { a.silent["guest-ping"] = true })
	if _, err := d.Probe(t.Context(), nil); api.ReasonOf(err) != api.ReasonAgentUnavailable {
		t.Errorf("ping without an answer: %v", err)
	}
	// A guest that somebody has paused is not ended for its silence, one whose disk has failed may be.
	if err := d.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Probe(t.Context(), nil); err != nil || r.Excused == "" {
		t.Errorf("ping of a paused guest: %v, %v", r, err)
	}
	if _, err := d.Probe(t.Context(), []string{"true"}); err == nil {
		t.Error("a paused guest has run a command")
	}
	w.event("io-error", "STOP", "{}")
	awaitState(t, d, paused, api.ReasonPausedIOError)
	if r, err := d.Probe(t.Context(), nil); err == nil {
		t.Errorf("ping of a guest whose disk has failed: %v", r)
	}
	w.event("", "VSERPORT_CHANGE", `{"id": "agent0", "open": false}`)
	await(t, d, "no agent", func(e *api.Event) bool { return !e.Agent.GetConnected() })
	if _, err := d.Probe(t.Context(), nil); api.ReasonOf(err) != api.ReasonAgentUnavailable {
		t.Errorf("ping without an agent: %v", err)
	}
}

// secretChanges is a SecretWatcher that the test sets off.
type secretChanges chan struct{}

func (c secretChanges) Changes() <-chan struct{} { return c }
func (secretChanges) Close() error               { return nil }

func TestCredentials(t *testing.T) {
	spec.Covers(t, "P2-SSH-09")
	dir := t.TempDir()
	write := func(secret, key, value string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, secret), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, secret, key), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("keys", "a", "ssh-rsa A\nssh-rsa B\n")
	write("more", "a", "ssh-rsa C\nssh-rsa A\n")
	write("passwords", "ann", "first\n")
	changes := make(secretChanges, 1)
	state := filepath.Join(t.TempDir(), "state.json")
	with := func(c *Config) {
		c.StateFile = state
		c.WatchSecrets = func(dirs []string) (SecretWatcher, error) {
			if len(dirs) != 3 {
				t.Errorf("watched %v", dirs)
			}
			return changes, nil
		}
		c.Prepare = func(context.Context, *api.SyncRequest) (*Guest, error) {
			g := aGuest()
			g.Credentials = []Credential{
				{Secret: "keys", Dir: filepath.Join(dir, "keys"), Users: []string{"ann", "bob"}},
				{Secret: "more", Dir: filepath.Join(dir, "more"), Users: []string{"ann"}},
				{Secret: "passwords", Dir: filepath.Join(dir, "passwords")},
			}
			return g, nil
		}
		c.Times.Recheck = time.Hour
	}
	w, a := newWorld(t), newFakeAgent()
	w.agent = a.dial
	a.keys["ann"], a.keys["bob"] = nil, []string{"ssh-rsa by hand"}
	d := w.domain(with)
	mustSync(t, d)
	if e := awaitState(t, d, running, ""); e.Credentials.GetSynced() || e.Credentials.GetReason() != api.ReasonAgentUnavailable {
		t.Errorf("before the agent has connected: %v", e.Credentials)
	}
	w.connectAgent(t, d)
	synced := func(e *api.Event) bool { return e.Credentials.GetSynced() }
	await(t, d, "credentials", synced)
	check := func(what string, keys map[string][]string, password string) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			var diff string
			a.with(func() { diff = cmp.Diff(keys, a.keys) + cmp.Diff(password, a.passwords["ann"]) })
			if diff == "" {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s (-want +got):\n%s", what, diff)
			}
		}
	}
	const mark = " kubevirt.io/access-credential"
	check("at first", map[string][]string{"ann": {"ssh-rsa A" + mark, "ssh-rsa B" + mark, "ssh-rsa C" + mark}, "bob": {"ssh-rsa by hand", "ssh-rsa A" + mark, "ssh-rsa B" + mark}}, "first")

	write("keys", "a", "")
	write("passwords", "ann", "second")
	changes <- struct{}{}
	check("after a change", map[string][]string{"ann": {"ssh-rsa A" + mark, "ssh-rsa C" + mark}, "bob": {"ssh-rsa by hand"}}, "second")

	// A password that was changed in the guest stays as long as its Secret does; one set by a Secret that the guest
	// refuses is told.
	a.with(func() { a.passwords["ann"] = "by hand" })
	changes <- struct{}{}
	a.with(func() { delete(a.keys, "bob") })
	write("keys", "a", "ssh-rsa D")
	changes <- struct{}{}
	e := await(t, d, "a failure", func(e *api.Event) bool { return !synced(e) })
	if want := "keys of bob: guest agent: guest-ssh-add-authorized-keys: no such user (GenericError)"; e.Credentials.Reason != api.ReasonCredentialsRefused || e.Credentials.Message != want {
		t.Errorf("failure: %v, want %s", e.Credentials, want)
	}
	a.with(func() {
		if a.passwords["ann"] != "by hand" {
			t.Error("the password was set again though its Secret has not changed")
		}
		a.keys["bob"] = nil
	})
	await(t, d, "credentials", synced)

	// The next launcher takes over without a word of failure in between.
	w.mu.Lock()
	w.agentOn = true
	w.mu.Unlock()
	next := w.domain(with)
	if e, _ := next.Current(); !synced(e) {
		t.Errorf("the next launcher says %v", e.Credentials)
	}

	if err := os.RemoveAll(filepath.Join(dir, "more")); err != nil {
		t.Fatal(err)
	}
	changes <- struct{}{}
	if e := await(t, d, "a failure", func(e *api.Event) bool { return !synced(e) }); e.Credentials.Reason != api.ReasonSecretMissing || !strings.Contains(e.Credentials.Message, "Secret more") {
		t.Errorf("without a Secret: %v", e.Credentials)
	}
}

// TestOldAgent gives keys to a guest whose agent knows nothing of them.
func TestOldAgent(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("ssh-rsa A"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, a := newWorld(t), newFakeAgent()
	w.agent = a.dial
	for _, c := range []string{"get", "add", "remove"} {
		a.lacks["guest-ssh-"+c+"-authorized-keys"] = true
	}
	a.exit = `"exitcode": 1`
	d := w.domain(func(c *Config) {
		c.WatchSecrets = func([]string) (SecretWatcher, error) { return nil, errors.New("no watch") }
		c.Prepare = func(context.Context, *api.SyncRequest) (*Guest, error) {
			g := aGuest()
			g.Credentials = []Credential{{Secret: "keys", Dir: dir, Users: []string{"ann"}}}
			return g, nil
		}
	})
	mustSync(t, d)
	w.connectAgent(t, d)
	e := await(t, d, "a failure", func(e *api.Event) bool { return e.Credentials.GetReason() == api.ReasonCredentialsRefused })
	if want := "keys of ann: writing the keys failed with exit code 1: outerr"; e.Credentials.Message != want {
		t.Errorf("failure: %v, want %s", e.Credentials, want)
	}
	a.with(func() { a.exit = `"exitcode": 0` })
	await(t, d, "credentials", func(e *api.Event) bool { return e.Credentials.GetSynced() })
	a.with(func() {
		if got := a.runs[0]; !strings.HasPrefix(got, "su -s /bin/sh -c umask 077") || !bytes.HasSuffix([]byte(got), []byte(" ann ssh-rsa A kubevirt.io/access-credential\n")) {
			t.Errorf("ran %q", got)
		}
	})
	for _, user := range []string{"-x", "a:b", "", "a/b"} {
		if err := d.writeKeys(t.Context(), user, nil); api.ReasonOf(err) != api.ReasonCredentialsRefused {
			t.Errorf("user %q: %v", user, err)
		}
	}
}
