package install

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFile(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(t.TempDir(), "new")
	for path, content := range map[string]string{program: "new", filepath.Join(dir, "plugin"): "old"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A runtime that executes the old file must keep it.
	running, err := os.Open(filepath.Join(dir, "plugin"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = running.Close() }()

	path, err := File(program, dir, "plugin")
	if err != nil {
		t.Fatal(err)
	}
	old := make([]byte, 3)
	if _, err := running.Read(old); err != nil || string(old) != "old" {
		t.Errorf("the running program changed: %q, %v", old, err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "new" {
		t.Errorf("copied %q, %v", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if diff := cmp.Diff([]string{"plugin"}, names(t, dir)); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
}

func TestFileRefuses(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(t.TempDir(), "new")
	if err := os.WriteFile(program, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, program, dir, as string }{
		{"path as name", program, dir, "../plugin"},
		{"dots as name", program, dir, ".."},
		{"no program", filepath.Join(dir, "none"), dir, "plugin"},
		{"no directory", program, filepath.Join(dir, "none"), "plugin"},
		{"a directory in the way", program, filepath.Dir(dir), filepath.Base(dir)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if path, err := File(tc.program, tc.dir, tc.as); err == nil {
				t.Errorf("copied to %s", path)
			}
		})
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
