package spec

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRepositoryRows(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	// Rows are never added or removed: the manual has this many.
	if len(rows) != 1927 {
		t.Errorf("docs/spec holds %d rows, want 1927", len(rows))
	}
	parts := map[string]int{}
	for _, r := range rows {
		parts[r.ID[:2]]++
	}
	if diff := cmp.Diff(map[string]int{"P1": 432, "P2": 374, "P3": 479, "P4": 347, "P5": 295}, parts); diff != "" {
		t.Errorf("rows of each part (-want +got):\n%s", diff)
	}
}

func TestManifests(t *testing.T) {
	names, err := fs.Glob(Manifests(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 150 {
		t.Errorf("%d manifests, want at least 150", len(names))
	}
	data, err := Manifest("p2-10.18.8.4-vm-cpu-host-model.yaml")
	if err != nil || !strings.Contains(string(data), "model: host-model") {
		t.Errorf("manifest does not ask for host-model (error %v):\n%s", err, data)
	}
	if _, err := Manifest("absent.yaml"); err == nil {
		t.Error("an absent manifest gave no error")
	}
}

func TestParse(t *testing.T) {
	const head = "# P2-EFI: UEFI\n\n| ID | Section | Requirement | How tested | State | Note |\n| --- | --- | --- | --- | --- | --- |\n"
	const outside = "docs/spec/P2-EFI.md:5: row P2-EFI-03 is put off: its note must be one of [\"the web console\" \"a Windows guest, which takes a licence\"]; what is not built yet is todo"
	for _, tc := range []struct {
		name, line string
		want       []Row
		err        string
	}{
		{"covered", "| P2-EFI-03 | 10.18.4 | boots `a \\| b` | 1N | covered |  |",
			[]Row{{ID: "P2-EFI-03", Section: "10.18.4", Text: "boots `a | b`", How: "1N", State: Covered, File: "docs/spec/P2-EFI.md", Line: 5}}, ""},
		{"partly", "| P2-EFI-03 |  | boots |  | partly | not from disk |",
			[]Row{{ID: "P2-EFI-03", Text: "boots", State: Partly, Note: "not from disk", File: "docs/spec/P2-EFI.md", Line: 5}}, ""},
		{"prose", "P2-EFI-03 is a row", nil, ""},
		{"too many cells", "| P2-EFI-03 | 1 | a | b | c | todo |  |", nil, `docs/spec/P2-EFI.md:5: row has 7 cells instead of 6 (a | within a cell is written \|)`},
		{"unknown state", "| P2-EFI-03 | 1 | a | b | done |  |", nil, `docs/spec/P2-EFI.md:5: row P2-EFI-03: state "done" must be one of [covered partly todo later not-ours]`},
		{"partly without note", "| P2-EFI-03 | 1 | a | b | partly |  |", nil, "docs/spec/P2-EFI.md:5: row P2-EFI-03 is partly covered: its note must say what is missing"},
		{"later without note", "| P2-EFI-03 | 1 | a | b | later |  |", nil, outside},
		{"later for what is not built", "| P2-EFI-03 | 1 | a | b | later | live migration |", nil, outside},
		{"later for more than the console", "| P2-EFI-03 | 1 | [UI] a | b | later | the web console and DataVolume |", nil, outside},
		{"later for the console without a word of it", "| P2-EFI-03 | 1 | a | 1N: build it | later | the web console |", nil,
			"docs/spec/P2-EFI.md:5: row P2-EFI-03 is put off: it does not speak of the web console, so that it cannot wait for it"},
		{"later for a licence", "| P2-EFI-03 | 1 | a | b | later | a Windows guest, which takes a licence |",
			[]Row{{ID: "P2-EFI-03", Section: "1", Text: "a", How: "b", State: Later, Note: "a Windows guest, which takes a licence", File: "docs/spec/P2-EFI.md", Line: 5}}, ""},
		{"not ours without note", "| P2-EFI-03 | 1 | a | b | not-ours |  |", nil, "docs/spec/P2-EFI.md:5: row P2-EFI-03 is not ours: its note must say whose it is"},
		{"no text", "| P2-EFI-03 | 1 |  | b | todo |  |", nil, "docs/spec/P2-EFI.md:5: row P2-EFI-03 has no requirement"},
		{"bad ID", "| P2-EFI-x | 1 | a | b | todo |  |", nil, `docs/spec/P2-EFI.md:5: "P2-EFI-x" is not the ID of a row`},
		{"wrong file", "| P2-TPM-01 | 1 | a | b | todo |  |", nil, "docs/spec/P2-EFI.md:5: row P2-TPM-01 does not belong to area P2-EFI"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse("docs/spec/P2-EFI.md", []byte(head+tc.line+"\n"))
			if diff := cmp.Diff(tc.err, text(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOfConsole tells rows of the web console by their mark, or by where they are tested.
func TestOfConsole(t *testing.T) {
	for _, tc := range []struct {
		text, how string
		want      bool
	}{
		{"[UI] Click Save", "1N", true},
		{"Click Save. [UI]", "API: the object", true},
		{"Click Save", "UI", true},
		{"Click Save", "ui+api: form change appears in the object", true},
		{"Click Save", "UI; API: the object", true},
		{"Click Save", "api/ui: negative test", true},
		{"The UID stays", "1N", false},
		{"Built", "unit; the UI is another row's", false},
		{"Built", "uid of the object", false},
		{"Built", "", false},
	} {
		if got := (Row{Text: tc.text, How: tc.how}).OfConsole(); got != tc.want {
			t.Errorf("%q, tested by %q: %v, want %v", tc.text, tc.how, got, tc.want)
		}
	}
}

func TestSetState(t *testing.T) {
	const file = "# P2-EFI: UEFI\n\n| P2-EFI-01 | 1 | a | b | todo |  |\n| P2-EFI-02 | 1 | a \\| b | c | not-ours | the \\| bar |\n"
	for _, tc := range []struct {
		name, id  string
		state     State
		note      string
		want, err string
	}{
		{"covered", "P2-EFI-01", Covered, "", strings.Replace(file, "| todo |  |", "| covered |  |", 1), ""},
		{"bars", "P2-EFI-02", Partly, "not | yet", strings.Replace(file, "| not-ours | the \\| bar |", "| partly | not \\| yet |", 1), ""},
		{"no note", "P2-EFI-01", Partly, "", "", "row P2-EFI-01 is partly covered: its note must say what is missing"},
		{"no row", "P2-EFI-03", Covered, "", "", "no row P2-EFI-03"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := SetState([]byte(file), tc.id, tc.state, tc.note)
			if text(err) != tc.err {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadRefusesDuplicates(t *testing.T) {
	root := t.TempDir()
	line := "| P2-EFI-01 | 1 | a | b | todo |  |\n"
	write(t, filepath.Join(root, "docs/spec/P2-EFI.md"), line+line)
	_, err := Load(root)
	if want := "docs/spec/P2-EFI.md:2: row P2-EFI-01 stands in docs/spec/P2-EFI.md:1 too"; text(err) != want {
		t.Errorf("error %q, want %q", text(err), want)
	}
}

// fakeT stands for a test whose end the caller decides.
type fakeT struct {
	testing.TB
	name     string
	rows     []string
	fatal    string
	cleanups []func()
}

func (f *fakeT) Helper()      {}
func (f *fakeT) Name() string { return f.name }
func (f *fakeT) Attr(key, value string) {
	if key == Attribute {
		f.rows = append(f.rows, value)
	}
}
func (f *fakeT) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }
func (f *fakeT) Fatal(a ...any)    { f.fatal = fmt.Sprint(a...); panic(f) }
func (f *fakeT) Fatalf(s string, a ...any) {
	f.Fatal(fmt.Sprintf(s, a...))
}

func (f *fakeT) run(body func(testing.TB)) {
	defer func() {
		if r := recover(); r != nil && r != any(f) {
			panic(r)
		}
		for _, fn := range f.cleanups {
			fn()
		}
	}()
	body(f)
}

func TestCovers(t *testing.T) {
	for _, tc := range []struct {
		name  string
		body  func(testing.TB)
		want  []string
		fatal string
	}{
		{"two rows", func(t testing.TB) { Covers(t, "P2-EFI-01", "P2-EFI-02") }, []string{"P2-EFI-01", "P2-EFI-02"}, ""},
		{"no row", func(t testing.TB) { Covers(t) }, nil, "spec.Covers names no row"},
		{"too many at once", func(t testing.TB) {
			Covers(t, "P2-EFI-01", "P2-EFI-02", "P2-EFI-03", "P2-EFI-04", "P2-EFI-05", "P2-EFI-06")
		}, nil, "test names 6 rows, at most 5 are allowed: split it"},
		{"too many in all", func(t testing.TB) {
			Covers(t, "P2-EFI-01", "P2-EFI-02", "P2-EFI-03")
			Covers(t, "P2-EFI-04", "P2-EFI-05", "P2-EFI-06")
		}, []string{"P2-EFI-01", "P2-EFI-02", "P2-EFI-03"}, "test names 6 rows, at most 5 are allowed: split it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &fakeT{name: "TestX/" + tc.name}
			for range 2 { // the second time, nothing is left of the first
				f.rows, f.fatal = nil, ""
				f.run(tc.body)
				if diff := cmp.Diff(tc.fatal, f.fatal); diff != "" {
					t.Errorf("fatal (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.want, f.rows); diff != "" {
					t.Errorf("rows (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
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
