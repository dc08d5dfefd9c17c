package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/bench/report"
)

const burstLimit = 20 * time.Minute

// burst creates machines at once and measures how long each takes to run, and how often our objects are written.
func (t *target) burst(ctx context.Context) ([]report.Metric, error) {
	ns, done, err := t.namespace(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, burstLimit)
	defer cancel()
	c := newTally(t.size.burst)
	stop, err := t.count(ctx, ns, c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stop() }()
	var wg sync.WaitGroup
	for i := range t.size.burst {
		wg.Go(func() {
			name := fmt.Sprintf("burst-%02d", i)
			vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyAlways,
				Template: &virtv1.VirtualMachineInstanceTemplateSpec{Spec: tiny(name, "").Spec}}}
			_, err := t.virt.KubevirtV1().VirtualMachines(ns).Create(ctx, vm, metav1.CreateOptions{})
			c.created(name, time.Now(), err)
		})
	}
	wg.Wait()
	select {
	case <-ctx.Done():
	case <-c.done:
		_ = pause(ctx, t.size.burstRest)
	}
	if err := stop(); err != nil {
		return nil, err
	}
	metrics, err := c.metrics()
	if err != nil {
		return nil, err
	}
	return metrics, t.checkPulls(ctx, ns)
}

// count lets a tally see what happens in a namespace. The returned function ends that; its error says why the tally is not
// to be trusted.
func (t *target) count(ctx context.Context, ns string, c *tally) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var watches []watch.Interface
	for _, open := range []func(context.Context, metav1.ListOptions) (watch.Interface, error){
		t.virt.KubevirtV1().VirtualMachines(ns).Watch, t.virt.KubevirtV1().VirtualMachineInstances(ns).Watch, t.kube.CoreV1().Events(ns).Watch,
	} {
		w, err := open(ctx, metav1.ListOptions{})
		if err != nil {
			cancel()
			return nil, err
		}
		watches = append(watches, w)
	}
	var wg sync.WaitGroup
	for _, w := range watches {
		wg.Go(func() { c.follow(ctx, w) })
	}
	return func() error {
		cancel()
		wg.Wait()
		for _, w := range watches {
			w.Stop()
		}
		return c.err()
	}, nil
}

// tally counts what is written of machines and their instances. One event of a watch is one write.
type tally struct {
	want int
	// done is closed when all machines are shown as Running, or something has failed.
	done chan struct{}

	mu     sync.Mutex
	failed error
	// accepted is when the API had answered to the create of a machine, running when its instance ran.
	accepted, running map[string]time.Time
	// changes are the revisions of the updates and patches of a machine and its instance, which are of one store.
	changes map[string][]uint64
	// shown is the revision with which a machine was first shown as Running.
	shown map[string]uint64
	// creates are of machines and instances, events those about them.
	creates, events int
}

func newTally(want int) *tally {
	return &tally{want: want, done: make(chan struct{}), accepted: map[string]time.Time{}, running: map[string]time.Time{},
		changes: map[string][]uint64{}, shown: map[string]uint64{}}
}

func (c *tally) created(name string, at time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepted[name] = at
	if err != nil {
		c.fail(fmt.Errorf("machine %s: %w", name, err))
	}
}

// fail keeps the first error. mu is held.
func (c *tally) fail(err error) {
	if c.failed == nil {
		c.failed = err
		c.finish()
	}
}

// finish closes done once. mu is held.
func (c *tally) finish() {
	select {
	case <-c.done:
	default:
		close(c.done)
	}
}

func (c *tally) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// follow takes the events of a watch until ctx ends.
func (c *tally) follow(ctx context.Context, w watch.Interface) {
	for {
		event, ok, err := next(ctx, w)
		at := time.Now()
		c.mu.Lock()
		if err == nil && ok {
			err = c.take(event, at)
		}
		if err != nil {
			c.fail(fmt.Errorf("counting writes: %w", err))
		}
		c.mu.Unlock()
		if err != nil || !ok {
			return
		}
	}
}

// take counts one event. mu is held.
func (c *tally) take(event watch.Event, at time.Time) error {
	if e, ok := event.Object.(*corev1.Event); ok {
		group, _, _ := strings.Cut(e.InvolvedObject.APIVersion, "/")
		if group == virtv1.SchemeGroupVersion.Group && event.Type != watch.Deleted {
			c.events++
		}
		return nil
	}
	object, ok := event.Object.(metav1.Object)
	if !ok {
		return fmt.Errorf("a watch told of a %T", event.Object)
	}
	name := object.GetName()
	switch event.Type {
	case watch.Added:
		c.creates++
	case watch.Modified:
		revision, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
		if err != nil {
			return fmt.Errorf("%s has revision %q: %w", name, object.GetResourceVersion(), err)
		}
		c.changes[name] = append(c.changes[name], revision)
	case watch.Deleted:
		return fmt.Errorf("%T %s was deleted", event.Object, name)
	}
	switch o := object.(type) {
	case *virtv1.VirtualMachineInstance:
		if o.Status.Phase == virtv1.Failed || o.Status.Phase == virtv1.Succeeded {
			return fmt.Errorf("instance %s ended as %s", name, o.Status.Phase)
		}
		if _, ok := c.running[name]; !ok && o.Status.Phase == virtv1.Running {
			c.running[name] = at
		}
	case *virtv1.VirtualMachine:
		if _, ok := c.shown[name]; ok || o.Status.PrintableStatus != virtv1.VirtualMachineStatusRunning {
			break
		}
		revision, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
		if err != nil {
			return fmt.Errorf("%s has revision %q: %w", name, object.GetResourceVersion(), err)
		}
		if c.shown[name] = revision; len(c.shown) == c.want {
			c.finish()
		}
	}
	return nil
}

// metrics are what the tally has come to, for all machines that were wanted.
func (c *tally) metrics() ([]report.Metric, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.shown) != c.want || len(c.running) != c.want {
		return nil, fmt.Errorf("of %d machines %d run and %d are shown as Running in time", c.want, len(c.running), len(c.shown))
	}
	var took []float64
	writes := 0
	for _, name := range slices.Sorted(maps.Keys(c.shown)) {
		accepted, ok := c.accepted[name]
		ran, runs := c.running[name]
		if !ok || !runs {
			return nil, errors.New(name + " runs and was not made here")
		}
		took = append(took, ran.Sub(accepted).Seconds())
		for _, revision := range c.changes[name] {
			if revision <= c.shown[name] {
				writes++
			}
		}
	}
	each := func(n int) float64 { return float64(n) / float64(c.want) }
	return []report.Metric{
		{Metric: "burst50_p50_s", Value: report.Percentile(took, 50), Unit: "s"},
		{Metric: "burst50_p95_s", Value: report.Percentile(took, 95), Unit: "s"},
		// Updates and patches until the machine is shown as Running: one of the machine and three of its instance that tell of the
		// pod's node, of its containers and of the guest, and one of the machine.
		{Metric: "writes_per_vm", Value: each(writes), Unit: "writes", Goal: report.Float(5), GoalOn: "value"},
		// Creates beside that of the user, and all that is written of events about machines and instances.
		{Metric: "creates_per_vm", Value: each(c.creates - c.want), Unit: "writes"},
		{Metric: "events_per_vm", Value: each(c.events), Unit: "writes"},
	}, nil
}
