package repo

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/virtplane/virtplane/test/spec"
)

// TestNoNodeMaintenance wants NodeMaintenance, which is another project's, neither defined nor served nor mentioned in a role.
func TestNoNodeMaintenance(t *testing.T) {
	spec.Covers(t, "P4-NODE-02")
	for dir := range overlays {
		definitions := 0
		for _, o := range render(t, dir) {
			kind, name := text(o, "kind"), text(o, "metadata", "name")
			if kind == "CustomResourceDefinition" || kind == "APIService" {
				definitions++
			}
			for what, value := range map[string]string{"name": name, "kind": text(o, "spec", "names", "kind"), "group": text(o, "spec", "group")} {
				if strings.Contains(strings.ToLower(value), "nodemaintenance") {
					t.Errorf("%s: %s %s has %s %s", dir, kind, name, what, value)
				}
			}
			for _, rule := range list(o, "rules") {
				for _, r := range list(rule, "resources") {
					if r, _ := r.(string); strings.Contains(r, "nodemaintenance") {
						t.Errorf("%s: %s %s gives rights to %s", dir, kind, name, r)
					}
				}
			}
		}
		if definitions == 0 {
			t.Errorf("%s serves nothing: this test looks at the wrong objects", dir)
		}
	}
	for name, data := range tracked(t) {
		if strings.HasPrefix(name, "pkg/apis/") && strings.Contains(string(data), "type NodeMaintenance ") {
			t.Errorf("%s declares NodeMaintenance", name)
		}
	}
}

// TestComponentsRequestLittle holds what the manual says of the components' overhead as an upper bound of what ours request:
// all that run once or twice in a cluster together, and all that run on each node together.
func TestComponentsRequestLittle(t *testing.T) {
	spec.Covers(t, "P1-PLAN-07", "P1-PLAN-10", "P1-PLAN-11")
	type sum struct{ memory, cpu resource.Quantity }
	for _, dir := range []string{"overlays/kubevirt", "overlays/openshift-cnv", "../test/repo/testdata/three"} {
		var cluster, node sum
		for _, o := range render(t, dir) {
			to, times := &cluster, 1
			switch text(o, "kind") {
			case "Deployment", "StatefulSet":
				if n, ok := at(o, "spec", "replicas").(int); ok {
					times = n
				}
			case "DaemonSet":
				to = &node
			default:
				continue
			}
			for _, c := range list(o, "spec", "template", "spec", "containers") {
				for name, total := range map[string]*resource.Quantity{"memory": &to.memory, "cpu": &to.cpu} {
					q, err := resource.ParseQuantity(text(c, "resources", "requests", name))
					if err != nil {
						t.Fatalf("%s: %s of container %s: %v", dir, name, text(c, "name"), err)
					}
					for range times {
						total.Add(q)
					}
				}
			}
		}
		for _, tc := range []struct {
			what string
			got  resource.Quantity
			most string
		}{
			{"memory in all", cluster.memory, "2179Mi"}, {"CPU in all", cluster.cpu, "4"}, {"memory of each node", node.memory, "360Mi"}, {"CPU of each node", node.cpu, "2"},
		} {
			if tc.got.IsZero() || tc.got.Cmp(resource.MustParse(tc.most)) > 0 {
				t.Errorf("%s: %s: %s, want at most %s", dir, tc.what, tc.got.String(), tc.most)
			}
		}
	}
}
