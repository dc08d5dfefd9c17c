package plugin

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	kubelet "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"

	"github.com/virtplane/virtplane/test/spec"
)

const waitFor = 20 * time.Second

// fakeKubelet is the kubelet's side: a registration server that connects back to whoever registers.
type fakeKubelet struct {
	kubelet.UnimplementedRegistrationServer
	t      *testing.T
	dir    string
	server *grpc.Server
	came   chan *kubelet.RegisterRequest
	// lost are the endpoints that it believes to be connected to.
	lost map[string]bool
}

func startKubelet(t *testing.T, dir string, lost ...string) *fakeKubelet {
	t.Helper()
	k := &fakeKubelet{t: t, lost: map[string]bool{}, dir: dir, came: make(chan *kubelet.RegisterRequest, 16), server: grpc.NewServer()}
	for _, endpoint := range lost {
		k.lost[endpoint] = true
	}
	kubelet.RegisterRegistrationServer(k.server, k)
	listener, err := net.Listen("unix", filepath.Join(dir, "kubelet.sock"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = k.server.Serve(listener) }()
	t.Cleanup(k.server.Stop)
	return k
}

func (k *fakeKubelet) Register(_ context.Context, r *kubelet.RegisterRequest) (*kubelet.Empty, error) {
	if k.lost[r.Endpoint] {
		return nil, errors.New("device plugin already connected: " + r.Endpoint)
	}
	k.came <- r
	return &kubelet.Empty{}, nil
}

// registrations waits for n resources and gives their requests by name.
func (k *fakeKubelet) registrations(n int) map[string]*kubelet.RegisterRequest {
	k.t.Helper()
	found := map[string]*kubelet.RegisterRequest{}
	for len(found) < n {
		select {
		case r := <-k.came:
			found[r.ResourceName] = r
		case <-time.After(waitFor):
			k.t.Fatalf("waiting for %d registrations: got %v", n, found)
		}
	}
	return found
}

func (k *fakeKubelet) dial(r *kubelet.RegisterRequest) kubelet.DevicePluginClient {
	k.t.Helper()
	conn, err := grpc.NewClient("unix://"+filepath.Join(k.dir, r.Endpoint), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = conn.Close() })
	return kubelet.NewDevicePluginClient(conn)
}

// lists follows the lists of one plugin.
func (k *fakeKubelet) lists(r *kubelet.RegisterRequest) <-chan []*kubelet.Device {
	k.t.Helper()
	ctx, cancel := context.WithCancel(k.t.Context())
	k.t.Cleanup(cancel)
	stream, err := k.dial(r).ListAndWatch(ctx, &kubelet.Empty{})
	if err != nil {
		k.t.Fatal(err)
	}
	lists := make(chan []*kubelet.Device)
	go func() {
		defer close(lists)
		for {
			response, err := stream.Recv()
			if err != nil {
				return
			}
			select {
			case lists <- response.Devices:
			case <-ctx.Done():
				return
			}
		}
	}()
	return lists
}

func await(t *testing.T, lists <-chan []*kubelet.Device, n int) []*kubelet.Device {
	t.Helper()
	seen := []int{}
	end := time.After(waitFor)
	for {
		select {
		case list, ok := <-lists:
			if !ok {
				t.Fatalf("waiting for a list of %d devices: the stream ended after lists of %v", n, seen)
			}
			if len(list) == n {
				return list
			}
			seen = append(seen, len(list))
		case <-end:
			t.Fatalf("waiting for a list of %d devices: saw lists of %v", n, seen)
		}
	}
}

func awaitRegistered(t *testing.T, p *Plugin) {
	t.Helper()
	for end := time.Now().Add(waitFor); p.Registered() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(p.Registered())
		}
	}
}

var devices = []Device{
	{Resource: "devices.kubevirt.io/kvm", Node: "kvm", Class: "class/misc/kvm"},
	{Resource: "devices.kubevirt.io/tun", Node: "net/tun"},
	{Resource: "devices.kubevirt.io/vhost-net", Node: "vhost-net"},
	{Resource: "devices.kubevirt.io/sev", Node: "sev"},
}

// machine is a node's file tree. Links to /dev/null play the device nodes, since only root may make such.
type machine struct{ kubeletDir, dev, sys string }

func newMachine(t *testing.T, nodes ...string) machine {
	t.Helper()
	root, err := os.MkdirTemp("", "dp") // short: a socket's path holds 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	m := machine{kubeletDir: filepath.Join(root, "k"), dev: filepath.Join(root, "dev"), sys: filepath.Join(root, "sys")}
	for _, dir := range []string{m.kubeletDir, m.dev, m.sys} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes {
		m.plug(t, node)
	}
	return m
}

