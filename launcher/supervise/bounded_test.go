package supervise

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestBounded(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	b := newBounded(&out, func() time.Time { return now })
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range 10_000 {
		if n, err := b.Write(line); n != len(line) || err != nil {
			t.Fatalf("took %d bytes, %v", n, err)
		}
	}
	if got := out.Len(); got > wordsAtOnce || got < wordsAtOnce-len(line) {
		t.Errorf("%d bytes at once", got)
	}
	out.Reset()
	now = now.Add(10 * time.Second)
	for range 10_000 {
		_, _ = b.Write(line)
	}
	text := out.String()
	if !strings.HasPrefix(text, "[9") || !strings.Contains(text, "bytes of QEMU's messages are left out here]\nxxx") || len(text) > 11*wordsPerSecond {
		t.Errorf("%d bytes after ten seconds: %.80s", len(text), text)
	}
	now = now.Add(24 * time.Hour)
	out.Reset()
	_, _ = b.Write(line)
	if !strings.HasSuffix(out.String(), "]\n"+string(line)) {
		t.Errorf("after a day: %.200s", out.String())
	}
}
