package virtapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/test/integration/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// get asks a path of kube-apiserver as the administrator.
func get(t *testing.T, path, accept string) (*http.Response, string) {
	t.Helper()
	client := must(rest.HTTPClientFor(env.Admin))(t)
	req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, env.Admin.Host+path, nil))(t)
	req.Header.Set("Accept", accept)
	resp := must(client.Do(req))(t)
	defer resp.Body.Close()
	return resp, string(must(io.ReadAll(resp.Body))(t))
}

func TestProtobufAndJSONAgree(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	asJSON, asProtobuf := virt(t, "application/json").KubevirtV1(), virt(t, protobuf).KubevirtV1()
	var lists []*virtv1.VirtualMachineList
	w := must(asProtobuf.VirtualMachines(ns).Watch(ctx, metav1.ListOptions{}))(t)
	defer w.Stop()
	must(asProtobuf.VirtualMachines(ns).Create(ctx, machine("a"), metav1.CreateOptions{}))(t)
	must(asJSON.VirtualMachines(ns).Create(ctx, machine("b"), metav1.CreateOptions{}))(t)
	for _, c := range []versioned.Interface{virt(t, "application/json"), virt(t, protobuf)} {
		lists = append(lists, must(c.KubevirtV1().VirtualMachines(ns).List(ctx, metav1.ListOptions{}))(t))
	}
	if len(lists[0].Items) != 2 {
		t.Fatalf("%d machines", len(lists[0].Items))
	}
	if diff := cmp.Diff(lists[0].Items, lists[1].Items); diff != "" {
		t.Errorf("JSON and protobuf differ:\n%s", diff)
	}
	for _, name := range []string{"a", "b"} {
		if e := <-w.ResultChan(); e.Object.(*virtv1.VirtualMachine).Name != name {
			t.Errorf("event %v", e)
		}
	}
	resp, body := get(t, "/apis/kubevirt.io/v1/namespaces/"+ns+"/virtualmachines/a", protobuf)
	if resp.Header.Get("Content-Type") != protobuf || !strings.HasPrefix(body, "k8s\x00") {
		t.Errorf("content type %s, body %q", resp.Header.Get("Content-Type"), body[:20])
	}
}

func TestStatusIsIsolated(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	c := virt(t, protobuf).KubevirtV1().VirtualMachines(ns)
	vm := machine("a")
	vm.Status.PrintableStatus = "Running"
	vm = must(c.Create(ctx, vm, metav1.CreateOptions{}))(t)
	if vm.Status.PrintableStatus != "" {
		t.Errorf("a create set the status: %s", vm.Status.PrintableStatus)
	}
	vm.Status.PrintableStatus = "Running"
	vm = must(c.Update(ctx, vm, metav1.UpdateOptions{}))(t)
	if vm.Status.PrintableStatus != "" || vm.Generation != 1 {
		t.Errorf("an update set the status (%s) or the generation (%d)", vm.Status.PrintableStatus, vm.Generation)
	}
	vm.Status.PrintableStatus = "Stopped"
	vm.Labels = map[string]string{"a": "b"}
	vm = must(c.UpdateStatus(ctx, vm, metav1.UpdateOptions{}))(t)
	if vm.Status.PrintableStatus != "Stopped" || vm.Labels != nil {
		t.Errorf("status %s, labels %v", vm.Status.PrintableStatus, vm.Labels)
	}
	// Applying a status does not make its writer an owner of it.
	applied := must(c.Patch(ctx, "a", types.ApplyPatchType, []byte(`{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","status":{"printableStatus":"Running"}}`), metav1.PatchOptions{FieldManager: "sneaky"}))(t)
	if applied.Status.PrintableStatus != "Stopped" {
		t.Errorf("status %s", applied.Status.PrintableStatus)
	}
}

func TestFieldSelectors(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	c := virt(t, protobuf).KubevirtV1().VirtualMachineInstances(ns)
	for _, name := range []string{"a", "b"} {
		must(c.Create(ctx, instance(name), metav1.CreateOptions{}))(t)
	}
	names := func(selector string) []string {
		var names []string
		for _, vmi := range must(c.List(ctx, metav1.ListOptions{FieldSelector: selector}))(t).Items {
			names = append(names, vmi.Name)
		}
		return names
	}
	for selector, want := range map[string][]string{
		"metadata.name=a":                    {"a"},
		"metadata.name!=a":                   {"b"},
		"status.phase=Pending":               {"a", "b"},
		"status.phase=Running":               nil,
		"status.nodeName=":                   {"a", "b"},
		"status.nodeName=node-a":             nil,
		"status.migrationState.targetNode=x": nil,
	} {
		if diff := cmp.Diff(want, names(selector)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", selector, diff)
		}
	}
	_, err := c.List(ctx, metav1.ListOptions{FieldSelector: "spec.hostname=x"})
	wantError(t, err, apierrors.IsBadRequest, `"spec.hostname" is not a field`)
}

func TestTables(t *testing.T) {
	ns := newNamespace(t)
	must(virt(t, protobuf).KubevirtV1().VirtualMachines(ns).Create(t.Context(), machine("a"), metav1.CreateOptions{}))(t)
	_, body := get(t, "/apis/kubevirt.io/v1/namespaces/"+ns+"/virtualmachines", "application/json;as=Table;v=v1;g=meta.k8s.io")
	var table metav1.Table
	if err := json.Unmarshal([]byte(body), &table); err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, c := range table.ColumnDefinitions {
		columns = append(columns, c.Name)
	}
	if diff := cmp.Diff([]string{"Name", "Age", "Status", "Ready"}, columns); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	if len(table.Rows) != 1 || table.Rows[0].Cells[0] != "a" {
		t.Errorf("rows %v", table.Rows)
	}
}

