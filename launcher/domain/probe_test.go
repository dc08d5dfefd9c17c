package domain

import (
	"strings"
	"testing"
	"time"

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
