package repo

import (
	"strings"
	"testing"
)

// TestWhoTakesPictures keeps pictures of a guest's screen to those who administer the namespace, as the reference does: what stands
// on a screen may be more than whoever edits a machine should see.
func TestWhoTakesPictures(t *testing.T) {
	may := map[string]bool{}
	vnc := map[string]bool{}
	for _, o := range render(t, "overlays/kubevirt") {
		if text(o, "kind") != "ClusterRole" {
			continue
		}
		name := text(o, "metadata", "name")
		for _, rule := range list(o, "rules") {
			for _, r := range list(rule, "resources") {
				resource, _ := r.(string)
				may[name] = may[name] || strings.HasSuffix(resource, "vnc/screenshot")
				vnc[name] = vnc[name] || resource == "virtualmachineinstances/vnc"
			}
		}
	}
	for role, want := range map[string]bool{"kubevirt.io:admin": true, "kubevirt.io:edit": false, "kubevirt.io:view": false, "kubevirt.io:migrate": false, "kubevirt.io:default": false} {
		got, ok := may[role]
		if !ok || got != want {
			t.Errorf("%s may take pictures: %v, want %v", role, got, want)
		}
	}
	if !vnc["kubevirt.io:edit"] || vnc["kubevirt.io:view"] {
		t.Errorf("roles that may see the screen: %v", vnc)
	}
}
