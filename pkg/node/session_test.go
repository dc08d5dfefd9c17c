package node

import (
	"testing"

	launcher "github.com/virtplane/virtplane/launcher/api"
)

// TestOldNewsOfTheGuest gives a session an answer that was overtaken by an event: what was known stays.
func TestOldNewsOfTheGuest(t *testing.T) {
	told := 0
	s := &session{notify: func() { told++ }}
	for i, tc := range []struct {
		event *launcher.Event
		want  launcher.DomainState
		told  int
	}{
		{nil, launcher.DomainState_DOMAIN_STATE_UNSPECIFIED, 0},
		{&launcher.Event{Sequence: 4, State: launcher.DomainState_DOMAIN_STATE_RUNNING}, launcher.DomainState_DOMAIN_STATE_RUNNING, 1},
		{&launcher.Event{Sequence: 6, State: launcher.DomainState_DOMAIN_STATE_SHUTDOWN}, launcher.DomainState_DOMAIN_STATE_SHUTDOWN, 2},
		{&launcher.Event{Sequence: 5, State: launcher.DomainState_DOMAIN_STATE_RUNNING}, launcher.DomainState_DOMAIN_STATE_SHUTDOWN, 2},
		{nil, launcher.DomainState_DOMAIN_STATE_SHUTDOWN, 2},
	} {
		s.took(tc.event)
		if got := s.view().event.GetState(); got != tc.want || told != tc.told {
			t.Errorf("news %d: state %s, told %d times; want %s, %d", i, got, told, tc.want, tc.told)
		}
	}
}
