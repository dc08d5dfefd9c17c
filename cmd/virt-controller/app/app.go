// Package app wires virt-controller: flags, the manager with its caches, and the reconcilers. It holds no policy.
package app

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/controller/kubevirt"
	"github.com/virtplane/virtplane/pkg/controller/limits"
	"github.com/virtplane/virtplane/pkg/controller/replicaset"
	"github.com/virtplane/virtplane/pkg/controller/vm"
	"github.com/virtplane/virtplane/pkg/controller/vmi"
	"github.com/virtplane/virtplane/pkg/logging/component"
	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/pkg/metrics"
)

// Options are the flags of virt-controller.
type Options struct {
	Namespace     string
	LauncherImage string
	Workers       int
	QPS           float32
	Burst         int
	MetricsAddr   string
	OpenMetrics   bool
	HealthAddr    string
	LeaderElect   bool
	Logs          *logsapi.LoggingConfiguration
}

// NewOptions returns the defaults.
func NewOptions() *Options {
	return &Options{Namespace: os.Getenv("POD_NAMESPACE"), LauncherImage: os.Getenv("VIRT_LAUNCHER_IMAGE"), Workers: 10, QPS: 200, Burst: 400,
		MetricsAddr: ":8443", HealthAddr: ":8080", LeaderElect: true, Logs: component.NewConfiguration()}
}

// AddFlags registers the flags.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Namespace, "namespace", o.Namespace, "namespace of Virtplane's own components and of the KubeVirt object (default: environment POD_NAMESPACE)")
	fs.StringVar(&o.LauncherImage, "launcher-image", o.LauncherImage, "image of launcher pods (default: environment VIRT_LAUNCHER_IMAGE)")
	fs.IntVar(&o.Workers, "workers", o.Workers, "objects of one kind that are reconciled at the same time")
	fs.Float32Var(&o.QPS, "kube-api-qps", o.QPS, "requests to the API server in a second, on average")
	fs.IntVar(&o.Burst, "kube-api-burst", o.Burst, "requests to the API server in a burst")
	fs.StringVar(&o.MetricsAddr, "metrics-bind-address", o.MetricsAddr, "address of /metrics; 0 turns it off")
	fs.BoolVar(&o.OpenMetrics, "open-metrics", o.OpenMetrics, "show metrics to everybody, and not only to who sends a token that may get the non-resource URL /metrics")
	fs.StringVar(&o.HealthAddr, "health-probe-bind-address", o.HealthAddr, "address of /healthz and /readyz")
	logsapi.AddFlags(o.Logs, fs)
	fs.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect, "work only while holding the Lease virt-controller")
}

// Validate names the flag that is missing or wrong.
func (o *Options) Validate() error {
	switch {
	case o.Namespace == "":
		return fmt.Errorf("--namespace must be set: the namespace that Virtplane is installed in")
	case o.LauncherImage == "":
		return fmt.Errorf("--launcher-image must be set: the image of launcher pods")
	case o.Workers < 1:
		return fmt.Errorf("--workers must be at least 1, not %d", o.Workers)
	}
	return nil
}

// NewCommand returns the command.
func NewCommand(ctx context.Context) *cobra.Command {
	o := NewOptions()
	cmd := &cobra.Command{
		Use: "virt-controller", Short: "Runs Virtplane's controllers", SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := o.Validate(); err != nil {
				return err
			}
			log, err := component.Apply(o.Logs, nil, "virt-controller")
			if err != nil {
				return err
			}
			return Run(ctx, o, log)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// Run runs the controllers until ctx ends or the lease is lost.
func Run(ctx context.Context, o *Options, log *component.Log) error {
	ctrl.SetLogger(klog.Background())
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("reading the client configuration: %w", err)
	}
	config.QPS, config.Burst = o.QPS, o.Burst
	config.UserAgent = "virt-controller"
	mgr, err := newManager(config, o)
	if err != nil {
		return err
	}
	recorder := limits.Recorder{EventRecorder: mgr.GetEventRecorder("virtualmachine-controller")}
	configuration := kubevirt.Reader{Client: mgr.GetClient(), Namespace: o.Namespace}
	if err := (&vmi.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: recorder,
		Clock: clock.RealClock{}, Configuration: configuration, LauncherImage: o.LauncherImage}).SetupWithManager(ctx, mgr, o.Workers); err != nil {
		return fmt.Errorf("setting up the instance controller: %w", err)
	}
	if err := (&vm.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: recorder, Clock: clock.RealClock{}}).SetupWithManager(mgr, o.Workers); err != nil {
		return fmt.Errorf("setting up the machine controller: %w", err)
	}
	if err := (&replicaset.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: recorder, Clock: clock.RealClock{}}).SetupWithManager(ctx, mgr, o.Workers); err != nil {
		return fmt.Errorf("setting up the replica set controller: %w", err)
	}
	if err := (&kubevirt.Reconciler{Client: mgr.GetClient(), Clock: clock.RealClock{}, Namespace: o.Namespace, Version: version.Get().GitVersion}).SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up the configuration controller: %w", err)
	}
	if err := followConfiguration(ctx, mgr, log); err != nil {
		return fmt.Errorf("following the cluster's configuration: %w", err)
	}
	return mgr.Start(ctx)
}

