package spec

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewReport(t *testing.T) {
	rows := []Row{
		{ID: "P2-EFI-01", State: Covered, File: "docs/spec/P2-EFI.md", Line: 5},
		{ID: "P2-EFI-02", State: Partly, File: "docs/spec/P2-EFI.md", Line: 6},
		{ID: "P2-EFI-03", State: Todo, File: "docs/spec/P2-EFI.md", Line: 7},
		{ID: "P2-TPM-01", State: Later, File: "docs/spec/P2-TPM.md", Line: 5},
		{ID: "P2-TPM-02", State: NotOurs, File: "docs/spec/P2-TPM.md", Line: 6},
	}
	uses := []Use{{Row: "P2-EFI-01", File: "a_test.go", Line: 3}, {Row: "P2-EFI-02", File: "a_test.go", Line: 4}, {Row: "P2-EFI-03", File: "a_test.go", Line: 5}}
	for _, tc := range []struct {
		name     string
		uses     []Use
		record   []Record
		problems []string
		unmarked []string
		gaps     string
	}{
		{"by sources", uses, nil, nil, []string{"P2-EFI-03"}, ""},
		{"by record", uses, []Record{{Row: "P2-EFI-01"}, {Row: "P2-EFI-02"}}, nil, nil, ""},
		{"the only test of a row skipped", uses, []Record{{Row: "P2-EFI-01", Package: "test/e2e", Test: "TestX", Skipped: "needs huge pages", MaySkip: true}, {Row: "P2-EFI-02"}}, nil, nil,
			"not proven on this machine: P2-EFI-01: test/e2e TestX skipped: needs huge pages\n"},
		{"one of two tests skipped", uses, []Record{{Row: "P2-EFI-01"}, {Row: "P2-EFI-01", Test: "TestX", Skipped: "needs huge pages", MaySkip: true}, {Row: "P2-EFI-02"}}, nil, nil, ""},
		{"a test that skipped marks nothing", uses, []Record{{Row: "P2-EFI-01"}, {Row: "P2-EFI-02"}, {Row: "P2-EFI-03", Skipped: "needs huge pages", MaySkip: true}}, nil, nil, ""},
		{"a test that may skip passed", uses, []Record{{Row: "P2-EFI-01", Package: "test/e2e", Test: "TestX", MaySkip: true}, {Row: "P2-EFI-02"}}, nil, nil,
			"proven only by a test that may skip: P2-EFI-01: test/e2e TestX\n"},
		{"another test passed too", uses, []Record{{Row: "P2-EFI-01", MaySkip: true}, {Row: "P2-EFI-01"}, {Row: "P2-EFI-02"}}, nil, nil, ""},
		{"a test failed", uses, []Record{{Row: "P2-EFI-02"}},
			[]string{"docs/spec/P2-EFI.md:5: P2-EFI-01 is marked covered, but no test that passed names it"}, nil, ""},
		{"nothing passed", uses, []Record{}, []string{
			"docs/spec/P2-EFI.md:5: P2-EFI-01 is marked covered, but no test that passed names it",
			"docs/spec/P2-EFI.md:6: P2-EFI-02 is marked partly, but no test that passed names it"}, nil, ""},
		{"no test", uses[1:], nil, []string{"docs/spec/P2-EFI.md:5: P2-EFI-01 is marked covered, but no test names it"}, []string{"P2-EFI-03"}, ""},
		{"unknown row", append([]Use{{Row: "P2-EFI-99", File: "b_test.go", Line: 9}}, uses...), nil,
			[]string{"b_test.go:9: no row P2-EFI-99 in docs/spec"}, []string{"P2-EFI-03"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := NewReport(rows, tc.uses, tc.record)
			if diff := cmp.Diff(tc.problems, r.Problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.unmarked, r.Unmarked); diff != "" {
				t.Errorf("unmarked (-want +got):\n%s", diff)
			}
			var b strings.Builder
			if err := r.Print(&b); err != nil {
				t.Fatal(err)
			}
			want := "P2-EFI covered=1 partly=1 todo=1 later=0 not-ours=0\n" +
				"P2-TPM covered=0 partly=0 todo=0 later=1 not-ours=1\n" +
				"total covered=1 partly=1 todo=1 later=1 not-ours=1 rows=5\n"
			if diff := cmp.Diff(want, b.String()); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			b.Reset()
			if err := r.PrintGaps(&b); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.gaps, b.String()); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUses(t *testing.T) {
	root := t.TempDir()
	const imp = "import spec \"github.com/virtplane/virtplane/test/spec\"\n"
	write(t, filepath.Join(root, "a/a_test.go"), "package a\n"+imp+"func f() { spec.Covers(nil, \"P2-EFI-01\",\n\"P2-EFI-02\") }\n")
	write(t, filepath.Join(root, "a/table_test.go"), "package a\n"+imp+
		"var tests = []string{\"P2-TPM-01\", \"not P2-TPM-02\"}\nfunc g() { spec.Covers(nil, tests...) }\n")
	write(t, filepath.Join(root, "a/renamed_test.go"), "package a\n"+strings.Replace(imp, "spec ", "rows ", 1)+"func h() { rows.Covers(nil, \"P2-EFI-03\") }\n")
	write(t, filepath.Join(root, "a/other_test.go"), "package a\nvar x = \"P2-EFI-04\"\n")
	write(t, filepath.Join(root, "a/tool.go"), "package a\n"+imp+"var y, z = \"P2-EFI-05\", spec.RecordEnv\n")
	write(t, filepath.Join(root, ".hidden/a_test.go"), "not Go")
	got, err := Uses(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []Use{
		{"P2-EFI-01", "a/a_test.go", 3}, {"P2-EFI-02", "a/a_test.go", 4},
		{"P2-EFI-03", "a/renamed_test.go", 3}, {"P2-TPM-01", "a/table_test.go", 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}

func TestReadRecords(t *testing.T) {
	got, err := ReadRecords(strings.NewReader(`{"row":"P2-EFI-01","package":"p","test":"TestX"}` + "\n" +
		`{"row":"P2-EFI-02","package":"p","test":"TestY","skipped":"no KVM here","maySkip":true}` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Record{{Row: "P2-EFI-01", Package: "p", Test: "TestX"}, {Row: "P2-EFI-02", Package: "p", Test: "TestY", Skipped: "no KVM here", MaySkip: true}}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if _, err := ReadRecords(strings.NewReader(`{"row":`)); err == nil || err.Error() != "reading record 1: unexpected EOF" {
		t.Errorf("a torn record gave error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("| P2-EFI-03 | 10.18.4 | boots `a \\| b` | 1N | covered |  |\n")
	f.Fuzz(func(t *testing.T, data string) {
		rows, err := Parse("P2-EFI.md", []byte(data))
		if err == nil {
			for _, r := range rows {
				if r.Area() != "P2-EFI" {
					t.Errorf("row %q is of another area", r.ID)
				}
			}
		}
	})
}
