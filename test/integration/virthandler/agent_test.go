package virthandler

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned/scheme"
	"github.com/virtplane/virtplane/pkg/node"
	"github.com/virtplane/virtplane/pkg/node/network"
	"github.com/virtplane/virtplane/pkg/node/pod"
)

const podUID = types.UID("3f2504e0-4f89-41d3-9a0c-0305e82c3301")

// played is a launcher without a guest.
type played struct {
	launcher.UnimplementedLauncherServer
	uid     string
	mu      sync.Mutex
	event   *launcher.Event
	changed chan struct{}
}

func (p *played) become(state launcher.DomainState, reason string) *launcher.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.event = &launcher.Event{Sequence: p.event.GetSequence() + 1, State: state, Reason: reason, Uid: p.uid, Emulation: true, MachineType: "pc-q35-7.2"}
	close(p.changed)
	p.changed = make(chan struct{})
	return p.event
}

func (p *played) Info(context.Context, *launcher.InfoRequest) (*launcher.InfoResponse, error) {
	return &launcher.InfoResponse{ProtocolVersion: 1, Uid: p.uid}, nil
}

func (p *played) Sync(context.Context, *launcher.SyncRequest) (*launcher.SyncResponse, error) {
	return &launcher.SyncResponse{State: p.become(launcher.DomainState_DOMAIN_STATE_RUNNING, "")}, nil
}

func (p *played) Shutdown(context.Context, *launcher.ShutdownRequest) (*launcher.ShutdownResponse, error) {
	p.become(launcher.DomainState_DOMAIN_STATE_SHUTDOWN, "GuestShutdown")
	return &launcher.ShutdownResponse{}, nil
}

func (p *played) Events(_ *launcher.EventsRequest, stream grpc.ServerStreamingServer[launcher.Event]) error {
	for {
		p.mu.Lock()
		event, changed := p.event, p.changed
		p.mu.Unlock()
		if err := stream.Send(event); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return nil
		}
	}
}

type playedPods struct{ *pod.Pods }

func (p playedPods) Dial(ctx context.Context, uid types.UID, socket string) (net.Conn, node.Process, error) {
	conn, process, err := p.Pods.Dial(ctx, uid, socket)
	if err != nil {
		return nil, nil, err
	}
	process.Close()
	return conn, playedProcess{}, nil
}

type playedProcess struct{}

func (playedProcess) OwnDevices(int, int) (pod.Devices, error) { return pod.Devices{Tun: true}, nil }
func (playedProcess) NetworkNamespace() (*os.File, error)      { return os.Open(os.DevNull) }
func (playedProcess) ReadFile(n string, _ int64) ([]byte, error) {
	return nil, fmt.Errorf("%s: %w", n, os.ErrNotExist)
}
func (playedProcess) Close() {}

type playedNetwork struct{}

func (playedNetwork) Apply(context.Context, string, *network.Plan) (network.Result, error) {
	return network.Result{MTU: 1450, PodIPs: []netip.Addr{netip.MustParseAddr("10.244.1.7")}}, nil
}

func (playedNetwork) Dial(context.Context, string, string, netip.AddrPort) (net.Conn, error) {
	return nil, errors.New("there is no network behind a played one")
}

