package main

import (
	"os"
	"strings"
	"testing"
)

func TestInstalledCommit(t *testing.T) {
	for _, tc := range []struct{ name, answer, want string }{
		{"clean", `{"gitVersion":"v1.9.0","gitCommit":"0123456789abcdef","gitTreeState":"clean"}`, "0123456789ab"},
		{"changed", `{"gitCommit":"0123456789abcdef","gitTreeState":"dirty"}`, "0123456789ab with changes"},
		{"short", `{"gitCommit":"unknown","gitTreeState":"clean"}`, "unknown"},
		{"nothing told", `{}`, "unknown"},
		{"no answer", `page not found`, "unknown"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := installedCommit([]byte(tc.answer)); got != tc.want {
				t.Errorf("commit %q, want %q", got, tc.want)
			}
		})
	}
}

func TestModuleVersion(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got := moduleVersion(own, "k8s.io/client-go"); !strings.HasPrefix(got, "v0.") {
		t.Errorf("version of client-go in this test: %q", got)
	}
	if got := moduleVersion(own, "example.com/absent"); got != unknown {
		t.Errorf("version of what is not in this test: %q", got)
	}
	if got := moduleVersion("/dev/null", etcdModule); got != unknown {
		t.Errorf("version of no program: %q", got)
	}
}
