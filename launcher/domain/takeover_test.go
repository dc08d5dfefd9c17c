package domain

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/supervise"
)

func TestTakeOver(t *testing.T) {
	for _, tc := range []struct {
		name    string
		record  func(*record)
		state   string
		wants   api.DomainState
		reason  string
		command []string
	}{
		{"running", func(r *record) { r.Started = time.Unix(1700000000, 0) }, "running", running, "", nil},
		{"halted by a user", func(r *record) { r.Started = time.Unix(1700000000, 0) }, "paused", paused, api.ReasonPausedByUser, nil},
		{"started in part", nil, "prelaunch", running, "", []string{"set_link", "cont"}},
		{"started paused", func(r *record) { r.Guest.Paused = true }, "prelaunch", paused, api.ReasonPausedStartStrategy, nil},
		{"rebooted in part", func(r *record) { r.SoftReboot = true; r.Started = time.Unix(1700000000, 0) }, "shutdown", running, "", []string{"system_reset", "set-action", "cont"}},
		{"asked to stop", func(r *record) { r.StopBy = time.Now().Add(time.Hour); r.Started = time.Unix(1700000000, 0) }, "running", shutdown, api.ReasonGuestShutdown, []string{"system_powerdown"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.boot()
			w.state, w.status.Restarts = tc.state, 3
			d := w.domain(func(c *Config) {
				rec := record{Guest: aGuest()}
				if tc.record != nil {
					tc.record(&rec)
				}
				if err := saveRecord(c.StateFile, rec); err != nil {
					t.Fatal(err)
				}
			})
			// Whoever asks first hears of the guest, not of an empty launcher.
			if e, _ := d.Current(); e.State == none || e.State == starting {
				t.Errorf("first event: %v", e)
			}
			e := awaitState(t, d, tc.wants, tc.reason)
			if e.Uid != "u" || e.LauncherRestarts != 3 {
				t.Errorf("event: %v", e)
			}
			if diff := cmp.Diff(tc.command, w.sent()[2:], cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
				t.Errorf("commands: %s", diff)
			}
			if diff := cmp.Diff([]string{"k6t-eth0 02:00:00:00:00:0a"}, w.served); diff != "" {
				t.Errorf("served: %s", diff)
			}
			if tc.wants != shutdown {
				mustSync(t, d)
				if len(w.spawned) != 0 {
					t.Error("another QEMU was started")
				}
			}
		})
	}
	t.Run("record lost", func(t *testing.T) {
		w := newWorld(t)
		w.boot()
		w.state = "running"
		d := w.domain(func(c *Config) {
			if err := os.WriteFile(c.StateFile, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		})
		if e := awaitState(t, d, running, ""); e.Uid != "u" {
			t.Errorf("event: %v", e)
		}
	})
	t.Run("ended meanwhile", func(t *testing.T) {
		w := newWorld(t)
		w.boot()
		w.exit(supervise.Exit{})
		d := w.domain(func(c *Config) {
			if err := saveRecord(c.StateFile, record{Guest: aGuest(), Killed: api.ReasonKilled}); err != nil {
				t.Fatal(err)
			}
		})
		awaitState(t, d, shutdown, api.ReasonKilled)
	})
	// What QEMU has told is known to the next launcher, and an end that nobody heard is no success.
	for _, tc := range []struct {
		name   string
		record record
		exit   supervise.Exit
		state  api.DomainState
		reason string
		asked  bool
	}{
		{"guest powered down", record{Heard: heard{Shutdown: "guest-shutdown"}}, supervise.Exit{}, shutdown, api.ReasonGuestShutdown, false},
		{"guest rebooted and may not", record{Heard: heard{Shutdown: "guest-reset"}}, supervise.Exit{}, shutdown, api.ReasonGuestRebooted, false},
		{"watchdog expired", record{Heard: heard{Watchdog: "poweroff"}}, supervise.Exit{}, crashed, api.ReasonWatchdogExpired, false},
		{"guest panicked", record{Heard: heard{Panicked: true}}, supervise.Exit{Code: 1}, crashed, api.ReasonGuestPanicked, false},
		{"nobody heard how it ended", record{}, supervise.Exit{}, crashed, api.ReasonEndUnknown, false},
		{"guest was asked to power down", record{StopBy: time.Now().Add(time.Hour)}, supervise.Exit{}, shutdown, api.ReasonGuestShutdown, false},
		{"pod was told to end", record{StopBy: time.Now().Add(time.Hour), PodTerminated: true}, supervise.Exit{}, shutdown, api.ReasonGuestShutdown, true},
	} {
		t.Run("ended meanwhile: "+tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.boot()
			w.exit(tc.exit)
			d := w.domain(func(c *Config) {
				tc.record.Guest, tc.record.Started = aGuest(), time.Unix(1700000000, 0)
				if err := saveRecord(c.StateFile, tc.record); err != nil {
					t.Fatal(err)
				}
			})
			if e := awaitState(t, d, tc.state, tc.reason); e.PodTerminated != tc.asked {
				t.Errorf("event: %v", e)
			}
		})
	}
	// A launcher is killed after each thing that QEMU has told, and the next one knows it.
	for _, tc := range []struct {
		name   string
		happen func(*world)
		heard  func(*api.Event) bool
		then   supervise.Exit
		state  api.DomainState
		reason string
		text   string
	}{
		{"watchdog", func(w *world) { w.event("", "WATCHDOG", `{"action": "poweroff"}`) },
			func(e *api.Event) bool { return len(e.Incidents) == 1 }, supervise.Exit{}, crashed, api.ReasonWatchdogExpired, "the watchdog expired and powered the guest off"},
		{"panic", func(w *world) { w.event("", "GUEST_PANICKED", `{"action": "poweroff"}`) },
			func(e *api.Event) bool { return len(e.Incidents) == 1 }, supervise.Exit{Code: 1}, crashed, api.ReasonGuestPanicked, "the guest panicked"},
		{"full disk", func(w *world) {
			w.event("", "BLOCK_IO_ERROR", `{"node-name": "disk-root", "operation": "write", "action": "stop", "nospace": true, "reason": "x"}`)
			w.event("io-error", "STOP", "{}")
		}, func(e *api.Event) bool { return e.State == paused }, supervise.Exit{}, paused, api.ReasonPausedIOError, "disk disk-root: write failed: no space is left on the node or claim"},
	} {
		t.Run("launcher is killed after: "+tc.name, func(t *testing.T) {
			w := newWorld(t)
			file := t.TempDir() + "/state.json"
			d := w.domain(func(c *Config) { c.StateFile = file })
			mustSync(t, d)
			tc.happen(w)
			await(t, d, tc.name, tc.heard)
			// The next one has a world of its own, but the same record.
			next := newWorld(t)
			next.boot()
			if tc.state == paused {
				next.state = "io-error"
			} else {
				next.exit(tc.then)
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d = next.domain(func(c *Config) {
				if err := os.WriteFile(c.StateFile, raw, 0o600); err != nil {
					t.Fatal(err)
				}
			})
			if e := awaitState(t, d, tc.state, tc.reason); e.Message != tc.text {
				t.Errorf("message %q, want %q", e.Message, tc.text)
			}
		})
	}
	t.Run("QEMU does not answer", func(t *testing.T) {
		w := newWorld(t)
		w.boot()
		w.mute["query-status"] = true
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		d := New(w.config(func(c *Config) {
			if err := saveRecord(c.StateFile, record{Guest: aGuest(), Started: time.Unix(1700000000, 0), Run: "paused"}); err != nil {
				t.Fatal(err)
			}
		}))
		if err := d.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if e, _ := d.Current(); e.State != paused || e.Reason != api.ReasonPausedByUser {
			t.Errorf("first event: %v", e)
		}
	})
	t.Run("nothing came of it", func(t *testing.T) {
		w := newWorld(t)
		d := w.domain(func(c *Config) {
			if err := saveRecord(c.StateFile, record{Guest: aGuest()}); err != nil {
				t.Fatal(err)
			}
		})
		awaitState(t, d, none, "")
		mustSync(t, d)
		awaitState(t, d, running, "")
	})
}

func TestRecord(t *testing.T) {
	path := t.TempDir() + "/state.json"
	if r, err := loadRecord(path); err != nil || r.Guest != nil {
		t.Errorf("no file: %+v, %v", r, err)
	}
	want := record{Version: 1, Guest: aGuest(), Started: time.Unix(1700000000, 0).UTC(), Killed: "x", SoftReboot: true}
	if err := saveRecord(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := loadRecord(path)
	if err != nil || got.Guest.Interfaces[0].Lease.MAC != "02:00:00:00:00:0a" || !got.Started.Equal(want.Started) || got.Killed != "x" || !got.SoftReboot {
		t.Errorf("got %+v, %v", got, err)
	}
	if left, _ := os.ReadDir(path[:len(path)-len("/state.json")]); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	for _, text := range []string{"", "{", `{"version":7,"guest":{}}`, `{"version":1}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadRecord(path); err == nil {
			t.Errorf("accepted %q", text)
		}
	}
}

// FuzzRecord reads state files that a guest which has taken over QEMU may have written.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"guest":{"uid":"u","grace":1}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := t.TempDir() + "/s"
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := loadRecord(path); err == nil {
			d := New(Config{Log: nil})
			d.rec = r
			d.mu.Lock()
			d.describe()
			d.mu.Unlock()
		}
	})
}