func TestDiscoveryAndOpenAPI(t *testing.T) {
	for _, g := range harness.Groups {
		t.Run(g.Version+"."+g.Group, func(t *testing.T) {
			_, body := get(t, "/apis/"+g.Group+"/"+g.Version, "application/json")
			var list metav1.APIResourceList
			if err := json.Unmarshal([]byte(body), &list); err != nil || list.GroupVersion != g.Group+"/"+g.Version || len(list.APIResources) == 0 {
				t.Errorf("resources %v, error %v", list, err)
			}
			resp, body := get(t, "/openapi/v3/apis/"+g.Group+"/"+g.Version, "application/json")
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"openapi": "3.0`) && !strings.Contains(body, `"openapi":"3.0`) {
				t.Errorf("OpenAPI v3: %s: %.200s", resp.Status, body)
			}
		})
	}
	// kube-apiserver merges in the discovery of the servers behind it.
	_, body := get(t, "/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
	if !strings.Contains(body, `"subresources.kubevirt.io"`) || !strings.Contains(body, `"virtualmachines"`) {
		t.Error("the aggregated discovery lacks our groups")
	}
	_, body = get(t, "/openapi/v2", "application/json")
	if !strings.Contains(body, `"io.kubevirt.v1.VirtualMachine"`) {
		t.Error("OpenAPI v2 lacks VirtualMachine")
	}
	if out := must(env.KubectlRun(t.Context(), "", "explain", "vm.spec.template.spec.domain.cpu.cores"))(t); !strings.Contains(out, "FIELD: cores <integer>") {
		t.Errorf("kubectl explain: %s", out)
	}
}

func TestVersions(t *testing.T) {
	spec.Covers(t, "P2-CPU-11")
	// A group that the manual prints by mistake.
	_, err := env.KubectlRun(t.Context(), `{apiVersion: kubevirt/v1alpha3, kind: VirtualMachine, metadata: {name: a}}`, "create", "-f", "-")
	if err == nil || !strings.Contains(err.Error(), `no matches for kind "VirtualMachine" in version "kubevirt/v1alpha3"`) {
		t.Errorf("error %v", err)
	}
	for version, want := range map[string]string{
		"v1":       "",
		"v1alpha3": `299 - "kubevirt.io/v1alpha3 virtualmachines is deprecated; use kubevirt.io/v1"`,
	} {
		resp, _ := get(t, "/apis/kubevirt.io/"+version+"/virtualmachines", "application/json")
		if got := resp.Header.Get("Warning"); got != want {
			t.Errorf("%s warns %q, want %q", version, got, want)
		}
	}
}

func TestUnknownFields(t *testing.T) {
	ns := newNamespace(t)
	manifest := `{apiVersion: kubevirt.io/v1, kind: VirtualMachine, metadata: {name: a, namespace: ` + ns + `},
		spec: {runStrategy: Halted, template: {spec: {domain: {memory: {guest: 64Mi}, devices: {}, surprise: 1}}}}}`
	_, err := env.KubectlRun(t.Context(), manifest, "create", "-f", "-")
	if err == nil || !strings.Contains(err.Error(), `unknown field "spec.template.spec.domain.surprise"`) {
		t.Errorf("error %v", err)
	}
	if out, err := env.KubectlRun(t.Context(), manifest, "create", "-f", "-", "--validate=warn"); err != nil || !strings.Contains(out, "surprise") {
		t.Errorf("%s, error %v", out, err)
	}
}

// TestStreamsTakeNoSeats wants consoles and other streams, which are open for hours, not to be counted by kube-apiserver's
// priority and fairness, in either group; everything else is (decision 14).
func TestStreamsTakeNoSeats(t *testing.T) {
	ctx := t.Context()
	flow := kube(t).FlowcontrolV1()
	exempt := string(must(flow.PriorityLevelConfigurations().Get(ctx, "exempt", metav1.GetOptions{}))(t).UID)
	streams := string(must(flow.FlowSchemas().Get(ctx, "virtplane-streams", metav1.GetOptions{}))(t).UID)
	somebody := must(env.User("somebody"))(t)
	client := must(rest.HTTPClientFor(somebody))(t)
	level := func(path string) (schema, level string) {
		t.Helper()
		resp := must(client.Do(must(http.NewRequestWithContext(ctx, http.MethodGet, somebody.Host+path, nil))(t)))(t)
		resp.Body.Close() // refused or not: requests are sorted before they are authorized
		return resp.Header.Get("X-Kubernetes-PF-FlowSchema-UID"), resp.Header.Get("X-Kubernetes-PF-PriorityLevel-UID")
	}
	for _, group := range []string{"kubevirt.io", "subresources.kubevirt.io"} {
		// Port forwarding is none of them: kube-apiserver knows that name from pods and lets it through by itself.
		for _, stream := range []string{"console", "vnc", "usbredir", "vsock"} {
			path := "/apis/" + group + "/v1/namespaces/default/virtualmachineinstances/x/" + stream
			eventually(t, path+" to be exempt", func(context.Context) error {
				if s, l := level(path); s != streams || l != exempt {
					return fmt.Errorf("flow schema %s, level %s", s, l)
				}
				return nil
			})
		}
		if s, l := level("/apis/" + group + "/v1/namespaces/default/virtualmachineinstances/x/guestosinfo"); s == streams || l == exempt {
			t.Errorf("an ordinary request of %s is exempt", group)
		}
	}
}
