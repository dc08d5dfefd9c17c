package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned/fake"
	"github.com/virtplane/virtplane/pkg/node/network"
	"github.com/virtplane/virtplane/pkg/node/pod"
)

const (
	waitFor = 20 * time.Second
	podUID  = types.UID("3f2504e0-4f89-41d3-9a0c-0305e82c3301")
	vmiUID  = "9b2c1a50-0000-4000-8000-000000000001"
)

// fakeLauncher is a launcher of the protocol's own rules, without a guest.
type fakeLauncher struct {
	launcher.UnimplementedLauncherServer
	uid string

	mu       sync.Mutex
	event    *launcher.Event
	changed  chan struct{}
	calls    []string
	syncs    []*launcher.SyncRequest
	syncErrs []error // of the next Syncs
	hang     bool    // Sync answers never
	dead     bool    // nothing is answered, but the connection stands
	graces   []int64
}

func newFakeLauncher() *fakeLauncher {
	return &fakeLauncher{uid: vmiUID, changed: make(chan struct{}), event: &launcher.Event{Sequence: 1, State: launcher.DomainState_DOMAIN_STATE_NONE}}
}

// become enters a state; change sets what goes with it.
func (f *fakeLauncher) become(state launcher.DomainState, change func(*launcher.Event)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.enter(state, change)
}

func (f *fakeLauncher) enter(state launcher.DomainState, change func(*launcher.Event)) {
	next := &launcher.Event{
		Sequence: f.event.GetSequence() + 1, State: state, Uid: f.uid, MachineType: "pc-q35-7.2", Emulation: true,
		Interfaces: []*launcher.GuestInterface{{Name: "default", Mac: "02:00:00:aa:bb:cc", Sources: []string{"domain"}, QueueCount: 1, LinkState: "up"}},
	}
	if change != nil {
		change(next)
	}
	f.event = next
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeLauncher) called(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == name {
			n++
		}
	}
	return n
}

func (f *fakeLauncher) Info(ctx context.Context, _ *launcher.InfoRequest) (*launcher.InfoResponse, error) {
	f.mu.Lock()
	dead := f.dead
	f.mu.Unlock()
	if dead {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &launcher.InfoResponse{ProtocolVersion: 1, Uid: f.uid}, nil
}

func (f *fakeLauncher) Sync(ctx context.Context, r *launcher.SyncRequest) (*launcher.SyncResponse, error) {
	f.mu.Lock()
	f.calls = append(f.calls, "Sync")
	f.syncs = append(f.syncs, r)
	if f.hang {
		f.mu.Unlock()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	defer f.mu.Unlock()
	if len(f.syncErrs) > 0 {
		err := f.syncErrs[0]
		f.syncErrs = f.syncErrs[1:]
		return nil, err
	}
	if f.event.GetState() == launcher.DomainState_DOMAIN_STATE_NONE {
		f.enter(launcher.DomainState_DOMAIN_STATE_RUNNING, nil)
	}
	return &launcher.SyncResponse{State: f.event}, nil
}

func (f *fakeLauncher) Shutdown(_ context.Context, r *launcher.ShutdownRequest) (*launcher.ShutdownResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "Shutdown")
	f.graces = append(f.graces, r.GetGracePeriodSeconds())
	if f.event.GetState() != launcher.DomainState_DOMAIN_STATE_STOPPING {
		f.enter(launcher.DomainState_DOMAIN_STATE_STOPPING, nil)
	}
	return &launcher.ShutdownResponse{}, nil
}

func (f *fakeLauncher) Kill(context.Context, *launcher.KillRequest) (*launcher.KillResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "Kill")
	f.enter(launcher.DomainState_DOMAIN_STATE_SHUTDOWN, func(e *launcher.Event) { e.Reason = launcher.ReasonKilled })
	return &launcher.KillResponse{}, nil
}

