package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/virtplane/virtplane/test/spec"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	// The sources must agree with the rows whatever the last run was.
	if err := run([]string{"-record", ""}, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	area := regexp.MustCompile(`^(P[1-5]-[A-Z0-9-]+|total) covered=\d+ partly=\d+ todo=\d+ later=\d+ not-ours=\d+( rows=1927)?$`)
	for _, l := range lines {
		if !area.MatchString(l) {
			t.Errorf("line %q is not of the report's form", l)
		}
	}
	if len(lines) != 143 {
		t.Errorf("%d lines, want one for each of 142 areas and the total", len(lines))
	}
}

func TestRunWithoutRecord(t *testing.T) {
	err := run([]string{"-record", filepath.Join(t.TempDir(), "absent")}, &strings.Builder{})
	if err == nil || !strings.Contains(err.Error(), "make test writes it") {
		t.Errorf("an absent record gave error %v", err)
	}
}

func TestLastRun(t *testing.T) {
	root := t.TempDir()
	record := filepath.Join(root, ".test", "spec.jsonl")
	test := filepath.Join(root, "a_test.go")
	now := time.Now()
	uses := []spec.Use{{Row: "P2-EFI-01", File: "a_test.go"}}
	if got := lastRun(root, nil, uses); got != "" {
		t.Errorf("without a run: %q", got)
	}
	if err := os.Mkdir(filepath.Dir(record), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{record, test} {
		if err := os.WriteFile(f, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name   string
		edited time.Time
		want   string
	}{
		{"edited before the run", now.Add(-time.Hour), record},
		{"edited after the run", now.Add(time.Hour), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.Chtimes(test, tc.edited, tc.edited); err != nil {
				t.Fatal(err)
			}
			if got := lastRun(root, nil, uses); got != tc.want {
				t.Errorf("lastRun = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestMarkRows(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "P2-EFI.md")
	if err := os.WriteFile(file, []byte("| P2-EFI-01 | 1 | a | b | todo |  |\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rows := []spec.Row{{ID: "P2-EFI-01", File: "P2-EFI.md"}}
	if err := markRows(root, rows, spec.Covered, "", []string{"P2-EFI-01"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "| P2-EFI-01 | 1 | a | b | covered |  |\n"; string(got) != want {
		t.Errorf("marked %q, want %q", got, want)
	}
	if err := markRows(root, rows, spec.Covered, "", []string{"P2-EFI-02"}); err == nil || err.Error() != "no row P2-EFI-02 in docs/spec" {
		t.Errorf("an unknown row gave error %v", err)
	}
}
