package progress

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSteps(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := &Printer{Out: &out, Now: func() time.Time {
		now = now.Add(400 * time.Millisecond)
		return now
	}}
	if err := p.Step("etcd ready", func() (string, error) { return "", nil }); err != nil {
		t.Error(err)
	}
	if err := p.Step("programs", func() (string, error) { return "from the cache", nil }); err != nil {
		t.Error(err)
	}
	failure := errors.New("no answer")
	if err := p.Step("nodes ready", func() (string, error) { return "", failure }); !errors.Is(err, failure) {
		t.Errorf("error = %v", err)
	}
	log := filepath.Join(t.TempDir(), "kubelet.log")
	if err := os.WriteFile(log, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Tail(log)
	want := "✓ etcd ready (0.4 s)\n✓ programs (0.4 s, from the cache)\n✗ nodes ready (0.4 s): no answer\n  log: " + log + "\n  | one\n  | two\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}
