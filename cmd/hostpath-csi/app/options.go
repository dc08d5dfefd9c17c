package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/virtplane/virtplane/csi-driver/driver"
	"github.com/virtplane/virtplane/csi-driver/pool"
	"github.com/virtplane/virtplane/pkg/logging/component"
)

type options struct {
	nodeName          string
	namespace         string
	pools             []string
	allowRoot         bool
	overcommitPercent int
	kubeletDir        string
	endpoint          string
	registrationDir   string
	serveAddress      string
	metricsAddress    string
	openMetrics       bool
	certFile          string
	keyFile           string
	provision         bool
	kubeconfig        string
	capacityInterval  time.Duration
	logging           *logsapi.LoggingConfiguration

	specs []pool.Spec
}

func newOptions() *options {
	return &options{
		nodeName:          os.Getenv("NODE_NAME"),
		namespace:         os.Getenv("POD_NAMESPACE"),
		overcommitPercent: 100,
		kubeletDir:        "/var/lib/kubelet",
		serveAddress:      ":9808",
		metricsAddress:    ":8443",
		provision:         true,
		capacityInterval:  time.Minute,
		logging:           component.NewConfiguration(),
	}
}

func (o *options) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.nodeName, "node-name", o.nodeName, "name of the node on which the driver runs (default: $NODE_NAME)")
	flags.StringVar(&o.namespace, "namespace", o.namespace, "namespace of the CSIStorageCapacity objects (default: $POD_NAMESPACE)")
	flags.StringArrayVar(&o.pools, "pool", nil, "storage pool as name=path, path being a directory of the node; can be given several times, the first one is the default")
	flags.BoolVar(&o.allowRoot, "allow-root-filesystem", false, "make volumes also in pools on the node's root file system or that of the kubelet, where volumes, which have no limit, can leave the node without space")
	flags.IntVar(&o.overcommitPercent, "overcommit-percent", o.overcommitPercent, "how much of a pool's space may be promised to volumes that do not fill it yet; 100 promises no more than there is")
	flags.StringVar(&o.kubeletDir, "kubelet-root-dir", o.kubeletDir, "directory of the kubelet, at the same path as the kubelet sees it; volumes are mounted below it only")
	flags.StringVar(&o.endpoint, "endpoint", "", "socket of the driver, at a path as the kubelet sees it (default: plugins/"+driver.Name+"/csi.sock below --kubelet-root-dir)")
	flags.StringVar(&o.registrationDir, "registration-dir", "", "directory in which the kubelet looks for plugins (default: plugins_registry below --kubelet-root-dir)")
	flags.StringVar(&o.serveAddress, "serve-address", o.serveAddress, "address for /livez and /readyz; empty for none")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", o.metricsAddress, "address for /metrics, by TLS; empty for none")
	flags.BoolVar(&o.openMetrics, "open-metrics", false, "show metrics to everybody, and not only to who sends a token that may get the non-resource URL /metrics")
	flags.StringVar(&o.certFile, "tls-cert-file", "", "file with the certificate of /metrics; one that is replaced counts from the next connection on (default: a self-signed certificate)")
	flags.StringVar(&o.keyFile, "tls-private-key-file", "", "file with the key of --tls-cert-file")
	flags.BoolVar(&o.provision, "provision", o.provision, "make and remove volumes for claims; false leaves that to an external provisioner")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "file that says how to reach the API server (default: the pod's service account)")
	flags.DurationVar(&o.capacityInterval, "capacity-interval", o.capacityInterval, "how often the capacity of the pools is looked at and published")
	logsapi.AddFlags(o.logging, flags)
}

func (o *options) complete() error {
	if o.endpoint == "" {
		o.endpoint = filepath.Join(o.kubeletDir, "plugins", driver.Name, "csi.sock")
	}
	if o.registrationDir == "" {
		o.registrationDir = filepath.Join(o.kubeletDir, "plugins_registry")
	}
	switch {
	case o.nodeName == "":
		return errors.New("--node-name: must be set")
	case len(o.pools) == 0:
		return errors.New("--pool: must be given at least once, as name=path")
	case o.provision && o.namespace == "":
		return errors.New("--namespace: must be set unless --provision=false")
	case (o.certFile == "") != (o.keyFile == ""):
		return errors.New("--tls-cert-file and --tls-private-key-file: must be given together")
	case o.capacityInterval < time.Second:
		return fmt.Errorf("--capacity-interval: %s must be at least 1s", o.capacityInterval)
	}
	for _, text := range o.pools {
		spec, err := pool.ParseSpec(text)
		if err != nil {
			return fmt.Errorf("--pool: %w", err)
		}
		o.specs = append(o.specs, spec)
	}
	return nil
}

// podsDir stands for the node's own file system. In the driver's container only the parts of the kubelet's directory that the driver needs are the node's.
func (o *options) podsDir() string { return filepath.Join(o.kubeletDir, "pods") }
