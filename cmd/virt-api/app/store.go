package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/virtplane/virtplane/pkg/apiserver/options"
	"github.com/virtplane/virtplane/pkg/apiserver/storage"
	"github.com/virtplane/virtplane/pkg/logging/component"
	"github.com/virtplane/virtplane/pkg/store"
)

// memberOptions are the flags that say which member of the store is meant, and where it is.
type memberOptions struct {
	dir                string
	name               string
	members            int
	service, namespace string
	tls                store.TLSFiles
	insecure           bool
	prefix             string
	kubeconfig         string
}

func newMemberOptions() *memberOptions {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	const certs = "/etc/virtplane/store-certs/"
	return &memberOptions{
		dir: "/var/lib/virtplane/store", name: host, members: 1, service: "virt-store", namespace: options.OwnNamespace(),
		tls:    store.TLSFiles{Cert: certs + "tls.crt", Key: certs + "tls.key", CA: certs + "ca.crt"},
		prefix: storage.DefaultPrefix,
	}
}

func (o *memberOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.dir, "data-dir", o.dir, "Folder in which the member keeps its data.")
	fs.StringVar(&o.name, "name", o.name, "Name of the member: that of its pod, which ends with a dash and its number.")
	fs.IntVar(&o.members, "members", o.members, "How many members the store has: 1 or 3.")
	fs.StringVar(&o.service, "service", o.service, "Headless Service of the members.")
	fs.StringVar(&o.namespace, "namespace", o.namespace, "Namespace of the members. By default that of the pod.")
	fs.StringVar(&o.tls.Cert, "cert-file", o.tls.Cert, "File with the certificate of the members.")
	fs.StringVar(&o.tls.Key, "key-file", o.tls.Key, "File with the key of --cert-file.")
	fs.StringVar(&o.tls.CA, "ca-file", o.tls.CA, "File with the authorities of members and clients.")
	fs.BoolVar(&o.insecure, "insecure-loopback", o.insecure, "Serve without TLS, on the loopback address alone. For tests.")
	fs.StringVar(&o.prefix, "etcd-prefix", o.prefix, "Where in the store the objects lie.")
	fs.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig, "File with the way to the cluster. By default the pod's service account is used.")
}

func (o *memberOptions) validate() error {
	switch {
	case o.members != 1 && o.members != 3:
		return fmt.Errorf("--members must be 1 or 3, but is %d", o.members)
	case o.members > 1 && o.insecure:
		return errors.New("--insecure-loopback is for a store of one member")
	}
	_, err := o.ordinal()
	return err
}

// ordinal is the number at the end of the member's name.
func (o *memberOptions) ordinal() (int, error) {
	i := strings.LastIndexByte(o.name, '-')
	n, err := strconv.Atoi(o.name[i+1:])
	if i < 0 || err != nil || n < 0 || n >= o.members {
		return 0, fmt.Errorf("--name must end with a dash and a number below %d, but is %q", o.members, o.name)
	}
	return n, nil
}

const (
	clientPort = 2379
	peerPort   = 2380
)

// peer is a member as others reach it.
func (o *memberOptions) peer(n int) store.Peer {
	name := o.name[:strings.LastIndexByte(o.name, '-')+1] + strconv.Itoa(n)
	if o.insecure {
		return store.Peer{Name: name, PeerURL: fmt.Sprintf("http://127.0.0.1:%d", peerPort), ClientURL: fmt.Sprintf("http://127.0.0.1:%d", clientPort)}
	}
	host := name + "." + o.service + "." + o.namespace + ".svc"
	return store.Peer{Name: name, PeerURL: fmt.Sprintf("https://%s:%d", host, peerPort), ClientURL: fmt.Sprintf("https://%s:%d", host, clientPort)}
}

func (o *memberOptions) self() store.Peer {
	n, _ := o.ordinal() // validated
	return o.peer(n)
}

