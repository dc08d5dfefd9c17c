package logging

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestBound is about who makes a program say the same thing again and again.
func TestBound(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	log := slog.New(Bound(NewHandler(&out, "virt-launcher", slog.LevelDebug), func() time.Time { return now }))
	lines := func() int {
		defer out.Reset()
		return strings.Count(out.String(), "\n")
	}
	for i := range 1000 {
		log.With("part", "dhcp").WithGroup("g").Info("Answered DHCP", "n", i)
	}
	if n := lines(); n != burst {
		t.Errorf("%d lines of one message, want %d", n, burst)
	}
	log.Warn("Something else")
	if n := lines(); n != 1 {
		t.Errorf("another message has %d lines", n)
	}
	now = now.Add(pause)
	log.Info("Answered DHCP")
	if text := out.String(); !strings.Contains(text, fmt.Sprintf(`"heldBack":%d`, 1000-burst)) {
		t.Errorf("the next line does not say how many were held back: %s", text)
	}
	log.Info("Answered DHCP")
	if n := lines(); n != 1 {
		t.Errorf("%d lines in the next minute", n)
	}
	for range 100 {
		log.Debug("Received QMP event")
	}
	if n := lines(); n != 100 {
		t.Errorf("%d of 100 lines for who looks for a mistake", n)
	}
	now = now.Add(24 * time.Hour)
	for range 100 {
		log.Info("Answered DHCP")
	}
	if n := lines(); n != burst {
		t.Errorf("%d lines a day later, want %d", n, burst)
	}
	for i := range 3 * mostMessages {
		log.Info(fmt.Sprint("made of parts ", i))
	}
	if n := lines(); n != 3*mostMessages {
		t.Errorf("%d lines of as many messages", n)
	}
}
