package addons

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestCoreDNS(t *testing.T) {
	text := CoreDNS()
	if strings.Contains(text, "{{") {
		t.Error("a placeholder is left")
	}
	kinds := make(map[string]bool)
	for _, doc := range strings.Split(text, "\n---\n") {
		var object struct{ Kind string }
		if err := yaml.UnmarshalStrict([]byte(doc), &map[string]any{}); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte(doc), &object); err != nil {
			t.Fatal(err)
		}
		kinds[object.Kind] = true
	}
	for _, want := range []string{"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "Deployment", "Service"} {
		if !kinds[want] {
			t.Errorf("no %s", want)
		}
	}
}
