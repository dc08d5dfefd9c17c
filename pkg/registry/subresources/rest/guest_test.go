package rest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
	"github.com/virtplane/virtplane/test/spec"
)

// nodeAgent is a fake of a node's agent that keeps what it was asked.
type nodeAgent struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string
	code   int
	answer string
}

func newNodeAgent(t *testing.T, f fixture) *nodeAgent {
	a := &nodeAgent{code: 200}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.asked = append(a.asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(text)))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.code)
		_, _ = io.WriteString(w, a.answer)
	}))
	t.Cleanup(a.Close)
	f.Nodes.Set(a.URL, a.Client().Transport)
	return a
}

// took gives what was asked since the last call.
func (a *nodeAgent) took() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := strings.Join(a.asked, "\n")
	a.asked = nil
	return out
}

func withConditions(types ...virtv1.VirtualMachineInstanceConditionType) func(*virtv1.VirtualMachineInstance) {
	return func(vmi *virtv1.VirtualMachineInstance) {
		for _, c := range types {
			vmi.Status.Conditions = append(vmi.Status.Conditions, virtv1.VirtualMachineInstanceCondition{Type: c, Status: "True"})
		}
	}
}

// dry adds to a body that nothing is to be done.
func dry(body string) string {
	switch {
	case body == "":
		return `{"dryRun":["All"]}`
	case strings.HasPrefix(body, "{"):
		return `{"dryRun":["All"],` + body[1:]
	}
	return body + "dryRun: [All]\n"
}

// TestGuestActions is the table of what is asked of guests: the codes and texts that clients know, in both groups, and that a
// dry run asks nobody.
func TestGuestActions(t *testing.T) {
	f := start(t)
	agent := newNodeAgent(t, f)
	f.instance("agent", virtv1.Running, withConditions("AgentConnected"))
	f.instance("bare", virtv1.Running, nil)
	f.instance("no-acpi", virtv1.Running, func(vmi *virtv1.VirtualMachineInstance) {
		vmi.Spec.Domain.Features = &virtv1.Features{ACPI: virtv1.FeatureState{Enabled: ptr.To(false)}}
	})
	f.instance("paused", virtv1.Running, withConditions("AgentConnected", "Paused"))
	f.instance("scheduled", virtv1.Scheduled, nil)
	f.instance("failed", virtv1.Failed, nil)
	const conflict = `Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "NAME": `
	for _, row := range []struct {
		name, action, body string
		code               int
		message            string
		asked              string // of the agent, after the path
	}{
		{"agent", "freeze", `{"unfreezeTimeout":"5m"}`, 200, "", `{"unfreezeTimeout":"5m0s"}`},
		{"agent", "freeze", "unfreezeTimeout: 0s\n", 200, "", `{"unfreezeTimeout":"0s"}`},
		{"agent", "freeze", "", 400, "Unfreeze timeout in freeze request is not set", ""},
		{"agent", "freeze", `{"unfreezeTimeout":"-1s"}`, 400, `unfreezeTimeout: Invalid value: "-1s": must be 0 or more`, ""},
		{"bare", "freeze", `{"unfreezeTimeout":"5m"}`, 500, "Internal error occurred: command Freeze failed: QEMU guest agent is not connected", ""},
		{"paused", "freeze", `{"unfreezeTimeout":"5m"}`, 409, conflict + "VMI is paused", ""},
		{"scheduled", "freeze", `{"unfreezeTimeout":"5m"}`, 409, conflict + "VM is not running", ""},
		{"none", "freeze", `{"unfreezeTimeout":"5m"}`, 404, `virtualmachineinstance.kubevirt.io "none" not found`, ""},
		{"agent", "unfreeze", "", 200, "", "-"},
		{"bare", "unfreeze", "", 500, "Internal error occurred: command Unfreeze failed: QEMU guest agent is not connected", ""},
		{"scheduled", "unfreeze", "", 409, conflict + "VMI is not running", ""},
		{"bare", "reset", "", 200, "", "-"},
		{"scheduled", "reset", "", 400, "Failed to reset non-running VMI with phase Scheduled: Unable to connect to VirtualMachineInstance because phase is Scheduled instead of Running", ""},
		{"failed", "reset", "", 400, "Failed to reset non-running VMI with phase Failed: Unable to connect to VirtualMachineInstance because phase is Failed instead of Running", ""},
		{"bare", "softreboot", "", 200, "", "-"},
		{"agent", "softreboot", "", 200, "", "-"},
		{"no-acpi", "softreboot", "", 409, conflict + "VMI neither have the agent connected nor the ACPI feature enabled", ""},
		{"paused", "softreboot", "", 409, conflict + "VMI is paused", ""},
		{"failed", "softreboot", "", 409, conflict + "VM is not running", ""},
		{"bare", "reset", `{"dryRun":["Some"]}`, 400, `dryRun: Unsupported value: ["Some"]: supported values: "All"`, ""},
		{"bare", "reset", `{"dryRun":"All"}`, 400, "Can not unmarshal Request body to struct, error: json: cannot unmarshal string into Go struct field CallOptions.dryRun of type []string", ""},
	} {
		for prefix, method := range map[string]string{"/apis/subresources.kubevirt.io/v1": "PUT", "/apis/subresources.kubevirt.io/v1alpha3": "PUT", "/apis/kubevirt.io/v1": "POST"} {
			path := prefix + "/namespaces/default/virtualmachineinstances/" + row.name + "/" + row.action
			want := row.code
			if method == "POST" && want == 200 {
				want = 201
			}
			// A dry run is refused for the same reasons, and asks nobody.
			if !strings.Contains(row.body, "dryRun") {
				a := f.Do(registrytest.Admin, method, path, "", dry(row.body))
				if got := agent.took(); a.Code != want || got != "" {
					t.Errorf("dry run of %s %s: %d %s, asked %q", method, path, a.Code, a.Body, got)
				}
				a = f.Do(registrytest.Admin, method, path+"?dryRun=All", "", row.body)
				if got := agent.took(); a.Code != want || got != "" {
					t.Errorf("dry run of %s %s by its query: %d %s, asked %q", method, path, a.Code, a.Body, got)
				}
				if a = f.Do(registrytest.Admin, method, path+"?dryRun=Some", "", row.body); row.code == 200 && (a.Code != 400 || agent.took() != "") {
					t.Errorf("dry run of %s %s of a kind that is none: %d %s", method, path, a.Code, a.Body)
				}
			}
			a := f.Do(registrytest.Admin, method, path, "", row.body)
			message := strings.ReplaceAll(row.message, "NAME", row.name)
			if a.Code != want || row.code != 200 && a.Message() != message {
				t.Errorf("%s %s %s: %d %q, want %d %q", method, path, row.body, a.Code, a.Message(), want, message)
			}
			if row.code == 200 && (method == "PUT") != (len(a.Body) == 0) {
				t.Errorf("%s %s answers %q", method, path, a.Body)
			}
			asked := ""
			if row.asked != "" {
				asked = strings.TrimSpace("PUT /v1/namespaces/default/virtualmachineinstances/" + row.name + "/" + row.action + " " + strings.Trim(row.asked, "-"))
			}
			if got := agent.took(); got != asked {
				t.Errorf("%s %s asked %q, want %q", method, path, got, asked)
			}
		}
	}
}

