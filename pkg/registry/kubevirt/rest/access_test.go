package rest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
	"github.com/virtplane/virtplane/test/spec"
)

// everything lets an instance have each stream.
func everything(vmi *virtv1.VirtualMachineInstance) {
	vmi.Spec.Domain.Devices.ClientPassthrough = &virtv1.ClientPassthroughDevices{}
	vmi.Spec.Domain.Devices.AutoattachVSOCK = ptr.To(true)
}

// gate lets instances have a VSOCK.
func gate(s *registrytest.Server) {
	s.Config.Set(&virtv1.KubeVirt{Spec: virtv1.KubeVirtSpec{Configuration: virtv1.KubeVirtConfiguration{
		DeveloperConfiguration: &virtv1.DeveloperConfiguration{FeatureGates: []string{"VSOCK"}}}}})
}

// machine makes a VirtualMachine.
func machine(t *testing.T, s *registrytest.Server, name string) {
	t.Helper()
	vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := json.Unmarshal([]byte(`{"runStrategy":"Always","template":{"spec":{"domain":{"memory":{"guest":"64Mi"}}}}}`), &vm.Spec); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client(registrytest.Admin).KubevirtV1().VirtualMachines("default").Create(context.Background(), vm, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestStreams asks for each stream in each group, and wants the agent to be asked for it with what the client said.
func TestStreams(t *testing.T) {
	spec.Covers(t, "P2-CONSOLE-01")
	s := registrytest.Start(t)
	gate(s)
	agent := newAgent(t)
	s.Nodes.Set(agent.URL, agent.Client().Transport)
	running(t, s, "a", virtv1.Running, everything)
	machine(t, s, "a")
	agent.answer = func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) } // how far the request gets is what matters
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, prefix := range []string{"/apis/subresources.kubevirt.io/v1", "/apis/subresources.kubevirt.io/v1alpha3", "/apis/kubevirt.io/v1"} {
		for path, want := range map[string]string{
			"virtualmachineinstances/a/vnc":                       "vnc?preserveSession=false",
			"virtualmachineinstances/a/vnc?preserveSession=true":  "vnc?preserveSession=true",
			"virtualmachineinstances/a/usbredir":                  "usbredir",
			"virtualmachineinstances/a/vsock?port=1024":           "vsock?port=1024&tls=true",
			"virtualmachineinstances/a/vsock?port=7&tls=false":    "vsock?port=7&tls=false",
			"virtualmachineinstances/a/portforward/22":            "portforward/22/tcp",
			"virtualmachineinstances/a/portforward/53/udp":        "portforward/53/udp",
			"virtualmachines/a/portforward/8080/tcp":              "portforward/8080/tcp",
			"virtualmachineinstances/a/console?ignored=parameter": "console",
			"virtualmachineinstances/a/console?history=true":      "console?history=true",
			"virtualmachineinstances/a/console?history=false":     "console",
		} {
			_, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+prefix+"/namespaces/default/"+path, &websocket.DialOptions{Subprotocols: []string{"plain.kubevirt.io"}})
			if err == nil || resp == nil || resp.StatusCode != http.StatusTeapot {
				t.Errorf("%s/%s: %v, %v", prefix, path, resp, err)
				continue
			}
			r := <-agent.requests
			if got := strings.TrimPrefix(r.URL.RequestURI(), "/v1/namespaces/default/virtualmachineinstances/a/"); got != want {
				t.Errorf("%s/%s: the agent was asked for %s, want %s", prefix, path, got, want)
			}
		}
	}
}

