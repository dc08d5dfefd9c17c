package report

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestComplete(t *testing.T) {
	whole := func() []Metric {
		return []Metric{{Metric: "portforward_mib_s", Value: 1, Peer: "kubectl", PeerValue: Float(2)}, {Metric: "vnc_mib_s", Value: 3, Peer: "kubectl", PeerValue: Float(4)},
			{Metric: "console_seats"}}
	}
	for _, tc := range []struct {
		name   string
		change func(m []Metric) []Metric
		want   string
	}{
		{"whole", slices.Clip[[]Metric], "<nil>"},
		{"in another order", func(m []Metric) []Metric { slices.Reverse(m); return m }, "<nil>"},
		{"without one", func(m []Metric) []Metric { return m[1:] }, "portforward_mib_s is missing"},
		{"with none", func([]Metric) []Metric { return nil }, "portforward_mib_s is missing\nvnc_mib_s is missing\nconsole_seats is missing"},
		{"with a foreign one", func(m []Metric) []Metric { return append(m, Metric{Metric: "cpu_s", Value: 1}) }, "cpu_s is not a metric of access, or is there twice"},
		{"with one twice", func(m []Metric) []Metric { return append(m, m[2]) }, "console_seats is not a metric of access, or is there twice"},
		{"zero", func(m []Metric) []Metric { m[0].Value = 0; return m }, "portforward_mib_s: its value is 0"},
		{"no number", func(m []Metric) []Metric { m[2].Value = math.NaN(); return m }, "console_seats: its value is NaN"},
		{"the peer measured nothing", func(m []Metric) []Metric { m[1].PeerValue = Float(0); return m }, "vnc_mib_s: its peer's value is 0"},
		{"the peer was not measured", func(m []Metric) []Metric { m[1].PeerValue = nil; return m }, "vnc_mib_s: there is no value of its peer, kubectl"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := fmt.Sprint(Complete("access", tc.change(whole()))); got != tc.want {
				t.Errorf("error %s, want %s", got, tc.want)
			}
		})
	}
	if got := fmt.Sprint(Complete("speed", nil)); got != `there is no bench "speed"` {
		t.Errorf("error %s for no bench", got)
	}
}
