package domain

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/launcher/api"
)

// TestProbeOfAStoppingGuest: a guest that powers down stops answering, which must not have it killed before its time.
func TestProbeOfAStoppingGuest(t *testing.T) {
	w, a, d := guestWithAgent(t)
	a.with(func() { a.running, a.exit = 0, `"exitcode": 3` })
	if r, err := d.Probe(t.Context(), []string{"false"}); err != nil || r.ExitCode != 3 {
		t.Errorf("exec: %v, %v", r, err)
	}
	w.mu.Lock()
	w.deaf = true
	w.mu.Unlock()
	long := time.Hour
	d.Shutdown(&long)
	awaitState(t, d, stopping, api.ReasonStopRequested)
	a.with(func() { a.silent["guest-ping"], a.silent["guest-exec"] = true, true })
	for command, code := range map[string]int32{"": 0, "false": 3, "never run": 1} {
		if r, err := d.Probe(t.Context(), strings.Fields(command)); err != nil || r.ExitCode != code || r.Excused != "the guest is being stopped" {
			t.Errorf("%q of a guest that is being stopped: %v, %v, want %d", command, r, err, code)
		}
	}
}

// TestProbeFailuresAreTold: why a probe does not pass is seen where its instance is looked at, and not told anew each time.
func TestProbeFailuresAreTold(t *testing.T) {
	_, a, d := guestWithAgent(t)
	ask := func(command string) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, _ = d.Probe(ctx, strings.Fields(command))
	}
	failures := func() []string {
		var out []string
		e, _ := d.Current()
		for _, f := range e.GetProbeFailures() {
			out = append(out, strings.Join(f.GetCommand(), " ")+": "+f.GetMessage())
		}
		return out
	}
	expect := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, failures()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	a.with(func() { a.running, a.exit, a.out = 0, `"exitcode": 3`, "one\ntwo\x00 " })
	ask("cat /tmp/healthy")
	expect("a command that fails", "cat /tmp/healthy: it ended with exit code 3: one two err")
	before, _ := d.Current()
	a.with(func() { a.out = "three " })
	ask("cat /tmp/healthy")
	if after, _ := d.Current(); after.GetSequence() != before.GetSequence() {
		t.Errorf("it fails as before and is told again: %q", failures())
	}
	a.with(func() { a.exit = `"exitcode": 4` })
	ask("cat /tmp/healthy")
	expect("it fails in another way", "cat /tmp/healthy: it ended with exit code 4: three err")
	a.with(func() { a.running = 1 << 30 })
	ask("cat /tmp/healthy")
	expect("it does not end", "cat /tmp/healthy: command cat still runs in the guest: context deadline exceeded")
	a.with(func() { a.running, a.exit = 0, `"exitcode": 0` })
	ask("cat /tmp/healthy")
	expect("it passes")
	a.with(func() { a.silent["guest-ping"] = true })
	ask("")
	if got := failures(); len(got) != 1 || !strings.HasPrefix(got[0], ": ") || len(got[0]) < 5 {
		t.Errorf("a sign of life that does not come: %q", got)
	}
}
