package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/test/bench/pods"
	"github.com/virtplane/virtplane/test/bench/report"
)

const (
	pairs      = 11
	burstSize  = 50
	startLimit = 3 * time.Minute
	// initMark is the first thing that the tiny guest's init prints.
	initMark = "virtplane tiny guest ready"
)

// timing is when a guest gave its first signs, counted from the API's answer to the create.
type timing struct{ firstByte, init time.Duration }

// start measures how long a machine takes to its first sign of life beside a plain pod with the same QEMU, and how 50 at
// once fare.
func start(ctx context.Context, t *target) ([]report.Metric, error) {
	node := "node-1"
	ns, done, err := t.namespace(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	// One machine beforehand warms image caches and gives the command line that the plain pods use.
	warm, err := t.sampleMachine(ctx, ns, "warm", node)
	if err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	var ours, plain [2][]float64
	for i := range pairs {
		for side := range 2 {
			var got timing
			if (side == 0) == (i%2 == 0) { // ABAB order, the first of a pair changing
				if got, err = t.timeMachine(ctx, ns, fmt.Sprintf("vm-%d", i), node); err != nil {
					return nil, err
				}
				ours[0], ours[1] = append(ours[0], got.firstByte.Seconds()), append(ours[1], got.init.Seconds())
			} else {
				if got, err = t.timePod(ctx, ns, fmt.Sprintf("pod-%d", i), warm); err != nil {
					return nil, err
				}
				plain[0], plain[1] = append(plain[0], got.firstByte.Seconds()), append(plain[1], got.init.Seconds())
			}
		}
		fmt.Printf("pair %d: machine %.2f s, %.2f s; pod %.2f s, %.2f s\n", i+1, ours[0][i], ours[1][i], plain[0][i], plain[1][i])
	}
	metrics := []report.Metric{
		{Metric: "serial_first_byte_ratio", Value: report.Median(ours[0]), Unit: "s", Peer: "plain pod with the same QEMU", PeerValue: report.Float(report.Median(plain[0])), Goal: report.Float(1.3), GoalOn: "ratio"},
		{Metric: "guest_init_ratio", Value: report.Median(ours[1]), Unit: "s", Peer: "plain pod with the same QEMU", PeerValue: report.Float(report.Median(plain[1])), Goal: report.Float(1.3), GoalOn: "ratio"},
	}
	burst, err := t.burst(ctx)
	return append(metrics, burst...), err
}

// sample is what the plain pods copy from a machine.
type sample struct {
	pod  *corev1.Pod
	args []string
}

// sampleMachine runs a machine once and returns its pod and QEMU's command line.
func (t *target) sampleMachine(ctx context.Context, ns, name, node string) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	vmi, err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Create(ctx, tiny(name, node), metav1.CreateOptions{})
	if err != nil {
		return sample{}, err
	}
	if _, err := t.waitRunning(ctx, ns, name, startLimit); err != nil {
		return sample{}, err
	}
	pod, err := t.podOf(ctx, ns, string(vmi.UID))
	if err != nil {
		return sample{}, err
	}
	s := sample{pod: pod}
	processes, err := pods.Processes(string(pod.UID))
	if err != nil {
		return sample{}, err
	}
	for _, pid := range processes {
		if pods.IsQEMU(pid) {
			if s.args, err = pods.Command(pid); err != nil {
				return sample{}, err
			}
		}
	}
	if len(s.args) == 0 {
		return sample{}, fmt.Errorf("pod %s has no QEMU", pod.Name)
	}
	return s, t.deleteInstance(ctx, ns, name)
}

func (t *target) timeMachine(ctx context.Context, ns, name, node string) (timing, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	vmi, err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Create(ctx, tiny(name, node), metav1.CreateOptions{})
	if err != nil {
		return timing{}, err
	}
	began := time.Now()
	pod, err := t.podOf(ctx, ns, string(vmi.UID))
	if err != nil {
		return timing{}, err
	}
	got, err := listen(ctx, string(pod.UID), began)
	if err != nil {
		return timing{}, fmt.Errorf("machine %s: %w", name, err)
	}
	return got, t.deleteInstance(ctx, ns, name)
}

