package app

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nothing", nil, 2, `virt-launcher: unknown command ""`},
		{"unknown", []string{"fly"}, 2, `virt-launcher: unknown command "fly"`},
		{"help", []string{"--help"}, 0, "virt-launcher runs one guest in its pod."},
		{"version", []string{"version"}, 0, ""},
		{"unknown flag of init", []string{"init", "--fast"}, 2, "flag provided but not defined: -fast"},
		{"unknown flag of run", []string{"run", "--fast"}, 2, "flag provided but not defined: -fast"},
		{"argument of run", []string{"run", "fast"}, 1, `virt-launcher: unexpected argument "fast"`},
		{"level of init", []string{"init", "--log-level=loud"}, 1, `virt-launcher: --log-level: slog: level string "loud": unknown name`},
		{"level of run", []string{"run", "--log-level=loud"}, 1, `virt-launcher: --log-level: slog: level string "loud": unknown name`},
		{"run by hand", []string{"run", "--supervisor-fd=999"}, 1, "is it started by virt-launcher init?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			if code := Run(tc.args, &out); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if !strings.Contains(out.String(), tc.want) {
				t.Errorf("output lacks %q:\n%s", tc.want, out.String())
			}
		})
	}
}

// A flag that comes or goes shows in review.
func TestFlags(t *testing.T) {
	for _, command := range []string{"init", "run", "console-log"} {
		var out bytes.Buffer
		if code := Run([]string{command, "-h"}, &out); code != 0 {
			t.Errorf("exit code %d", code)
		}
		got := regexp.MustCompile(`default "`+regexp.QuoteMeta(os.TempDir())+`"`).ReplaceAllString(out.String(), `default "/tmp"`)
		golden := filepath.Join("testdata", command+"-flags.txt")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("differs from %s (run: go test ./cmd/virt-launcher/app -run TestFlags -update):\n%s", golden, diff)
		}
	}
}
