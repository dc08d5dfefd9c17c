package app

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"good", []string{"--cni-bin-dir", dir, "--name", "plugin"}, 0, ""},
		{"no directory", []string{"--cni-bin-dir", filepath.Join(dir, "none")}, 1, ""},
		{"unknown flag", []string{"--dir", dir}, 2, "flag provided but not defined: -dir"},
		{"argument", []string{dir}, 2, "unexpected argument"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			if code := runInstall(log, tc.args, &out); code != tc.code || !strings.Contains(out.String(), tc.want) {
				t.Errorf("code %d, %q", code, out.String())
			}
		})
	}
	if info, err := os.Stat(filepath.Join(dir, "plugin")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("installed %v, %v", info, err)
	}
}

// TestVersion has a runtime ask, with a bare environment.
func TestVersion(t *testing.T) {
	t.Setenv("CNI_COMMAND", "VERSION")
	t.Setenv("PATH", "")
	out := os.Stdout
	in := os.Stdin
	defer func() { os.Stdout, os.Stdin = out, in }()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	empty, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout, os.Stdin = w, empty
	code := Run(nil)
	_ = w.Close()
	got, err := io.ReadAll(r)
	if err != nil || code != 0 || !strings.HasPrefix(string(got), `{"cniVersion":"1.1.0","supportedVersions":[`) {
		t.Errorf("code %d, %q, %v", code, got, err)
	}
	if path := os.Getenv("PATH"); !strings.Contains(path, "/usr/sbin") {
		t.Errorf("PATH %q does not lead to nft", path)
	}
}

func TestUsage(t *testing.T) {
	t.Setenv("CNI_COMMAND", "")
	if code := Run([]string{"something"}); code != 2 {
		t.Errorf("code %d", code)
	}
}
