package machine

import "testing"

func TestHealth(t *testing.T) {
	for version, want := range map[string]string{
		"4711": `{"apiserver":{"connectivity":"ok"},"config-resource-version":"4711"}`,
		"":     `{"apiserver":{"connectivity":"ok"},"config-resource-version":""}`,
	} {
		if got := string(Health(version)); got != want {
			t.Errorf("Health(%q) = %s, want %s", version, got, want)
		}
	}
}
