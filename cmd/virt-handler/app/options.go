package app

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/virtplane/virtplane/pkg/logging/component"
	"github.com/virtplane/virtplane/pkg/machine"
)

// Options are the flags of virt-handler.
type Options struct {
	Node            string
	Namespace       string
	Kubeconfig      string
	QPS             float32
	Burst           int
	PodsDir         string
	DevicePluginDir string
	DevRoot         string
	SysRoot         string
	QEMU            string
	VirtualDevices  int
	ProbeDeadline   time.Duration
	TrustKVM        bool
	Workers         int
	LauncherTimeout time.Duration
	StartTimeout    time.Duration
	ImageSizeLimit  string
	ListenAddress   string
	MetricsAddress  string
	OpenMetrics     bool
	Logs            *logsapi.LoggingConfiguration

	imageSizeLimit int64
}

// NewOptions returns the defaults.
func NewOptions() *Options {
	return &Options{
		Node: os.Getenv("NODE_NAME"), Namespace: os.Getenv("POD_NAMESPACE"), QPS: 50, Burst: 100,
		PodsDir: "/pods", DevicePluginDir: "/var/lib/kubelet/device-plugins", DevRoot: "/dev", SysRoot: "/sys", QEMU: "/usr/bin/qemu-system-x86_64",
		VirtualDevices: 1000, ProbeDeadline: 15 * time.Second,
		Workers: 10, LauncherTimeout: 5 * time.Minute, StartTimeout: 3 * time.Minute, ImageSizeLimit: "1Ti",
		ListenAddress: fmt.Sprintf(":%d", machine.HandlerPort), MetricsAddress: ":8443", Logs: component.NewConfiguration(),
	}
}

// AddFlags registers the flags.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Node, "node-name", o.Node, "name of this node (default: environment NODE_NAME)")
	fs.StringVar(&o.Namespace, "namespace", o.Namespace, "namespace of Virtplane's own components and of the KubeVirt object (default: environment POD_NAMESPACE)")
	fs.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "how to reach the API server; empty: as a pod does")
	fs.Float32Var(&o.QPS, "kube-api-qps", o.QPS, "requests to the API server in a second, on average")
	fs.IntVar(&o.Burst, "kube-api-burst", o.Burst, "requests to the API server in a burst")
	fs.StringVar(&o.PodsDir, "pods-dir", o.PodsDir, "where the kubelet's directory of pods is mounted; short, because the path of a socket holds 107 bytes")
	fs.StringVar(&o.DevicePluginDir, "device-plugin-dir", o.DevicePluginDir, "the kubelet's directory of device plugins")
	fs.StringVar(&o.DevRoot, "dev-root", o.DevRoot, "where the node's /dev is mounted")
	fs.StringVar(&o.SysRoot, "sys-root", o.SysRoot, "where the node's /sys is mounted")
	fs.StringVar(&o.QEMU, "qemu", o.QEMU, "the QEMU that is asked which CPUs guests can have, the same as in launcher pods")
	fs.IntVar(&o.VirtualDevices, "virtual-devices", o.VirtualDevices, "how many of each device are offered, unless the cluster's configuration says so in virtualMachineInstancesPerNode")
	fs.DurationVar(&o.ProbeDeadline, "kvm-probe-deadline", o.ProbeDeadline, "how long the probe of /dev/kvm may take")
	fs.BoolVar(&o.TrustKVM, "trust-kvm", o.TrustKVM, "offer /dev/kvm without measuring whether it is fast enough for guests")
	fs.IntVar(&o.Workers, "workers", o.Workers, "instances that are looked at at the same time")
	fs.DurationVar(&o.LauncherTimeout, "launcher-timeout", o.LauncherTimeout, "how long a launcher may stay away before a condition of its instance says so")
	fs.DurationVar(&o.StartTimeout, "start-timeout", o.StartTimeout, "how long one try to start a guest may take")
	fs.StringVar(&o.ImageSizeLimit, "image-size-limit", o.ImageSizeLimit, "largest virtual size of a disk image")
	fs.StringVar(&o.ListenAddress, "listen-address", o.ListenAddress, "address for virt-api")
	fs.StringVar(&o.MetricsAddress, "metrics-bind-address", o.MetricsAddress, "address of /metrics, /livez and /readyz")
	fs.BoolVar(&o.OpenMetrics, "open-metrics", o.OpenMetrics, "show metrics to everybody, and not only to who sends a token that may get the non-resource URL /metrics")
	logsapi.AddFlags(o.Logs, fs)
}

// Validate names the flag that is missing or wrong.
func (o *Options) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(o.Node != "", "--node-name must be set: the name of the node that this is")
	need(o.Namespace != "", "--namespace must be set: the namespace that Virtplane is installed in")
	need(o.Workers > 0, "--workers must be at least 1, not %d", o.Workers)
	need(o.VirtualDevices >= 0, "--virtual-devices must not be negative, as %d is", o.VirtualDevices)
	need(o.LauncherTimeout > 0, "--launcher-timeout must be more than 0, not %s", o.LauncherTimeout)
	need(o.StartTimeout > 0, "--start-timeout must be more than 0, not %s", o.StartTimeout)
	need(o.ProbeDeadline > 0, "--kvm-probe-deadline must be more than 0, not %s", o.ProbeDeadline)
	limit, err := resource.ParseQuantity(o.ImageSizeLimit)
	need(err == nil && limit.Sign() > 0, "--image-size-limit must be a size like 1Ti, not %q", o.ImageSizeLimit)
	o.imageSizeLimit = limit.Value()
	return errors.Join(errs...)
}
