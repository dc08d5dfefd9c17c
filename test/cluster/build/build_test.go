package build

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func testCache(t *testing.T) (Cache, Module) {
	t.Helper()
	programs := t.TempDir()
	write(t, filepath.Join(programs, "hello", "go.mod"), "module hello\n\ngo 1.26.0\n")
	write(t, filepath.Join(programs, "hello", "main.go"),
		"package main\n\nvar word = \"nothing\"\n\nfunc main() { println(word) }\n")
	return Cache{Dir: t.TempDir(), Programs: programs},
		Module{Name: "hello", Stamp: []string{"main.word={version}"}, Programs: []Program{{"hi", "."}}}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBuildOnce(t *testing.T) {
	c, m := testCache(t)
	var log bytes.Buffer
	first, err := c.Build(t.Context(), m, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	if !first.Built {
		t.Error("an empty cache had the program")
	}
	out, err := exec.Command(filepath.Join(first.Dir, "hi")).CombinedOutput()
	if err != nil || string(out) != "v0\n" {
		t.Errorf("program printed %q, %v; want the stamped version", out, err)
	}
	second, err := c.Build(t.Context(), m, &log)
	if err != nil {
		t.Fatal(err)
	}
	if second.Built || second.Dir != first.Dir {
		t.Errorf("second build = %+v, want the first one's folder from the cache", second)
	}
}

func TestKeyFollowsInputs(t *testing.T) {
	c, m := testCache(t)
	keys := make(map[string]string)
	add := func(what string) {
		t.Helper()
		r, err := c.Path(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := keys[r.Dir]; ok {
			t.Errorf("%s has the folder of %s", what, was)
		}
		keys[r.Dir] = what
	}
	add("the beginning")
	m.Tags = "tag"
	add("other tags")
	m.Stamp = nil
	add("another stamp")
	m.Programs = append(m.Programs, Program{"ho", "."})
	add("another program")
	write(t, filepath.Join(c.Programs, "hello", "go.sum"), "")
	add("another file")
	write(t, filepath.Join(c.Programs, "hello", "main.go"), "package main\n\nfunc main() {}\n")
	add("other source")
}

func TestBuildFailureNamesModuleAndCause(t *testing.T) {
	c, m := testCache(t)
	write(t, filepath.Join(c.Programs, "hello", "main.go"), "package main\n\nfunc main() { nonsense() }\n")
	var log bytes.Buffer
	_, err := c.Build(t.Context(), m, &log)
	if err == nil || !strings.Contains(err.Error(), "building hello v0") || !strings.Contains(err.Error(), "undefined: nonsense") {
		t.Errorf("error = %v, want the module's name and the compiler's words", err)
	}
	left, err := filepath.Glob(filepath.Join(c.Dir, "programs", ".hello-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %v, %v", left, err)
	}
}

// TestModules checks the recipes against the modules of this checkout.
func TestModules(t *testing.T) {
	c := Cache{Dir: t.TempDir(), Programs: "../programs"}
	for _, m := range Modules {
		r, err := c.Path(t.Context(), m)
		if err != nil {
			t.Error(err)
			continue
		}
		if m.From != "" && !strings.HasPrefix(r.Version, "v") {
			t.Errorf("%s: version %q", m.Name, r.Version)
		}
	}
	folders, err := filepath.Glob("../programs/*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) != len(Modules) {
		t.Errorf("programs has %d modules, the recipes %d", len(folders), len(Modules))
	}
}
