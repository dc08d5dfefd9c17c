package labeller

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

const (
	writeTimeout = 10 * time.Second
	// realtimeFile says how much of a CPU's time real-time processes may take; -1 is all.
	realtimeFile = "sys/kernel/sched_rt_runtime_us"
)

// Options are what a Labeller is told and works with. All fields are required.
type Options struct {
	Client kubernetes.Interface
	Node   string
	// ProcRoot is where /proc is.
	ProcRoot string
	// Probe asks QEMU.
	Probe func(ctx context.Context, kvm bool) (Facts, error)
	// Guests gives the instances of this node that have not ended, or an error as long as they are not known.
	Guests func() ([]*virtv1.VirtualMachineInstance, error)
}

// Labeller keeps the labels of one node. Make one by New. It is told of the node with each heartbeat, which costs no request
// of its own.
type Labeller struct {
	options Options
	wake    chan struct{}

	mu     sync.Mutex
	node   *corev1.Node
	config *virtv1.KubeVirtConfiguration
	// usable says whether KVM is, once that is known.
	usable *bool
}

// New prepares a Labeller; Run starts it.
func New(o Options) *Labeller { return &Labeller{options: o, wake: make(chan struct{}, 1)} }

// Seen tells of the node as it was a moment ago.
func (l *Labeller) Seen(node *corev1.Node) { l.learn(func() { l.node = node }) }

// Configured tells of the cluster's configuration.
func (l *Labeller) Configured(c virtv1.KubeVirtConfiguration) { l.learn(func() { l.config = &c }) }

// KVM tells whether the node's KVM is usable.
func (l *Labeller) KVM(usable bool) { l.learn(func() { l.usable = &usable }) }

func (l *Labeller) learn(what func()) {
	l.mu.Lock()
	what()
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends. It leaves the labels as they are: guests may rely on them.
func (l *Labeller) Run(ctx context.Context) {
	log := klog.FromContext(ctx)
	var facts *Facts
	var asked bool // whether facts are those with KVM
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		node, config, kvm, known := l.known()
		if !known || node.Annotations[machine.SkipLabellerAnnotation] == "true" {
			continue
		}
		if facts == nil || asked != kvm {
			f, err := l.options.Probe(ctx, kvm)
			if err != nil {
				log.Error(err, "Could not ask QEMU what guests can have; the node's labels stay as they are until the next heartbeat")
				continue
			}
			facts, asked = &f, kvm
			log.Info("Asked QEMU what guests can have", "kvm", kvm, "models", len(f.Models), "features", len(f.Host.Features))
		}
		if err := l.write(ctx, node, Labels(facts, config, l.realtime())); err != nil && ctx.Err() == nil {
			log.Error(err, "Could not write the node's labels, trying again with the next heartbeat")
		}
	}
}

// known gives what was told, and whether that is enough.
func (l *Labeller) known() (node *corev1.Node, config *virtv1.KubeVirtConfiguration, kvm, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.node == nil || l.config == nil || l.usable == nil {
		return nil, nil, false, false
	}
	d := l.config.DeveloperConfiguration
	return l.node, l.config, *l.usable && !(d != nil && machine.IsTrue(d.UseEmulation)), true
}

func (l *Labeller) realtime() bool {
	raw, err := os.ReadFile(filepath.Join(l.options.ProcRoot, realtimeFile))
	return err == nil && strings.TrimSpace(string(raw)) == "-1"
}

// write changes the labels that are not as they should be.
func (l *Labeller) write(ctx context.Context, node *corev1.Node, want map[string]string) error {
	relied, err := l.relied()
	if err != nil {
		return fmt.Errorf("finding out which labels guests rely on: %w", err)
	}
	change := difference(node.Labels, want, relied)
	if len(change) == 0 {
		return nil
	}
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": change}})
	if err != nil {
		return fmt.Errorf("encoding the labels: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	now, err := l.options.Client.CoreV1().Nodes().Patch(ctx, l.options.Node, types.MergePatchType, data, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("patching node %s: %w", l.options.Node, err)
	}
	klog.FromContext(ctx).Info("Wrote labels of the node", "changed", len(change))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.node == node { // else something newer has been told meanwhile
		l.node = now
	}
	return nil
}

// difference is what to change of the labels that there are, by key; nil takes one away. Labels that guests rely on stay as
// they are, be they there or not: a kubelet that starts anew would end such guests.
func difference(are, want map[string]string, relied map[string]bool) map[string]any {
	out := map[string]any{}
	for key := range are {
		if _, stays := want[key]; !stays && own(key) && !relied[key] {
			out[key] = nil
		}
	}
	for key, value := range want {
		if was, there := are[key]; (!there || was != value) && !relied[key] {
			out[key] = value
		}
	}
	return out
}

// relied are the labels by which the pods of this node's guests may have selected it.
func (l *Labeller) relied() (map[string]bool, error) {
	guests, err := l.options.Guests()
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, vmi := range guests {
		needs := machine.Needs(&vmi.Spec, machine.NeedsOptions{Hyperv: true})
		for key := range needs.Required {
			out[key] = true
		}
		for _, key := range needs.Forbidden {
			out[key] = true
		}
	}
	return out, nil
}
