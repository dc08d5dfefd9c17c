package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/bench/report"
	"github.com/virtplane/virtplane/test/integration/harness"
)

// apiGoals are bounds of the ratios of ours and a CustomResourceDefinition, in the order in which they are
// shown.
var apiGoals = []struct {
	metric, unit string
	goal         float64
}{
	{"create_p50_ms", "ms", 0.6},
	{"list_1000_ms", "ms", 0.4},
	{"list_10000_ms", "ms", 0.35},
	{"watch50_ms", "ms", 0.85},
	{"patch_merge_p50_ms", "ms", 0.75},
	{"patch_apply_p50_ms", "ms", 0.75},
	{"get_p50_ms", "ms", 1.1},
	{"cpu_s", "s", 0.6},
	{"memory_10000_mib", "MiB", 0.5},
}

// apiBesides are shown without a goal: our protobuf beside the peer's JSON, and what explains the others.
var apiBesides = []struct{ metric, peer, unit string }{
	{"create_protobuf_p50_ms", "create_p50_ms", "ms"},
	{"list_1000_protobuf_ms", "list_1000_ms", "ms"},
	{"list_10000_protobuf_ms", "list_10000_ms", "ms"},
	{"watch50_protobuf_ms", "watch50_ms", "ms"},
	{"get_8_clients_p50_ms", "get_8_clients_p50_ms", "ms"},
	{"object_bytes", "object_bytes", "B"},
}

// apiEmbedded are shown for the single-process form of ours.
var apiEmbedded = []struct{ metric, of, unit string }{
	{"create_embedded_p50_ms", "create_p50_ms", "ms"},
	{"patch_merge_embedded_p50_ms", "patch_merge_p50_ms", "ms"},
	{"cpu_embedded_s", "cpu_s", "s"},
	{"memory_10000_embedded_mib", "memory_10000_mib", "MiB"},
}

// apiForms says what the sides are.
const apiForms = "ours: one virt-api and one member of virt-store, two processes with TLS between them (the manifests have a second virt-api); " +
	"*_embedded_*: one process for both, one round"

// roundResult is what the process of a round leaves.
type roundResult struct {
	Values map[string]float64 `json:"values"`
	// Servers are the versions of what was measured.
	Servers string `json:"servers"`
}

// apiRounds are the values of all rounds by side.
type apiRounds map[string][]map[string]float64

// api compares our API server with the same kind as a CustomResourceDefinition of the same kube-apiserver. Each round
// measures one side in servers of its own, in a network of their own; rounds go in pairs, the sides in turns.
func api(ctx context.Context, p place) (report.Report, error) {
	var r report.Report
	dir := filepath.Join(p.results(), "api") // on the disk of the checkout
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return r, err
	}
	if err := onDisk(dir); err != nil && !p.size.short {
		return r, err
	}
	if err := harness.Build(ctx, p.root, programs(dir)); err != nil {
		return r, err
	}
	rounds := apiRounds{}
	servers := ""
	round := func(side apiSide) error {
		result, err := roundOf(ctx, dir, side, p.size.short)
		if err != nil {
			return fmt.Errorf("round %d of %s: %w", len(rounds[side.name])+1, side.name, err)
		}
		rounds[side.name], servers = append(rounds[side.name], result.Values), result.Servers
		return nil
	}
	for pair := range p.size.api.pairs {
		for _, side := range []apiSide{ourSide, crdSide} {
			fmt.Fprintf(os.Stderr, "pair %d of %d: %s\n", pair+1, p.size.api.pairs, side.name)
			if err := round(side); err != nil {
				return r, err
			}
		}
	}
	fmt.Fprintln(os.Stderr, "besides:", embeddedSide.name)
	if err := round(embeddedSide); err != nil {
		return r, err
	}
	r.Head = []string{"Virtplane " + checkoutCommit(ctx, p.root), servers, apiForms, fmt.Sprintf("%d pairs of rounds, ours and then the peer, medians", p.size.api.pairs)}
	var err error
	r.Metrics, err = rounds.metrics()
	return r, err
}

// value is the median of a side's rounds.
func (r apiRounds) value(side apiSide, metric string) (float64, error) {
	if len(r[side.name]) == 0 {
		return 0, fmt.Errorf("there is no round of %s", side.name)
	}
	var all []float64
	for _, values := range r[side.name] {
		v, ok := values[metric]
		if !ok {
			return 0, fmt.Errorf("a round of %s has no %s", side.name, metric)
		}
		all = append(all, v)
	}
	return report.Median(all), nil
}

func (r apiRounds) metrics() ([]report.Metric, error) {
	const peer = "CustomResourceDefinition"
	var metrics []report.Metric
	add := func(metric string, side apiSide, of, peerMetric, unit string, goal *float64) error {
		ours, err := r.value(side, of)
		if err != nil {
			return err
		}
		theirs, err := r.value(crdSide, peerMetric)
		if err != nil {
			return err
		}
		m := report.Metric{Metric: metric, Value: ours, Unit: unit, Peer: peer, PeerValue: &theirs, Goal: goal}
		if goal != nil {
			m.GoalOn = "ratio"
		}
		metrics = append(metrics, m)
		return nil
	}
	for _, g := range apiGoals {
		if err := add(g.metric, ourSide, g.metric, g.metric, g.unit, report.Float(g.goal)); err != nil {
			return nil, err
		}
	}
	for _, b := range apiBesides {
		if err := add(b.metric, ourSide, b.metric, b.peer, b.unit, nil); err != nil {
			return nil, err
		}
	}
	for _, e := range apiEmbedded {
		if err := add(e.metric, embeddedSide, e.of, e.of, e.unit, nil); err != nil {
			return nil, err
		}
	}
	return metrics, nil
}

// roundOf runs a round as a process of its own.
func roundOf(ctx context.Context, dir string, side apiSide, short bool) (*roundResult, error) {
	out := filepath.Join(dir, side.name+".json")
	if err := os.RemoveAll(out); err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{roundCommand}
	if short {
		args = append(args, shortFlag)
	}
	cmd := exec.CommandContext(ctx, program, append(args, side.name, out)...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, harness.BuiltEnv+"="+programs(dir))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	var result roundResult
	return &result, json.Unmarshal(raw, &result)
}

// programs is where ours are that all rounds start.
func programs(dir string) string { return filepath.Join(dir, "bin") }

// onDisk refuses a file system in memory, where waiting for the disk means nothing.
func onDisk(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return err
	}
	if fs.Type == unix.TMPFS_MAGIC {
		return fmt.Errorf("%s is in memory: the servers' data must lie on a disk", dir)
	}
	return nil
}
