package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/cluster/progress"
	"github.com/virtplane/virtplane/test/image"
)

// fake is a recipe that needs no package: its script writes one file.
func fake(script string) recipe {
	return recipe{
		name:   "fake",
		files:  fstest.MapFS{"build.sh": {Data: []byte(script)}},
		script: "build.sh",
		args:   []string{"word", outArg},
		images: []packed{{name: "guest-fake", files: map[string]string{"/disk/any.raw": DiskRaw}}},
	}
}

func builder(t *testing.T) (*Builder, *bytes.Buffer) {
	var log bytes.Buffer
	return &Builder{Cache: filepath.Join(t.TempDir(), "cache"), Apt: t.TempDir(), Print: &progress.Printer{Out: &log}}, &log
}

func TestBuildOnce(t *testing.T) {
	b, log := builder(t)
	r := fake(`echo "$1 disk" >"$2/disk.raw"; echo ran >>"` + filepath.Join(t.TempDir(), "runs") + `"`)
	first, err := b.one(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(first.File(DiskRaw)); err != nil || string(data) != "word disk\n" {
		t.Errorf("disk holds %q, %v", data, err)
	}
	second, err := b.one(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Built || second.Built {
		t.Errorf("built: first %v, second %v; want true, false", first.Built, second.Built)
	}
	first.Built = false
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("found result differs (-built +found):\n%s", diff)
	}
	if !strings.Contains(log.String(), "✓ fake (found)\n") {
		t.Errorf("log = %q", log)
	}
	// Nothing but the result, the log and the lock stays.
	entries, err := os.ReadDir(b.Cache)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{".fake.lock", "fake.log", filepath.Base(first.Dir)}; !slices.Equal(names, want) {
		t.Errorf("cache holds %q, want %q", names, want)
	}
}

// A recipe's part is built before it, once, and a change of it builds the whole anew.
func TestBuildTakesPart(t *testing.T) {
	b, log := builder(t)
	r := fake(`cmp "$1/disk.raw" "$1/disk.raw" && echo disk >"$2/disk.raw"`)
	r.part, r.args = Null, []string{partArg, outArg}
	if _, err := b.one(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	part, found, err := b.Cached(Null)
	if err != nil || !found {
		t.Fatalf("the part is in the cache: %v, %v", found, err)
	}
	r.format++
	if again, err := b.one(t.Context(), r); err != nil || !again.Built {
		t.Fatalf("%+v, %v", again, err)
	}
	if got := strings.Count(log.String(), "✓ null built"); got != 1 {
		t.Errorf("the part %s was built %d times:\n%s", part.Dir, got, log)
	}
}

// A container disk is one file below /disk that only QEMU's user can read.
func TestBuildPacksContainerDisk(t *testing.T) {
	b, _ := builder(t)
	result, err := b.one(t.Context(), fake(`echo disk >"$2/disk.raw"`))
	if err != nil {
		t.Fatal(err)
	}
	a, err := image.Open(result.Images[0].Archive)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if want := "registry.virtplane.local:5000/virtplane/guest-fake:devel"; a.Ref() != want || result.Images[0].Ref != want {
		t.Errorf("ref = %q and %q, want %q", a.Ref(), result.Images[0].Ref, want)
	}
	img, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v1.Config{}, config.Config); diff != "" {
		t.Errorf("a disk image runs nothing (-want +got):\n%s", diff)
	}
	r := fake("")
	if diff := cmp.Diff([]image.File{{Path: "/disk/any.raw", Source: "dir/disk.raw", Mode: 0o440, UID: 107, GID: 107}},
		r.images[0].spec("dir").Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestBuildFails(t *testing.T) {
	b, log := builder(t)
	_, err := b.one(t.Context(), fake("echo the disk is full >&2; exit 3"))
	if want := "build.sh word {out}: exit status 3"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %q", err, want)
	}
	if !strings.Contains(log.String(), "  | the disk is full\n") {
		t.Errorf("log = %q, want the script's words", log)
	}
	left, err := filepath.Glob(filepath.Join(b.Cache, "*fake*"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(b.Cache, ".fake.lock"), filepath.Join(b.Cache, "fake.log")}; !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}

func TestBuildIsCancelled(t *testing.T) {
	b, _ := builder(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := filepath.Join(t.TempDir(), "started")
	if err := unix.Mkfifo(started, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = os.ReadFile(started) // returns when the script has written
		cancel()
	}()
	_, err := b.one(ctx, fake("trap 'kill $!; exit 1' TERM; sleep 600 & echo >"+started+"; wait"))
	if err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("error = %v, want the cancellation", err)
	}
}

func TestKeys(t *testing.T) {
	base := fake("true")
	for _, tc := range []struct {
		name   string
		change func(*recipe)
	}{
		{"script", func(r *recipe) { r.files = fstest.MapFS{"build.sh": {Data: []byte("false")}} }},
		{"file", func(r *recipe) {
			r.files = fstest.MapFS{"build.sh": {Data: []byte("true")}, "packages.txt": {Data: []byte("less")}}
		}},
		{"format", func(r *recipe) { r.format++ }},
		{"argument", func(r *recipe) { r.args = []string{"other", outArg} }},
		{"image", func(r *recipe) { r.images = nil }},
		{"part", func(r *recipe) { r.part = TinyKernel }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			changed := base
			tc.change(&changed)
			before, err := base.key()
			if err != nil {
				t.Fatal(err)
			}
			after, err := changed.key()
			if err != nil {
				t.Fatal(err)
			}
			if before == after {
				t.Errorf("key %s does not change", before)
			}
		})
	}
}

// The recipes' scripts are in the program, and no two share a key.
func TestRecipesAreWhole(t *testing.T) {
	keys := make(map[string]string)
	for _, r := range slices.Concat(recipes, parts) {
		if _, err := fs.Stat(r.files, r.script); err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
		key, err := r.key()
		if err != nil {
			t.Fatal(err)
		}
		if other := keys[key]; other != "" {
			t.Errorf("%s and %s have the key %s", r.name, other, key)
		}
		keys[key] = r.name
	}
}

func TestUnknownName(t *testing.T) {
	b, _ := builder(t)
	_, err := b.Build(t.Context(), "huge")
	if want := `unknown guest "huge": must be one of tiny, tiny-agent, tiny-signed, tiny-generic, null, base, debian`; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %q", err, want)
	}
}

func TestOutput(t *testing.T) {
	results := []Result{
		{Name: "tiny", Dir: "/c/t", Images: []Image{{"r/guest-tiny:devel", "/c/t/guest-tiny.tar"}, {"r/kernel:devel", "/c/t/kernel.tar"}}},
		{Name: "base", Dir: "/c/b"},
		{Name: TinyKernel, Dir: "/c/k"},
	}
	var paths, text, asJSON bytes.Buffer
	if err := writePaths(&paths, results); err != nil {
		t.Fatal(err)
	}
	if want := "/c/t/guest-tiny.tar\n/c/t/kernel.tar\n/c/b/layer.tar\n/c/k/vmlinuz\n"; paths.String() != want {
		t.Errorf("paths = %q, want %q", paths.String(), want)
	}
	if err := writeText(&text, results); err != nil {
		t.Fatal(err)
	}
	if want := "tiny         r/guest-tiny:devel\n  /c/t/guest-tiny.tar\ntiny         r/kernel:devel\n  /c/t/kernel.tar\nbase         /c/b/layer.tar\ntiny-kernel  /c/k/vmlinuz\n"; text.String() != want {
		t.Errorf("text = %q, want %q", text.String(), want)
	}
	if err := writeJSON(&asJSON, results); err != nil {
		t.Fatal(err)
	}
	var back []Result
	if err := json.Unmarshal(asJSON.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(results, back); diff != "" {
		t.Errorf("JSON loses something (-want +got):\n%s", diff)
	}
}
