// Command bench measures Virtplane, each time beside a peer in the same run, prints a table and writes .bench/NAME.json. What
// needs the local cluster brings it up when it is not, and installs the current build.
//
// The short form shows that a bench works: it does a little of everything on a cluster that is up, with what is installed
// there, judges nothing, and writes .bench/short/NAME.json.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
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
	"github.com/virtplane/virtplane/test/cluster"
	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/wire"
)

// shortFlag asks for the short form; the process of a round understands it too.
const shortFlag = "-short"

// roundCommand is a part of the bench api, in a process of its own.
const roundCommand = "api-round"

// place is where and how much is measured.
type place struct {
	// root is that of the checkout.
	root    string
	cluster plan.Dir
	// asIs says that the cluster is up and has installed what is to be measured.
	asIs bool
	size size
}

// results is the folder of the reports.
func (p place) results() string {
	if p.size.short {
		return filepath.Join(p.root, ".bench", "short")
	}
	return filepath.Join(p.root, ".bench")
}

// target is the cluster under test.
type target struct {
	size   size
	dir    plan.Dir
	config *rest.Config
	kube   kubernetes.Interface
	virt   versioned.Interface
	wire   *wire.Client
}

// benches by name.
var benches = map[string]func(context.Context, place) (report.Report, error){
	"overhead": onCluster(overhead),
	"start":    onCluster(start),
	"access":   onCluster(access),
	"api":      api,
}

// onCluster makes a bench of one that uses the local cluster.
func onCluster(bench func(context.Context, *target) (report.Report, error)) func(context.Context, place) (report.Report, error) {
	return func(ctx context.Context, p place) (report.Report, error) {
		t, err := connect(ctx, p)
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
	if len(args) > 0 && args[0] == roundCommand {
		return runAPIRound(args[1:])
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	p := place{root: root, size: fullSize}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	short := flags.Bool(shortFlag[1:], false, "show that the benches work, on a cluster that is up")
	dir := flags.String("cluster", "", "folder of a cluster that is taken as it is (default: that of "+cluster.DirVariable+", or .cluster, brought up and installed into)")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: bench [flags] all | %s ...\n", strings.Join(report.Benches(), " | "))
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	p.cluster, p.asIs = plan.Dir(*dir), *short || *dir != ""
	if *dir == "" {
		p.cluster = plan.Dir(cmp.Or(os.Getenv(cluster.DirVariable), filepath.Join(root, ".cluster")))
	}
	if *short {
		p.size = shortSize
	}
	names := flags.Args()
	if slices.Equal(names, []string{"all"}) {
		names = report.Benches()
	}
	for _, name := range names {
		if benches[name] == nil {
			return fmt.Errorf("no bench %q: there are all, %s", name, strings.Join(report.Benches(), ", "))
		}
	}
	if len(names) == 0 {
		flags.Usage()
		return errors.New("no bench named")
	}
	for _, name := range names {
		if err := p.measure(ctx, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// measure runs one bench and writes its report. A metric that is missing, or of which nothing was measured, is an error.
func (p place) measure(ctx context.Context, name string) error {
	r, err := benches[name](ctx, p)
	if err != nil {
		return err
	}
	if err := report.Complete(name, r.Metrics); err != nil {
		return err
	}
	r.Name = name
	r.Head = append([]string{report.Machine()}, r.Head...)
	if p.size.short {
		r.Head = append(r.Head, "the short form: it shows that the bench works, its numbers mean nothing, and names of metrics tell the full form's sizes")
		for i := range r.Metrics {
			r.Metrics[i].Goal, r.Metrics[i].GoalOn = nil, ""
		}
	}
	return r.Write(os.Stdout, p.results())
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

// connect uses the local cluster, bringing it up if it is not.
func connect(ctx context.Context, p place) (*target, error) {
	kubeconfig := p.cluster.Kubeconfig()
	up := func() bool { return answers(ctx, kubeconfig) }
	if p.asIs {
		if !up() {
			return nil, fmt.Errorf("the cluster of %s does not answer: run make cluster-up install", p.cluster)
		}
		return p.target(kubeconfig)
	}
	err := bringUp(up, func(args ...string) error {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = p.root
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
	return p.target(kubeconfig)
}

// target makes the clients.
func (p place) target(kubeconfig string) (*target, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 1000, 2000
	t := &target{size: p.size, dir: p.cluster, config: config}
	if t.kube, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if t.virt, err = versioned.NewForConfig(config); err != nil {
		return nil, err
	}
	t.wire, err = wire.New(config)
	return t, err
}
