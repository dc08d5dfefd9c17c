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

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/test/bench/report"
	"github.com/virtplane/virtplane/test/wire"
)

// target is the cluster under test.
type target struct {
	root   string
	config *rest.Config
	kube   kubernetes.Interface
	virt   versioned.Interface
	wire   *wire.Client
}

// benches by name; each is given the root of the checkout.
var benches = map[string]func(ctx context.Context, root string) ([]report.Metric, error){
	"overhead": onCluster(overhead),
	"start":    onCluster(start),
	"api":      api,
}

// onCluster makes a bench of one that uses the local cluster.
func onCluster(bench func(context.Context, *target) ([]report.Metric, error)) func(context.Context, string) ([]report.Metric, error) {
	return func(ctx context.Context, root string) ([]report.Metric, error) {
		t, err := connect(ctx, root)
		if err != nil {
			return nil, err
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
	metrics, err := benches[args[0]](ctx, root)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return report.Write(os.Stdout, root, args[0], metrics)
}

// connect uses the cluster of this checkout, bringing it up if it is not.
func connect(ctx context.Context, root string) (*target, error) {
	kubeconfig := filepath.Join(root, ".cluster", "kubeconfig")
	if exec.CommandContext(ctx, "kubectl", "--kubeconfig", kubeconfig, "get", "--raw", "/apis/kubevirt.io/v1").Run() != nil {
		for _, args := range [][]string{{"make", "cluster-up"}, {"make", "install"}} {
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
			if err := cmd.Run(); err != nil {
				return nil, fmt.Errorf("%v: %w", args, err)
			}
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 1000, 2000
	t := &target{root: root, config: config}
	if t.kube, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if t.virt, err = versioned.NewForConfig(config); err != nil {
		return nil, err
	}
	t.wire, err = wire.New(config)
	return t, err
}
