package rest_test

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/virtplane/virtplane/pkg/registry/registrytest"
	"github.com/virtplane/virtplane/test/spec"
)

var placeholder = regexp.MustCompile(`<[A-Za-z][A-Za-z0-9_ -]*>`)

// fill replaces the placeholders of the manual by words that are valid names.
func fill(data []byte) []byte {
	return placeholder.ReplaceAllFunc(data, func(p []byte) []byte {
		return []byte("x-" + strings.ToLower(strings.NewReplacer("<", "", ">", "", "_", "-", " ", "-").Replace(string(p))))
	})
}

// refused are the objects of our kinds that are not taken, with what is said, and why that is right.
var refused = map[string]struct{ says, because string }{
	"p2-10.18.8.4-vm-cpu-host-model.yaml":            {`"/apis/kubevirt.io/v1alpha3"`, "no group named kubevirt exists, as the paths in the answer show; every other example says kubevirt.io"},
	"p1-frag-10.1.6-virtualmachine-runstrategy.yaml": {"name or generateName is required", "an excerpt without metadata"},
	"p2-10.18.11.3.1-vm-gpus.yaml":                   {`unknown field "spec.domain"`, "an excerpt without metadata, whose fields belong below spec.template"},
	"p2-10.18.9.2.1-vm-hostdevices.yaml":             {`unknown field "spec.domain"`, "an excerpt without metadata, whose fields belong below spec.template"},
	"p2-10.18.14.3-vm-descheduler-evict.yaml":        {"name or generateName is required", "an excerpt without metadata"},
	"p2-frag-10.18.6.3-vm-hugepages.yaml":            {`unknown field "spec.domain"`, "an excerpt without apiVersion and metadata"},
	"p2-frag-10.18.5.2-vmi-pxe-boot.yaml":            {`disks[0].name: Required value: "containerdisk" must be the name of a volume`, "put together from fragments, without apiVersion, memory and the volume of its disk"},
	"p2-10.18.2.2.2-vm-pod-affinity.yaml":            {`unknown field "spec.affinity"`, "affinity belongs below spec.template, which is missing"},
	"p2-10.18.2.2.3-vm-node-affinity.yaml":           {`unknown field "spec.affinity"`, "affinity belongs below spec.template, which is missing"},
	"p2-10.18.2.2.4-vm-tolerations.yaml":             {`unknown field "spec.tolerations"`, "tolerations belong below spec.template, which is missing"},
	"p5-expect-vmi-not-live-migratable.yaml":         {"no memory requested", "an expected state and not an input"},
	"p4-12.3.2-virtualmachineinstancemigration.yaml": {"this version does not migrate instances", "a migration that nobody acts on could not be deleted either"},
	"p5-virtualmachineinstancemigration.yaml":        {"this version does not migrate instances", "a migration that nobody acts on could not be deleted either"},
	"p5-expect-vmi-podcreate-forbidden.yaml":         {"no memory requested", "an expected state, cut short, and not an input"},
}

// foreign are the files that hold no object, and what they hold.
var foreign = map[string]string{
	"p5-frag-hyperconverged-disable-bootimage-jsonpatch.yaml": "the list of a JSON patch",
}

// required are manifests that stand for a requirement by themselves.
var required = []string{"p1-10.1.4-virtualmachine-rhel.yaml", "p2-10.18.2.2.1-vm-nodeselector.yaml"}

// manifestRows are the rows that ask for no more than that a file is taken.
var manifestRows = map[string][]string{
	"p2-10.18.4.2-vm-uefi-secureboot.yaml": {"P2-EFI-07"}, "p2-10.18.12.2-vm-watchdog.yaml": {"P2-WDOG-10"},
}

