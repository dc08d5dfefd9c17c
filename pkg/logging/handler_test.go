package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/virtplane/virtplane/test/spec"
)

func TestHandler(t *testing.T) {
	spec.Covers(t, "P4-LOG-09")
	var out bytes.Buffer
	log := slog.New(NewHandler(&out, "virt-handler", slog.Level(-3)))
	log.Debug("not written")
	log.Info("set verbosity to 2", "took", 3*time.Second, "err", errors.New("no"))
	log.Log(t.Context(), slog.Level(-2), "more")
	log.Warn("host model mode is expected to contain only one model")
	log.WithGroup("g").Error("bad", "time", 1)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for i, want := range []struct{ level, msg string }{
		{"info", "set verbosity to 2"}, {"info", "more"}, {"warning", "host model mode is expected to contain only one model"}, {"error", "bad"},
	} {
		var line map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			t.Fatalf("%s: %v", lines[i], err)
		}
		if line["component"] != "virt-handler" || line["level"] != want.level || line["msg"] != want.msg {
			t.Errorf("line %s, want %+v", lines[i], want)
		}
		stamp, _ := line["timestamp"].(string)
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`).MatchString(stamp) {
			t.Errorf("timestamp %q", stamp)
		}
		if pos, _ := line["pos"].(string); !regexp.MustCompile(`^handler_test\.go:\d+$`).MatchString(pos) {
			t.Errorf("pos %q", pos)
		}
	}
	if !strings.Contains(lines[0], `"took":"3s","err":"no"`) {
		t.Errorf("values: %s", lines[0])
	}
}
