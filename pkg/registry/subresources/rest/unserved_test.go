package rest_test

import (
	"net/http"
	"strings"
	"testing"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine/support"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
)

// TestUnservedActions says why an action is not there, of objects that are.
func TestUnservedActions(t *testing.T) {
	f := start(t)
	f.instance("here", virtv1.Running, nil)
	machine := `{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","metadata":{"name":"here"},"spec":{"runStrategy":"Halted","template":{"spec":{"domain":{"memory":{"guest":"1Gi"}}}}}}`
	if a := f.Do(registrytest.Admin, http.MethodPost, "/apis/kubevirt.io/v1/namespaces/default/virtualmachines", "application/json", machine); a.Code != http.StatusCreated {
		t.Fatalf("making a machine: %d %s", a.Code, a.Body)
	}
	for _, action := range support.Actions {
		resource, name, _ := strings.Cut(action.Resource, "/")
		for _, version := range []string{"v1", "v1alpha3"} {
			path := "/apis/subresources.kubevirt.io/" + version + "/namespaces/default/" + resource
			if a := f.Do(registrytest.Admin, http.MethodPut, path+"/here/"+name, "", `{"name":"v"}`); a.Code != http.StatusBadRequest || a.Message() != action.Why {
				t.Errorf("%s: %d %s, want %s", action.Resource, a.Code, a.Message(), action.Why)
			}
			if a := f.Do(registrytest.Admin, http.MethodPut, path+"/none/"+name, "", ""); a.Code != http.StatusNotFound || !strings.Contains(a.Message(), `"none" not found`) {
				t.Errorf("%s of none: %d %s", action.Resource, a.Code, a.Message())
			}
		}
	}
}
