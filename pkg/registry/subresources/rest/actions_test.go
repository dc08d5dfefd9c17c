package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine/support"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
	"github.com/virtplane/virtplane/test/spec"
)

const group = "/apis/subresources.kubevirt.io/v1/namespaces/default/"

// fixture is a server with helpers for one namespace.
type fixture struct {
	*registrytest.Server
	t testing.TB
}

func start(t testing.TB) fixture { return fixture{registrytest.Start(t), t} }

func template() *virtv1.VirtualMachineInstanceTemplateSpec {
	t := &virtv1.VirtualMachineInstanceTemplateSpec{}
	if err := json.Unmarshal([]byte(`{"spec":{"domain":{"devices":{},"memory":{"guest":"64Mi"}}}}`), t); err != nil {
		panic(err)
	}
	return t
}

func (f fixture) machine(name string, spec virtv1.VirtualMachineSpec) {
	f.t.Helper()
	spec.Template = template()
	vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	if _, err := f.Client(registrytest.Admin).KubevirtV1().VirtualMachines("default").Create(context.Background(), vm, metav1.CreateOptions{}); err != nil {
		f.t.Fatalf("Creating machine %s: %v", name, err)
	}
}

// instance makes the instance of a machine, in a phase.
func (f fixture) instance(name string, phase virtv1.VirtualMachineInstancePhase, change func(*virtv1.VirtualMachineInstance)) types.UID {
	f.t.Helper()
	client := f.Client(registrytest.Admin).KubevirtV1().VirtualMachineInstances("default")
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: template().Spec}
	if change != nil {
		change(vmi)
	}
	status := vmi.Status
	created, err := client.Create(context.Background(), vmi, metav1.CreateOptions{})
	if err != nil {
		f.t.Fatalf("Creating instance %s: %v", name, err)
	}
	created.Status = status
	created.Status.Phase = phase
	created.Status.NodeName = "node"
	if _, err := client.UpdateStatus(context.Background(), created, metav1.UpdateOptions{}); err != nil {
		f.t.Fatalf("Setting the phase of instance %s: %v", name, err)
	}
	return created.UID
}

func (f fixture) get(name string) *virtv1.VirtualMachine {
	f.t.Helper()
	vm, err := f.Client(registrytest.Admin).KubevirtV1().VirtualMachines("default").Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return vm
}

func (f fixture) put(path, body string) registrytest.Answer {
	f.t.Helper()
	return f.Do(registrytest.Admin, http.MethodPut, group+path, "", body)
}

// TestRunStrategyMatrix is the table of the manual: what start, stop and restart make of each run strategy. A dash is an
// action that is refused and changes nothing.
func TestRunStrategyMatrix(t *testing.T) {
	spec.Covers(t, "P1-RUN-06", "P1-RUN-04")
	f := start(t)
	const none = "-"
	for _, row := range []struct {
		strategy             virtv1.VirtualMachineRunStrategy
		start, stop, restart string
		refused              map[string]string
	}{
		{virtv1.RunStrategyAlways, none, "Halted", "Always", map[string]string{"start": "VM is already running"}},
		{virtv1.RunStrategyRerunOnFailure, none, "Halted", "RerunOnFailure", map[string]string{"start": "VM is already running"}},
		{virtv1.RunStrategyManual, "Manual", "Manual", "Manual", nil},
		{virtv1.RunStrategyHalted, "Always", none, none, map[string]string{"stop": "VM is not running", "restart": "RunStategy Halted does not support manual restart requests"}},
	} {
		for action, want := range map[string]string{"start": row.start, "stop": row.stop, "restart": row.restart} {
			t.Run(fmt.Sprintf("%s/%s", row.strategy, action), func(t *testing.T) {
				name := strings.ToLower(fmt.Sprintf("%s-%s", row.strategy, action))
				f.machine(name, virtv1.VirtualMachineSpec{RunStrategy: row.strategy})
				// Each strategy in the state in which the table finds it: running, but for Halted, and for a start by hand.
				if row.strategy != virtv1.RunStrategyHalted && !(row.strategy == virtv1.RunStrategyManual && action == "start") {
					f.instance(name, virtv1.Running, nil)
				}
				a := f.put("virtualmachines/"+name+"/"+action, "")
				after := f.get(name)
				if want == none {
					message := fmt.Sprintf("Operation cannot be fulfilled on virtualmachine.kubevirt.io %q: %s", name, row.refused[action])
					if a.Code != http.StatusConflict || a.Message() != message {
						t.Errorf("Answer is %d %q, want 409 %q", a.Code, a.Message(), message)
					}
					if after.Spec.RunStrategy != row.strategy || after.Generation != 1 || len(after.Status.StateChangeRequests) > 0 {
						t.Errorf("A refused action changed the machine: %s, generation %d, requests %v", after.Spec.RunStrategy, after.Generation, after.Status.StateChangeRequests)
					}
					return
				}
				if a.Code != http.StatusAccepted || len(a.Body) > 0 {
					t.Errorf("Answer is %d %s, want 202 without a body", a.Code, a.Body)
				}
				if string(after.Spec.RunStrategy) != want {
					t.Errorf("Run strategy is %s, want %s", after.Spec.RunStrategy, want)
				}
			})
		}
	}
}