// instance makes an instance that virt-controller has bound to a pod.
func instance(t *testing.T, name string) *virtv1.VirtualMachineInstance {
	t.Helper()
	admin, err := versioned.NewForConfig(env.Admin)
	if err != nil {
		t.Fatal(err)
	}
	client := admin.KubevirtV1().VirtualMachineInstances("default")
	guest := resource.MustParse("64Mi")
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: name}}
	vmi.Spec.Domain.Memory = &virtv1.Memory{Guest: &guest}
	if vmi, err = client.Create(t.Context(), vmi, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	controller, _, err := env.ServiceAccount(t.Context(), "kubevirt-controller", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := versioned.NewForConfig(controller)
	if err != nil {
		t.Fatal(err)
	}
	vmi.Status.NodeName = "node-1"
	vmi.Status.ActivePods = map[types.UID]string{podUID: "node-1"}
	for _, vmi.Status.Phase = range []virtv1.VirtualMachineInstancePhase{virtv1.Scheduling, virtv1.Scheduled} {
		if vmi, err = c.KubevirtV1().VirtualMachineInstances("default").UpdateStatus(t.Context(), vmi, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return vmi
}

func agentConfig() *rest.Config {
	config := rest.CopyConfig(env.agent)
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return config
}

func TestAgentRunsAnInstanceOfItsNode(t *testing.T) {
	vmi := instance(t, "testvm")
	virt, err := versioned.NewForConfig(agentConfig())
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(agentConfig())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l := &played{uid: string(vmi.UID), changed: make(chan struct{}), event: &launcher.Event{Sequence: 1, State: launcher.DomainState_DOMAIN_STATE_NONE}}
	serve(t, dir, l)
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: kube.EventsV1()})
	if err := broadcaster.StartRecordingToSinkWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	agent, err := node.New(node.Options{Node: "node-1", Namespace: "kubevirt", PodsDir: dir, Workers: 2, LauncherTimeout: time.Minute, StartTimeout: time.Minute},
		node.Dependencies{Client: virt, Recorder: broadcaster.NewRecorder(scheme.Scheme, "virt-handler"), Clock: clock.RealClock{}, Network: playedNetwork{}, Secrets: node.PodSecrets{},
			Pods: playedPods{&pod.Pods{Dir: dir, User: uint32(os.Getuid()), Cgroups: func(int, types.UID) error { return nil }}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = agent.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })

	admin, err := versioned.NewForConfig(env.Admin)
	if err != nil {
		t.Fatal(err)
	}
	client := admin.KubevirtV1().VirtualMachineInstances("default")
	await := func(phase virtv1.VirtualMachineInstancePhase) *virtv1.VirtualMachineInstance {
		t.Helper()
		for end := time.Now().Add(waitFor); ; time.Sleep(20 * time.Millisecond) {
			now, err := client.Get(t.Context(), "testvm", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if now.Status.Phase == phase {
				return now
			}
			if time.Now().After(end) {
				t.Fatalf("waiting for phase %s: %+v", phase, now.Status)
			}
		}
	}
	running := await(virtv1.Running)
	var phases []string
	for _, p := range running.Status.PhaseTransitionTimestamps {
		phases = append(phases, string(p.Phase))
	}
	if diff := cmp.Diff([]string{"Pending", "Scheduling", "Scheduled", "Running"}, phases); diff != "" {
		t.Errorf("phases: %s", diff)
	}
	if len(running.Status.Interfaces) != 1 || running.Status.Interfaces[0].IPAddress != "10.244.1.7" || running.Status.Memory == nil || running.Status.Memory.GuestCurrent.String() != "64Mi" {
		t.Errorf("status %+v", running.Status)
	}
	// It comes to rest: nothing that it writes is taken back by the server and written again.
	time.Sleep(500 * time.Millisecond)
	if rest := await(virtv1.Running); rest.ResourceVersion != running.ResourceVersion {
		t.Errorf("the status was written again: %s", cmp.Diff(running.Status, rest.Status))
	}
	if err := client.Delete(t.Context(), "testvm", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if ended := await(virtv1.Succeeded); ended.Status.Reason != "GuestShutdown" {
		t.Errorf("reason %q", ended.Status.Reason)
	}
	for end := time.Now().Add(waitFor); ; time.Sleep(50 * time.Millisecond) {
		list, err := env.kube.EventsV1().Events("default").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, e := range list.Items {
			if e.Regarding.UID == vmi.UID {
				found[e.Reason] = true
			}
		}
		if found["Created"] && found["Started"] && found["ShuttingDown"] && found["Stopped"] {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("waiting for events: %v", found)
		}
	}
}

func serve(t *testing.T, dir string, l *played) {
	t.Helper()
	volume := filepath.Join(dir, string(podUID), "volumes/kubernetes.io~empty-dir/sockets")
	if err := os.MkdirAll(volume, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := os.Open(volume) // the path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	listener, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/launcher.sock", d.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	launcher.RegisterLauncherServer(server, l)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
}

// TestOtherNodes tries to reach instances that are none of node-1's business.
func TestOtherNodes(t *testing.T) {
	virt, err := versioned.NewForConfig(agentConfig())
	if err != nil {
		t.Fatal(err)
	}
	client := virt.KubevirtV1().VirtualMachineInstances("default")
	for _, selector := range []string{"", "status.nodeName=node-2"} {
		if _, err := virt.KubevirtV1().VirtualMachineInstances("").List(t.Context(), metav1.ListOptions{FieldSelector: selector}); !apierrors.IsForbidden(err) {
			t.Errorf("listing with selector %q: %v", selector, err)
		}
	}
	if _, err := client.Get(t.Context(), "testvm", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("getting: %v", err)
	}
	if err := client.Delete(t.Context(), "testvm", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("deleting: %v", err)
	}
}