func (f *fakeLauncher) Events(_ *launcher.EventsRequest, stream grpc.ServerStreamingServer[launcher.Event]) error {
	for {
		f.mu.Lock()
		event, changed := f.event, f.changed
		f.mu.Unlock()
		if err := stream.Send(event); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// fakeProcess has no device nodes that could be given away.
type fakeProcess struct{ files map[string]string }

func (fakeProcess) OwnDevices(int, int) (pod.Devices, error) { return pod.Devices{Tun: true}, nil }
func (fakeProcess) NetworkNamespace() (*os.File, error)      { return os.Open(os.DevNull) }
func (fakeProcess) Close()                                   {}
func (p fakeProcess) ReadFile(n string, _ int64) ([]byte, error) {
	if data, ok := p.files[n]; ok {
		return []byte(data), nil
	}
	return nil, fmt.Errorf("opening %s of the pod: %w", n, os.ErrNotExist)
}

// fakePods opens real sockets below a real directory, as on a node, and trusts whoever answers.
type fakePods struct {
	*pod.Pods
	process fakeProcess
}

func (p fakePods) Dial(ctx context.Context, uid types.UID, socket string) (net.Conn, Process, error) {
	conn, process, err := p.Pods.Dial(ctx, uid, socket)
	if err != nil {
		return nil, nil, err
	}
	process.Close()
	return conn, p.process, nil
}

type fakeNetwork struct {
	mu    sync.Mutex
	plans []*network.Plan
	errs  []error
	// dialed are the connections into the pod.
	dialed []string
}

func (n *fakeNetwork) Dial(_ context.Context, path, protocol string, to netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	n.dialed = append(n.dialed, protocol+" "+to.String())
	ours, theirs := net.Pipe()
	return ours, theirs.Close()
}

func (n *fakeNetwork) Apply(_ context.Context, _ string, plan *network.Plan) (network.Result, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.plans = append(n.plans, plan)
	if len(n.errs) > 0 {
		err := n.errs[0]
		n.errs = n.errs[1:]
		return network.Result{}, err
	}
	return network.Result{MTU: 1400, PodIPs: addrs("10.244.1.7", "fd44::7")}, nil
}

// fakeRecorder keeps events as "Type Reason".
type fakeRecorder struct {
	mu     sync.Mutex
	events []string
	notes  []string
}

func (r *fakeRecorder) Eventf(_ runtime.Object, _ runtime.Object, kind, reason, _, note string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, kind+" "+reason)
	r.notes = append(r.notes, fmt.Sprintf(note, args...))
}

func (r *fakeRecorder) note(i int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.notes[i]
}

func (r *fakeRecorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// lab is a node with an API, a kubelet's directory of pods and one instance.
type lab struct {
	t        *testing.T
	client   *fake.Clientset
	clock    *clocktesting.FakeClock
	recorder *fakeRecorder
	network  *fakeNetwork
	launcher *fakeLauncher
	dir      string
	process  fakeProcess
	stop     func()
	agent    *Agent
	config   func(virtv1.KubeVirtConfiguration)
	// pulse is the agent's own unless it is set.
	pulse pulse
	// forgotten is told which instances the agent lets go of.
	forgotten func(types.NamespacedName)
}

func newLab(t *testing.T, change func(*virtv1.VirtualMachineInstance)) *lab {
	t.Helper()
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: "testvm", Namespace: "default", UID: vmiUID, Generation: 1}}
	vmi.Spec.Domain.Devices.Interfaces = []virtv1.Interface{{Name: "default", Masquerade: &virtv1.InterfaceMasquerade{}}}
	vmi.Spec.Networks = []virtv1.Network{{Name: "default", Pod: &virtv1.PodNetwork{}}}
	vmi.Status.Phase = virtv1.Scheduled
	vmi.Status.NodeName = "node1"
	vmi.Status.ActivePods = map[types.UID]string{podUID: "node1"}
	if change != nil {
		change(vmi)
	}
	config := &virtv1.KubeVirt{ObjectMeta: metav1.ObjectMeta{Name: "kubevirt", Namespace: "kubevirt"}}
	config.Spec.Configuration.MachineType = "q35"
	vmi.ResourceVersion = "1"
	client := fake.NewSimpleClientset(vmi, config)
	client.PrependReactor("update", "virtualmachineinstances", versions(client))
	return &lab{
		t: t, client: client, clock: clocktesting.NewFakeClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)),
		recorder: &fakeRecorder{}, network: &fakeNetwork{}, launcher: newFakeLauncher(), dir: t.TempDir(),
	}
}

// versions gives the fake API what it lacks: each update makes a new version, and one of an old version is a conflict.
func versions(client *fake.Clientset) clienttesting.ReactionFunc {
	var mu sync.Mutex
	return func(action clienttesting.Action) (bool, runtime.Object, error) {
		mu.Lock()
		defer mu.Unlock()
		vmi := action.(clienttesting.UpdateAction).GetObject().(*virtv1.VirtualMachineInstance)
		gvr := action.GetResource()
		now, err := client.Tracker().Get(gvr, vmi.Namespace, vmi.Name)
		if err != nil {
			return true, nil, err
		}
		version := now.(*virtv1.VirtualMachineInstance).ResourceVersion
		if vmi.ResourceVersion != version {
			return true, nil, apierrors.NewConflict(gvr.GroupResource(), vmi.Name, errors.New("it has changed"))
		}
		n, err := strconv.Atoi(version)
		if err != nil {
			return true, nil, err
		}
		vmi = vmi.DeepCopy()
		vmi.ResourceVersion = strconv.Itoa(n + 1)
		return true, vmi, client.Tracker().Update(gvr, vmi, vmi.Namespace)
	}
}

