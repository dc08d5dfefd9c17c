package report

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample has a metric of each kind.
var sample = Report{
	Name: "sample", Head: []string{"2 CPUs (a model), Linux 6.1", "Virtplane v0.0.0"},
	Metrics: []Metric{
		{Metric: "memory_mib", Value: 31.25, Unit: "MiB", Goal: Float(30), GoalOn: "value"},
		{Metric: "start_ratio", Value: 1.2, Unit: "s", Peer: "plain pod", PeerValue: Float(1), Goal: Float(1.3), GoalOn: "ratio"},
		{Metric: "list_ratio", Value: 3, Unit: "ms", Peer: "CustomResourceDefinition", PeerValue: Float(0), Goal: Float(0.4), GoalOn: "ratio"},
		{Metric: "shown", Value: 7, Unit: "writes"},
		{Metric: "throughput", Value: 90, Unit: "MiB/s", Goal: Float(80), GoalOn: "value", HigherIsBetter: true},
	},
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	var table bytes.Buffer
	if err := sample.Write(&table, dir); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.golden", table.Bytes())
	written, err := os.ReadFile(filepath.Join(dir, "sample.json"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "sample.json", written)
}

// TestKeys wants each key in each metric, whatever it lacks.
func TestKeys(t *testing.T) {
	raw, err := sample.json()
	if err != nil {
		t.Fatal(err)
	}
	var metrics []map[string]any
	if err := json.Unmarshal(raw, &metrics); err != nil {
		t.Fatal(err)
	}
	want := []string{"goal", "goal_on", "higher_is_better", "metric", "peer", "peer_value", "unit", "value"}
	for _, m := range metrics {
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(m))); diff != "" {
			t.Errorf("keys of %v (-want +got):\n%s", m["metric"], diff)
		}
	}
	raw, err = Report{}.json()
	if got := strings.TrimSpace(string(raw)); err != nil || got != "[]" {
		t.Errorf("no metrics give %s, %v, want an empty list", got, err)
	}
}

func TestPercentile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for _, tc := range []struct{ p, want float64 }{{50, 3}, {95, 5}, {0, 1}, {100, 5}} {
		if got := Percentile(values, tc.p); got != tc.want {
			t.Errorf("percentile %v: %v, want %v", tc.p, got, tc.want)
		}
	}
	if got := Median(nil); got != 0 {
		t.Errorf("median of none: %v, want 0", got)
	}
}
