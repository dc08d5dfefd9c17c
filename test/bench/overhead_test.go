package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/test/bench/pods"
)

// TestOverheadMetrics has a process that gives memory back between two samples.
func TestOverheadMetrics(t *testing.T) {
	var samples []footprint
	for _, launcher := range []int64{20, 22, 35} {
		samples = append(samples, footprint{launcher: launcher << 10, qemu: pods.Memory{Total: (100 + launcher) << 10, GuestRAM: 60 << 10, JIT: 10 << 10}})
	}
	got := map[string]float64{}
	goals := map[string]float64{}
	for _, m := range overheadMetrics(samples) {
		got[m.Metric] = m.Value
		if m.Goal != nil {
			goals[m.Metric] = *m.Goal
		}
	}
	want := map[string]float64{
		"launcher_rss_mib": 22, "launcher_rss_max_mib": 35, "qemu_rss_mib": 122, "qemu_guest_ram_mib": 60, "qemu_jit_mib": 10,
		"qemu_overhead_mib": 52, "qemu_overhead_max_mib": 65, "total_overhead_mib": 74, "total_overhead_max_mib": 100,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]float64{"launcher_rss_mib": 30, "total_overhead_mib": 100}, goals); diff != "" {
		t.Errorf("goals (-want +got):\n%s", diff)
	}
}