// TestStreamsRefused wants the codes and texts on which clients decide what to do.
func TestStreamsRefused(t *testing.T) {
	s := registrytest.Start(t)
	gate(s)
	running(t, s, "plain", virtv1.Running, func(vmi *virtv1.VirtualMachineInstance) {
		vmi.Spec.Domain.Devices.AutoattachGraphicsDevice = ptr.To(false)
	})
	running(t, s, "paused", virtv1.Running, func(vmi *virtv1.VirtualMachineInstance) {
		vmi.Status.Conditions = []virtv1.VirtualMachineInstanceCondition{{Type: virtv1.VirtualMachineInstancePaused, Status: "True"}}
	})
	running(t, s, "scheduled", virtv1.Scheduled, everything)
	running(t, s, "failed", virtv1.Failed, everything)
	machine(t, s, "stopped")
	machine(t, s, "scheduled")
	for _, row := range []struct {
		path    string
		code    int
		message string
	}{
		{"virtualmachineinstances/plain/vnc", 400, "No graphics devices are present."},
		{"virtualmachineinstances/plain/vnc/screenshot", 400, "No graphics devices are present."},
		{"virtualmachineinstances/paused/vnc?preserveSession=maybe", 400, `preserveSession "maybe" must be true or false`},
		{"virtualmachineinstances/paused/console?history=maybe", 400, `history "maybe" must be true or false`},
		{"virtualmachineinstances/paused/vnc/screenshot?moveCursor=maybe", 400, `moveCursor "maybe" must be true or false`},
		{"virtualmachineinstances/paused/vnc/cursor", 404, `virtualmachineinstances/vnc/cursor.subresources.kubevirt.io "paused" not found`},
		{"virtualmachineinstances/plain/usbredir", 409, `Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "plain": Not configured with USB Redirection`},
		{"virtualmachineinstances/plain/vsock?port=1", 400, "VSOCK is not attached."},
		{"virtualmachineinstances/plain/vsock", 400, `port "" must be a number of 32 bits`},
		{"virtualmachineinstances/plain/vsock?port=1&tls=maybe", 400, `tls "maybe" must be true or false`},
		{"virtualmachineinstances/paused/portforward/22", 409, `Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "paused": VMI is paused`},
		{"virtualmachineinstances/plain/portforward", 400, "port must not be empty"},
		{"virtualmachineinstances/plain/portforward/0", 400, `port "0" must be a number from 1 to 65535`},
		{"virtualmachineinstances/plain/portforward/ssh", 400, `port "ssh" must be a number from 1 to 65535`},
		{"virtualmachineinstances/plain/portforward/22/sctp", 400, `protocol "sctp" must be tcp or udp`},
		{"virtualmachineinstances/plain/portforward/22/tcp/more", 400, "the path must end with PORT or PORT/PROTOCOL"},
		{"virtualmachineinstances/missing/portforward/22", 404, `virtualmachineinstance.kubevirt.io "missing" not found`},
		{"virtualmachines/missing/portforward/22", 404, `virtualmachine.kubevirt.io "missing" not found`},
		{"virtualmachines/stopped/portforward/22", 409, `Operation cannot be fulfilled on virtualmachine.kubevirt.io "stopped": VMI is not started`},
		{"virtualmachines/scheduled/portforward/22", 400, "Unable to connect to VirtualMachineInstance because phase is Scheduled instead of Running"},
		{"virtualmachineinstances/scheduled/vnc", 400, "VMI is not running"},
		{"virtualmachineinstances/scheduled/vnc/screenshot", 400, "VMI is not running"},
		{"virtualmachineinstances/scheduled/usbredir", 400, "VMI is not running"},
		{"virtualmachineinstances/scheduled/vsock?port=1", 400, "Unable to connect to VirtualMachineInstance because phase is Scheduled instead of Running"},
		{"virtualmachineinstances/failed/vnc", 400, "VMI is not running"},
		{"virtualmachineinstances/failed/vsock?port=1", 409, `Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "failed": VMI is in failed status`},
	} {
		t.Run(row.path, func(t *testing.T) {
			a := s.Do(registrytest.Admin, http.MethodGet, "/apis/subresources.kubevirt.io/v1/namespaces/default/"+row.path, "", "")
			if a.Code != row.code || a.Message() != row.message {
				t.Errorf("Answer is %d %q, want %d %q", a.Code, a.Message(), row.code, row.message)
			}
		})
	}
}

