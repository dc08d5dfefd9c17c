package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"github.com/virtplane/virtplane/test/bench/pods"
	"github.com/virtplane/virtplane/test/bench/report"
)

const (
	startLimit = 3 * time.Minute
	// initMark is the first thing that the tiny guest's init prints.
	initMark = "virtplane tiny guest ready"
	// beginning is how much of a guest's first words is kept to tell whether all of them were heard.
	beginning = 16
)

// timing is when a guest gave its first signs, counted from the API's answer to the create.
type timing struct {
	connected, firstByte, init time.Duration
	// said is how the guest began.
	said string
}

func (t timing) String() string {
	return fmt.Sprintf("%.2f, %.2f, %.2f s", t.connected.Seconds(), t.firstByte.Seconds(), t.init.Seconds())
}

// start measures how long a machine takes to its first sign of life beside a plain pod with the same QEMU, and how some
// at once fare.
func start(ctx context.Context, t *target) (report.Report, error) {
	var r report.Report
	nodes, err := t.nodes(ctx)
	if err != nil {
		return r, err
	}
	warm, err := t.warmUp(ctx, nodes)
	if err != nil {
		return r, err
	}
	r.Head = append(t.clusterVersions(ctx, warm.qemu),
		fmt.Sprintf("%d pairs on %s, each a machine and then a pod, medians; %d machines at once on %s", t.size.pairs, nodes[0], t.size.burst, strings.Join(nodes, ", ")))
	if r.Metrics, err = t.compareStarts(ctx, nodes[0], warm); err != nil {
		return r, err
	}
	burst, err := t.burst(ctx)
	r.Metrics = append(r.Metrics, burst...)
	return r, err
}

// compareStarts runs the pairs on one node.
func (t *target) compareStarts(ctx context.Context, node string, warm sample) ([]report.Metric, error) {
	ns, done, err := t.namespace(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var machines, plain []timing
	for i := range t.size.pairs {
		m, err := t.timeMachine(ctx, ns, fmt.Sprintf("vm-%d", i), node)
		if err != nil {
			return nil, err
		}
		p, err := t.timePod(ctx, ns, fmt.Sprintf("pod-%d", i), node, warm)
		if err != nil {
			return nil, err
		}
		fmt.Printf("pair %d, connected, first byte, init: machine %v; pod %v\n", i+1, m, p)
		machines, plain = append(machines, m), append(plain, p)
	}
	if err := t.checkPulls(ctx, ns); err != nil {
		return nil, err
	}
	return startMetrics(machines, plain)
}

// startMetrics compares both sides. Nobody may have missed how a guest began: that would count its second word as its first.
func startMetrics(machines, plain []timing) ([]report.Metric, error) {
	var first, init [2][]float64
	for side, all := range [][]timing{machines, plain} {
		for _, t := range all {
			if t.said != plain[0].said {
				return nil, fmt.Errorf("the run is void: one guest began with %q and another with %q, so that something of one was not heard", plain[0].said, t.said)
			}
			first[side], init[side] = append(first[side], t.firstByte.Seconds()), append(init[side], t.init.Seconds())
		}
	}
	const peer = "plain pod with the same QEMU"
	metric := func(name string, sides [2][]float64) report.Metric {
		return report.Metric{Metric: name, Value: report.Median(sides[0]), Unit: "s", Peer: peer, PeerValue: report.Float(report.Median(sides[1])),
			Goal: report.Float(1.3), GoalOn: "ratio"}
	}
	return []report.Metric{metric("serial_first_byte_ratio", first), metric("guest_init_ratio", init)}, nil
}

func (t *target) timeMachine(ctx context.Context, ns, name, node string) (timing, error) {
	create := func(ctx context.Context) error {
		_, err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Create(ctx, tiny(name, node), metav1.CreateOptions{})
		return err
	}
	got, err := t.timeStart(ctx, ns, node, create, func(ctx context.Context) error {
		return t.virt.KubevirtV1().VirtualMachineInstances(ns).Delete(ctx, name, metav1.DeleteOptions{})
	})
	if err != nil {
		err = fmt.Errorf("machine %s: %w", name, err)
	}
	return got, err
}

// timePod runs the same QEMU in a plain pod, with user networking in place of the tap.
func (t *target) timePod(ctx context.Context, ns, name, node string, s sample) (timing, error) {
	pod, err := s.plainPod(name)
	if err != nil {
		return timing{}, err
	}
	create := func(ctx context.Context) error {
		_, err := t.kube.CoreV1().Pods(ns).Create(ctx, pod, metav1.CreateOptions{})
		return err
	}
	got, err := t.timeStart(ctx, ns, node, create, func(ctx context.Context) error {
		return t.kube.CoreV1().Pods(ns).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))})
	})
	if err != nil {
		err = fmt.Errorf("pod %s: %w", name, err)
	}
	return got, err
}

// timeStart is the same for both sides: it makes something that becomes the only pod of a namespace, listens to the guest
// in it, and removes it. Meanwhile it sleeps: a watch brings the pod, the kernel tells of its socket.
func (t *target) timeStart(ctx context.Context, ns, node string, create, remove func(context.Context) error) (timing, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	w, err := t.kube.CoreV1().Pods(ns).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return timing{}, err
	}
	defer w.Stop()
	if err := create(ctx); err != nil {
		return timing{}, err
	}
	began := time.Now()
	pod, err := nextPod(ctx, w)
	if err != nil {
		return timing{}, err
	}
	w.Stop() // what becomes of the pod is no matter
	conn, err := pods.Dial(ctx, t.dir.Root(node), string(pod.UID))
	if err != nil {
		return timing{}, err
	}
	defer conn.Close()
	connected := time.Since(began)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	got, err := listen(conn, began)
	if err != nil {
		return timing{}, err
	}
	got.connected = connected
	if err := remove(ctx); err != nil {
		return timing{}, err
	}
	return got, t.waitEmpty(ctx, ns)
}

// nextPod is the first pod that a watch tells of.
func nextPod(ctx context.Context, w watch.Interface) (*corev1.Pod, error) {
	for {
		event, ok, err := next(ctx, w)
		if err != nil || !ok {
			return nil, fmt.Errorf("waiting for the pod: %w", orCause(ctx, err))
		}
		if pod, ok := event.Object.(*corev1.Pod); ok && event.Type == watch.Added {
			return pod, nil
		}
	}
}

// listen reads what a guest says until its init is heard.
func listen(conn io.Reader, began time.Time) (timing, error) {
	reader := bufio.NewReader(conn)
	var t timing
	var said strings.Builder
	for {
		b, err := reader.ReadByte()
		if err != nil {
			return timing{}, fmt.Errorf("waiting for the guest's init: %w; it said %q", err, said.String())
		}
		if said.Len() == 0 {
			t.firstByte = time.Since(began)
		}
		said.WriteByte(b)
		if b == initMark[len(initMark)-1] && strings.HasSuffix(said.String(), initMark) {
			t.init = time.Since(began)
			t.said = said.String()[:beginning]
			return t, nil
		}
	}
}
