package benches

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/virtplane/virtplane/test/bench/report"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

const (
	buildLimit = 15 * time.Minute // from an empty cache
	runLimit   = 10 * time.Minute
)

// TestShort runs each bench and wants all of its metrics in the file that it writes. What they are is judged by nobody.
func TestShort(t *testing.T) {
	kubeconfig := os.Getenv("KUBECONFIG")
	if kubeconfig == "" {
		t.Fatal("KUBECONFIG is not set: run make test-e2e, or make install and export KUBECONFIG=$PWD/.cluster/kubeconfig")
	}
	cluster, err := filepath.Abs(filepath.Dir(kubeconfig))
	if err != nil {
		t.Fatal(err)
	}
	root, err := spec.Root()
	if err != nil {
		t.Fatal(err)
	}
	results := filepath.Join(root, ".bench", "short")
	program := filepath.Join(results, "bench")
	build(t, root, program)
	for _, name := range report.Benches() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name != "api" { // which has servers of its own
				harness.Boots(t)
			}
			file := filepath.Join(results, name+".json")
			if err := os.RemoveAll(file); err != nil {
				t.Fatal(err)
			}
			run(t, root, program, "-short", "-cluster", cluster, name)
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var metrics []report.Metric
			if err := json.Unmarshal(raw, &metrics); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if err := report.Complete(name, metrics); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		})
	}
}

// build makes the program as users run it, and not as this test is built: checks for races would be measured too.
func build(t *testing.T, root, program string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", program, "./test/bench")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the benches: %v\n%s", err, out)
	}
}

func run(t *testing.T, root, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it takes its namespaces and servers away
	cmd.WaitDelay = 2 * time.Minute
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out.String())
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("%.0f s, of its own processes' CPU %.0f s\n%s", time.Since(began).Seconds(), used.Seconds(), out.String())
}