func (t *target) deleteInstance(ctx context.Context, ns, name string) error {
	if err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	for {
		list, err := t.kube.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the pod of %s to go: %w", name, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// timePod runs the same QEMU in a plain pod, with user networking in place of the tap.
func (t *target) timePod(ctx context.Context, ns, name string, s sample) (timing, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	script, err := plainScript(s.args)
	if err != nil {
		return timing{}, err
	}
	spec := *s.pod.Spec.DeepCopy()
	spec.NodeName = ""
	spec.TerminationGracePeriodSeconds = ptr.To(int64(0))
	spec.Containers[0].Command = []string{"/bin/bash", "-c", script}
	pod, err := t.kube.CoreV1().Pods(ns).Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return timing{}, err
	}
	began := time.Now()
	got, err := listen(ctx, string(pod.UID), began)
	if err != nil {
		return timing{}, fmt.Errorf("pod %s: %w", name, err)
	}
	if err := t.kube.CoreV1().Pods(ns).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}); err != nil {
		return timing{}, err
	}
	for {
		list, err := t.kube.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return timing{}, err
		}
		if len(list.Items) == 0 {
			return got, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// plainScript makes the disk overlay as the launcher does and becomes QEMU with the same arguments, but for the tap and for
// starting paused.
func plainScript(args []string) (string, error) {
	var out []string
	overlay := ""
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "-S":
			continue
		case i > 0 && args[i-1] == "-netdev":
			id := ""
			for part := range strings.SplitSeq(arg, ",") {
				if rest, ok := strings.CutPrefix(part, "id="); ok {
					id = rest
				}
			}
			if strings.HasPrefix(arg, "{") {
				var netdev struct{ ID string }
				if err := json.Unmarshal([]byte(arg), &netdev); err != nil {
					return "", fmt.Errorf("reading netdev %q: %w", arg, err)
				}
				id = netdev.ID
			}
			arg = "user,id=" + id
		}
		if at := strings.Index(arg, machine.EphemeralDir+"/"); at >= 0 && overlay == "" {
			end := strings.IndexAny(arg[at:], `",`)
			if end < 0 {
				end = len(arg) - at
			}
			overlay = arg[at : at+end]
		}
		out = append(out, "'"+strings.ReplaceAll(arg, "'", `'\''`)+"'")
	}
	if overlay == "" {
		return "", fmt.Errorf("no overlay below %s in %v", machine.EphemeralDir, args)
	}
	dir := overlay[:strings.LastIndex(overlay, "/")]
	return fmt.Sprintf("mkdir -p %s && base=$(ls %s/disk/*) && qemu-img create -q -f qcow2 -b $base -F $(qemu-img info --output=json $base | sed -n 's/^    \"format\": \"\\(.*\\)\",*$/\\1/p' | tail -1) %s && exec %s",
		dir, machine.ContainerDiskPath("root"), overlay, strings.Join(out, " ")), nil
}

// listen waits for the guest's serial socket and reads from it.
func listen(ctx context.Context, podUID string, began time.Time) (timing, error) {
	// In the image /var/run is a link to /run, which from here would lead into this machine's own.
	dir := strings.TrimPrefix(machine.SocketsDir, "/var")
	path, err := pods.WaitFile(ctx, podUID, dir+"/"+machine.SerialSocket)
	if err != nil {
		return timing{}, err
	}
	var conn net.Conn
	for {
		if conn, err = net.Dial("unix", path); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return timing{}, fmt.Errorf("connecting to the serial console: %w", err)
		case <-time.After(2 * time.Millisecond):
		}
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	reader := bufio.NewReader(conn)
	if _, err := reader.ReadByte(); err != nil {
		return timing{}, fmt.Errorf("reading the first byte: %w", err)
	}
	t := timing{firstByte: time.Since(began)}
	var said strings.Builder
	for {
		b, err := reader.ReadByte()
		if err != nil {
			if err == io.EOF || ctx.Err() != nil {
				err = fmt.Errorf("%w; the guest said %q", err, said.String())
			}
			return timing{}, fmt.Errorf("waiting for the guest's init: %w", err)
		}
		said.WriteByte(b)
		if b == 'y' && strings.HasSuffix(said.String(), initMark) {
			t.init = time.Since(began)
			return t, nil
		}
	}
}

// burst creates 50 machines at once and measures how long each takes to run, and how often our objects are written.
func (t *target) burst(ctx context.Context) ([]report.Metric, error) {
	ns, done, err := t.namespace(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	count, err := t.countWrites(ctx, ns)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var took []float64
	var failed error
	var wg sync.WaitGroup
	for i := range burstSize {
		wg.Go(func() {
			name := fmt.Sprintf("burst-%02d", i)
			vmi := tiny(name, "")
			always := virtv1.RunStrategyAlways
			vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: virtv1.VirtualMachineSpec{RunStrategy: always,
				Template: &virtv1.VirtualMachineInstanceTemplateSpec{Spec: vmi.Spec}}}
			_, err := t.virt.KubevirtV1().VirtualMachines(ns).Create(ctx, vm, metav1.CreateOptions{})
			began := time.Now()
			if err == nil {
				_, err = t.waitRunning(ctx, ns, name, 15*time.Minute)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = fmt.Errorf("machine %s: %w", name, err)
				return
			}
			took = append(took, time.Since(began).Seconds())
		})
	}
	wg.Wait()
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second): // the machines' own status follows that of their instances
	}
	writes := count()
	if failed != nil {
		return nil, failed
	}
	return []report.Metric{
		{Metric: "burst50_p50_s", Value: report.Percentile(took, 50), Unit: "s"},
		{Metric: "burst50_p95_s", Value: report.Percentile(took, 95), Unit: "s"},
		{Metric: "writes_per_vm", Value: float64(writes) / burstSize, Unit: "writes", Goal: report.Float(4), GoalOn: "value"},
	}, nil
}

// countWrites counts the updates and patches of machines and instances in a namespace, each of which is one event of a
// watch, until the watches are stopped. Those of one machine count until it is shown as Running.
func (t *target) countWrites(ctx context.Context, ns string) (stop func() int, err error) {
	vms, err := t.virt.KubevirtV1().VirtualMachines(ns).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	vmis, err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		vms.Stop()
		return nil, err
	}
	var wg sync.WaitGroup
	var writes atomic.Int64
	for _, w := range []watch.Interface{vms, vmis} {
		wg.Go(func() {
			shown := map[string]bool{}
			for event := range w.ResultChan() {
				if event.Type != watch.Modified {
					continue
				}
				if vm, ok := event.Object.(*virtv1.VirtualMachine); ok {
					if shown[vm.Name] {
						continue
					}
					shown[vm.Name] = vm.Status.PrintableStatus == virtv1.VirtualMachineStatusRunning
				}
				writes.Add(1)
			}
		})
	}
	return func() int {
		vms.Stop()
		vmis.Stop()
		wg.Wait()
		return int(writes.Load())
	}, nil
}