// TestGuestQueries asks guests for what their agents know.
func TestGuestQueries(t *testing.T) {
	spec.Covers(t, "P2-GAINFO-01")
	f := start(t)
	agent := newNodeAgent(t, f)
	f.instance("agent", virtv1.Running, withConditions("AgentConnected"))
	f.instance("bare", virtv1.Running, nil)
	f.instance("scheduled", virtv1.Scheduled, nil)
	for query, answer := range map[string]string{
		"guestosinfo":    `{"guestAgentVersion":"7.2","hostname":"vm","os":{"id":"debian"},"timezone":"UTC, 0","userList":[{"userName":"root","loginTime":1.5}],"fsInfo":{"disks":[]}}`,
		"userlist":       `{"metadata":{},"items":[{"userName":"root"}]}`,
		"filesystemlist": `{"metadata":{},"items":[{"diskName":"vda1","mountPoint":"/","fileSystemType":"ext4","usedBytes":5000000000,"totalBytes":10000000000}]}`,
	} {
		for _, prefix := range []string{"/apis/subresources.kubevirt.io/v1", "/apis/subresources.kubevirt.io/v1alpha3", "/apis/kubevirt.io/v1", "/apis/kubevirt.io/v1alpha3"} {
			base := prefix + "/namespaces/default/virtualmachineinstances/"
			agent.code, agent.answer = 200, answer
			a := f.Do(registrytest.Admin, "GET", base+"agent/"+query, "", "")
			if asked := agent.took(); a.Code != 200 || asked != "GET /v1/namespaces/default/virtualmachineinstances/agent/"+query {
				t.Errorf("%s: %d %s, asked %q", prefix+query, a.Code, a.Body, asked)
			}
			var got, want map[string]any
			if err := json.Unmarshal(a.Body, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(answer), &want); err != nil {
				t.Fatal(err)
			}
			if got["apiVersion"] != "kubevirt.io/v1" || !strings.HasPrefix(got["kind"].(string), "VirtualMachineInstance") {
				t.Errorf("%s is a %v %v", query, got["apiVersion"], got["kind"])
			}
			for k, v := range want {
				if a, b := text(t, got[k]), text(t, v); a != b {
					t.Errorf("%s of %s is %s, want %s", k, query, a, b)
				}
			}
			for name, message := range map[string]string{"bare": "VMI does not have guest agent connected", "scheduled": "VMI is not running"} {
				if a := f.Do(registrytest.Admin, "GET", base+name+"/"+query, "", ""); a.Code != 409 || !strings.HasSuffix(a.Message(), `"`+name+`": `+message) {
					t.Errorf("%s of %s: %d %s", query, name, a.Code, a.Body)
				}
			}
			agent.answer = `{"items": 3}{`
			if a := f.Do(registrytest.Admin, "GET", base+"agent/"+query, "", ""); a.Code != 500 || !strings.Contains(a.Message(), "what node node answers cannot be understood") {
				t.Errorf("%s with a broken answer: %d %s", query, a.Code, a.Body)
			}
			agent.code, agent.answer = 409, `{"kind":"Status","code":409,"message":"the guest agent is not connected"}`
			if a := f.Do(registrytest.Admin, "GET", base+"agent/"+query, "", ""); a.Code != 409 || a.Message() != "the guest agent is not connected" {
				t.Errorf("%s that is refused: %d %s", query, a.Code, a.Body)
			}
			agent.took()
		}
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestGraphAndSpec asks for what follows from a machine without anybody's help.
func TestGraphAndSpec(t *testing.T) {
	f := start(t)
	f.machine("web", virtv1.VirtualMachineSpec{RunStrategy: "Manual"})
	f.instance("web", virtv1.Running, nil)
	for _, prefix := range []string{"/apis/subresources.kubevirt.io/v1", "/apis/kubevirt.io/v1"} {
		base := prefix + "/namespaces/default/"
		for path, kind := range map[string]string{"virtualmachines/web/objectgraph": "VirtualMachine", "virtualmachineinstances/web/objectgraph": "VirtualMachineInstance"} {
			a := f.Do(registrytest.Admin, "GET", base+path, "", `{"includeOptionalNodes":false}`)
			var graph virtv1.ObjectGraphNode
			if err := json.Unmarshal(a.Body, &graph); err != nil || a.Code != 200 || graph.ObjectReference.Kind != kind || graph.ObjectReference.Name != "web" || graph.Labels["kubevirt.io/dependency-type"] != "compute" {
				t.Errorf("%s: %d %s, %v", path, a.Code, a.Body, err)
			}
			if a := f.Do(registrytest.Admin, "GET", base+path, "", `{"includeOptionalNodes":"no"}`); a.Code != 400 {
				t.Errorf("%s with a wrong body: %d %s", path, a.Code, a.Body)
			}
			if a := f.Do(registrytest.Admin, "GET", base+strings.Replace(path, "web", "none", 1), "", ""); a.Code != 404 {
				t.Errorf("%s of none: %d %s", path, a.Code, a.Body)
			}
		}
		a := f.Do(registrytest.Admin, "GET", base+"virtualmachines/web/expand-spec", "", "")
		var vm virtv1.VirtualMachine
		if err := json.Unmarshal(a.Body, &vm); err != nil || a.Code != 200 || vm.Kind != "VirtualMachine" || vm.Spec.RunStrategy != "Manual" {
			t.Errorf("expand-spec: %d %s, %v", a.Code, a.Body, err)
		}
	}
}

// TestGuestfs says where the tools for disk images come from.
func TestGuestfs(t *testing.T) {
	f := start(t)
	const path = "/apis/subresources.kubevirt.io/v1/guestfs"
	// As stock clients ask and print it.
	client, err := rest.UnversionedRESTClientFor(&rest.Config{Host: f.URL, ContentConfig: rest.ContentConfig{GroupVersion: &virtv1.SubresourceGroupVersion, NegotiatedSerializer: clientscheme.Codecs.WithoutConversion()}})
	if err != nil {
		t.Fatal(err)
	}
	const says = `an error on the server ("no registry is known for the image libguestfs-tools: set spec.imageRegistry of the KubeVirt object, or name the image with virtctl guestfs --image") has prevented the request from succeeding`
	if _, err := client.Get().AbsPath(path).Do(t.Context()).Raw(); err == nil || err.Error() != says {
		t.Errorf("guestfs without a registry: %v, want %s", err, says)
	}
	f.Config.Set(&virtv1.KubeVirt{Spec: virtv1.KubeVirtSpec{ImageRegistry: "mirror.example/kubevirt"}})
	if a := f.Do(registrytest.Admin, "GET", path, "", ""); a.Code != 200 || string(a.Body) != `{"registry":"mirror.example/kubevirt","tag":"v1.9.0","digest":"","imagePrefix":"","gsImage":""}` {
		t.Errorf("guestfs: %d %s", a.Code, a.Body)
	}
	f.Config.Set(&virtv1.KubeVirt{Spec: virtv1.KubeVirtSpec{ImageRegistry: "mirror.example/kubevirt", ImageTag: "v1.8.2"}})
	if a := f.Do(registrytest.Admin, "GET", path, "", ""); string(a.Body) != `{"registry":"mirror.example/kubevirt","tag":"v1.8.2","digest":"","imagePrefix":"","gsImage":""}` {
		t.Errorf("guestfs of a mirror: %d %s", a.Code, a.Body)
	}
}

// TestCancelEvacuation keeps instances where they are.
func TestCancelEvacuation(t *testing.T) {
	f := start(t)
	f.machine("web", virtv1.VirtualMachineSpec{RunStrategy: "Manual"})
	vm := f.get("web")
	leaving := func() {
		t.Helper()
		client := f.Client(registrytest.Admin).KubevirtV1().VirtualMachineInstances("default")
		vmi, err := client.Get(context.Background(), "web", metav1.GetOptions{})
		if err == nil {
			vmi.Status.EvacuationNodeName = "node"
			_, err = client.UpdateStatus(context.Background(), vmi, metav1.UpdateOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	left := func() string {
		t.Helper()
		vmi, err := f.Client(registrytest.Admin).KubevirtV1().VirtualMachineInstances("default").Get(context.Background(), "web", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return vmi.Status.EvacuationNodeName
	}
	const right = `{"evacuationNodeName":"node"}`
	if a := f.put("virtualmachines/web/evacuate/cancel", right); a.Code != 409 || !strings.HasSuffix(a.Message(), "VMI is not started") {
		t.Errorf("without an instance: %d %s", a.Code, a.Body)
	}
	f.instance("web", virtv1.Running, func(vmi *virtv1.VirtualMachineInstance) {
		vmi.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(vm, virtv1.SchemeGroupVersion.WithKind("VirtualMachine"))}
	})
	for _, path := range []string{"virtualmachines/web/evacuate/cancel", "virtualmachineinstances/web/evacuate/cancel"} {
		if a := f.put(path, ""); a.Code != 200 {
			t.Errorf("%s of one that stays: %d %s", path, a.Code, a.Body)
		}
		leaving()
		for body, code := range map[string]int{`{"evacuationNodeName":"other"}`: 409, `{"dryRun":["All"]}`: 200, `{"evacuationNodeName":"node","dryRun":["All"]}`: 200} {
			if a := f.put(path, body); a.Code != code || left() != "node" {
				t.Errorf("%s %s: %d %s, want %d; it leaves %q", path, body, a.Code, a.Body, code, left())
			}
		}
		for _, body := range []string{right, ""} {
			leaving()
			if a := f.put(path, body); a.Code != 200 || left() != "" {
				t.Errorf("%s %q: %d %s; it leaves %q", path, body, a.Code, a.Body, left())
			}
		}
		if a := f.put(strings.Replace(path, "/cancel", "/later", 1), right); a.Code != 404 {
			t.Errorf("another word below evacuate: %d %s", a.Code, a.Body)
		}
	}
	leaving()
	if a := f.Do(registrytest.Admin, "POST", "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances/web/evacuate/cancel", "", right); a.Code != 201 || left() != "" {
		t.Errorf("in kubevirt.io: %d %s", a.Code, a.Body)
	}
	f.Authorizer.DenySubresource("evacuate/cancel")
	if a := f.put("virtualmachines/web/evacuate/cancel", right); a.Code != 403 {
		t.Errorf("without the right on the whole name: %d %s", a.Code, a.Body)
	}
}