func (m machine) plug(t *testing.T, node string) {
	t.Helper()
	path := filepath.Join(m.dev, node)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink("/dev/null", path)); err != nil {
		t.Fatal(err)
	}
}

func (m machine) unplug(t *testing.T, node string) {
	t.Helper()
	if err := os.Remove(filepath.Join(m.dev, node)); err != nil {
		t.Fatal(err)
	}
}

func (m machine) start(t *testing.T, change func(*Config)) *Plugin {
	t.Helper()
	config := Config{Dir: m.kubeletDir, DevRoot: m.dev, SysRoot: m.sys, Devices: devices, Count: 1000}
	if change != nil {
		change(&config)
	}
	p, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p
}

func TestOffersAThousandOfEachAndZeroOfWhatIsMissing(t *testing.T) {
	spec.Covers(t, "P5-OBS-21")
	m := newMachine(t, "kvm", "net/tun")
	k := startKubelet(t, m.kubeletDir)
	p := m.start(t, nil)
	requests := k.registrations(len(devices))

	for name, want := range map[string]int{"devices.kubevirt.io/kvm": 1000, "devices.kubevirt.io/tun": 1000, "devices.kubevirt.io/vhost-net": 0, "devices.kubevirt.io/sev": 0} {
		r := requests[name]
		if r == nil || r.Version != "v1beta1" {
			t.Fatalf("%s: registered as %v", name, r)
		}
		ids := map[string]bool{}
		for _, d := range await(t, k.lists(r), want) {
			if d.Health != "Healthy" {
				t.Errorf("%s: device %s is %s", name, d.ID, d.Health)
			}
			ids[d.ID] = true
		}
		if len(ids) != want {
			t.Errorf("%s: %d different ids, not %d", name, len(ids), want)
		}
	}
	eventually(t, "all resources are registered", func() bool { return p.Registered() == nil })
}

func TestFollowsTheDeviceNode(t *testing.T) {
	m := newMachine(t, "kvm") // not even /dev/net is there
	k := startKubelet(t, m.kubeletDir)
	m.start(t, nil)
	requests := k.registrations(len(devices))
	tun, kvm := k.lists(requests["devices.kubevirt.io/tun"]), k.lists(requests["devices.kubevirt.io/kvm"])
	await(t, tun, 0)
	await(t, kvm, 1000)
	m.plug(t, "net/tun")
	await(t, tun, 1000)
	m.unplug(t, "kvm")
	await(t, kvm, 0)
	m.plug(t, "kvm")
	await(t, kvm, 1000)
}

func TestKeepsBackWhatItsCallerRefuses(t *testing.T) {
	m := newMachine(t, "kvm", "net/tun")
	k := startKubelet(t, m.kubeletDir)
	var fast atomic.Bool
	m.start(t, func(c *Config) {
		c.Judge = func(_ context.Context, resource string, _ error) error {
			if resource == "devices.kubevirt.io/kvm" && !fast.Load() {
				return errors.New("too slow")
			}
			return nil
		}
	})
	requests := k.registrations(len(devices))
	kvm := k.lists(requests["devices.kubevirt.io/kvm"])
	await(t, kvm, 0)
	await(t, k.lists(requests["devices.kubevirt.io/tun"]), 1000)
	fast.Store(true)
	m.unplug(t, "kvm")
	m.plug(t, "kvm")
	await(t, kvm, 1000)
}

func TestSetCount(t *testing.T) {
	m := newMachine(t, "kvm", "net/tun")
	k := startKubelet(t, m.kubeletDir)
	p := m.start(t, nil)
	tun := k.lists(k.registrations(len(devices))["devices.kubevirt.io/tun"])
	await(t, tun, 1000)
	p.SetCount(110)
	await(t, tun, 110)
}

func TestRegistersAnewWithANewKubelet(t *testing.T) {
	m := newMachine(t, "kvm", "net/tun")
	first := startKubelet(t, m.kubeletDir)
	p := m.start(t, func(c *Config) { c.Quiet = 2 * time.Second })
	first.registrations(len(devices))
	awaitRegistered(t, p) // else it registers again because the answer was lost

	// What a kubelet does when it starts: it removes every socket and makes its own. On a busy machine the plugin hears of the
	// first when the second has happened.
	first.server.Stop()
	sockets, err := filepath.Glob(filepath.Join(m.kubeletDir, "kubevirt-*"))
	if err != nil {
		t.Fatal(err)
	}
	second := startKubelet(t, m.kubeletDir)
	time.Sleep(50 * time.Millisecond)
	for _, socket := range sockets {
		if err := os.Remove(socket); err != nil {
			t.Fatal(err)
		}
	}
	requests := second.registrations(len(devices))
	await(t, second.lists(requests["devices.kubevirt.io/kvm"]), 1000)
	select { // two at once can make a kubelet lose track of both
	case again := <-second.came:
		t.Errorf("%s was registered again", again.ResourceName)
	case <-time.After(3 * time.Second):
	}
}

