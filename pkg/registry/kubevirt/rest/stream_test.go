package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
	"github.com/virtplane/virtplane/test/spec"
)

const console = "/namespaces/default/virtualmachineinstances/a/console"

// running makes an instance in a phase.
func running(t *testing.T, s *registrytest.Server, name string, phase virtv1.VirtualMachineInstancePhase, change func(*virtv1.VirtualMachineInstance)) {
	t.Helper()
	client := s.Client(registrytest.Admin).KubevirtV1().VirtualMachineInstances("default")
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := json.Unmarshal([]byte(`{"domain":{"memory":{"guest":"64Mi"}}}`), &vmi.Spec); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(vmi)
	}
	status := vmi.Status
	created, err := client.Create(context.Background(), vmi, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	created.Status = status
	created.Status.Phase, created.Status.NodeName = phase, "node"
	if _, err := client.UpdateStatus(context.Background(), created, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// agent is a fake of a node's agent: it echoes the console in upper case, and records what it was asked.
type agent struct {
	*httptest.Server
	requests chan *http.Request
	answer   func(http.ResponseWriter)
}

func newAgent(t *testing.T) *agent {
	a := &agent{requests: make(chan *http.Request, 10)}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.requests <- r
		if a.answer != nil {
			a.answer(w)
			return
		}
		if !strings.HasSuffix(r.URL.Path, "/console") {
			return
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"plain.kubevirt.io"}})
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		for {
			kind, data, err := c.Read(context.Background())
			if err != nil {
				return
			}
			if string(data) == "exit" {
				_ = c.Close(websocket.StatusNormalClosure, "the guest has ended")
				return
			}
			if c.Write(context.Background(), kind, bytes.ToUpper(data)) != nil {
				return
			}
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// TestConsole goes through the whole relay in both groups: the subprotocol is echoed, bytes flow both ways, the end is
// passed on, and neither the client's credentials nor its other subprotocols reach the agent.
func TestConsole(t *testing.T) {
	s := registrytest.Start(t)
	agent := newAgent(t)
	s.Nodes.Set(agent.URL, agent.Client().Transport)
	running(t, s, "a", virtv1.Running, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, prefix := range []string{"/apis/subresources.kubevirt.io/v1", "/apis/subresources.kubevirt.io/v1alpha3", "/apis/kubevirt.io/v1"} {
		t.Run(prefix, func(t *testing.T) {
			c, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+prefix+console, &websocket.DialOptions{
				Subprotocols: []string{"plain.kubevirt.io", "base64url.bearer.authorization.k8s.io.c2VjcmV0"},
				HTTPHeader:   http.Header{"Authorization": {"Bearer secret"}, "Cookie": {"a=b"}, "X-Remote-User": {"me"}, "X-Remote-Extra-A": {"b"}},
			})
			if err != nil {
				t.Fatalf("Dial: %v", err)
			}
			defer func() { _ = c.CloseNow() }()
			if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != "plain.kubevirt.io" {
				t.Errorf("Subprotocol is %q, want plain.kubevirt.io", got)
			}
			r := <-agent.requests
			if r.URL.Path != "/v1"+console {
				t.Errorf("The agent was asked for %s, want /v1%s", r.URL.Path, console)
			}
			for _, name := range []string{"Authorization", "Cookie", "X-Remote-User", "X-Remote-Extra-A"} {
				if r.Header.Get(name) != "" {
					t.Errorf("The agent got the header %s", name)
				}
			}
			if got := r.Header.Values("Sec-WebSocket-Protocol"); len(got) != 1 || got[0] != "plain.kubevirt.io" {
				t.Errorf("The agent was offered %v", got)
			}
			big := bytes.Repeat([]byte("a"), 20_000)
			for _, text := range [][]byte{[]byte("login"), big} {
				if err := c.Write(ctx, websocket.MessageBinary, text); err != nil {
					t.Fatal(err)
				}
				kind, got, err := c.Read(ctx)
				if err != nil || kind != websocket.MessageBinary || !bytes.Equal(got, bytes.ToUpper(text)) {
					t.Fatalf("Read %v of %d bytes, %v, want a binary frame of %d", kind, len(got), err, len(text))
				}
			}
			if err := c.Write(ctx, websocket.MessageBinary, []byte("exit")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				t.Errorf("The stream ended with %v, want a normal closure", err)
			}
		})
	}
}

// TestConsoleRefused wants the codes on which clients decide whether to try again.
func TestConsoleRefused(t *testing.T) {
	s := registrytest.Start(t)
	for _, row := range []struct {
		name    string
		phase   virtv1.VirtualMachineInstancePhase
		change  func(*virtv1.VirtualMachineInstance)
		code    int
		message string
	}{
		{"pending", virtv1.Pending, nil, 400, "Unable to connect to VirtualMachineInstance because phase is Pending instead of Running"},
		{"scheduled", virtv1.Scheduled, nil, 400, "Unable to connect to VirtualMachineInstance because phase is Scheduled instead of Running"},
		{"succeeded", virtv1.Succeeded, nil, 400, "Unable to connect to VirtualMachineInstance because phase is Succeeded instead of Running"},
		{"failed", virtv1.Failed, nil, 409, `Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "failed": VMI is in failed status`},
		{"no console", virtv1.Running, func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Domain.Devices.AutoattachSerialConsole = ptr.To(false)
		}, 400, "No serial consoles are present."},
		{"missing", "", nil, 404, `virtualmachineinstance.kubevirt.io "missing" not found`},
	} {
		t.Run(row.name, func(t *testing.T) {
			name := strings.ReplaceAll(row.name, " ", "-")
			if row.phase != "" {
				running(t, s, name, row.phase, row.change)
			}
			_, resp, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(s.URL, "http")+"/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachineinstances/"+name+"/console", &websocket.DialOptions{Subprotocols: []string{"plain.kubevirt.io"}})
			if err == nil {
				t.Fatal("The connection was upgraded")
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			var status metav1.Status
			if err := json.Unmarshal(body, &status); err != nil {
				t.Fatalf("The answer is no Status: %s", body)
			}
			if resp.StatusCode != row.code || int(status.Code) != row.code || status.Message != row.message {
				t.Errorf("Answer is %d %q, want %d %q", resp.StatusCode, status.Message, row.code, row.message)
			}
		})
	}
}

// TestConsoleNeedsCreate shows that in kubevirt.io a reader cannot open a console with GET, while the reference's group asks
// for get alone (decision 4).
func TestConsoleNeedsCreate(t *testing.T) {
	s := registrytest.Start(t)
	agent := newAgent(t)
	s.Nodes.Set(agent.URL, agent.Client().Transport)
	running(t, s, "a", virtv1.Running, nil)
	s.Authorizer.Deny("reader", "create")
	a := s.Do("reader", http.MethodGet, "/apis/kubevirt.io/v1"+console, "", "")
	want := `virtualmachineinstances.kubevirt.io/console "a" is forbidden: the verb "create" is needed on virtualmachineinstances/console.kubevirt.io: denied by the test`
	if a.Code != 403 || !strings.Contains(a.Message(), `the verb "create" is needed`) {
		t.Errorf("GET of a reader: %d %s, want 403 %s", a.Code, a.Message(), want)
	}
	if a := s.Do("reader", http.MethodPost, "/apis/kubevirt.io/v1"+console, "", ""); a.Code != 403 {
		t.Errorf("POST of a reader: %d %s, want 403", a.Code, a.Message())
	}
	if a := s.Do("reader", http.MethodGet, "/apis/subresources.kubevirt.io/v1"+console, "", ""); a.Code != 400 || a.Message() != "Upgrade request required" {
		t.Errorf("GET of a reader in the other group: %d %s, want 400 Upgrade request required", a.Code, a.Message())
	}
	if a := s.Do("writer", http.MethodGet, "/apis/kubevirt.io/v1"+console, "", ""); a.Code != 400 || a.Message() != "Upgrade request required" {
		t.Errorf("GET of a writer: %d %s, want 400 Upgrade request required", a.Code, a.Message())
	}
}

// TestConsoleUnreachable passes on why a node is not reached, and what an agent answers instead of upgrading.
func TestConsoleUnreachable(t *testing.T) {
	s := registrytest.Start(t)
	agent := newAgent(t)
	s.Nodes.Set(agent.URL, agent.Client().Transport)
	running(t, s, "a", virtv1.Running, nil)
	dial := func() (int, string) {
		t.Helper()
		_, resp, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(s.URL, "http")+"/apis/subresources.kubevirt.io/v1"+console, nil)
		if err == nil {
			t.Fatal("The connection was upgraded")
		}
		body, _ := io.ReadAll(resp.Body)
		var status metav1.Status
		_ = json.Unmarshal(body, &status)
		return resp.StatusCode, status.Message
	}
	agent.answer = func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","code":400,"message":"the guest has no console yet"}`)
	}
	if code, message := dial(); code != 400 || message != "the guest has no console yet" {
		t.Errorf("Refusal of the agent: %d %s", code, message)
	}
	s.Nodes.Fail(apierrors.NewServiceUnavailable("no agent is ready on node node"))
	if code, message := dial(); code != 503 || message != "no agent is ready on node node" {
		t.Errorf("No agent: %d %s", code, message)
	}
	s.Nodes.Set("https://127.0.0.1:1", agent.Client().Transport)
	if code, message := dial(); code != 503 || message != "could not reach the agent of the node: error dialing backend: dial tcp 127.0.0.1:1: connect: connection refused" {
		t.Errorf("Nobody there: %d %s", code, message)
	}
}

