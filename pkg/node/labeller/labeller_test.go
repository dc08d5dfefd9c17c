package labeller

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

const waitFor = 20 * time.Second

// bench is a labeller at work on a node of its own.
type bench struct {
	t      *testing.T
	client *fake.Clientset
	l      *Labeller
	proc   string

	mu     sync.Mutex
	guests []*virtv1.VirtualMachineInstance
	away   error
	broken error
	asked  []bool
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, proc: t.TempDir(), client: fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node1", Labels: map[string]string{"kubernetes.io/os": "linux"}}})}
	b.l = New(Options{
		Client: b.client, Node: "node1", ProcRoot: b.proc,
		Probe: func(_ context.Context, kvm bool) (Facts, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked = append(b.asked, kvm)
			return *example(), b.broken
		},
		Guests: func() ([]*virtv1.VirtualMachineInstance, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.guests, b.away
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return b
}

func (b *bench) with(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func (b *bench) node() *corev1.Node {
	b.t.Helper()
	n, err := b.client.CoreV1().Nodes().Get(b.t.Context(), "node1", metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// beat is a heartbeat.
func (b *bench) beat() { b.l.Seen(b.node()) }

func (b *bench) await(what string, is func(*corev1.Node) bool) {
	b.t.Helper()
	for end := time.Now().Add(waitFor); !is(b.node()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("waiting until %s; labels %v", what, b.node().Labels)
		}
	}
}

// settle waits until the labeller has seen all that it was told, by a change that it must make.
func (b *bench) settle() {
	b.t.Helper()
	b.patch(map[string]any{"labels": map[string]any{"cpu-model.node.kubevirt.io/Probe": "true"}})
	b.beat()
	b.await("it takes a strange label away", func(n *corev1.Node) bool { return n.Labels["cpu-model.node.kubevirt.io/Probe"] == "" })
}

// digest waits until the labeller has ended what it did about all that it was told: it takes a second beat only then.
func (b *bench) digest() {
	b.t.Helper()
	for range 2 {
		b.beat()
		b.await("the labeller takes a beat", func(*corev1.Node) bool { return len(b.l.wake) == 0 })
	}
}

func (b *bench) patch(metadata map[string]any) {
	b.t.Helper()
	raw, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.client.CoreV1().Nodes().Patch(b.t.Context(), "node1", types.MergePatchType, raw, metav1.PatchOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

func has(label string) func(*corev1.Node) bool {
	return func(n *corev1.Node) bool { return n.Labels[label] == "true" }
}

const model, other = "cpu-model.node.kubevirt.io/Penryn", "cpu-model.node.kubevirt.io/Haswell"

func TestLabeller(t *testing.T) {
	b := newBench(t)
	b.beat()
	b.l.KVM(true)
	b.l.Configured(virtv1.KubeVirtConfiguration{})
	b.await("there are labels", has(model))
	if n := b.node(); n.Labels["kubernetes.io/os"] != "linux" || n.Labels["kubevirt.io/realtime"] != "" {
		t.Errorf("labels %v", n.Labels)
	}

	t.Run("a label that was taken away comes back", func(t *testing.T) {
		b.patch(map[string]any{"labels": map[string]any{model: nil}})
		b.beat()
		b.await("the label is back", has(model))
	})
	t.Run("the kernel's setting for real time", func(t *testing.T) {
		if err := os.MkdirAll(filepath.Join(b.proc, "sys/kernel"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.proc, realtimeFile), []byte("-1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		b.beat()
		b.await("the label is there", has("kubevirt.io/realtime"))
	})
	t.Run("a model becomes obsolete", func(t *testing.T) {
		b.l.Configured(virtv1.KubeVirtConfiguration{ObsoleteCPUModels: map[string]bool{"Penryn": true}})
		b.await("the label is gone", func(n *corev1.Node) bool { return n.Labels[model] == "" && n.Labels[other] == "true" })
		spec.Covers(t, "P4-CPU-02", "P4-CPU-11")
	})
	t.Run("a guest keeps its label", func(t *testing.T) {
		b.with(func() {
			b.guests = []*virtv1.VirtualMachineInstance{{Spec: virtv1.VirtualMachineInstanceSpec{Domain: virtv1.DomainSpec{CPU: &virtv1.CPU{Model: "Haswell"}}}}}
		})
		b.l.Configured(virtv1.KubeVirtConfiguration{ObsoleteCPUModels: map[string]bool{"Haswell": true}})
		b.await("the other model is back", has(model))
		b.settle()
		if b.node().Labels[other] != "true" {
			t.Error("the label of a guest's model is gone")
		}
		b.with(func() { b.guests = nil })
		b.beat()
		b.await("the label goes with the guest", func(n *corev1.Node) bool { return n.Labels[other] == "" })
	})
	t.Run("nothing changes while guests are not known", func(t *testing.T) {
		b.with(func() { b.away = errors.New("not listed yet") })
		b.l.Configured(virtv1.KubeVirtConfiguration{ObsoleteCPUModels: map[string]bool{"Penryn": true}})
		b.digest()
		if b.node().Labels[model] != "true" {
			t.Error("the label is gone")
		}
		b.with(func() { b.away = nil })
		b.beat()
		b.await("the label is gone", func(n *corev1.Node) bool { return n.Labels[model] == "" })
	})
	t.Run("a node that is skipped", func(t *testing.T) {
		b.patch(map[string]any{"annotations": map[string]any{"node-labeller.kubevirt.io/skip-node": "true"}, "labels": map[string]any{"cpu-vendor.node.kubevirt.io/Intel": nil}})
		b.digest()
		if b.node().Labels["cpu-vendor.node.kubevirt.io/Intel"] != "" {
			t.Error("the label is back")
		}
		b.patch(map[string]any{"annotations": map[string]any{"node-labeller.kubevirt.io/skip-node": "false"}})
		b.beat()
		b.await("the label is back", has("cpu-vendor.node.kubevirt.io/Intel"))
		spec.Covers(t, "P4-SKIP-01", "P4-SKIP-03")
	})
	t.Run("QEMU is asked again when emulation is turned on, and a failure takes no label away", func(t *testing.T) {
		b.with(func() { b.asked, b.broken = nil, errors.New("QEMU does not start") })
		on := true
		b.l.Configured(virtv1.KubeVirtConfiguration{DeveloperConfiguration: &virtv1.DeveloperConfiguration{UseEmulation: &on}})
		asked := func() (out []bool) {
			b.with(func() { out = append(out, b.asked...) })
			return out
		}
		b.await("QEMU is asked", func(*corev1.Node) bool { return len(asked()) > 0 })
		if b.node().Labels["cpu-vendor.node.kubevirt.io/Intel"] != "true" || asked()[0] {
			t.Errorf("asked %v, labels %v", asked(), b.node().Labels)
		}
		b.with(func() { b.broken = nil })
		b.beat()
		b.await("the labels follow the configuration", has(other))
	})
}
