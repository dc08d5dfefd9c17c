package media

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/test/spec"
)

// kubelet fills a folder as the kubelet does: a link for each file, over a link to the folder of the newest version.
func kubelet(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	version := filepath.Join(dir, "..2026_11_27_20_30_00.123456789")
	for name, content := range files {
		path := filepath.Join(version, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		top, _, _ := strings.Cut(name, "/")
		if err := os.Symlink(filepath.Join("..data", top), filepath.Join(dir, top)); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(version, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Base(version), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

// contents are folders as users have them.
var contents = map[string]map[string]string{
	"ConfigMap": {
		"app.conf": "key=value\n", ".hidden": "h", "no-newline": "x", "empty": "", "binary": "\x00\xff\x01", "UPPER.and.lower": "u",
		// These are the same to a system that reads eight characters and three.
		"configuration-of-this.yaml": "a: 1\n", "configuration-of-that.yaml": "b: 2\n",
		strings.Repeat("long", 15) + ".txt": "long name", strings.Repeat("longer", 42) + "a": "longest name", strings.Repeat("longer", 42) + "b": "longest name too",
	},
	"downward API":         {"labels": `app="web"`, "pod/name": "virt-launcher", "pod/annotations": "a=\"b\""},
	"service account":      {"token": "eyJhbGciOi.x.y", "ca.crt": "-----BEGIN CERTIFICATE-----\n", "namespace": "default"},
	"sysprep":              {"Autounattend.xml": "<unattend/>", "unattend.xml": "<unattend/>\r\n"},
	"large":                {"large": strings.Repeat("0123456789abcdef", 64<<10)},
	"optional and missing": {},
}

func TestWriteFiles(t *testing.T) {
	for name, want := range contents {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			kubelet(t, dir, want)
			files, err := Folder(dir)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "disk.iso")
			if err := WriteFiles(path, "cfgdata", files); err != nil {
				t.Fatal(err)
			}
			got, label := readISO(t, path)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if label != "cfgdata" {
				t.Errorf("label %q", label)
			}
		})
	}
	spec.Covers(t, "P2-SYSPREP-15")
}

func TestFolderRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		fill func(dir string) error
		want string
	}{
		{"missing", os.RemoveAll, "no such file or directory"},
		{"device", func(dir string) error { return os.Symlink("/dev/null", filepath.Join(dir, "null")) }, "null is no regular file"},
		{"large", func(dir string) error {
			f, err := os.Create(filepath.Join(dir, "big"))
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Truncate(maxFolderBytes + 1)
		}, "holds too much for a config disk: at most 10000 files with 4194304 bytes"},
		{"loop", func(dir string) error { return os.Symlink("loop", filepath.Join(dir, "loop")) }, "too many levels of symbolic links"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := tc.fill(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Folder(dir); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestHasAnswers(t *testing.T) {
	for name, want := range map[string]bool{"autounattend.xml": true, "Autounattend.xml": true, "UNATTEND.XML": true, "answers.xml": false, "unattend.xml/x": false} {
		if got := HasAnswers(map[string][]byte{name: nil, "other": nil}); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// FuzzFiles writes files of any name that a ConfigMap can have and reads them back.
func FuzzFiles(f *testing.F) {
	f.Add("app.conf", "app.config", []byte("x"))
	f.Add("a", "A", []byte{})
	f.Add(strings.Repeat("a", 200), "b.c.d", []byte("y"))
	f.Fuzz(func(t *testing.T, first, second string, content []byte) {
		want := map[string]string{}
		for _, name := range []string{first, second} {
			if name == "" || len(name) > 200 || strings.HasPrefix(name, "..") || name == "." || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != "" {
				return
			}
			want[name] = string(content)
		}
		files := map[string][]byte{}
		for name := range want {
			files[name] = content
		}
		path := filepath.Join(t.TempDir(), "s")
		if err := WriteFiles(path, "l", files); err != nil {
			t.Fatal(err)
		}
		if got, _ := readISO(t, path); !cmp.Equal(got, want) {
			t.Errorf("read %v back", got)
		}
	})
}
