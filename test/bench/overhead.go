package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/test/bench/pods"
	"github.com/virtplane/virtplane/test/bench/report"
	"github.com/virtplane/virtplane/test/guest/serial"
	"github.com/virtplane/virtplane/test/wire"
)

const (
	settle = 60 * time.Second
	// referenceBudget is what the reference reserves for each machine beside vCPUs, graphics and page tables, in MiB.
	referenceBudget = 240
	guestKiB        = 128 << 10
)

// overhead measures what one running machine costs in memory beside its guest's, a minute after boot, with one client on
// its console.
func overhead(ctx context.Context, t *target) ([]report.Metric, error) {
	ns, done, err := t.namespace(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if _, err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Create(ctx, tiny("guest", ""), metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	vmi, err := t.waitRunning(ctx, ns, "guest", 2*time.Minute)
	if err != nil {
		return nil, err
	}
	conn, err := t.wire.Stream(ctx, wire.Subresource("v1", ns, "virtualmachineinstances", "guest", "console"))
	if err != nil {
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	defer conn.Close()
	console := serial.New(conn)
	for i := 0; ; i++ {
		ask, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := console.Run(ask, "true")
		cancel()
		if err == nil {
			break
		}
		if i == 30 {
			return nil, fmt.Errorf("the guest does not answer on its console: %w", err)
		}
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(settle):
	}
	pod, err := t.podOf(ctx, ns, string(vmi.UID))
	if err != nil {
		return nil, err
	}
	processes, err := pods.Processes(string(pod.UID))
	if err != nil {
		return nil, err
	}
	var launcher, qemu pods.Memory
	found := false
	for _, pid := range processes {
		if pods.IsQEMU(pid) {
			if qemu, err = pods.ReadMemory(pid, guestKiB); err != nil {
				return nil, err
			}
			found = true
			continue
		}
		m, err := pods.ReadMemory(pid, 0)
		if err != nil {
			return nil, err
		}
		args, _ := pods.Command(pid)
		fmt.Printf("%8.1f MiB  %v\n", mib(m.Total), args)
		launcher.Total += m.Total
	}
	if !found {
		return nil, fmt.Errorf("pod %s has no QEMU among its %d processes", pod.Name, len(processes))
	}
	own := qemu.Total - qemu.GuestRAM - qemu.JIT
	return []report.Metric{
		{Metric: "launcher_rss_mib", Value: mib(launcher.Total), Unit: "MiB", Goal: report.Float(30), GoalOn: "value"},
		{Metric: "qemu_rss_mib", Value: mib(qemu.Total), Unit: "MiB"},
		{Metric: "qemu_guest_ram_mib", Value: mib(qemu.GuestRAM), Unit: "MiB"},
		{Metric: "qemu_jit_mib", Value: mib(qemu.JIT), Unit: "MiB"},
		{Metric: "qemu_overhead_mib", Value: mib(own), Unit: "MiB"},
		{Metric: "total_overhead_mib", Value: mib(launcher.Total + own), Unit: "MiB", Peer: "the reference's budget", PeerValue: report.Float(referenceBudget), Goal: report.Float(100), GoalOn: "value"},
	}, nil
}

func mib(kib int64) float64 { return float64(kib) / 1024 }
