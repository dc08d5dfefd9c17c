package image

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func writeFile(t *testing.T, content string) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(f, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func writeBase(t *testing.T) LayerFile {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin", Linkname: "usr/bin", Mode: 0o777}); err != nil {
		t.Fatal(err)
	}
	tw.Close()
	return LayerFile(writeFile(t, b.String()))
}

func TestBuildAndRead(t *testing.T) {
	spec := Spec{
		Ref: "registry.example:5000/team/app:devel",
		Files: []File{
			{Path: "/usr/bin/app", Mode: 0o755, Source: writeFile(t, "program")},
			{Path: "/disk/disk.img", UID: 107, GID: 107, Mode: 0o440, Content: []byte("disk")},
			{Path: "/app", Link: "usr/bin/app"},
			{Path: "/var/empty", Mode: fs.ModeDir | 0o700, UID: 7},
		},
		Entrypoint: []string{"/usr/bin/app"},
		User:       "107:107",
		Env:        []string{"A=b"},
	}
	out := filepath.Join(t.TempDir(), "app.tar")
	digest, err := Build(spec, out)
	if err != nil {
		t.Fatal(err)
	}

	a, err := Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.Ref() != spec.Ref || a.Digest() != digest {
		t.Errorf("archive holds %s@%s, want %s@%s", a.Ref(), a.Digest(), spec.Ref, digest)
	}
	img, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img, validate.Fast); err != nil {
		t.Errorf("image is not valid: %v", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "107:107" || config.Config.Entrypoint[0] != "/usr/bin/app" || config.Config.Env[0] != "A=b" {
		t.Errorf("config = %+v", config.Config)
	}

	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	rc, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	var got []string
	for tr := tar.NewReader(rc); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSpace(strings.Join([]string{
			h.FileInfo().Mode().String(), h.Name, h.Linkname, string(content),
		}, " ")))
		if h.Name == "disk/disk.img" && (h.Uid != 107 || h.Gid != 107) {
			t.Errorf("owner of %s = %d:%d, want 107:107", h.Name, h.Uid, h.Gid)
		}
	}
	want := []string{
		"Lrwxrwxrwx app usr/bin/app",
		"drwxr-xr-x disk/",
		"-r--r----- disk/disk.img  disk",
		"drwxr-xr-x usr/",
		"drwxr-xr-x usr/bin/",
		"-rwxr-xr-x usr/bin/app  program",
		"drwxr-xr-x var/",
		"drwx------ var/empty/",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("layer entries (-want +got):\n%s", diff)
	}
}

