package repo

import (
	"regexp"
	"strings"
	"testing"
)

// TestReasonsAreExplained wants each reason that a condition, an event or a status can have to stand in docs/reasons.md.
func TestReasonsAreExplained(t *testing.T) {
	files := tracked(t)
	page := string(files["docs/reasons.md"])
	declared := regexp.MustCompile(`(?m)^(?:const)?\s*Reason[A-Z]\w* *= *"(\w+)"`)
	found := 0
	for _, room := range []string{"launcher/api/", "pkg/node/", "pkg/controller/"} {
		for name, data := range files {
			if !strings.HasPrefix(name, room) || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				continue
			}
			for _, m := range declared.FindAllSubmatch(data, -1) {
				found++
				if !strings.Contains(page, "`"+string(m[1])+"`") {
					t.Errorf("%s declares reason %s, which docs/reasons.md does not explain", name, m[1])
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("found only %d reasons", found)
	}
}