// TestTakesAnotherNameWhenRefused plays a kubelet that takes an earlier connection for alive and so refuses every other one by
// its name.
func TestTakesAnotherNameWhenRefused(t *testing.T) {
	m := newMachine(t, "kvm", "net/tun")
	left := filepath.Join(m.kubeletDir, "kubevirt-net-tun.9.sock")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	k := startKubelet(t, m.kubeletDir, "kubevirt-net-tun.sock", "kubevirt-net-tun.1.sock")
	p := m.start(t, nil)
	requests := k.registrations(len(devices))
	tun := requests["devices.kubevirt.io/tun"]
	if tun.Endpoint != "kubevirt-net-tun.2.sock" {
		t.Errorf("registered by %s", tun.Endpoint)
	}
	await(t, k.lists(tun), 1000)
	awaitRegistered(t, p)
	if sockets, err := filepath.Glob(filepath.Join(m.kubeletDir, "kubevirt-net-tun*")); err != nil || len(sockets) != 2 {
		t.Errorf("sockets %v, %v: want the one that is served, and the first name's", sockets, err)
	}
}

func TestWaitsForTheKubelet(t *testing.T) {
	m := newMachine(t, "net/tun")
	p := m.start(t, nil)
	if err := p.Registered(); err == nil {
		t.Error("registered although there is no kubelet")
	}
	startKubelet(t, m.kubeletDir).registrations(len(devices))
}

func TestAllocate(t *testing.T) {
	m := newMachine(t, "kvm", "net/tun")
	k := startKubelet(t, m.kubeletDir)
	m.start(t, func(c *Config) { c.Count = 10 })
	requests := k.registrations(len(devices))
	tun := k.dial(requests["devices.kubevirt.io/tun"])
	await(t, k.lists(requests["devices.kubevirt.io/tun"]), 10)

	got, err := tun.Allocate(t.Context(), &kubelet.AllocateRequest{ContainerRequests: []*kubelet.ContainerAllocateRequest{
		{DevicesIds: []string{"net-tun-0"}}, {DevicesIds: []string{"net-tun-9"}}}})
	if err != nil {
		t.Fatal(err)
	}
	type node struct{ Container, Host, Permissions string }
	var nodes []node
	for _, c := range got.ContainerResponses {
		for _, d := range c.Devices {
			nodes = append(nodes, node{d.ContainerPath, d.HostPath, d.Permissions})
		}
	}
	want := []node{{"/dev/net/tun", "/dev/net/tun", "rwm"}, {"/dev/net/tun", "/dev/net/tun", "rwm"}}
	if diff := cmp.Diff(want, nodes); diff != "" {
		t.Error(diff)
	}

	for _, bad := range []string{"net-tun-10", "net-tun--1", "net-tun-01", "net-tun-", "kvm-0", "", "net-tun-" + strconv.Itoa(1<<40)} {
		_, err := tun.Allocate(t.Context(), &kubelet.AllocateRequest{ContainerRequests: []*kubelet.ContainerAllocateRequest{
			{DevicesIds: []string{"net-tun-0"}}, {DevicesIds: []string{bad}}}})
		if status.Code(err) != codes.NotFound {
			t.Errorf("%q: %v, not NotFound", bad, err)
		}
	}
	_, err = k.dial(requests["devices.kubevirt.io/vhost-net"]).Allocate(t.Context(), &kubelet.AllocateRequest{
		ContainerRequests: []*kubelet.ContainerAllocateRequest{{DevicesIds: []string{"vhost-net-0"}}}})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("allocating a missing device: %v", err)
	}
}

func TestPresent(t *testing.T) {
	m := newMachine(t, "kvm")
	kvm := Device{Node: "kvm", Class: "class/misc/kvm"}
	dev := filepath.Join(m.sys, "class/misc/kvm/dev")
	if err := os.MkdirAll(filepath.Dir(dev), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dev, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, numbers, want string }{
		{"numbers agree", "1:3\n", ""},
		{"numbers differ", "10:232\n", m.dev + "/kvm is device 1:3, not 10:232"},
		{"no numbers", "x\n", `class/misc/kvm/dev holds "x", not MAJOR:MINOR`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile(dev, []byte(tc.numbers), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := text(kvm.present(m.dev, m.sys)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	if got, want := text(Device{Node: "plain"}.present(m.dev, m.sys)), m.dev+"/plain is no character device"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := (Device{Node: "gone"}).present(m.dev, m.sys); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing node: %v", err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(waitFor); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("waiting until %s: not within %s", what, waitFor)
}