// TestPause pauses and unpauses through the agent, in both groups.
func TestPause(t *testing.T) {
	spec.Covers(t, "P2-STATE-10")
	s := registrytest.Start(t)
	type call struct {
		action string
		code   int
		text   string
		asked  bool
	}
	paused := func(vmi *virtv1.VirtualMachineInstance) {
		vmi.Status.Conditions = []virtv1.VirtualMachineInstanceCondition{{Type: virtv1.VirtualMachineInstancePaused, Status: "True"}}
	}
	for _, row := range []struct {
		name   string
		phase  virtv1.VirtualMachineInstancePhase
		change func(*virtv1.VirtualMachineInstance)
		body   string
		answer func(http.ResponseWriter)
		calls  []call
	}{
		{name: "running", phase: virtv1.Running, calls: []call{{"pause", 200, "", true}, {"unpause", 409, "VMI is not paused", false}}},
		{name: "paused", phase: virtv1.Running, change: paused, calls: []call{{"pause", 409, "VMI is already paused", false}, {"unpause", 200, "", true}}},
		{name: "scheduled", phase: virtv1.Scheduled, calls: []call{{"pause", 409, "VM is not running", false}, {"unpause", 409, "VMI is not running", false}}},
		{name: "dry run", phase: virtv1.Running, body: `{"dryRun":["All"]}`, calls: []call{{"pause", 200, "", false}}},
		{name: "unknown dry run", phase: virtv1.Running, body: `{"dryRun":["Maybe"]}`, calls: []call{{"pause", 400, "supported values", false}}},
		{name: "liveness probe", phase: virtv1.Running, change: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.LivenessProbe = &virtv1.Probe{}
			_ = json.Unmarshal([]byte(`{"tcpSocket":{"port":80}}`), vmi.Spec.LivenessProbe)
		}, calls: []call{{"pause", 403, "Pausing VMIs with LivenessProbe is currently not supported", false}}},
		{name: "ping probe", phase: virtv1.Running, change: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.LivenessProbe = &virtv1.Probe{GuestAgentPing: &virtv1.GuestAgentPing{}}
		}, calls: []call{{"pause", 200, "", true}}},
		{name: "migrating", phase: virtv1.Running, change: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Status.MigrationState = &virtv1.VirtualMachineInstanceMigrationState{}
		}, calls: []call{{"pause", 409, "currently being migrated", false}}},
		{name: "agent refuses", phase: virtv1.Running, answer: func(w http.ResponseWriter) {
			w.WriteHeader(409)
			_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","code":409,"reason":"Conflict","message":"the guest is gone"}`)
		}, calls: []call{{"pause", 409, "the guest is gone", true}}},
		{name: "agent talks nonsense", phase: virtv1.Running, answer: func(w http.ResponseWriter) {
			w.WriteHeader(418)
			_, _ = io.WriteString(w, `<html>`)
		}, calls: []call{{"pause", 500, "node node answered 418 I'm a teapot", true}}},
	} {
		for _, group := range []struct {
			method, prefix string
			success        int
		}{{http.MethodPut, "/apis/subresources.kubevirt.io/v1", 200}, {http.MethodPost, "/apis/kubevirt.io/v1", 201}} {
			t.Run(row.name+" "+group.method, func(t *testing.T) {
				agent := newAgent(t)
				agent.answer = row.answer
				s.Nodes.Set(agent.URL, agent.Client().Transport)
				name := strings.ToLower(strings.ReplaceAll(row.name+" "+group.method, " ", "-"))
				running(t, s, name, row.phase, row.change)
				body := row.body
				if body == "" && group.method == http.MethodPost {
					body = "{}"
				}
				for _, c := range row.calls {
					want := c.code
					if want == 200 {
						want = group.success
					}
					a := s.Do(registrytest.Admin, group.method, group.prefix+"/namespaces/default/virtualmachineinstances/"+name+"/"+c.action, "application/json", body)
					if a.Code != want || c.code >= 400 && !strings.Contains(a.Message(), c.text) {
						t.Errorf("%s: %d %s, want %d %q", c.action, a.Code, a.Body, want, c.text)
					}
					var asked []string
					select {
					case r := <-agent.requests:
						asked = append(asked, r.Method+" "+r.URL.Path)
					default:
					}
					var wanted []string
					if c.asked {
						wanted = []string{"PUT /v1/namespaces/default/virtualmachineinstances/" + name + "/" + c.action}
					}
					if diff := cmp.Diff(wanted, asked); diff != "" {
						t.Errorf("%s: the agent was asked (-want +got):\n%s", c.action, diff)
					}
				}
			})
		}
	}
}
