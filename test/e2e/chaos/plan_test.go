package chaos

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSessions(t *testing.T) {
	count := func(s session) map[string]int {
		n := map[string]int{}
		for _, m := range s.moments {
			n[m.victim.name]++
		}
		return n
	}
	few := sessions(0, 7)
	if len(few) != 1 {
		t.Fatalf("%d sessions", len(few))
	}
	want := map[string]int{}
	for _, v := range victims {
		want[v.name] = 2
	}
	if diff := cmp.Diff(want, count(few[0])); diff != "" {
		t.Errorf("kills (-want +got):\n%s", diff)
	}
	many := sessions(20, 7)
	if len(many) != len(victims) {
		t.Fatalf("%d sessions for %d victims", len(many), len(victims))
	}
	for i, s := range many {
		if diff := cmp.Diff(map[string]int{victims[i].name: 20}, count(s)); diff != "" {
			t.Errorf("kills of session %s (-want +got):\n%s", s.name, diff)
		}
	}
	order := func(s session) (out []string) {
		for _, m := range s.moments {
			out = append(out, m.victim.name+" "+m.after.String())
		}
		return out
	}
	if diff := cmp.Diff(order(few[0]), order(sessions(0, 7)[0])); diff != "" {
		t.Errorf("the same seed gives other moments:\n%s", diff)
	}
	if cmp.Equal(order(few[0]), order(sessions(0, 8)[0])) {
		t.Error("another seed gives the same moments")
	}
}