// local is the member in this very pod.
func (o *memberOptions) local() string {
	if o.insecure {
		return o.self().ClientURL
	}
	return fmt.Sprintf("https://localhost:%d", clientPort)
}

func (o *memberOptions) files() store.TLSFiles {
	if o.insecure {
		return store.TLSFiles{}
	}
	return o.tls
}

// host is a client of the cluster that the store belongs to.
func (o *memberOptions) host() (kubernetes.Interface, error) {
	config, err := hostConfig(o.kubeconfig)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

func hostConfig(file string) (*rest.Config, error) {
	if file == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("finding the cluster: %w: give --kubeconfig outside of a pod", err)
		}
		return config, nil
	}
	return clientcmd.BuildConfigFromFlags("", file)
}

func newStoreCommand(ctx context.Context) *cobra.Command {
	o := newMemberOptions()
	var quota int64 = store.DefaultQuotaBytes
	node := os.Getenv("NODE_NAME")
	health := ":2381"
	l := component.NewConfiguration()
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Run a member of the store, or look after the store",
		Long: `virt-api store runs a member of the store in which virt-api keeps its objects. One member, or three: they find each other by
the names that a StatefulSet gives them. The commands below look after a store.`,
		SilenceUsage: true,
		Args:         cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			holdHeapFloor(32 << 20)
			if _, err := component.Apply(l, utilfeature.DefaultFeatureGate, "virt-store"); err != nil {
				return err
			}
			if err := o.validate(); err != nil {
				return err
			}
			return runMember(ctx, o, quota, node, health)
		},
	}
	fs := cmd.Flags()
	o.addFlags(fs)
	fs.Int64Var(&quota, "quota-bytes", quota, "Size of the database at which the store takes no more writes.")
	fs.StringVar(&node, "node", node, "Node on which this member runs. It is recorded at the first start; the member starts nowhere else. By default $NODE_NAME.")
	fs.StringVar(&health, "health-address", health, "Address for /livez, /readyz and /metrics, without TLS.")
	logsapi.AddFlags(l, fs)
	cmd.AddCommand(newPrepareCommand(), newSnapshotCommand(ctx), newRestoreCommand(ctx), newAdoptCommand(ctx))
	return cmd
}

func runMember(ctx context.Context, o *memberOptions, quota int64, node, health string) error {
	host, err := o.host()
	if err != nil {
		return err
	}
	anchor := store.NewConfigMapAnchor(host, o.namespace)
	if node != "" {
		if err := anchor.Pin(ctx, o.name, node); err != nil {
			return err
		}
	}
	first, err := o.ordinal()
	if err != nil {
		return err
	}
	cluster := store.Cluster{
		Self: o.self(), TLS: o.files(), First: first == 0,
		Founded: func(ctx context.Context) (bool, error) {
			r, err := anchor.Load(ctx)
			return r != nil, err
		},
	}
	for n := range o.members {
		if n != first {
			cluster.Others = append(cluster.Others, o.peer(n))
		}
	}
	listen := func(port int) string {
		if o.insecure {
			return fmt.Sprintf("http://127.0.0.1:%d", port)
		}
		return fmt.Sprintf("https://0.0.0.0:%d", port)
	}
	server := store.NewServer(store.ServeConfig{
		Folder: store.Folder(o.dir), Cluster: cluster, QuotaBytes: quota,
		ListenPeer: listen(peerPort), ListenClient: listen(clientPort),
	})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	web := serveHealth(health, server, cancel)
	defer web.Close()
	if err := server.Run(ctx); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// serveHealth answers probes and serves metrics: ours and etcd's.
func serveHealth(address string, server *store.Server, fail context.CancelCauseFunc) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := server.Ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("/metrics", promhttp.HandlerFor(prometheus.Gatherers{legacyregistry.DefaultGatherer, prometheus.DefaultGatherer}, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	s := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := s.ListenAndServe(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serving probes: %w", err))
		}
	}()
	return s
}
