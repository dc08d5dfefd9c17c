package qmp

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"no secret", `{"id":"disk0","n":12345678901234567890}`, `{"id":"disk0","n":12345678901234567890}`},
		{"password", `{"protocol":"vnc","password":"tops3cret"}`, `{"password":"***","protocol":"vnc"}`},
		{"nested", `[{"qom-type":"secret","DATA":{"a":"tops3cret"}}]`, `[{"DATA":"***","qom-type":"secret"}]`},
		{"no JSON", `tops3cret`, `***`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(Mask([]byte(tc.in))); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestTranscriptHidesSecrets(t *testing.T) {
	var out bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := connect(t, func(s *server, cmd string, id, args json.RawMessage) {
		if cmd == "object-add" {
			s.send(`{"error": {"class": "GenericError", "desc": "no"}, "id": %s}`, id)
			return
		}
		s.send(`{"return": {"key": "tops3cret"}, "id": %s}`, id)
	}, WithTranscript(l))
	_ = c.Execute(t.Context(), "object-add", map[string]any{"qom-type": "secret", "id": "s0", "data": "tops3cret"}, nil)
	_ = c.Execute(t.Context(), "query-anything", nil, nil)
	_, _ = c.QueryStatus(t.Context())
	got := out.String()
	for _, want := range []string{"object-add", "s0", "query-anything", "no"} {
		if !strings.Contains(got, want) {
			t.Errorf("transcript lacks %q:\n%s", want, got)
		}
	}
	for _, hidden := range []string{"tops3cret", "query-status"} {
		if strings.Contains(got, hidden) {
			t.Errorf("transcript shows %q:\n%s", hidden, got)
		}
	}
}
