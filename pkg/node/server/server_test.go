package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	pods "github.com/virtplane/virtplane/pkg/node/pod"
)

const waitFor = 20 * time.Second

// fakeMachines is a node with one instance.
type fakeMachines struct {
	rebooted int
	vmi      *virtv1.VirtualMachineInstance
	client   launcher.LauncherClient
}

func (m *fakeMachines) Machine(_, name string) (*virtv1.VirtualMachineInstance, types.UID, launcher.LauncherClient, error) {
	if m.vmi == nil || m.vmi.Name != name {
		return nil, "", nil, apierrors.NewNotFound(virtv1.Resource("virtualmachineinstance"), name)
	}
	return m.vmi, "pod", m.client, nil
}

func (m *fakeMachines) SoftRebooted(*virtv1.VirtualMachineInstance) { m.rebooted++ }

type fakeClient struct {
	launcher.LauncherClient
	mu     sync.Mutex
	called []string
	err    error
}

func (c *fakeClient) note(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.called = append(c.called, name)
	return c.err
}

func (c *fakeClient) Pause(context.Context, *launcher.PauseRequest, ...grpc.CallOption) (*launcher.PauseResponse, error) {
	return nil, c.note("pause")
}
func (c *fakeClient) Unpause(context.Context, *launcher.UnpauseRequest, ...grpc.CallOption) (*launcher.UnpauseResponse, error) {
	return nil, c.note("unpause")
}
func (c *fakeClient) Reset(context.Context, *launcher.ResetRequest, ...grpc.CallOption) (*launcher.ResetResponse, error) {
	return nil, c.note("reset")
}
func (c *fakeClient) SoftReboot(context.Context, *launcher.SoftRebootRequest, ...grpc.CallOption) (*launcher.SoftRebootResponse, error) {
	return nil, c.note("softreboot")
}

// fakeGuest plays QEMU's sockets: like QEMU it serves one connection at a time.
type fakeGuest struct {
	mu    sync.Mutex
	conns chan net.Conn
	open  int
	most  int
	err   error
	// older is a launcher that has no socket for the console's history.
	older  bool
	dialed []string
}

func (g *fakeGuest) dial(_ context.Context, pod types.UID, socket string) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return nil, g.err
	}
	g.dialed = append(g.dialed, socket)
	if g.older && socket == "virt-serial0-history" {
		return nil, fmt.Errorf("opening %s: %w", socket, pods.ErrNotThere)
	}
	if pod != "pod" || socket != "virt-serial0" && socket != "virt-serial0-history" && socket != "virt-vnc" && !strings.HasPrefix(socket, "virt-usbredir-") {
		return nil, errors.New("no such socket")
	}
	ours, theirs := net.Pipe()
	g.open++
	g.most = max(g.most, g.open)
	g.conns <- theirs
	return &counted{Conn: ours, guest: g}, nil
}

type counted struct {
	net.Conn
	guest *fakeGuest
	once  sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.guest.mu.Lock()
		c.guest.open--
		c.guest.mu.Unlock()
	})
	return c.Conn.Close()
}

type lab struct {
	t        *testing.T
	machines *fakeMachines
	client   *fakeClient
	guest    *fakeGuest
	server   *Server
	url      string
}

func newLab(t *testing.T, change func(*lab)) *lab {
	t.Helper()
	client := &fakeClient{}
	l := &lab{t: t, client: client, guest: &fakeGuest{conns: make(chan net.Conn, 10)}, machines: &fakeMachines{client: client, vmi: &virtv1.VirtualMachineInstance{
		ObjectMeta: metav1.ObjectMeta{Name: "testvm", Namespace: "default", UID: "1"},
		Status:     virtv1.VirtualMachineInstanceStatus{Phase: virtv1.Running},
	}}}
	l.server = New(l.machines, Ways{Socket: l.guest.dial})
	if change != nil {
		change(l)
	}
	server := httptest.NewServer(l.server.Handler())
	t.Cleanup(server.Close)
	l.url = server.URL + "/v1/namespaces/default/virtualmachineinstances/testvm/"
	return l
}

func (l *lab) connect(path string) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), waitFor)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, l.url+path, &websocket.DialOptions{
		Subprotocols: []string{"plain.kubevirt.io"}, HTTPHeader: http.Header{"Origin": {"https://console.example"}}})
	if err == nil {
		l.t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, response, err
}

// open connects and gives both ends.
func (l *lab) open(path string) (*websocket.Conn, net.Conn) {
	l.t.Helper()
	client, _, err := l.connect(path)
	if err != nil {
		l.t.Fatal(err)
	}
	select {
	case guest := <-l.guest.conns:
		return client, guest
	case <-time.After(waitFor):
		l.t.Fatal("waiting for the connection to the guest")
	}
	return nil, nil
}

