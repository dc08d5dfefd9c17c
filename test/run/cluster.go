package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// cluster sees to it that the local cluster runs with the current build installed.
// The returned function, told whether something failed, takes down what cluster
// brought up and keeps its logs first; a cluster that was up already is left as it is.
func (r *runner) cluster(ctx context.Context) (down func(failed bool), err error) {
	kubeconfig := filepath.Join(r.root, ".cluster", "kubeconfig")
	if err := os.Setenv("KUBECONFIG", kubeconfig); err != nil {
		return nil, err
	}
	if err := os.Setenv("PATH", filepath.Join(r.root, ".cluster", "bin")+":"+os.Getenv("PATH")); err != nil {
		return nil, err
	}
	if !r.answers(ctx, kubeconfig) {
		down = func(failed bool) {
			// The tests may have been interrupted: the cluster goes down all the same.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
			defer cancel()
			if failed {
				r.keepLogs(ctx)
			}
			if err := r.command(ctx, "make", "cluster-down"); err != nil {
				r.total.fail(failure{Name: "cluster-down", Output: err.Error() + "\n"})
			}
		}
		if err := r.command(ctx, "make", "cluster-up", "NODES=2"); err != nil {
			return down, err
		}
	}
	return down, r.command(ctx, "make", "install")
}

// foreignPrograms builds Kubernetes and the like if this machine has not yet: minutes
// that must not count against a test's time limit.
func (r *runner) foreignPrograms(ctx context.Context) error {
	return r.command(ctx, "go", "run", "./test/cluster/cmd/cluster", "build")
}

// answers says whether a cluster of this checkout is up.
func (r *runner) answers(ctx context.Context, kubeconfig string) bool {
	if _, err := os.Stat(kubeconfig); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "kubectl", "--kubeconfig", kubeconfig, "get", "--raw", "/readyz").Run() == nil
}

// command runs a step whose own output is the progress.
func (r *runner) command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.root
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
func (r *runner) keepLogs(ctx context.Context) {
	dir := filepath.Join(r.records, "logs")
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintf(r.out, "keeping logs: %v\n", err)
		return
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(r.root, ".cluster", "logs"))); err != nil {
		fmt.Fprintf(r.out, "keeping logs: %v\n", err)
	}
	for file, args := range map[string][]string{
		"objects.yaml": {"get", "virtualmachines,virtualmachineinstances,pods,nodes,apiservices", "-A", "-o", "yaml"},
		"pods.txt":     {"get", "pods", "-A", "-o", "wide"},
		"events.txt":   {"get", "events", "-A", "--sort-by=.metadata.creationTimestamp"},
	} {
		out, err := exec.CommandContext(ctx, "kubectl", append([]string{"--request-timeout=30s"}, args...)...).CombinedOutput()
		if err != nil {
			out = append(out, err.Error()...)
		}
		if err := os.WriteFile(filepath.Join(dir, file), out, 0o644); err != nil {
			fmt.Fprintf(r.out, "keeping logs: %v\n", err)
		}
	}
	fmt.Fprintf(r.out, "logs, objects and events of the cluster are in %s\n", dir)
}
