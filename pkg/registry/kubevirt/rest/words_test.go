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