func (l *lab) read(client *websocket.Conn) ([]byte, error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), waitFor)
	defer cancel()
	kind, data, err := client.Read(ctx)
	if err == nil && kind != websocket.MessageBinary {
		l.t.Errorf("a frame of type %s", kind)
	}
	return data, err
}

func TestRelaysBytesBothWays(t *testing.T) {
	for _, path := range []string{"console", "vnc"} {
		t.Run(path, func(t *testing.T) {
			l := newLab(t, nil)
			client, guest := l.open(path)
			if got := client.Subprotocol(); got != "plain.kubevirt.io" {
				t.Errorf("subprotocol %q", got)
			}
			go func() { _, _ = guest.Write([]byte("login: ")) }()
			if data, err := l.read(client); err != nil || string(data) != "login: " {
				t.Errorf("the client read %q, %v", data, err)
			}
			// Frames that are not binary are not the guest's.
			for kind, text := range map[websocket.MessageType]string{websocket.MessageText: "ignored", websocket.MessageBinary: "root\n\x00\xff"} {
				if err := client.Write(t.Context(), kind, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			buf := make([]byte, 100)
			_ = guest.SetReadDeadline(time.Now().Add(waitFor))
			if n, err := io.ReadAtLeast(guest, buf, 7); err != nil || string(buf[:n]) != "root\n\x00\xff" {
				t.Errorf("the guest read %q, %v", buf[:n], err)
			}
			large := strings.Repeat("x", 100_000)
			go func() { _ = client.Write(context.WithoutCancel(t.Context()), websocket.MessageBinary, []byte(large)) }()
			got := make([]byte, len(large))
			if _, err := io.ReadFull(guest, got); err != nil || string(got) != large {
				t.Errorf("a large frame: %v", err)
			}
			// The guest's end is a normal close.
			_ = guest.Close()
			_, err := l.read(client)
			if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				t.Errorf("closed by %v", err)
			}
		})
	}
}

func TestClientThatGoesFreesTheSocket(t *testing.T) {
	l := newLab(t, nil)
	client, guest := l.open("console")
	if err := client.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	_ = guest.SetReadDeadline(time.Now().Add(waitFor))
	if _, err := guest.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the guest's socket: %v", err)
	}
	l.open("console")
}

func TestNewClientEvictsTheOlder(t *testing.T) {
	l := newLab(t, nil)
	older, _ := l.open("console")
	evicted := make(chan error, 1)
	go func() {
		_, err := l.read(older)
		evicted <- err
	}()
	newer, guest := l.open("console")
	err := <-evicted
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != websocket.StatusGoingAway || closed.Reason != "EOF: another client has connected and takes your place" {
		t.Errorf("the older client was closed by %v", err)
	}
	go func() { _, _ = guest.Write([]byte("for the newer")) }()
	if data, err := l.read(newer); err != nil || string(data) != "for the newer" {
		t.Errorf("the newer client read %q, %v", data, err)
	}
	if l.guest.most != 1 {
		t.Errorf("%d connections to the guest at a time", l.guest.most)
	}
	// Console and VNC do not disturb one another.
	l.open("vnc")
	go func() { _, _ = guest.Write([]byte("still")) }()
	if data, err := l.read(newer); err != nil || string(data) != "still" {
		t.Errorf("the console read %q, %v", data, err)
	}
}

// TestHistory: only who asks for it sees what others have seen before, and it is one console all the same.
func TestHistory(t *testing.T) {
	for _, tc := range []struct {
		path  string
		older bool
		want  []string
	}{
		{"console", false, []string{"virt-serial0"}},
		{"console?history=false", false, []string{"virt-serial0"}},
		{"console?history=true", false, []string{"virt-serial0-history"}},
		{"console?history=true", true, []string{"virt-serial0-history", "virt-serial0"}},
	} {
		t.Run(fmt.Sprint(tc.path, tc.older), func(t *testing.T) {
			l := newLab(t, nil)
			l.guest.older = tc.older
			l.open(tc.path)
			if !slices.Equal(l.guest.dialed, tc.want) {
				t.Errorf("connected to %q, want %q", l.guest.dialed, tc.want)
			}
			l.open("console")
			if l.guest.most != 1 {
				t.Errorf("%d connections to the guest at a time", l.guest.most)
			}
		})
	}
}

func TestPreserveSession(t *testing.T) {
	l := newLab(t, nil)
	l.open("vnc")
	_, response, err := l.connect("vnc?preserveSession=true")
	if err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("got %v, %v", response, err)
	}
}

