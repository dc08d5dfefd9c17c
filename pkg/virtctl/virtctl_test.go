package virtctl

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

// request is what the fake API server saw.
type request struct{ Method, Path, Body string }

type fakeServer struct {
	mu       sync.Mutex
	requests []request
	// answer decides the answer to a request; nil answers 202.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := ""
	if r.Header.Get("Upgrade") == "" {
		raw, _ := io.ReadAll(r.Body)
		body = string(raw)
	}
	f.mu.Lock()
	f.requests = append(f.requests, request{r.Method, r.URL.Path, body})
	f.mu.Unlock()
	if f.answer != nil && f.answer(w, r) {
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func status(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Message: message})
}

// run runs virtctl against the fake server.
func run(t *testing.T, f *fakeServer, stdin io.Reader, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	t.Setenv("KUBECONFIG", "/dev/null")
	var out, errOut bytes.Buffer
	cmd := NewCommand(genericiooptions.IOStreams{In: stdin, Out: &out, ErrOut: &errOut})
	cmd.SetArgs(append(args, "--server", server.URL, "-n", "ns"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = cmd.ExecuteContext(ctx)
	return out.String(), errOut.String(), err
}

func TestActionsOnTheWire(t *testing.T) {
	const base = "/apis/subresources.kubevirt.io/v1/namespaces/ns/"
	for _, tc := range []struct {
		args []string
		want request
		out  string
	}{
		{[]string{"start", "web"}, request{"PUT", base + "virtualmachines/web/start", `{}`}, "VM web was scheduled to start\n"},
		{[]string{"start", "web", "--paused"}, request{"PUT", base + "virtualmachines/web/start", `{"paused":true}`}, "VM web was scheduled to start\n"},
		{[]string{"stop", "web"}, request{"PUT", base + "virtualmachines/web/stop", `{}`}, "VM web was scheduled to stop\n"},
		{[]string{"stop", "web", "--force", "--grace-period", "0"}, request{"PUT", base + "virtualmachines/web/stop", `{"gracePeriod":0}`}, "VM web was scheduled to stop\n"},
		{[]string{"restart", "web"}, request{"PUT", base + "virtualmachines/web/restart", `{}`}, "VM web was scheduled to restart\n"},
		{[]string{"restart", "web", "--force", "--grace-period=0"}, request{"PUT", base + "virtualmachines/web/restart", `{"gracePeriodSeconds":0}`}, "VM web was scheduled to restart\n"},
		{[]string{"pause", "vm", "web"}, request{"PUT", base + "virtualmachineinstances/web/pause", `{}`}, "VMI web was scheduled to pause\n"},
		{[]string{"unpause", "vmi", "web", "--dry-run"}, request{"PUT", base + "virtualmachineinstances/web/unpause", `{"dryRun":["All"]}`}, "VMI web was scheduled to unpause (dry run)\n"},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			f := &fakeServer{}
			out, _, err := run(t, f, nil, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]request{tc.want}, f.requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if out != tc.out {
				t.Errorf("printed %q, want %q", out, tc.out)
			}
		})
	}
}

func TestRefusalsAreTold(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"the server's reason", []string{"start", "web"}, "start web: VM is already running"},
		{"force without a period", []string{"stop", "web", "--force"}, "--force needs --grace-period=SECONDS (0 cuts the guest off at once)"},
		{"period without force", []string{"stop", "web", "--grace-period=3"}, "--grace-period needs --force"},
		{"neither vm nor vmi", []string{"pause", "pod", "web"}, `"pod" is neither vm nor vmi: say pause vm NAME or pause vmi NAME`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &fakeServer{answer: func(w http.ResponseWriter, _ *http.Request) bool {
				status(w, 409, "VM is already running")
				return true
			}}
			_, _, err := run(t, f, nil, tc.args...)
			if err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestConsoleWaitsRelaysAndLeaves(t *testing.T) {
	var got bytes.Buffer
	refusals := 2
	phase := virtv1.Scheduling
	f := &fakeServer{}
	f.answer = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/console"):
			if refusals > 0 {
				refusals--
				status(w, 400, "VMI is not running")
				return true
			}
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{plainProtocol}})
			if err != nil {
				t.Error(err)
				return true
			}
			defer conn.CloseNow()
			if conn.Subprotocol() != plainProtocol {
				t.Errorf("subprotocol %q", conn.Subprotocol())
			}
			_ = conn.Write(r.Context(), websocket.MessageText, []byte("ignored"))
			_ = conn.Write(r.Context(), websocket.MessageBinary, []byte("login: "))
			for {
				_, data, err := conn.Read(r.Context())
				if err != nil {
					return true
				}
				got.Write(data)
			}
		case r.URL.Query().Get("watch") != "":
			w.Header().Set("Content-Type", "application/json")
			return true // ends at once: as good as a change
		case strings.HasSuffix(r.URL.Path, "/virtualmachineinstances/web"):
			vmi := virtv1.VirtualMachineInstance{TypeMeta: metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachineInstance"},
				ObjectMeta: metav1.ObjectMeta{Name: "web", ResourceVersion: "5"}, Status: virtv1.VirtualMachineInstanceStatus{Phase: phase}}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(vmi)
			return true
		}
		return false
	}
	in, typed := io.Pipe()
	go func() {
		_, _ = typed.Write([]byte("root\r"))
		time.Sleep(100 * time.Millisecond) // let the server's greeting arrive before we leave
		_, _ = typed.Write([]byte("ls\x1dnever sent"))
	}()
	out, errOut, err := run(t, f, in, "console", "web", "--timeout", "1")
	if err != nil {
		t.Fatal(err)
	}
	if out != "login: " {
		t.Errorf("printed %q", out)
	}
	if got.String() != "root\rls" {
		t.Errorf("the guest got %q", got.String())
	}
	if want := "Waiting for web: it is Scheduling\n"; strings.Count(errOut, want) != 1 {
		t.Errorf("standard error %q does not hold %q once", errOut, want)
	}
	spec.Covers(t, "P2-VMI-04")
}

func TestVersion(t *testing.T) {
	f := &fakeServer{answer: func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"gitVersion":"v1.9.0"}`))
		return true
	}}
	out, _, err := run(t, f, nil, "version")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "Client Version: version.Info{") || !strings.Contains(out, `Server Version: version.Info{GitVersion:"v1.9.0"`) {
		t.Errorf("printed %q", out)
	}
}