func TestBuildIsDeterministic(t *testing.T) {
	dir := t.TempDir()
	files := []File{{Path: "/a", Content: []byte("1")}, {Path: "/b/c", Content: []byte("2")}}
	for i, fs := range [][]File{files, {files[1], files[0]}} {
		if _, err := Build(Spec{Ref: "r.io/r/a:b", Files: fs, Base: []LayerFile{writeBase(t)}}, filepath.Join(dir, string(rune('0'+i)))); err != nil {
			t.Fatal(err)
		}
	}
	one, err := os.ReadFile(filepath.Join(dir, "0"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(filepath.Join(dir, "1"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Error("two builds from equal input differ")
	}
}

func TestFilesOverBaseLeaveItsDirectoriesAlone(t *testing.T) {
	out := filepath.Join(t.TempDir(), "a.tar")
	if _, err := Build(Spec{Ref: "r.io/r/a:b", Base: []LayerFile{writeBase(t)}, Files: []File{{Path: "/bin/sh"}}}, out); err != nil {
		t.Fatal(err)
	}
	a, err := Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	img, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if len(layers) != 2 {
		t.Fatalf("image has %d layers, want 2", len(layers))
	}
	rc, err := layers[1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	h, err := tar.NewReader(rc).Next()
	if err != nil {
		t.Fatal(err)
	}
	if h.Name != "bin/sh" {
		t.Errorf("first entry of the top layer = %q, want bin/sh alone: /bin of the base is a link", h.Name)
	}
}

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	ref := strings.TrimPrefix(server.URL, "http://") + "/team/app:devel"
	out := filepath.Join(t.TempDir(), "a.tar")
	digest, err := Build(Spec{Ref: ref, Files: []File{{Path: "/a"}}}, out)
	if err != nil {
		t.Fatal(err)
	}
	to := strings.TrimPrefix(server.URL, "http://") + "/mine/app:v1"
	pushed, err := Push(t.Context(), out, to)
	if err != nil || pushed != to+"@"+digest.String() {
		t.Fatalf("pushed %s, error %v", pushed, err)
	}
	tag, err := name.NewTag(to)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Head(tag)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != digest {
		t.Errorf("registry holds %s, want %s", got.Digest, digest)
	}
	if _, err := Push(t.Context(), out, "No Name"); err == nil || !strings.Contains(err.Error(), "No Name cannot name an image") {
		t.Errorf("a name that is none: %v", err)
	}
}

func TestBadSpecs(t *testing.T) {
	ok := File{Path: "/a"}
	for _, tc := range []struct {
		name string
		spec Spec
		want string
	}{
		{"no tag", Spec{Ref: "r/a", Files: []File{ok}}, "must be a repository with a tag"},
		{"nothing inside", Spec{Ref: "r.io/r/a:b"}, "base and files are both empty"},
		{"relative path", Spec{Ref: "r.io/r/a:b", Files: []File{{Path: "a"}}}, "must be absolute"},
		{"path twice", Spec{Ref: "r.io/r/a:b", Files: []File{ok, ok}}, "stands twice"},
		{"whiteout", Spec{Ref: "r.io/r/a:b", Files: []File{{Path: "/.wh.a"}}}, ".wh."},
		{"two contents", Spec{Ref: "r.io/r/a:b", Files: []File{{Path: "/a", Link: "b", Content: []byte("c")}}}, "only one of"},
		{"directory with content", Spec{Ref: "r.io/r/a:b", Files: []File{{Path: "/a", Mode: fs.ModeDir, Content: []byte("c")}}}, "a directory may not"},
		{"device", Spec{Ref: "r.io/r/a:b", Files: []File{{Path: "/a", Mode: fs.ModeDevice}}}, "only files and directories"},
		{"missing source", Spec{Ref: "r.io/r/a:b", Files: []File{{Path: "/a", Source: "/does/not/exist"}}}, "no such file"},
		{"base is no tar", Spec{Ref: "r.io/r/a:b", Base: []LayerFile{LayerFile(writeFile(t, "x"))}}, "not an uncompressed tar"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "a.tar")
			_, err := Build(tc.spec, out)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want one with %q", err, tc.want)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a failed build left an archive")
			}
		})
	}
}

func TestParseFile(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want File
		bad  bool
	}{
		{in: "/a=b", want: File{Path: "/a", Source: "b"}},
		{in: "/a=b:0755", want: File{Path: "/a", Source: "b", Mode: 0o755}},
		{in: "/a=b:440:107:108", want: File{Path: "/a", Source: "b", Mode: 0o440, UID: 107, GID: 108}},
		{in: "/a", bad: true},
		{in: "/a=b:0755:1", bad: true},
		{in: "/a=b:rwx", bad: true},
		{in: "/a=b:755:x:1", bad: true},
	} {
		got, err := parseFile(tc.in)
		if (err != nil) != tc.bad {
			t.Errorf("parseFile(%q): error %v", tc.in, err)
		}
		if !tc.bad {
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("parseFile(%q) (-want +got):\n%s", tc.in, diff)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	out := filepath.Join(f.TempDir(), "a.tar")
	if _, err := Build(Spec{Ref: "r.io/r/a:b", Files: []File{{Path: "/a"}}}, out); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(out)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "a.tar")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := Open(name)
		if err != nil {
			return
		}
		defer a.Close()
		a.Ref()
		if img, err := a.Image(); err == nil {
			_, _ = img.ConfigFile()
		}
	})
}
