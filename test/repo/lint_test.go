package repo

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLintFindsWhatIsBroken runs checks of hack/lint.sh on repositories of a few files: a check must fail whichever file is the
// broken one.
func TestLintFindsWhatIsBroken(t *testing.T) {
	script := string(tracked(t)["hack/lint.sh"])
	const good, bad = "#!/usr/bin/env bash\necho well\n", "#!/usr/bin/env bash\nif true; then\n"
	const neat, loose = "package a\n", "package  a\n"
	for _, tc := range []struct {
		name, check string
		files       map[string]string
		broken      string // what the check must name; empty if it must pass
	}{
		{"good scripts", "scripts", map[string]string{"a.sh": good, "z.sh": good, ".ci/run": good}, ""},
		{"no script", "scripts", map[string]string{"a.go": neat}, ""},
		{"the first script", "scripts", map[string]string{"a.sh": bad, "z.sh": good}, "a.sh"},
		{"the last script", "scripts", map[string]string{"a.sh": good, "z.sh": bad}, "z.sh"},
		{"a script without a suffix", "scripts", map[string]string{".ci/run": bad, "z.sh": good}, ".ci/run"},
		{"formatted", "formatted", map[string]string{"a.go": neat, "z.go": neat, "zz_generated.a.go": loose}, ""},
		{"the first file", "formatted", map[string]string{"a.go": loose, "z.go": neat}, "a.go"},
		{"the last file", "formatted", map[string]string{"a.go": neat, "z.go": loose}, "z.go"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			program := "set -euo pipefail\nfailed=0\n"
			for _, name := range []string{"check", tc.check} {
				function := regexp.MustCompile(`(?ms)^` + name + `\(\) \{.*?^\}$`).FindString(script)
				if function == "" {
					t.Fatalf("hack/lint.sh has no function %s", name)
				}
				program += function + "\n"
			}
			program += "check it 'correct it' " + tc.check + "\nexit $failed\n"
			dir := t.TempDir()
			for name, content := range tc.files {
				file := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), "git", "init", "--quiet")
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("git init: %v\n%s", err, out)
			}
			cmd = exec.CommandContext(t.Context(), "bash", "-c", program)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if (err != nil) != (tc.broken != "") || !strings.Contains(string(out), tc.broken) {
				t.Errorf("%v, said %q; want a failure that names %q", err, out, tc.broken)
			}
		})
	}
}