func TestPings(t *testing.T) {
	l := newLab(t, func(l *lab) { l.server.pingEvery = 10 * time.Millisecond })
	pings := make(chan struct{}, 1000)
	client, _, err := websocket.Dial(t.Context(), l.url+"console", &websocket.DialOptions{
		OnPingReceived: func(context.Context, []byte) bool { pings <- struct{}{}; return true }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.CloseNow() }()
	go func() { _, _, _ = client.Read(context.WithoutCancel(t.Context())) }()
	for range 3 {
		select {
		case <-pings:
		case <-time.After(waitFor):
			t.Fatal("waiting for a ping")
		}
	}
}

func TestDeadClientFreesTheSocket(t *testing.T) {
	l := newLab(t, func(l *lab) { l.server.pingEvery, l.server.pongWithin = 10*time.Millisecond, 10*time.Millisecond })
	_, guest := l.open("console") // it never reads, and so never answers
	_ = guest.SetReadDeadline(time.Now().Add(waitFor))
	if _, err := guest.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the guest's socket: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	no := false
	phase := func(p virtv1.VirtualMachineInstancePhase) func(*lab) {
		return func(l *lab) { l.machines.vmi.Status.Phase = p }
	}
	for _, tc := range []struct {
		name, method, path string
		plain              bool
		change             func(*lab)
		code               int32
		message            string
	}{
		{name: "console before the guest runs", path: "console", change: phase(virtv1.Scheduling), code: 400,
			message: "Unable to connect to VirtualMachineInstance because phase is Scheduling instead of Running"},
		{name: "console of a failed instance", path: "console", change: phase(virtv1.Failed), code: 409,
			message: `Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "testvm": VMI is in failed status`},
		{name: "unknown instance", path: "console", change: func(l *lab) { l.machines.vmi = nil }, code: 404,
			message: `virtualmachineinstance.kubevirt.io "testvm" not found`},
		{name: "no console", path: "console", change: func(l *lab) { l.machines.vmi.Spec.Domain.Devices.AutoattachSerialConsole = &no }, code: 400, message: "No serial consoles are present."},
		{name: "no graphics", path: "vnc", change: func(l *lab) { l.machines.vmi.Spec.Domain.Devices.AutoattachGraphicsDevice = &no }, code: 400, message: "No graphics devices are present."},
		{name: "no socket", path: "console", change: func(l *lab) { l.guest.err = errors.New("not there") }, code: 503,
			message: "virt-serial0 of default/testvm cannot be reached: not there"},
		{name: "no upgrade", path: "console", plain: true, code: 400, message: "this is a stream: upgrade the connection to a WebSocket"},
		{name: "unknown path", path: "shell", plain: true, code: 404},
		{name: "wrong method", method: "POST", path: "pause", plain: true, code: 404},
		{name: "pause before the guest runs", method: "PUT", path: "pause", plain: true, change: phase(virtv1.Scheduled), code: 409,
			message: `Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "testvm": VMI is not running`},
		{name: "no launcher", method: "PUT", path: "pause", plain: true, change: func(l *lab) { l.machines.client = nil }, code: 503,
			message: "the launcher of default/testvm does not answer: try again"},
		{name: "refused by the launcher", method: "PUT", path: "unpause", plain: true, code: 409,
			change: func(l *lab) {
				l.client.err = launcher.Errorf(codes.FailedPrecondition, "NotRunning", "the guest has ended").GRPCStatus().Err()
			},
			message: `Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "testvm": the guest has ended`},
		{name: "launcher away", method: "PUT", path: "unpause", plain: true, code: 503,
			change: func(l *lab) {
				l.client.err = launcher.Errorf(codes.Unavailable, "Unavailable", "QEMU does not answer").GRPCStatus().Err()
			}, message: "QEMU does not answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, tc.change)
			method := tc.method
			if method == "" {
				method = http.MethodGet
			}
			request, err := http.NewRequestWithContext(t.Context(), method, l.url+tc.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !tc.plain {
				for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
					request.Header.Set(k, v)
				}
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			var status metav1.Status
			if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
				t.Fatal(err)
			}
			if status.Kind != "Status" || status.Code != tc.code || int32(response.StatusCode) != tc.code || tc.message != "" && status.Message != tc.message {
				t.Errorf("answered %d with %+v", response.StatusCode, status)
			}
		})
	}
}

func TestActions(t *testing.T) {
	l := newLab(t, nil)
	for _, action := range []string{"pause", "unpause", "reset", "softreboot"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, l.url+action, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s answered %d", action, response.StatusCode)
		}
	}
	if got := strings.Join(l.client.called, " "); got != "pause unpause reset softreboot" {
		t.Errorf("called %s", got)
	}
}
