package domain

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/launcher/api"
)

func told(e *api.Event) []string {
	var out []string
	for _, s := range e.GetShortfalls() {
		out = append(out, s.GetReason()+": "+s.GetMessage())
	}
	return out
}

// TestShortfalls tells of what the guest runs without, also after the launcher was replaced.
func TestShortfalls(t *testing.T) {
	w := newWorld(t)
	warned := aGuest()
	warned.Warnings = []string{"spec.a: has no effect", "spec.b: neither"}
	state := filepath.Join(t.TempDir(), "state.json")
	d := w.domain(prepared(warned), func(c *Config) { c.StateFile = state })
	mustSync(t, d)
	fields := "FieldsWithoutEffect: spec.a: has no effect; spec.b: neither"
	if diff := cmp.Diff([]string{fields}, told(awaitState(t, d, running, ""))); diff != "" {
		t.Error(diff)
	}
	given := w.dhcpGiven()
	given(time.Now(), []string{"search domain a.example", "private option 240"})
	short := "DHCPOptionsLeftOut: interface a: the answer to the guest's DHCP request has no room for search domain a.example, private option 240"
	e := await(t, d, "what was left out", func(e *api.Event) bool { return len(e.GetShortfalls()) == 2 })
	if diff := cmp.Diff([]string{short, fields}, told(e)); diff != "" {
		t.Error(diff)
	}

	die(d)
	next := w.domain(func(c *Config) { c.StateFile = state })
	if e, _ := next.Current(); len(e.GetShortfalls()) != 2 {
		t.Errorf("the next launcher tells %q", told(e))
	}
	w.dhcpGiven()(time.Now(), nil)
	await(t, next, "an answer that holds all", func(e *api.Event) bool { return len(e.GetShortfalls()) == 1 })
}

// TestShortfallsOfAGuestThatAsksAllTheTime are not told all the time, and the last one is.
func TestShortfallsOfAGuestThatAsksAllTheTime(t *testing.T) {
	w := newWorld(t)
	d := w.domain(func(c *Config) { c.Times.Settle = 300 * time.Millisecond })
	mustSync(t, d)
	awaitState(t, d, running, "")
	seen := map[string]bool{}
	for i := range 100 {
		w.dhcpGiven()(time.Now(), []string{fmt.Sprint("option ", i)})
		e, _ := d.Current()
		seen[strings.Join(told(e), "")] = true
	}
	if len(seen) > 3 {
		t.Errorf("%d states were told", len(seen))
	}
	await(t, d, "the last answer", func(e *api.Event) bool { return strings.HasSuffix(strings.Join(told(e), ""), "option 99") })
}

func TestShortfallsAreListedShort(t *testing.T) {
	many := strings.Fields("a b c d e f g h i j")
	if got := listed(many); got != "a, b, c, d, e, f, g, h and 2 more" {
		t.Error(got)
	}
	if got := listed(many[:2]); got != "a, b" {
		t.Error(got)
	}
}
