package v1

import (
	"strings"
	"testing"
)

func TestInstanceID(t *testing.T) {
	for name, want := range map[string]string{
		"web":                   "web",
		"my.web":                "my.web",
		strings.Repeat("a", 63): strings.Repeat("a", 63),
		strings.Repeat("a", 64): strings.Repeat("a", 54) + "-0098ba82",
	} {
		if got := InstanceID(name); got != want {
			t.Errorf("InstanceID(%q) = %q, want %q", name, got, want)
		}
	}
}
