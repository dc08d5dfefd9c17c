package credentials

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mount lays out a Secret as the kubelet does: the values in a hidden folder, a link to it, and a link for each value. A
// second call replaces the Secret whole.
func mount(t *testing.T, dir, version string, values map[string]string) {
	t.Helper()
	data := filepath.Join(dir, "..2026_"+version)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(data, 0o755))
	for name, value := range values {
		must(os.WriteFile(filepath.Join(data, name), []byte(value), 0o640))
	}
	must(os.Symlink(filepath.Base(data), filepath.Join(dir, "..data_tmp")))
	must(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	for name := range values {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			must(os.Symlink("..data/"+name, filepath.Join(dir, name)))
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, "1", map[string]string{"b": "ssh-rsa B b@x\n\n# a comment\nssh-rsa A\r\n", "a": " ssh-ed25519 C \nssh-rsa A"})
	secret, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ssh-ed25519 C", "ssh-rsa A", "ssh-rsa B b@x"}, Keys(secret)); diff != "" {
		t.Errorf("Keys (-want +got):\n%s", diff)
	}
	want := map[string]string{"fedora": "pass word"}
	if diff := cmp.Diff(want, Passwords(map[string][]byte{"fedora": []byte("pass word\n"), "root": []byte("\n")})); diff != "" {
		t.Errorf("Passwords (-want +got):\n%s", diff)
	}
	if _, err := Read(filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Errorf("A Secret that is not there: %v", err)
	}
	mount(t, dir, "2", map[string]string{"a": strings.Repeat("x", maxValue+1)})
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
		t.Errorf("A value that no Secret holds: %v", err)
	}
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, "1", map[string]string{"a": "1"})
	w, err := Watch([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	mount(t, dir, "2", map[string]string{"a": "2"})
	select {
	case <-w.Changes():
	case <-time.After(30 * time.Second):
		t.Error("A changed Secret was not told within 30 s")
	}
	if secret, err := Read(dir); err != nil || string(secret["a"]) != "2" {
		t.Errorf("After the change: %q, %v", secret, err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Watch([]string{filepath.Join(dir, "none")}); err == nil {
		t.Error("Watched a folder that is not there")
	}
}

// FuzzKeys takes whatever a Secret may hold.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("ssh-rsa A\n#\n\n\r ssh-rsa A"))
	f.Fuzz(func(t *testing.T, value []byte) {
		seen := map[string]bool{}
		for _, key := range Keys(map[string][]byte{"a": value, "b": value}) {
			if key == "" || key != strings.TrimSpace(key) || strings.ContainsAny(key, "\n") || seen[key] {
				t.Errorf("key %q", key)
			}
			seen[key] = true
		}
	})
}
