// Command bench measures Virtplane, each time beside a peer in the same run, and prints a table and .bench/NAME.json. What
// needs the local cluster brings it up when it is not.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/test/bench/report"
	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/wire"
)

// target is the cluster under test.
type target struct {
	dir    plan.Dir
	config *rest.Config
	kube   kubernetes.Interface
	virt   versioned.Interface
	wire   *wire.Client
}

// benches by name; each is given the root of the checkout.
var benches = map[string]func(ctx context.Context, root string) (report.Report, error){
	"overhead": onCluster(overhead),
	"start":    onCluster(start),
	"access":   onCluster(access),
	"api":      api,
}

// onCluster makes a bench of one that uses the local cluster.
func onCluster(bench func(context.Context, *target) (report.Report, error)) func(context.Context, string) (report.Report, error) {
	return func(ctx context.Context, root string) (report.Report, error) {
		t, err := connect(ctx, root)
		if err != nil {
			return report.Report{}, err
		}
		return bench(ctx, t)
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "api-round" { // a part of the bench api, in a process of its own
		return runAPIRound(args[1:])
	}
	if len(args) != 1 || benches[args[0]] == nil {
		return fmt.Errorf("usage: bench %s", strings.Join(slices.Sorted(maps.Keys(benches)), "|"))
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	r, err := benches[args[0]](ctx, root)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	r.Name = args[0]
	r.Head = append([]string{report.Machine()}, r.Head...)
	return r.Write(os.Stdout, root)
}

// bringUp sees to it that a cluster runs with the current build installed: what was installed before may be older.
func bringUp(answers func() bool, run func(args ...string) error) error {
	if !answers() {
		if err := run("make", "cluster-up"); err != nil {
			return err
		}
	}
	return run("make", "install")
}

// answers says whether the cluster of a kubeconfig is up.
func answers(ctx context.Context, kubeconfig string) bool {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return false
	}
	config.Timeout = 20 * time.Second
	client, err := kubernetes.NewForConfig(config)
	return err == nil && client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
}

// connect uses the cluster of this checkout, bringing it up if it is not.
func connect(ctx context.Context, root string) (*target, error) {
	dir := plan.Dir(filepath.Join(root, ".cluster"))
	kubeconfig := dir.Kubeconfig()
	err := bringUp(func() bool { return answers(ctx, kubeconfig) }, func(args ...string) error {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = root
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = time.Minute
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 1000, 2000
	t := &target{dir: dir, config: config}
	if t.kube, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if t.virt, err = versioned.NewForConfig(config); err != nil {
		return nil, err
	}
	t.wire, err = wire.New(config)
	return t, err
}