// TestActions walks through the answers and effects that the matrix leaves out.
func TestActions(t *testing.T) {
	f := start(t)
	request := func(r ...virtv1.VirtualMachineStateChangeRequest) []virtv1.VirtualMachineStateChangeRequest { return r }
	for _, row := range []struct {
		name     string
		spec     virtv1.VirtualMachineSpec
		phase    virtv1.VirtualMachineInstancePhase // none without an instance
		action   string
		body     string
		code     int
		message  string
		want     virtv1.VirtualMachineSpec
		requests func(types.UID) []virtv1.VirtualMachineStateChangeRequest
		grace    *int64
	}{
		{name: "start-running-false", spec: virtv1.VirtualMachineSpec{Running: ptr.To(false)}, action: "start", code: 202, want: virtv1.VirtualMachineSpec{Running: ptr.To(true)}},
		{name: "start-unset", action: "start", code: 202, want: virtv1.VirtualMachineSpec{RunStrategy: "Always"}},
		{name: "start-paused", spec: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}, action: "start", body: `{"paused":true}`, code: 202, want: virtv1.VirtualMachineSpec{RunStrategy: "Always"},
			requests: func(types.UID) []virtv1.VirtualMachineStateChangeRequest {
				return request(virtv1.VirtualMachineStateChangeRequest{Action: "Start", Data: map[string]string{"paused": "true"}})
			}},
		{name: "start-manual-yaml", spec: virtv1.VirtualMachineSpec{RunStrategy: "Manual"}, action: "start", body: "paused: true\n", code: 202, want: virtv1.VirtualMachineSpec{RunStrategy: "Manual"},
			requests: func(types.UID) []virtv1.VirtualMachineStateChangeRequest {
				return request(virtv1.VirtualMachineStateChangeRequest{Action: "Start", Data: map[string]string{"paused": "true"}})
			}},
		{name: "start-manual-ended", spec: virtv1.VirtualMachineSpec{RunStrategy: "Manual"}, phase: virtv1.Failed, action: "start", code: 202, want: virtv1.VirtualMachineSpec{RunStrategy: "Manual"},
			requests: func(uid types.UID) []virtv1.VirtualMachineStateChangeRequest {
				return request(virtv1.VirtualMachineStateChangeRequest{Action: "Stop", UID: &uid}, virtv1.VirtualMachineStateChangeRequest{Action: "Start"})
			}},
		{name: "start-always-stopped", spec: virtv1.VirtualMachineSpec{RunStrategy: "Always"}, action: "start", code: 409, message: "Always does not support manual start requests", want: virtv1.VirtualMachineSpec{RunStrategy: "Always"}},
		{name: "start-once", spec: virtv1.VirtualMachineSpec{RunStrategy: "Once"}, action: "start", code: 409, message: "Once does not support manual start requests", want: virtv1.VirtualMachineSpec{RunStrategy: "Once"}},
		{name: "start-rerun-failed", spec: virtv1.VirtualMachineSpec{RunStrategy: "RerunOnFailure"}, phase: virtv1.Failed, action: "start", code: 409, message: "RerunOnFailure does not support starting VM from failed state", want: virtv1.VirtualMachineSpec{RunStrategy: "RerunOnFailure"}},
		{name: "start-pending", spec: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}, phase: virtv1.Pending, action: "start", code: 409, message: "VM is already running", want: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}},
		{name: "start-dry", spec: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}, action: "start", body: `{"dryRun":["All"]}`, code: 202, want: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}},
		{name: "start-dry-unknown", spec: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}, action: "start", body: `{"dryRun":["Some"]}`, code: 400, message: `dryRun: Unsupported value: ["Some"]: supported values: "All"`, want: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}},
		{name: "start-garbage", spec: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}, action: "start", body: `{"paused": "perhaps"}`, code: 400, message: "Can not unmarshal Request body to struct, error: json: cannot unmarshal string into Go struct field StartOptions.paused of type bool", want: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}},

		{name: "stop-running-true", spec: virtv1.VirtualMachineSpec{Running: ptr.To(true)}, phase: virtv1.Running, action: "stop", code: 202, want: virtv1.VirtualMachineSpec{Running: ptr.To(false)}},
		{name: "stop-manual", spec: virtv1.VirtualMachineSpec{RunStrategy: "Manual"}, phase: virtv1.Running, action: "stop", code: 202, want: virtv1.VirtualMachineSpec{RunStrategy: "Manual"},
			requests: func(uid types.UID) []virtv1.VirtualMachineStateChangeRequest {
				return request(virtv1.VirtualMachineStateChangeRequest{Action: "Stop", UID: &uid})
			}},
		{name: "stop-manual-stopped", spec: virtv1.VirtualMachineSpec{RunStrategy: "Manual"}, action: "stop", code: 409, message: "VM is not running", want: virtv1.VirtualMachineSpec{RunStrategy: "Manual"}},
		{name: "stop-grace", spec: virtv1.VirtualMachineSpec{RunStrategy: "Always"}, phase: virtv1.Running, action: "stop", body: `{"gracePeriod":0}`, code: 202, want: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}, grace: ptr.To(int64(0))},
		{name: "stop-grace-dry", spec: virtv1.VirtualMachineSpec{RunStrategy: "Always"}, phase: virtv1.Running, action: "stop", body: `{"gracePeriod":0,"dryRun":["All"]}`, code: 202, want: virtv1.VirtualMachineSpec{RunStrategy: "Always"}, grace: ptr.To(int64(30))},
		{name: "stop-halted-shorter", spec: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}, phase: virtv1.Running, action: "stop", body: `{"gracePeriod":3}`, code: 202, want: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}, grace: ptr.To(int64(3)),
			requests: func(uid types.UID) []virtv1.VirtualMachineStateChangeRequest {
				return request(virtv1.VirtualMachineStateChangeRequest{Action: "Stop", UID: &uid})
			}},
		{name: "stop-halted-longer", spec: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}, phase: virtv1.Running, action: "stop", body: `{"gracePeriod":60}`, code: 409, message: "Halted only supports manual stop requests with a shorter graceperiod", want: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}, grace: ptr.To(int64(30))},
		{name: "stop-halted", spec: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}, phase: virtv1.Running, action: "stop", code: 409, message: "Halted only supports manual stop requests with a shorter graceperiod", want: virtv1.VirtualMachineSpec{RunStrategy: "Halted"}},
		{name: "stop-negative", spec: virtv1.VirtualMachineSpec{RunStrategy: "Always"}, phase: virtv1.Running, action: "stop", body: `{"gracePeriod":-1}`, code: 400, message: "gracePeriod has to be greater or equal to 0", want: virtv1.VirtualMachineSpec{RunStrategy: "Always"}},

		{name: "restart", spec: virtv1.VirtualMachineSpec{RunStrategy: "Always"}, phase: virtv1.Running, action: "restart", code: 202, want: virtv1.VirtualMachineSpec{RunStrategy: "Always"},
			requests: func(uid types.UID) []virtv1.VirtualMachineStateChangeRequest {
				return request(virtv1.VirtualMachineStateChangeRequest{Action: "Stop", UID: &uid}, virtv1.VirtualMachineStateChangeRequest{Action: "Start"})
			}},
		{name: "restart-forced", spec: virtv1.VirtualMachineSpec{RunStrategy: "Manual"}, phase: virtv1.Running, action: "restart", body: `{"gracePeriodSeconds":0}`, code: 202, want: virtv1.VirtualMachineSpec{RunStrategy: "Manual"}, grace: ptr.To(int64(1)),
			requests: func(uid types.UID) []virtv1.VirtualMachineStateChangeRequest {
				return request(virtv1.VirtualMachineStateChangeRequest{Action: "Stop", UID: &uid}, virtv1.VirtualMachineStateChangeRequest{Action: "Start"})
			}},
		{name: "restart-grace", spec: virtv1.VirtualMachineSpec{RunStrategy: "Always"}, phase: virtv1.Running, action: "restart", body: `{"gracePeriodSeconds":5}`, code: 400, message: "For force restart, only gracePeriod=0 is supported for now", want: virtv1.VirtualMachineSpec{RunStrategy: "Always"}},
		{name: "restart-negative", spec: virtv1.VirtualMachineSpec{RunStrategy: "Always"}, phase: virtv1.Running, action: "restart", body: `{"gracePeriodSeconds":-5}`, code: 400, message: "gracePeriod has to be greater or equal to 0", want: virtv1.VirtualMachineSpec{RunStrategy: "Always"}},
		{name: "restart-stopped", spec: virtv1.VirtualMachineSpec{RunStrategy: "Always"}, action: "restart", code: 409, message: "VM is not running", want: virtv1.VirtualMachineSpec{RunStrategy: "Always"}},
		{name: "restart-once", spec: virtv1.VirtualMachineSpec{RunStrategy: "Once"}, phase: virtv1.Running, action: "restart", code: 409, message: "RunStategy Once does not support manual restart requests", want: virtv1.VirtualMachineSpec{RunStrategy: "Once"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f.machine(row.name, row.spec)
			var uid types.UID
			if row.phase != "" {
				uid = f.instance(row.name, row.phase, nil)
			}
			a := f.put("virtualmachines/"+row.name+"/"+row.action, row.body)
			if a.Code != row.code {
				t.Errorf("Answer is %d %s, want %d", a.Code, a.Body, row.code)
			}
			if row.code >= 400 && strings.TrimPrefix(a.Message(), fmt.Sprintf("Operation cannot be fulfilled on virtualmachine.kubevirt.io %q: ", row.name)) != row.message {
				t.Errorf("Message is %q, want %q", a.Message(), row.message)
			}
			after := f.get(row.name)
			after.Spec.Template = nil
			if diff := cmp.Diff(row.want, after.Spec); diff != "" {
				t.Errorf("Spec (-want +got):\n%s", diff)
			}
			var want []virtv1.VirtualMachineStateChangeRequest
			if row.requests != nil {
				want = row.requests(uid)
			}
			if diff := cmp.Diff(want, after.Status.StateChangeRequests); diff != "" {
				t.Errorf("Requests (-want +got):\n%s", diff)
			}
			if row.grace != nil {
				vmi, err := f.Client(registrytest.Admin).KubevirtV1().VirtualMachineInstances("default").Get(context.Background(), row.name, metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(row.grace, vmi.Spec.TerminationGracePeriodSeconds); diff != "" {
					t.Errorf("Grace period of the instance (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestActionsOnNothing wants 404 for what is not there, in both groups and versions.
func TestActionsOnNothing(t *testing.T) {
	f := start(t)
	for _, path := range []string{"virtualmachines/a/start", "virtualmachines/a/stop", "virtualmachines/a/restart", "virtualmachineinstances/a/pause", "virtualmachineinstances/a/unpause"} {
		for _, call := range []struct{ method, prefix string }{
			{http.MethodPut, "/apis/subresources.kubevirt.io/v1/"}, {http.MethodPut, "/apis/subresources.kubevirt.io/v1alpha3/"},
			{http.MethodPost, "/apis/kubevirt.io/v1/"}, {http.MethodPost, "/apis/kubevirt.io/v1alpha3/"},
		} {
			a := f.Do(registrytest.Admin, call.method, call.prefix+"namespaces/default/"+path, "application/json", "{}")
			if kind := strings.TrimSuffix(strings.Split(path, "/")[0], "s"); a.Code != http.StatusNotFound || a.Message() != kind+`.kubevirt.io "a" not found` {
				t.Errorf("%s %s%s: %d %s, want 404", call.method, call.prefix, path, a.Code, a.Body)
			}
		}
	}
}

// TestUnderway refuses a second request while the first is not served, but takes a stop at any time.
func TestUnderway(t *testing.T) {
	f := start(t)
	f.machine("a", virtv1.VirtualMachineSpec{RunStrategy: "Manual"})
	uid := f.instance("a", virtv1.Running, nil)
	if a := f.put("virtualmachines/a/restart", ""); a.Code != 202 {
		t.Fatalf("Restart: %d %s", a.Code, a.Body)
	}
	want := `Operation cannot be fulfilled on virtualmachine.kubevirt.io "a": unable to complete request: stop/start already underway`
	if a := f.put("virtualmachines/a/restart", ""); a.Code != 409 || a.Message() != want {
		t.Errorf("Second restart: %d %s, want 409 %s", a.Code, a.Message(), want)
	}
	if a := f.put("virtualmachines/a/stop", ""); a.Code != 202 {
		t.Errorf("Stop: %d %s", a.Code, a.Body)
	}
	if diff := cmp.Diff([]virtv1.VirtualMachineStateChangeRequest{{Action: "Stop", UID: &uid}}, f.get("a").Status.StateChangeRequests); diff != "" {
		t.Errorf("Requests after the stop (-want +got):\n%s", diff)
	}
	f.machine("b", virtv1.VirtualMachineSpec{RunStrategy: "Always"})
	f.instance("b", virtv1.Running, nil)
	for _, action := range []string{"restart", "stop"} {
		if a := f.put("virtualmachines/b/"+action, ""); a.Code != 202 {
			t.Errorf("%s: %d %s", action, a.Code, a.Body)
		}
	}
	if vm := f.get("b"); vm.Spec.RunStrategy != "Halted" || len(vm.Status.StateChangeRequests) != 0 {
		t.Errorf("A stop leaves strategy %s and requests %v", vm.Spec.RunStrategy, vm.Status.StateChangeRequests)
	}
}

// TestPostActions does the same by POST in kubevirt.io, where kubectl create --raw does it, and honours dryRun of the query.
func TestPostActions(t *testing.T) {
	f := start(t)
	f.machine("a", virtv1.VirtualMachineSpec{RunStrategy: "Halted"})
	const path = "/apis/kubevirt.io/v1/namespaces/default/virtualmachines/a/start"
	if a := f.Do(registrytest.Admin, http.MethodPost, path+"?dryRun=All", "application/json", "{}"); a.Code != 201 || f.get("a").Spec.RunStrategy != "Halted" {
		t.Errorf("Dry run: %d %s, strategy %s", a.Code, a.Body, f.get("a").Spec.RunStrategy)
	}
	a := f.Do(registrytest.Admin, http.MethodPost, path, "application/json", `{"apiVersion":"kubevirt.io/v1","kind":"StartOptions","paused":true}`)
	var status metav1.Status
	if err := json.Unmarshal(a.Body, &status); err != nil || a.Code != 201 || status.Status != metav1.StatusSuccess || status.Message != "a is to start" {
		t.Errorf("Start: %d %s", a.Code, a.Body)
	}
	if vm := f.get("a"); vm.Spec.RunStrategy != "Always" || len(vm.Status.StateChangeRequests) != 1 {
		t.Errorf("After the start: %s, %v", vm.Spec.RunStrategy, vm.Status.StateChangeRequests)
	}
	if a := f.Do(registrytest.Admin, http.MethodPost, path, "application/json", "{}"); a.Code != 409 {
		t.Errorf("Second start: %d %s, want 409", a.Code, a.Body)
	}
}

// TestConcurrentActions lets many start and stop one machine at once: each action is one write, so that exactly one start
// wins and every answer agrees with what is stored.
func TestConcurrentActions(t *testing.T) {
	f := start(t)
	f.machine("a", virtv1.VirtualMachineSpec{RunStrategy: "Halted"})
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for range 16 {
		wg.Go(func() {
			a := f.put("virtualmachines/a/start", "")
			mu.Lock()
			defer mu.Unlock()
			codes[a.Code]++
		})
	}
	wg.Wait()
	if diff := cmp.Diff(map[int]int{202: 1, 409: 15}, codes); diff != "" {
		t.Errorf("Answers of 16 starts (-want +got):\n%s", diff)
	}
	if g := f.get("a").Generation; g != 2 {
		t.Errorf("Generation is %d, want 2: one write for one start", g)
	}

	accepted := 0
	for i := range 16 {
		wg.Go(func() {
			action := []string{"start", "stop"}[i%2]
			a := f.put("virtualmachines/a/"+action, "")
			mu.Lock()
			defer mu.Unlock()
			switch a.Code {
			case 202:
				accepted++
			case 409:
			default:
				t.Errorf("%s: %d %s, want 202 or 409", action, a.Code, a.Body)
			}
		})
	}
	wg.Wait()
	if g := f.get("a").Generation; g != int64(2+accepted) {
		t.Errorf("Generation is %d after %d accepted actions, want %d", g, accepted, 2+accepted)
	}
}

// TestActionOwnsStrategy shows that who applies a machine learns of a start by a conflict, instead of undoing it.
func TestActionOwnsStrategy(t *testing.T) {
	f := start(t)
	const path = "/apis/kubevirt.io/v1/namespaces/default/virtualmachines/a?fieldManager=gitops"
	const body = `{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","metadata":{"name":"a"},"spec":{"runStrategy":"Halted","template":{"spec":{"domain":{"memory":{"guest":"64Mi"}}}}}}`
	if a := f.Do(registrytest.Admin, http.MethodPatch, path, "application/apply-patch+yaml", body); a.Code != 201 {
		t.Fatalf("Apply: %d %s", a.Code, a.Body)
	}
	if a := f.put("virtualmachines/a/start", ""); a.Code != 202 {
		t.Fatalf("Start: %d %s", a.Code, a.Body)
	}
	a := f.Do(registrytest.Admin, http.MethodPatch, path, "application/apply-patch+yaml", body)
	if want := `Apply failed with 1 conflict: conflict with "virt-api" using kubevirt.io/v1: .spec.runStrategy`; a.Code != 409 || a.Message() != want {
		t.Errorf("Second apply: %d %s, want 409 %s", a.Code, a.Message(), want)
	}
	if a := f.Do(registrytest.Admin, http.MethodPatch, path+"&force=true", "application/apply-patch+yaml", body); a.Code != 200 || f.get("a").Spec.RunStrategy != "Halted" {
		t.Errorf("Forced apply: %d %s", a.Code, a.Body)
	}
}

// TestRoutes reads what is neither an object nor belongs to one.
func TestRoutes(t *testing.T) {
	f := start(t)
	for _, version := range []string{"v1", "v1alpha3"} {
		prefix := "/apis/subresources.kubevirt.io/" + version
		a := f.Do(registrytest.Admin, http.MethodGet, prefix+"/version", "", "")
		var info map[string]string
		if err := json.Unmarshal(a.Body, &info); err != nil || a.Code != 200 || info["gitVersion"] != "v1.9.0" || info["goVersion"] == "" {
			t.Errorf("version: %d %s", a.Code, a.Body)
		}
		if a := f.Do(registrytest.Admin, http.MethodGet, prefix+"/healthz", "", ""); a.Code != 200 || string(a.Body) != `{"apiserver":{"connectivity":"ok"},"config-resource-version":""}` {
			t.Errorf("healthz: %d %s", a.Code, a.Body)
		}
		vm := `{"metadata":{"name":"a"},"spec":{"runStrategy":"Halted","template":{"spec":{"domain":{"devices":{}}}}}}`
		if a := f.Do(registrytest.Admin, http.MethodPut, prefix+"/namespaces/default/expand-vm-spec", "", vm); a.Code != 200 || !strings.Contains(string(a.Body), `"namespace":"default"`) {
			t.Errorf("expand-vm-spec: %d %s", a.Code, a.Body)
		}
		for body, want := range map[string]string{
			`{"metadata":{"namespace":"other"},"spec":{"template":{}}}`: "VM namespace must be empty or default",
			`{"spec":{}}`: "Object is not a valid VirtualMachine: spec.template is missing",
			`{"spec":{"template":{},"instancetype":{"name":"u1.small"}}}`:                               `virtualmachineclusterinstancetypes.instancetype.kubevirt.io "u1.small" not found`,
			`{"spec":{"template":{},"preference":{"name":"debian","kind":"VirtualMachinePreference"}}}`: `virtualmachinepreferences.instancetype.kubevirt.io "debian" not found`,
		} {
			if a := f.Do(registrytest.Admin, http.MethodPut, prefix+"/namespaces/default/expand-vm-spec", "", body); a.Code < 400 || a.Message() != want {
				t.Errorf("expand-vm-spec of %s: %d %s, want %s", body, a.Code, a.Message(), want)
			}
		}
		var list metav1.APIResourceList
		if err := json.Unmarshal(f.Do(registrytest.Admin, http.MethodGet, prefix, "", "").Body, &list); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, r := range list.APIResources {
			got[r.Name] = r.Kind
		}
		want := map[string]string{"virtualmachines": "VirtualMachine", "virtualmachines/portforward": "VirtualMachine", "virtualmachineinstances/portforward": "VirtualMachineInstance",
			"virtualmachineinstances/vnc": "VirtualMachineInstance", "virtualmachineinstances/usbredir": "VirtualMachineInstance", "virtualmachineinstances/vsock": "VirtualMachineInstance", "virtualmachines/start": "StartOptions", "virtualmachines/stop": "StopOptions", "virtualmachines/restart": "RestartOptions",
			"virtualmachineinstances": "VirtualMachineInstance", "virtualmachineinstances/pause": "PauseOptions", "virtualmachineinstances/unpause": "UnpauseOptions", "virtualmachineinstances/console": "VirtualMachineInstance",
			"virtualmachines/evacuate": "VirtualMachine", "virtualmachines/expand-spec": "VirtualMachine", "virtualmachines/objectgraph": "VirtualMachine",
			"virtualmachineinstances/freeze": "VirtualMachineInstance", "virtualmachineinstances/unfreeze": "VirtualMachineInstance", "virtualmachineinstances/reset": "VirtualMachineInstance",
			"virtualmachineinstances/softreboot": "VirtualMachineInstance", "virtualmachineinstances/evacuate": "VirtualMachineInstance", "virtualmachineinstances/objectgraph": "VirtualMachineInstance",
			"virtualmachineinstances/guestosinfo": "VirtualMachineInstanceGuestAgentInfo", "virtualmachineinstances/userlist": "VirtualMachineInstanceGuestOSUserList",
			"virtualmachineinstances/filesystemlist": "VirtualMachineInstanceFileSystemList"}
		for _, a := range support.Actions {
			want[a.Resource] = "VirtualMachine"
			if strings.HasPrefix(a.Resource, "virtualmachineinstances/") {
				want[a.Resource] = "VirtualMachineInstance"
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Resources in %s (-want +got):\n%s", version, diff)
		}
		if a := f.Do(registrytest.Admin, http.MethodGet, prefix+"/namespaces/default/virtualmachines", "", ""); a.Code != 404 {
			t.Errorf("The verbless parent answers %d, want 404", a.Code)
		}
	}
}
