package report

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// names are the metrics that each bench reports. Those that compare runs look for them.
var names = map[string][]string{
	"overhead": {"launcher_rss_mib", "launcher_rss_max_mib", "qemu_rss_mib", "qemu_guest_ram_mib", "qemu_jit_mib", "qemu_overhead_mib",
		"qemu_overhead_max_mib", "total_overhead_mib", "total_overhead_max_mib"},
	"start":  {"serial_first_byte_ratio", "guest_init_ratio", "burst50_p50_s", "burst50_p95_s", "writes_per_vm", "creates_per_vm", "events_per_vm"},
	"access": {"portforward_mib_s", "vnc_mib_s", "console_seats"},
	"api": {"create_p50_ms", "list_1000_ms", "list_10000_ms", "watch50_ms", "patch_merge_p50_ms", "patch_apply_p50_ms", "get_p50_ms", "cpu_s",
		"memory_10000_mib", "create_protobuf_p50_ms", "list_1000_protobuf_ms", "list_10000_protobuf_ms", "watch50_protobuf_ms",
		"get_8_clients_p50_ms", "object_bytes", "create_embedded_p50_ms", "patch_merge_embedded_p50_ms", "cpu_embedded_s",
		"memory_10000_embedded_mib"},
}

// mayBeZero are metrics of which nothing at all may be measured: no seat is held by a console, and no code is translated
// where a guest runs on KVM.
var mayBeZero = []string{"console_seats", "qemu_jit_mib"}

// Benches are the names of all benches.
func Benches() []string { return slices.Sorted(maps.Keys(names)) }

// Complete says which metrics of a bench are missing, foreign, or have no value that can have been measured. A bench that
// has stopped to work is known by that.
func Complete(bench string, metrics []Metric) error {
	want, known := names[bench]
	if !known {
		return fmt.Errorf("there is no bench %q", bench)
	}
	var errs []error
	seen := map[string]bool{}
	for _, m := range metrics {
		if !slices.Contains(want, m.Metric) || seen[m.Metric] {
			errs = append(errs, fmt.Errorf("%s is not a metric of %s, or is there twice", m.Metric, bench))
		}
		seen[m.Metric] = true
		errs = append(errs, measured(m, "value", m.Value))
		switch {
		case m.PeerValue != nil:
			errs = append(errs, measured(m, "peer's value", *m.PeerValue))
		case m.Peer != "":
			errs = append(errs, fmt.Errorf("%s: there is no value of its peer, %s", m.Metric, m.Peer))
		}
	}
	for _, name := range want {
		if !seen[name] {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
	}
	return errors.Join(errs...)
}

func measured(m Metric, what string, v float64) error {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return fmt.Errorf("%s: its %s is %v", m.Metric, what, v)
	case v == 0 && !slices.Contains(mayBeZero, m.Metric):
		return fmt.Errorf("%s: its %s is 0", m.Metric, what)
	}
	return nil
}
