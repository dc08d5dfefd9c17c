package repo

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/pkg/machine/support"
	"github.com/virtplane/virtplane/test/spec"
)

// TestNotServed keeps the page of what is not there in step with the table; UPDATE_DOCS=true writes it.
func TestNotServed(t *testing.T) {
	root, err := spec.Root()
	if err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(root, "docs", "not-served.md")
	if os.Getenv("UPDATE_DOCS") == "true" {
		if err := os.WriteFile(page, []byte(support.Document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(support.Document(), string(have)); diff != "" {
		t.Errorf("docs/not-served.md is not what the table says: UPDATE_DOCS=true go test ./test/repo -run TestNotServed\n%s", diff)
	}
}

// TestDifferencesAreShown wants each line of docs/compatibility.md to name tests that there are.
func TestDifferencesAreShown(t *testing.T) {
	files := tracked(t)
	named := regexp.MustCompile("`((?:[a-z0-9-]+/)+)(Test\\w+)`")
	lines := 0
	for line := range strings.Lines(string(files["docs/compatibility.md"])) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| Ours") {
			continue
		}
		lines++
		tests := named.FindAllStringSubmatch(line, -1)
		if len(tests) == 0 {
			t.Errorf("no test is named that shows it: %.80s", line)
		}
		for _, m := range tests {
			if !declares(files, m[1], m[2]) {
				t.Errorf("%s has no test %s: %.80s", m[1], m[2], line)
			}
		}
	}
	if lines < 15 {
		t.Errorf("found only %d lines", lines)
	}
}

func declares(files map[string][]byte, dir, test string) bool {
	for name, data := range files {
		if strings.HasSuffix(name, "_test.go") && filepath.Dir(name)+"/" == dir && strings.Contains(string(data), "func "+test+"(t *testing.T)") {
			return true
		}
	}
	return false
}
