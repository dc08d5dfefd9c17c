package programs

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/test/cluster/progress"
	"github.com/virtplane/virtplane/test/image"
)

// checkout makes a module with two programs.
func checkout(t *testing.T) Options {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.com/toy\n\ngo 1.26\n")
	for _, p := range []string{"app", "app-two"} {
		write(t, filepath.Join(root, "cmd", p, "main.go"), "package main\n\nfunc main() { println(\""+p+"\") }\n")
	}
	layer := filepath.Join(root, "layer.tar")
	write(t, layer, tarOf(t, "one"))
	return Options{Root: root, Cache: filepath.Join(root, "cache"), BaseLayer: layer, LDFlags: "-s -w", Print: &progress.Printer{Out: io.Discard}}
}

// tarOf is a root file system that holds one file.
func tarOf(t *testing.T, content string) string {
	t.Helper()
	var b strings.Builder
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "etc-" + content, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

var toy = []Program{{Name: "app", User: "65532:65532"}, {Name: "app-two", Base: true}}

func TestBuild(t *testing.T) {
	o := checkout(t)
	first, err := Build(t.Context(), o, toy)
	if err != nil {
		t.Fatal(err)
	}
	a, err := image.Open(first[0])
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	img, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/usr/bin/app"}, config.Config.Entrypoint); diff != "" {
		t.Errorf("entry point (-want +got):\n%s", diff)
	}
	if got, want := a.Ref(), "registry.virtplane.local:5000/virtplane/app:devel"; got != want {
		t.Errorf("the image is named %s, want %s", got, want)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("the image runs as %q", config.Config.User)
	}

	again, err := Build(t.Context(), o, toy)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("nothing had changed, but archives differ (-first +second):\n%s", diff)
	}

	write(t, filepath.Join(o.Root, "cmd/app/main.go"), "package main\n\nfunc main() { println(\"changed\") }\n")
	changed, err := Build(t.Context(), o, toy)
	if err != nil {
		t.Fatal(err)
	}
	if changed[0] == first[0] || changed[1] != first[1] {
		t.Errorf("one program had changed: archives %v, before %v", changed, first)
	}
	left, err := filepath.Glob(filepath.Join(o.Cache, "*.tar"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 {
		t.Errorf("the cache holds %v, want the two that are in use", left)
	}

	write(t, o.BaseLayer, tarOf(t, "another, longer"))
	based, err := Build(t.Context(), o, toy)
	if err != nil {
		t.Fatal(err)
	}
	if based[0] != changed[0] || based[1] == changed[1] {
		t.Errorf("the base had changed: archives %v, before %v", based, changed)
	}
}

func TestBuildFails(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, o *Options)
		want  string
	}{
		{"no base", func(_ *testing.T, o *Options) { o.BaseLayer = "" }, "building the image of app-two: the base layer is not given"},
		{"base is gone", func(_ *testing.T, o *Options) { o.BaseLayer = "/nonexistent/layer.tar" },
			"building the image of app-two: looking at the base layer: stat /nonexistent/layer.tar: no such file or directory"},
		{"broken source", func(t *testing.T, o *Options) {
			write(t, filepath.Join(o.Root, "cmd/app/main.go"), "package main\n\nfunc main() { undefined() }\n")
		}, "compiling the programs: exit status 1\n# example.com/toy/cmd/app\ncmd/app/main.go:3:15: undefined: undefined\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := checkout(t)
			tc.spoil(t, &o)
			if _, err := Build(t.Context(), o, toy); err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestSelect(t *testing.T) {
	all, err := Select(nil)
	if err != nil || len(all) != len(All) {
		t.Errorf("Select() = %v, %v", all, err)
	}
	one, err := Select([]string{"virt-launcher"})
	if err != nil || len(one) != 1 || !one[0].Base || one[0].User != "107:107" {
		t.Errorf("Select(virt-launcher) = %v, %v", one, err)
	}
	if _, err := Select([]string{"virtctl"}); err == nil || !strings.Contains(err.Error(), `no image of "virtctl"`) {
		t.Errorf("Select(virtctl) gave error %v", err)
	}
}
