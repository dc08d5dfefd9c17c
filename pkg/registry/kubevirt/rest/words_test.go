package rest_test

import (
	"net/http"
	"strings"
	"testing"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
)

// TestReservedLabelsAreRefused tells a user that a label cannot be set, in place of putting it back in silence.
func TestReservedLabelsAreRefused(t *testing.T) {
	s := registrytest.Start(t)
	running(t, s, "a", virtv1.Running, nil)
	const path = "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances/a"
	for _, patch := range []string{`{"metadata":{"labels":{"kubevirt.io/nodeName":"elsewhere"}}}`, `{"metadata":{"labels":{"kubevirt.io/created-by":"me"}}}`} {
		a := s.Do(registrytest.Admin, http.MethodPatch, path, "application/merge-patch+json", patch)
		if a.Code != http.StatusUnprocessableEntity || !strings.Contains(a.Message(), "modification of the reserved label") {
			t.Errorf("%s: %d %s", patch, a.Code, a.Message())
		}
	}
	if a := s.Do(registrytest.Admin, http.MethodPatch, path, "application/merge-patch+json", `{"metadata":{"labels":{"mine":"yes"}}}`); a.Code != http.StatusOK {
		t.Errorf("a label of the user's: %d %s", a.Code, a.Message())
	}
}

// TestWarnings reads what the server says beside its answer.
func TestWarnings(t *testing.T) {
	s := registrytest.Start(t)
	const namespace = "/apis/kubevirt.io/v1/namespaces/default/"
	spec := func(more string) string {
		return `{"domain":{"memory":{"guest":"1Gi"},"devices":{` + more + `}}}`
	}
	object := func(kind, spec string) string {
		return `{"apiVersion":"kubevirt.io/v1","kind":"` + kind + `","metadata":{"name":"a"},"spec":` + spec + `}`
	}
	const gpu = `"gpus":[{"name":"g","deviceName":"a/b"}]`
	const noGPU = "devices of the node cannot be passed to a guest"
	for _, tc := range []struct{ method, path, body, want string }{
		{"POST", "virtualmachines", object("VirtualMachine", `{"runStrategy":"Halted","template":{"spec":`+spec(gpu)+`}}`), "spec.template.spec.domain.devices.gpus[0]: " + noGPU},
		{"PUT", "virtualmachines/a", object("VirtualMachine", `{"runStrategy":"Manual","template":{"spec":{"evictionStrategy":"External","domain":{"memory":{"guest":"1Gi"}}}}}`), "spec.template.spec.evictionStrategy: an eviction is not held up"},
		{"DELETE", "virtualmachines/a", `{"gracePeriodSeconds":0}`, "gracePeriodSeconds has no effect: the guest has the time of its spec.terminationGracePeriodSeconds"},
		{"POST", "virtualmachineinstances", object("VirtualMachineInstance", spec(gpu)), "spec.domain.devices.gpus[0]: " + noGPU},
		{"DELETE", "virtualmachineinstances/a", `{"gracePeriodSeconds":1}`, "gracePeriodSeconds has no effect"},
		{"POST", "virtualmachineinstancereplicasets", object("VirtualMachineInstanceReplicaSet", `{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":`+spec(gpu)+`}}`), "spec.template.spec.domain.devices.gpus[0]: " + noGPU},
		{"POST", "kubevirts", object("KubeVirt", `{"infra":{"replicas":3},"configuration":{"developerConfiguration":{"featureGates":["Nonsense"]}}}`), "spec.infra: the manifests place and size the components"},
		{"POST", "virtualmachines", strings.Replace(object("VirtualMachine", `{"runStrategy":"Halted","dataVolumeTemplates":[{"metadata":{"name":"dv"},"spec":{"storage":{}}}],"template":{"spec":{"volumes":[{"name":"d","dataVolume":{"name":"dv"}}],"domain":{"memory":{"guest":"1Gi"}}}}}`), `"a"`, `"b"`, 1),
			"spec.dataVolumeTemplates[0]: DataVolumes are not made by this version: create the PersistentVolumeClaim dv yourself"},
	} {
		body := tc.body
		if tc.method == "PUT" {
			var version string
			_, version, _ = strings.Cut(string(s.Do(registrytest.Admin, "GET", namespace+tc.path, "", "").Body), `"resourceVersion":"`)
			version, _, _ = strings.Cut(version, `"`)
			body = strings.Replace(body, `"name":"a"`, `"name":"a","resourceVersion":"`+version+`"`, 1)
		}
		request, err := http.NewRequestWithContext(t.Context(), tc.method, s.URL+namespace+tc.path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := strings.Join(response.Header.Values("Warning"), "\n"); response.StatusCode >= 300 || !strings.Contains(got, tc.want) {
			t.Errorf("%s %s: %d with the warnings %s, want %s", tc.method, tc.path, response.StatusCode, got, tc.want)
		}
	}
}

// TestQuantitiesAreNamed has manifests with what is no quantity.
func TestQuantitiesAreNamed(t *testing.T) {
	s := registrytest.Start(t)
	const path = "/apis/kubevirt.io/v1/namespaces/default/virtualmachines"
	machine := func(spec string) string {
		return `{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","metadata":{"name":"a"},"spec":{"runStrategy":"Halted","template":{"spec":` + spec + `}}}`
	}
	if a := s.Do(registrytest.Admin, http.MethodPost, path, "application/json", machine(`{"domain":{"memory":{"guest":"1Gi"}}}`)); a.Code != http.StatusCreated {
		t.Fatalf("%d %s", a.Code, a.Message())
	}
	const template = "spec.template.spec."
	for spec, want := range map[string]string{
		`{"domain":{"memory":{"guest":"1Gx"}}}`:                           template + "domain.memory.guest: 1Gx is no quantity",
		`{"domain":{"resources":{"limits":{"cpu":"2","memory":"lots"}}}}`: template + "domain.resources.limits.memory: lots is no quantity",
		`{"domain":{"memory":{"guest":"1Gi"}},"volumes":[{"name":"a","emptyDisk":{"capacity":"1Gi"}},{"name":"b","emptyDisk":{"capacity":"1 Gi"}}]}`: template + "volumes[1].emptyDisk.capacity: 1 Gi is no quantity",
	} {
		for _, query := range []string{"", "?fieldValidation=Strict"} {
			a := s.Do(registrytest.Admin, http.MethodPost, path+query, "application/json", machine(spec))
			if a.Code != http.StatusBadRequest || !strings.Contains(a.Message(), want) {
				t.Errorf("%s%s: %d %s, want %s", spec, query, a.Code, a.Message(), want)
			}
		}
		if a := s.Do(registrytest.Admin, http.MethodPatch, path+"/a", "application/merge-patch+json", `{"spec":{"template":{"spec":`+spec+`}}}`); a.Code < 400 || !strings.Contains(a.Message(), want) {
			t.Errorf("a patch with %s: %d %s, want %s", spec, a.Code, a.Message(), want)
		}
	}
	yaml := "apiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {name: b}\nspec: {template: {spec: {domain: {memory: {maxGuest: 1GB GB}}}}}\n"
	if a := s.Do(registrytest.Admin, http.MethodPost, path, "application/yaml", yaml); a.Code != http.StatusBadRequest || !strings.Contains(a.Message(), template+"domain.memory.maxGuest: 1GB GB is no quantity") {
		t.Errorf("YAML: %d %s", a.Code, a.Message())
	}
}