// TestManualManifests sends every object of our kinds that the manual prints, as it is printed, and with strict fields as kubectl
// does.
func TestManualManifests(t *testing.T) {
	spec.Covers(t, "P1-VMCREATE-18", "P2-X-04", "P2-X-06", "P1-RUN-08", "P3-NETPOD-09")
	s := registrytest.Start(t)
	resources := map[string]string{
		"VirtualMachine": "virtualmachines", "VirtualMachineInstance": "virtualmachineinstances", "VirtualMachineInstanceMigration": "virtualmachineinstancemigrations",
		"VirtualMachineInstanceReplicaSet": "virtualmachineinstancereplicasets", "VirtualMachineInstancePreset": "virtualmachineinstancepresets", "KubeVirt": "kubevirts",
	}
	names, err := fs.Glob(spec.Manifests(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	applied := map[string]bool{}
	for _, name := range names {
		data, err := spec.Manifest(name)
		if err != nil {
			t.Fatal(err)
		}
		for doc := range strings.SplitSeq(string(fill(data)), "\n---\n") {
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(doc), &obj.Object); err != nil {
				if foreign[name] == "" {
					t.Errorf("%s holds what is no object: %v", name, err)
				}
				continue
			}
			if resources[obj.GetKind()] == "" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				if rows := manifestRows[name]; len(rows) > 0 {
					spec.Covers(t, rows...)
				}
				// Each in a namespace of its own: the manual uses the same names again and again.
				namespace := "m" + strings.NewReplacer(".", "-", "_", "-").Replace(strings.TrimSuffix(name, ".yaml"))
				body := doc
				if given := obj.GetNamespace(); given != "" {
					body = strings.Replace(body, "namespace: "+given, "namespace: "+namespace, 1)
				}
				if obj.GetAPIVersion() == "" {
					obj.SetAPIVersion("kubevirt.io/v1")
					body = "apiVersion: kubevirt.io/v1\n" + body
				}
				path := "/apis/" + obj.GetAPIVersion() + "/namespaces/" + namespace + "/" + resources[obj.GetKind()] + "?fieldValidation=Strict"
				a := s.Do(registrytest.Admin, "POST", path, "application/yaml", body)
				if want, ok := refused[name]; ok {
					if a.Code < 400 || !strings.Contains(a.Message(), want.says) {
						t.Errorf("Answer is %d %s, want a refusal that says %q: %s", a.Code, a.Message(), want.says, want.because)
					}
					return
				}
				if a.Code != 201 {
					t.Fatalf("Answer is %d %s", a.Code, a.Message())
				}
				applied[name] = true
				if obj.GetKind() != "VirtualMachine" {
					return
				}
				// A VirtualMachine comes back as it was sent (decision 6).
				var got unstructured.Unstructured
				if err := got.UnmarshalJSON(a.Body); err != nil {
					t.Fatal(err)
				}
				if diff := lost(obj.Object["spec"], got.Object["spec"], "spec"); diff != "" {
					t.Errorf("The spec did not come back as it was sent: %s", diff)
				}
				if diff := lost(got.Object["spec"], obj.Object["spec"], "spec"); diff != "" {
					t.Errorf("The spec came back with more than was sent: %s", diff)
				}
			})
		}
	}
	if len(applied) < 20 {
		t.Errorf("Applied %d manifests, want at least 20", len(applied))
	}
	for _, name := range required {
		if !applied[name] {
			t.Errorf("%s was not applied", name)
		}
	}
}

// lost finds what of a is not in b. Empty objects and lists, and an empty domain, say nothing.
func lost(a, b any, path string) string {
	switch a := a.(type) {
	case map[string]any:
		m, _ := b.(map[string]any)
		for k, v := range a {
			if empty(v) && (v == nil || v == "" || k == "domain" || k == "devices" || k == "metadata" || k == "spec" || k == "resources" || k == "acpi") {
				continue
			}
			w, ok := m[k]
			if !ok {
				return path + "." + k
			}
			if d := lost(v, w, path+"."+k); d != "" {
				return d
			}
		}
		return ""
	case []any:
		l, _ := b.([]any)
		if len(l) != len(a) {
			return path
		}
		for i := range a {
			if d := lost(a[i], l[i], path+"[]"); d != "" {
				return d
			}
		}
		return ""
	}
	if !sameScalar(a, b) {
		return path
	}
	return ""
}

func empty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			if !empty(e) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	case nil:
		return true
	case string:
		return v == ""
	}
	return false
}

func sameScalar(a, b any) bool {
	x, err1 := yaml.Marshal(a)
	y, err2 := yaml.Marshal(b)
	if err1 == nil && err2 == nil && string(x) == string(y) {
		return true
	}
	// Amounts come back in their canonical form, as they do from Kubernetes.
	p, err1 := resource.ParseQuantity(fmt.Sprint(a))
	q, err2 := resource.ParseQuantity(fmt.Sprint(b))
	return err1 == nil && err2 == nil && p.Cmp(q) == 0
}
