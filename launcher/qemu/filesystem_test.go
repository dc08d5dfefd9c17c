package qemu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shared is a machine with file systems and a channel of metrics. It is apart from the others because QEMU does not start without a
// process that serves its file systems.
func sharedMachine() *Machine {
	m := shapes("/run/vm")["typical"]
	m.SharedMemory = true
	m.Devices = append(m.Devices, &MetricsChannel{Socket: "/run/vm/downwardmetrics.sock"},
		&Filesystem{Name: "shared", Socket: "/run/vm/virtiofs-0.sock"}, &Filesystem{Name: "with.dots", Socket: "/run/vm/a,b.sock"})
	return m
}

func TestFilesystemGolden(t *testing.T) {
	args, err := sharedMachine().Args()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(args, "\n") + "\n"
	golden := filepath.Join("testdata", "filesystems.args")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("command line differs from %s (run: go test ./launcher/qemu -update):\n%s", golden, diff)
	}
}

func TestFilesystemRefusals(t *testing.T) {
	for _, tc := range []struct {
		name   string
		device Device
		want   string
	}{
		{"long tag", &Filesystem{Name: strings.Repeat("n", 37), Socket: "/s"}, "name must be no longer than 36 bytes"},
		{"no socket", &Filesystem{Name: "a"}, `path "" must be absolute`},
		{"id", &Filesystem{Name: "a b", Socket: "/s"}, `id "fs-a b" must begin with a letter`},
		{"twice", &Filesystem{Name: "shared", Socket: "/s"}, "fs-shared: is there twice"},
		{"channel", &MetricsChannel{Socket: "s"}, `channel of downward metrics: path "s" must be absolute`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := sharedMachine()
			m.Devices = append(m.Devices, tc.device)
			if err := m.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}
