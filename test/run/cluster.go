package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/virtplane/virtplane/test/cluster"
	"github.com/virtplane/virtplane/test/cluster/plan"
)

// site is a local cluster and the packages whose tests use it.
type site struct {
	name     string
	dir      plan.Dir
	nodes    int
	packages []string
}

// environment is what commands and tests need to use the site's cluster.
func (s site) environment() []string {
	return append(os.Environ(),
		cluster.DirVariable+"="+string(s.dir),
		"KUBECONFIG="+s.dir.Kubeconfig(),
		"PATH="+s.dir.Bin()+":"+os.Getenv("PATH"))
}

// bringUp sees to it that the site's cluster runs with the current build installed.
// The returned function, told whether something failed, takes down what bringUp
// brought up and keeps its logs first; a cluster that was up already is left as it is.
func (r *runner) bringUp(ctx context.Context, s site) (down func(failed bool) error, err error) {
	down = func(bool) error { return nil }
	if !r.answers(ctx, s) {
		down = func(failed bool) error {
			// The tests may have been interrupted: the cluster goes down all the same.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
			defer cancel()
			if failed {
				r.keepLogs(ctx, s)
			}
			return r.commandIn(ctx, s.environment(), "go", "run", "./test/cluster/cmd/cluster", "down")
		}
		if err := r.commandIn(ctx, s.environment(), "go", "run", "./test/cluster/cmd/cluster", "up", "--nodes", strconv.Itoa(s.nodes)); err != nil {
			return down, err
		}
	}
	return down, r.commandIn(ctx, s.environment(), "hack/install.sh")
}

// foreignPrograms builds Kubernetes and the like if this machine has not yet: minutes
// that must not count against a test's time limit.
func (r *runner) foreignPrograms(ctx context.Context) error {
	return r.command(ctx, "go", "run", "./test/cluster/cmd/cluster", "build")
}

// answers says whether a site's cluster is up.
func (r *runner) answers(ctx context.Context, s site) bool {
	if _, err := os.Stat(s.dir.Kubeconfig()); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return r.kubectl(ctx, s, "get", "--raw", "/readyz").Run() == nil
}

// kubectl is the cluster's own.
func (r *runner) kubectl(ctx context.Context, s site, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, filepath.Join(s.dir.Bin(), "kubectl"), append([]string{"--kubeconfig", s.dir.Kubeconfig(), "--request-timeout=30s"}, args...)...)
}

// command runs a step whose own output is the progress.
func (r *runner) command(ctx context.Context, name string, args ...string) error {
	return r.commandIn(ctx, nil, name, args...)
}

func (r *runner) commandIn(ctx context.Context, environment []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.root
	cmd.Env = environment
	cmd.Stdout, cmd.Stderr = r.out, r.out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %v: %w", name, args, err)
	}
	return nil
}

// keepLogs saves what tells why tests failed before the cluster goes: its logs, the
// objects and the events. What cannot be had is left out; the tests have failed anyway.
func (r *runner) keepLogs(ctx context.Context, s site) {
	dir := filepath.Join(r.records, "logs", s.name)
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintf(r.out, "keeping logs: %v\n", err)
		return
	}
	if err := os.CopyFS(dir, os.DirFS(s.dir.Logs())); err != nil {
		fmt.Fprintf(r.out, "keeping logs: %v\n", err)
	}
	for file, args := range map[string][]string{
		"objects.yaml": {"get", "virtualmachines,virtualmachineinstances,pods,nodes,apiservices", "-A", "-o", "yaml"},
		"pods.txt":     {"get", "pods", "-A", "-o", "wide"},
		"events.txt":   {"get", "events", "-A", "--sort-by=.metadata.creationTimestamp"},
	} {
		out, err := r.kubectl(ctx, s, args...).CombinedOutput()
		if err != nil {
			out = append(out, err.Error()...)
		}
		if err := os.WriteFile(filepath.Join(dir, file), out, 0o644); err != nil {
			fmt.Fprintf(r.out, "keeping logs: %v\n", err)
		}
	}
	fmt.Fprintf(r.out, "logs, objects and events of the cluster are in %s\n", dir)
}
