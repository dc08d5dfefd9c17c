package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/test/bench/pods"
	"github.com/virtplane/virtplane/test/bench/report"
	"github.com/virtplane/virtplane/test/guest/serial"
	"github.com/virtplane/virtplane/test/wire"
)

const (
	// referenceBudget is what the reference reserves for each machine beside vCPUs, graphics and page tables, in MiB.
	referenceBudget = 240
	guestKiB        = 128 << 10
)

// overhead measures what one running machine costs in memory beside its guest's, from some time after boot on, with one
// client on its console.
func overhead(ctx context.Context, t *target) (report.Report, error) {
	var r report.Report
	nodes, err := t.nodes(ctx)
	if err != nil {
		return r, err
	}
	node := nodes[0]
	warm, err := t.warmUp(ctx, []string{node})
	if err != nil {
		return r, err
	}
	ns, done, err := t.namespace(ctx)
	if err != nil {
		return r, err
	}
	defer done()
	if _, err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Create(ctx, tiny("guest", node), metav1.CreateOptions{}); err != nil {
		return r, err
	}
	vmi, err := t.waitRunning(ctx, ns, "guest", 2*time.Minute)
	if err != nil {
		return r, err
	}
	conn, err := t.wire.Stream(ctx, wire.Subresource("v1", ns, "virtualmachineinstances", "guest", "console"))
	if err != nil {
		return r, fmt.Errorf("opening the console: %w", err)
	}
	defer conn.Close()
	if err := waitGuest(ctx, serial.New(conn)); err != nil {
		return r, err
	}
	pod, err := t.podOf(ctx, ns, string(vmi.UID))
	if err != nil {
		return r, err
	}
	if err := pause(ctx, t.size.settle); err != nil {
		return r, err
	}
	var samples []footprint
	for began := time.Now(); ; {
		f, err := readFootprint(string(pod.UID))
		if err == nil && f.qemu.JIT == 0 && !warm.onKVM() {
			err = errors.New("QEMU translates the guest's code and holds none of it")
		}
		if err != nil {
			return r, fmt.Errorf("pod %s: %w", pod.Name, err)
		}
		fmt.Printf("%3.0f s after boot: %v\n", (t.size.settle + time.Since(began)).Seconds(), f)
		samples = append(samples, f)
		if time.Since(began) > t.size.sampleFor-t.size.sampleEvery/2 {
			break
		}
		if err := pause(ctx, t.size.sampleEvery); err != nil {
			return r, err
		}
	}
	if err := t.checkPulls(ctx, ns); err != nil {
		return r, err
	}
	r.Head = append(t.clusterVersions(ctx, warm.qemu), fmt.Sprintf("medians and greatest of %d samples from %v to %v after boot", len(samples), t.size.settle, t.size.settle+t.size.sampleFor))
	r.Metrics = overheadMetrics(samples)
	return r, nil
}

// guestLimit is how long a guest may take to its shell.
const guestLimit = 150 * time.Second

// waitGuest waits until the guest answers on its console.
func waitGuest(ctx context.Context, console *serial.Console) error {
	ctx, cancel := context.WithTimeout(ctx, guestLimit)
	defer cancel()
	return console.WaitShell(ctx)
}

// footprint is what the processes of a pod hold at one moment, in KiB.
type footprint struct {
	launcher int64
	qemu     pods.Memory
}

// own is what QEMU holds beside the guest's memory and translated code.
func (f footprint) own() int64 { return f.qemu.Total - f.qemu.GuestRAM - f.qemu.JIT }

func (f footprint) String() string {
	return fmt.Sprintf("launcher %.1f MiB, QEMU %.1f MiB, of it guest's RAM %.1f MiB and translated code %.1f MiB",
		mib(f.launcher), mib(f.qemu.Total), mib(f.qemu.GuestRAM), mib(f.qemu.JIT))
}

func readFootprint(podUID string) (footprint, error) {
	var f footprint
	processes, err := pods.Processes(podUID)
	if err != nil {
		return f, err
	}
	for _, pid := range processes {
		if !pods.IsQEMU(pid) {
			m, err := pods.ReadMemory(pid, 0)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
				continue // it has just ended
			}
			if err != nil {
				return f, err
			}
			f.launcher += m.Total
			continue
		}
		if f.qemu, err = pods.ReadMemory(pid, guestKiB); err != nil {
			return f, err
		}
	}
	if f.qemu.GuestRAM == 0 {
		return f, fmt.Errorf("no QEMU with a guest's RAM among its %d processes", len(processes))
	}
	return f, nil
}

// overheadMetrics are the medians of samples, and beside them the greatest of what has a goal.
func overheadMetrics(samples []footprint) []report.Metric {
	of := func(p float64, read func(footprint) int64) float64 {
		var all []float64
		for _, f := range samples {
			all = append(all, mib(read(f)))
		}
		return report.Percentile(all, p)
	}
	launcher := func(f footprint) int64 { return f.launcher }
	total := func(f footprint) int64 { return f.launcher + f.own() }
	return []report.Metric{
		{Metric: "launcher_rss_mib", Value: of(50, launcher), Unit: "MiB", Goal: report.Float(30), GoalOn: "value"},
		{Metric: "launcher_rss_max_mib", Value: of(100, launcher), Unit: "MiB"},
		{Metric: "qemu_rss_mib", Value: of(50, func(f footprint) int64 { return f.qemu.Total }), Unit: "MiB"},
		{Metric: "qemu_guest_ram_mib", Value: of(50, func(f footprint) int64 { return f.qemu.GuestRAM }), Unit: "MiB"},
		{Metric: "qemu_jit_mib", Value: of(50, func(f footprint) int64 { return f.qemu.JIT }), Unit: "MiB"},
		{Metric: "qemu_overhead_mib", Value: of(50, footprint.own), Unit: "MiB"},
		{Metric: "qemu_overhead_max_mib", Value: of(100, footprint.own), Unit: "MiB"},
		{Metric: "total_overhead_mib", Value: of(50, total), Unit: "MiB", Peer: "the reference's budget", PeerValue: report.Float(referenceBudget), Goal: report.Float(100), GoalOn: "value"},
		{Metric: "total_overhead_max_mib", Value: of(100, total), Unit: "MiB"},
	}
}

func mib(kib int64) float64 { return float64(kib) / 1024 }