// TestStreamsNeedCreate shows that in kubevirt.io a reader opens none of the streams.
func TestStreamsNeedCreate(t *testing.T) {
	s := registrytest.Start(t)
	gate(s)
	agent := newAgent(t)
	s.Nodes.Set(agent.URL, agent.Client().Transport)
	running(t, s, "a", virtv1.Running, everything)
	machine(t, s, "a")
	s.Authorizer.Deny("reader", "create")
	for _, path := range []string{"virtualmachineinstances/a/vnc", "virtualmachineinstances/a/usbredir", "virtualmachineinstances/a/vsock?port=1",
		"virtualmachineinstances/a/portforward/22", "virtualmachines/a/portforward/22"} {
		path = "/namespaces/default/" + path
		if a := s.Do("reader", http.MethodGet, "/apis/kubevirt.io/v1"+path, "", ""); a.Code != 403 || !strings.Contains(a.Message(), `the verb "create" is needed`) {
			t.Errorf("%s: %d %s, want 403", path, a.Code, a.Message())
		}
		for user, prefix := range map[string]string{"writer": "/apis/kubevirt.io/v1", "reader": "/apis/subresources.kubevirt.io/v1"} {
			if a := s.Do(user, http.MethodGet, prefix+path, "", ""); a.Code != 400 || a.Message() != "Upgrade request required" {
				t.Errorf("%s by a %s: %d %s, want 400 Upgrade request required", prefix+path, user, a.Code, a.Message())
			}
		}
	}
}

// TestScreenshot passes an image on, to those who may have it: kube-apiserver has authorized vnc alone.
func TestScreenshot(t *testing.T) {
	s := registrytest.Start(t)
	agent := newAgent(t)
	s.Nodes.Set(agent.URL, agent.Client().Transport)
	running(t, s, "a", virtv1.Running, nil)
	agent.answer = func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = io.WriteString(w, "\x89PNG")
	}
	const shot = "/namespaces/default/virtualmachineinstances/a/vnc/screenshot"
	s.Authorizer.Deny("viewer", "get vnc/screenshot")
	for _, prefix := range []string{"/apis/subresources.kubevirt.io/v1", "/apis/subresources.kubevirt.io/v1alpha3", "/apis/kubevirt.io/v1"} {
		s.Authorizer.Deny("reader", "create") // an image is only looked at
		a := s.Do("reader", http.MethodGet, prefix+shot+"?moveCursor=true", "", "")
		if a.Code != 200 || string(a.Body) != "\x89PNG" {
			t.Fatalf("%s: %d %s", prefix, a.Code, a.Body)
		}
		if r := <-agent.requests; r.URL.RequestURI() != "/v1"+shot+"?moveCursor=true" {
			t.Errorf("%s: the agent was asked for %s", prefix, r.URL.RequestURI())
		}
		if a := s.Do("viewer", http.MethodGet, prefix+shot, "", ""); a.Code != 403 || !strings.Contains(a.Message(), `"get" is needed on virtualmachineinstances/vnc/screenshot`) {
			t.Errorf("%s without the right: %d %s", prefix, a.Code, a.Message())
		}
	}
	agent.answer = func(w http.ResponseWriter) {
		w.WriteHeader(503)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","code":503,"message":"the launcher does not answer"}`)
	}
	if a := s.Do(registrytest.Admin, http.MethodGet, "/apis/subresources.kubevirt.io/v1"+shot, "", ""); a.Code != 503 || a.Message() != "the launcher does not answer" {
		t.Errorf("refused by the agent: %d %s", a.Code, a.Message())
	}
	agent.answer = func(w http.ResponseWriter) {
		_, _ = io.WriteString(w, "half of")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	resp, err := http.Get(s.URL + "/apis/subresources.kubevirt.io/v1" + shot)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("half of an image is taken for a whole one")
	}
}