// followConfiguration has the log, and the version of the configuration that /healthz tells beside the metrics, follow the
// cluster's configuration, in those that wait for the lease too.
func followConfiguration(ctx context.Context, mgr ctrl.Manager, log *component.Log) error {
	informer, err := mgr.GetCache().GetInformer(ctx, &virtv1.KubeVirt{}, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	var known atomic.Value // the version, a string
	known.Store("")
	health := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(machine.Health(known.Load().(string))) // the client has gone when this fails
	})
	if err := mgr.AddMetricsServerExtraHandler(healthPath, health); err != nil {
		return err
	}
	set := func(o any) {
		if kv, ok := o.(*virtv1.KubeVirt); ok {
			known.Store(kv.ResourceVersion)
			log.SetVerbosity(component.Configured(&kv.Spec.Configuration).VirtController)
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: set, UpdateFunc: func(_, o any) { set(o) }, DeleteFunc: func(any) { log.SetVerbosity(nil) },
	})
	return err
}

func newManager(config *rest.Config, o *Options) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, virtv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	// Without this the manager speaks JSON to our API (decision 15).
	if err := apiutil.AddToProtobufScheme(virtv1.AddToScheme); err != nil {
		return nil, fmt.Errorf("registering protobuf types: %w", err)
	}
	mapper := staticMapper(scheme)
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		// Discovery would fail while our own API service is down; a manager must live through that.
		MapperProvider:         func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper, nil },
		Metrics:                metricsOptions(o),
		HealthProbeBindAddress: o.HealthAddr,
		LeaderElection:         o.LeaderElect, LeaderElectionID: "virt-controller", LeaderElectionNamespace: o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       duration(10 * time.Second),
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				&corev1.Pod{}:        {Label: labels.SelectorFromSet(labels.Set{virtv1.AppLabel: machine.LauncherAppName})},
				&corev1.Node{}:       {Transform: vmi.TrimNode},
				&virtv1.KubeVirt{}:   {Namespaces: map[string]cache.Config{o.Namespace: {}}},
				&appsv1.Deployment{}: {Namespaces: map[string]cache.Config{o.Namespace: {}}},
				&appsv1.DaemonSet{}:  {Namespaces: map[string]cache.Config{o.Namespace: {}}},
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("building the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, err
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return nil, err
	}
	return mgr, nil
}

// healthPath is served beside the metrics, to everybody.
const healthPath = "/healthz"

func metricsOptions(o *Options) metricsserver.Options {
	options := metricsserver.Options{BindAddress: o.MetricsAddr, SecureServing: o.MetricsAddr != "0"}
	if o.OpenMetrics {
		return options
	}
	options.FilterProvider = func(config *rest.Config, client *http.Client) (metricsserver.Filter, error) {
		reviews, err := metrics.NewReviews(config, client)
		if err != nil {
			return nil, err
		}
		return func(_ logr.Logger, next http.Handler) (http.Handler, error) {
			shown := http.NewServeMux()
			shown.Handle("/", metrics.Protect(reviews, next))
			shown.Handle(healthPath, next) // the filter stands before all paths of the address
			return shown, nil
		}, nil
	}
	return options
}

func duration(d time.Duration) *time.Duration { return &d }

// staticMapper knows the kinds that the controllers touch, and their lists.
func staticMapper(scheme *runtime.Scheme) meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(scheme.PrioritizedVersionsAllGroups())
	for version, kinds := range map[schema.GroupVersion][]string{
		corev1.SchemeGroupVersion: {"Pod", "PersistentVolumeClaim", "ResourceQuota", "LimitRange", "Event"},
		appsv1.SchemeGroupVersion: {"Deployment", "DaemonSet", "ControllerRevision"},
		virtv1.SchemeGroupVersion: {"VirtualMachine", "VirtualMachineInstance", "VirtualMachineInstanceReplicaSet", "KubeVirt"},
	} {
		for _, kind := range kinds {
			mapper.Add(version.WithKind(kind), meta.RESTScopeNamespace)
			mapper.Add(version.WithKind(kind+"List"), meta.RESTScopeNamespace)
		}
	}
	for _, kind := range []string{"Namespace", "Node"} {
		mapper.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeRoot)
		mapper.Add(corev1.SchemeGroupVersion.WithKind(kind+"List"), meta.RESTScopeRoot)
	}
	return mapper
}
