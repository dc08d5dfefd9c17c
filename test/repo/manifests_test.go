package repo

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/virtplane/virtplane/test/spec"
)

// render gives the objects of a kustomization.
func render(t *testing.T, dir string) []map[string]any {
	t.Helper()
	root, err := spec.Root()
	if err != nil {
		t.Fatal(err)
	}
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, "manifests", dir))
	if err != nil {
		t.Fatalf("rendering %s: %v", dir, err)
	}
	var out []map[string]any
	for _, r := range objects.Resources() {
		out = append(out, content(t, r))
	}
	return out
}

func content(t *testing.T, r *resource.Resource) map[string]any {
	t.Helper()
	m, err := r.Map()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// at reads a field by its path, nil if there is none; list indexes are not needed here.
func at(object any, path ...string) any {
	for _, key := range path {
		m, ok := object.(map[string]any)
		if !ok {
			return nil
		}
		object = m[key]
	}
	return object
}

func list(object any, path ...string) []any {
	l, _ := at(object, path...).([]any)
	return l
}

func text(object any, path ...string) string {
	s, _ := at(object, path...).(string)
	return s
}

// overlays are what a user applies, and the namespace that each installs into.
var overlays = map[string]string{"overlays/kubevirt": "kubevirt", "overlays/openshift-cnv": "openshift-cnv", "overlays/local": "kubevirt", "overlays/local-emulation": "kubevirt",
	"overlays/local-three": "kubevirt", "overlays/registry": "kubevirt"}

// TestOverlaysAgreeOnTheirNamespace wants each overlay to be whole in its namespace: accounts that rights are given to exist
// there, and so do the roles.
func TestOverlaysAgreeOnTheirNamespace(t *testing.T) {
	for dir, namespace := range overlays {
		t.Run(dir, func(t *testing.T) {
			objects := render(t, dir)
			known := map[string]bool{}
			for _, o := range objects {
				known[text(o, "kind")+" "+text(o, "metadata", "namespace")+"/"+text(o, "metadata", "name")] = true
			}
			subjects := 0
			for _, o := range objects {
				kind, name := text(o, "kind"), text(o, "metadata", "name")
				if in := text(o, "metadata", "namespace"); in != "" && in != namespace && in != "kube-system" {
					t.Errorf("%s %s is in namespace %s", kind, name, in)
				}
				for _, s := range list(o, "subjects") {
					if text(s, "kind") != "ServiceAccount" {
						continue
					}
					subjects++
					if account := text(s, "namespace") + "/" + text(s, "name"); !known["ServiceAccount "+account] {
						t.Errorf("%s %s names service account %s, which does not exist", kind, name, account)
					}
				}
				if role := text(o, "roleRef", "name"); role != "" && !strings.HasPrefix(role, "system:") && role != "extension-apiserver-authentication-reader" {
					in := ""
					if text(o, "roleRef", "kind") == "Role" {
						in = text(o, "metadata", "namespace")
					}
					if !known[text(o, "roleRef", "kind")+" "+in+"/"+role] {
						t.Errorf("%s %s names role %s, which does not exist", kind, name, role)
					}
				}
				if kind != "FlowSchema" {
					continue
				}
				for _, rule := range list(o, "spec", "rules") {
					for _, s := range list(rule, "subjects") {
						if text(s, "kind") != "ServiceAccount" {
							continue
						}
						subjects++
						if account := text(s, "serviceAccount", "namespace") + "/" + text(s, "serviceAccount", "name"); !known["ServiceAccount "+account] {
							t.Errorf("FlowSchema %s names service account %s, which does not exist", name, account)
						}
					}
				}
			}
			if subjects < 15 {
				t.Errorf("%d service accounts are given rights: too few to be all", subjects)
			}
		})
	}
}

// TestOnlyOneOverlayEmulates wants the guests of all overlays but one to run on KVM.
func TestOnlyOneOverlayEmulates(t *testing.T) {
	for dir := range overlays {
		initial := ""
		for _, o := range render(t, dir) {
			if text(o, "kind") == "ConfigMap" && text(o, "metadata", "name") == "kubevirt-config-initial" {
				initial = text(o, "data", "kubevirt.yaml")
			}
		}
		if !strings.Contains(initial, "kind: KubeVirt\n") {
			t.Errorf("%s: the initial configuration is %q", dir, initial)
		}
		if got, want := strings.Contains(initial, "useEmulation: true"), dir == "overlays/local-emulation"; got != want {
			t.Errorf("%s: its guests are emulated is %v, want %v", dir, got, want)
		}
	}
}

// TestPodsRunWithTheLeast names each container that may run as root or privileged, and wants all others not to.
func TestPodsRunWithTheLeast(t *testing.T) {
	root := []string{"virt-store/prepare", "virt-handler/virt-handler", "hostpath-provisioner-csi/hostpath-provisioner"}
	var found []string
	for _, o := range render(t, "overlays/kubevirt") {
		pod := at(o, "spec", "template", "spec")
		if pod == nil {
			continue
		}
		name := text(o, "metadata", "name")
		if text(pod, "priorityClassName") == "" {
			t.Errorf("%s has no priority class", name)
		}
		for _, c := range append(list(pod, "containers"), list(pod, "initContainers")...) {
			what := name + "/" + text(c, "name")
			found = append(found, what)
			if at(c, "resources", "requests") == nil && !slices.Contains(root, what) {
				t.Errorf("%s requests nothing", what)
			}
			if slices.Contains(root, what) {
				continue
			}
			nonRoot := at(c, "securityContext", "runAsNonRoot")
			if nonRoot == nil {
				nonRoot = at(pod, "securityContext", "runAsNonRoot")
			}
			if nonRoot != true || at(c, "securityContext", "allowPrivilegeEscalation") != false || at(c, "securityContext", "readOnlyRootFilesystem") != true ||
				fmt.Sprint(at(c, "securityContext", "capabilities", "drop")) != "[ALL]" || at(c, "securityContext", "capabilities", "add") != nil {
				t.Errorf("%s may more than it needs: %v", what, at(c, "securityContext"))
			}
		}
	}
	for _, r := range root {
		if !slices.Contains(found, r) {
			t.Errorf("%s is excepted and does not exist", r)
		}
	}
}

// TestRegistryNamesEveryImage wants no image of the base to be left behind when all come from a user's registry.
func TestRegistryNamesEveryImage(t *testing.T) {
	for _, o := range render(t, "overlays/registry") {
		pod := at(o, "spec", "template", "spec")
		images := []string{text(o, "data", "virt-launcher")}
		for _, c := range append(list(pod, "containers"), list(pod, "initContainers")...) {
			images = append(images, text(c, "image"))
		}
		for _, image := range images {
			if image != "" && !strings.HasPrefix(image, "registry.example.com/virtplane/") {
				t.Errorf("%s %s has image %s", text(o, "kind"), text(o, "metadata", "name"), image)
			}
		}
	}
}

// TestLauncherImageIsAllowed wants each overlay to allow virt-controller the image that it tells it to run, and the policies to
// name no other account than those that are there.
func TestLauncherImageIsAllowed(t *testing.T) {
	for dir := range overlays {
		var image, allowed string
		for _, o := range render(t, dir) {
			if text(o, "kind") == "ConfigMap" && text(o, "metadata", "name") == "virtplane-images" {
				image = text(o, "data", "virt-launcher")
			}
			if text(o, "kind") != "ValidatingAdmissionPolicy" || text(o, "metadata", "name") != "virt-controller-pods" {
				continue
			}
			for _, v := range list(o, "spec", "variables") {
				if text(v, "name") == "launcherImage" {
					allowed = text(v, "expression")
				}
			}
		}
		if image == "" || allowed != "'"+image+"'" {
			t.Errorf("%s: virt-controller is told to run %q and allowed to run %s: copy the replacements of overlays/registry", dir, image, allowed)
		}
	}
}

// TestPoliciesCompareWithWhatIsThere wants no policy to take a field that is missing for one with the value that it is read as:
// the labels that give a node its roles are empty. Comparing with a literal is not that.
func TestPoliciesCompareWithWhatIsThere(t *testing.T) {
	defaulted := regexp.MustCompile(`\.orValue\([^()]*\) (==|!=) (variables|object|oldObject)`)
	seen := 0
	for _, o := range render(t, "overlays/kubevirt") {
		if text(o, "kind") != "ValidatingAdmissionPolicy" {
			continue
		}
		for _, v := range list(o, "spec", "validations") {
			seen++
			if found := defaulted.FindString(text(v, "expression")); found != "" && !strings.Contains(found, "[]") {
				t.Errorf("policy %s compares with a default: %s", text(o, "metadata", "name"), found)
			}
		}
	}
	if seen < 30 {
		t.Errorf("%d validations: too few to be all", seen)
	}
}

// TestComponentsPreferControlPlane wants what can read the system's credentials to keep away from guests where it can.
func TestComponentsPreferControlPlane(t *testing.T) {
	const role = "node-role.kubernetes.io/control-plane"
	seen := 0
	for _, o := range render(t, "overlays/kubevirt") {
		switch text(o, "metadata", "name") {
		case "virt-api", "virt-controller", "virt-store":
		default:
			continue
		}
		pod := at(o, "spec", "template", "spec")
		if pod == nil {
			continue
		}
		seen++
		preferred := list(pod, "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution")
		tolerated := slices.ContainsFunc(list(pod, "tolerations"), func(t any) bool { return text(t, "key") == role })
		if len(preferred) != 1 || !strings.Contains(fmt.Sprint(preferred), role) || !tolerated {
			t.Errorf("%s prefers %v, tolerates %v", text(o, "metadata", "name"), preferred, list(pod, "tolerations"))
		}
	}
	if seen != 3 {
		t.Errorf("%d workloads, want 3", seen)
	}
}

// TestThreeMembers renders the component that makes the store survive the loss of a node.
func TestThreeMembers(t *testing.T) {
	var replicas, addresses any
	for _, o := range render(t, "overlays/openshift-cnv") {
		if text(o, "kind") == "StatefulSet" {
			replicas = at(o, "spec", "replicas")
		}
	}
	if replicas != 1 {
		t.Errorf("%v members without the component", replicas)
	}
	for _, o := range render(t, "../test/repo/testdata/three") {
		switch {
		case text(o, "kind") == "StatefulSet":
			replicas = at(o, "spec", "replicas")
		case text(o, "kind") == "Deployment" && text(o, "metadata", "name") == "virt-api":
			addresses = list(at(o, "spec", "template", "spec").(map[string]any)["containers"].([]any)[0], "args")[0]
		}
	}
	if replicas != 3 || strings.Count(fmt.Sprint(addresses), ":2379") != 3 {
		t.Errorf("%v members, virt-api asks %v", replicas, addresses)
	}
}