// start starts an agent; a second start is its successor.
func (l *lab) start() *Agent {
	l.t.Helper()
	a, err := New(Options{Node: "node1", Namespace: "kubevirt", PodsDir: l.dir, Workers: 2, LauncherTimeout: time.Minute, StartTimeout: time.Minute, Configured: l.config, Forgotten: l.forgotten}, Dependencies{
		Client: l.client, Recorder: l.recorder, Clock: clock.WithTicker(l.clock), Network: l.network, Secrets: PodSecrets{},
		Pods: fakePods{Pods: &pod.Pods{Dir: l.dir, User: uint32(os.Getuid()), Cgroups: func(int, types.UID) error { return nil }}, process: l.process},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	if l.pulse != (pulse{}) {
		a.pulse = l.pulse
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.Run(ctx); err != nil {
			l.t.Error(err)
		}
	}()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	l.stop, l.agent = stop, a
	l.t.Cleanup(stop)
	return a
}

// serve starts the launcher's process; the function that it returns kills it.
func (l *lab) serve() func() {
	l.t.Helper()
	volume := filepath.Join(l.dir, string(podUID), "volumes/kubernetes.io~empty-dir/sockets")
	if err := os.MkdirAll(volume, 0o755); err != nil {
		l.t.Fatal(err)
	}
	listener := listenAt(l.t, volume, "launcher.sock")
	server := grpc.NewServer()
	launcher.RegisterLauncherServer(server, l.launcher)
	go func() { _ = server.Serve(listener) }()
	stop := sync.OnceFunc(server.Stop)
	l.t.Cleanup(stop)
	return stop
}

// listenAt makes a socket in a directory whose path is too long for one.
func listenAt(t *testing.T, dir, name string) net.Listener {
	t.Helper()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	listener, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name))
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func (l *lab) vmi() *virtv1.VirtualMachineInstance {
	l.t.Helper()
	vmi, err := l.client.KubevirtV1().VirtualMachineInstances("default").Get(l.t.Context(), "testvm", metav1.GetOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	return vmi
}

// await looks at the instance until it is as asked for, and gives it. Meanwhile the agent's clock moves on by step for each
// look, by a millisecond if that is 0: enough for a try with back-off, not for a deadline.
func (l *lab) await(what string, step time.Duration, is func(*virtv1.VirtualMachineInstance) bool) *virtv1.VirtualMachineInstance {
	l.t.Helper()
	for end := time.Now().Add(waitFor); ; time.Sleep(2 * time.Millisecond) {
		vmi := l.vmi()
		if is(vmi) {
			return vmi
		}
		if time.Now().After(end) {
			status, _ := json.MarshalIndent(vmi.Status, "", " ")
			l.t.Fatalf("waiting until %s: not within %s; calls %v, events %v, status %s", what, waitFor, l.launcher.calls, l.recorder.all(), status)
		}
		l.clock.Step(max(step, time.Millisecond))
	}
}

func (l *lab) awaitPhase(phase virtv1.VirtualMachineInstancePhase) *virtv1.VirtualMachineInstance {
	l.t.Helper()
	return l.await("the phase is "+string(phase), 0, func(v *virtv1.VirtualMachineInstance) bool { return v.Status.Phase == phase })
}

func (l *lab) awaitCall(name string, n int) {
	l.t.Helper()
	l.await(fmt.Sprintf("%s was called %d times", name, n), 0, func(*virtv1.VirtualMachineInstance) bool { return l.launcher.called(name) >= n })
}

// remove marks the instance as deleted at the clock's time.
func (l *lab) remove(grace int64) {
	l.t.Helper()
	vmi := l.vmi()
	now := metav1.NewTime(l.clock.Now())
	vmi.DeletionTimestamp, vmi.Finalizers = &now, []string{"kubevirt.io/foregroundDeleteVirtualMachine"}
	vmi.Spec.TerminationGracePeriodSeconds = &grace
	l.update(vmi)
}

func (l *lab) update(vmi *virtv1.VirtualMachineInstance) {
	l.t.Helper()
	for {
		_, err := l.client.KubevirtV1().VirtualMachineInstances("default").Update(l.t.Context(), vmi, metav1.UpdateOptions{})
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			l.t.Fatal(err)
		}
		vmi = vmi.DeepCopy()
		now := l.vmi()
		vmi.ResourceVersion, vmi.Status = now.ResourceVersion, now.Status
	}
}

func (a *Agent) sessionsNow() map[types.NamespacedName]*session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.sessions)
}

func (l *lab) statusWrites() int {
	n := 0
	for _, action := range l.client.Actions() {
		if action.GetVerb() == "update" && action.GetSubresource() == "status" {
			n++
		}
	}
	return n
}
