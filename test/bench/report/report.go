// Package report prints what a benchmark measured as a table with the machine in its head, and writes it to a file for those
// that compare runs. It knows which metrics a bench must have, and nothing of how they are measured.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// Metric is one measured value, beside that of a peer measured in the same run where there is one. Every key is always
// there: those that read the file need not ask.
type Metric struct {
	Metric    string   `json:"metric"`
	Value     float64  `json:"value"`
	Unit      string   `json:"unit"`
	Peer      string   `json:"peer"`
	PeerValue *float64 `json:"peer_value"`
	Goal      *float64 `json:"goal"`
	// GoalOn says what the goal bounds: "value" or "ratio" (value divided by the peer's).
	GoalOn         string `json:"goal_on"`
	HigherIsBetter bool   `json:"higher_is_better"`
}

// Report is what a run of one bench has to say.
type Report struct {
	Name string
	// Head says on what it was measured: machine, versions, the form of what was compared.
	Head    []string
	Metrics []Metric
}

// Ratio is value divided by the peer's value.
func (m Metric) Ratio() (float64, bool) {
	if m.PeerValue == nil || *m.PeerValue == 0 {
		return 0, false
	}
	return m.Value / *m.PeerValue, true
}

// Met says whether the goal is met; a metric without a goal meets it.
func (m Metric) Met() bool {
	if m.Goal == nil {
		return true
	}
	got := m.Value
	if m.GoalOn == "ratio" {
		ratio, ok := m.Ratio()
		if !ok {
			return false
		}
		got = ratio
	}
	if m.HigherIsBetter {
		return got >= *m.Goal
	}
	return got <= *m.Goal
}

// Write prints the table to w and writes dir/NAME.json.
func (r Report) Write(w io.Writer, dir string) error {
	if err := r.table(w); err != nil {
		return err
	}
	raw, err := r.json()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.Name+".json"), raw, 0o644)
}

func (r Report) table(w io.Writer) error {
	fmt.Fprintf(w, "\nbench-%s\n", r.Name)
	for _, line := range r.Head {
		fmt.Fprintf(w, "  %s\n", line)
	}
	tw := tabwriter.NewWriter(w, 2, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "metric\tvalue\tunit\tpeer\tpeer value\tratio\tgoal")
	for _, m := range r.Metrics {
		peer, ratio, goal := "", "", ""
		if m.PeerValue != nil {
			peer = fmt.Sprintf("%.2f", *m.PeerValue)
		}
		if r, ok := m.Ratio(); ok {
			ratio = fmt.Sprintf("%.2f", r)
		}
		if m.Goal != nil {
			goal = fmt.Sprintf("%g on %s", *m.Goal, m.GoalOn)
			if !m.Met() {
				goal += " MISSED"
			}
		}
		fmt.Fprintf(tw, "%s\t%.2f\t%s\t%s\t%s\t%s\t%s\n", m.Metric, m.Value, m.Unit, m.Peer, peer, ratio, goal)
	}
	return tw.Flush()
}

func (r Report) json() ([]byte, error) {
	metrics := r.Metrics
	if metrics == nil {
		metrics = []Metric{}
	}
	raw, err := json.MarshalIndent(metrics, "", "  ")
	return append(raw, '\n'), err
}

// Machine says on what a run was made: numbers without that mean nothing.
func Machine() string {
	model := "unknown CPU"
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.SplitSeq(string(raw), "\n") {
			if rest, ok := strings.CutPrefix(line, "model name"); ok {
				model = strings.TrimLeft(rest, "\t :")
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d CPUs (%s), Linux %s, %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)), runtime.Version())
}

// Median of values; zero for none.
func Median(values []float64) float64 { return Percentile(values, 50) }

// Percentile p (0 to 100) of values by the nearest rank; zero for none.
func Percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(p/100*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// Float returns a pointer to v, for goals and peers.
func Float(v float64) *float64 { return &v }
