// Package options turns flags into the server's configuration.
//
// It may open connections, since the generic options do; it starts nothing that serves or writes.
package options

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericoptions "k8s.io/apiserver/pkg/server/options"

	"github.com/virtplane/virtplane/pkg/apiserver/certs"
	"github.com/virtplane/virtplane/pkg/apiserver/storage"
	"github.com/virtplane/virtplane/pkg/store"
)

// Options are the flags of virt-api.
type Options struct {
	Recommended *genericoptions.RecommendedOptions
	Store       StoreOptions
	// Namespace is where the components run and where what they share is kept.
	Namespace string
	// Service is the name of the Service in front of virt-api.
	Service string
	// NodePort is where agents of nodes serve.
	NodePort int
	// Certificates says how long certificates live.
	Certificates certs.Policy
	// Register keeps our APIServices.
	Register bool
	// AllowDirect serves objects also to clients that do not come through kube-apiserver.
	AllowDirect bool
	// ShutdownDelay keeps serving while clients and proxies learn that this replica goes away.
	ShutdownDelay time.Duration
}

// StoreOptions say where the objects live.
type StoreOptions struct {
	Embedded   string
	Servers    []string
	TLS        store.TLSFiles
	Prefix     string
	Compaction time.Duration
	QuotaBytes int64
}

// New returns the defaults.
func New() *Options {
	o := &Options{
		// The store is ours to open: the generic options would wait for it, and give up.
		Recommended:  genericoptions.NewRecommendedOptions(storage.DefaultPrefix, nil),
		Store:        StoreOptions{Prefix: storage.DefaultPrefix, Compaction: 5 * time.Minute, QuotaBytes: store.DefaultQuotaBytes},
		Namespace:    OwnNamespace(),
		Service:      "virt-api",
		NodePort:     8186,
		Certificates: certs.DefaultPolicy,
		Register:     true,
	}
	o.Recommended.Etcd = nil
	o.Recommended.SecureServing.BindPort = 8443
	o.Recommended.SecureServing.ServerCert.CertDirectory = "" // kept in memory: the root file system is read-only
	o.Recommended.SecureServing.ServerCert.PairName = "virt-api"
	o.Recommended.Features.EnableProfiling = false
	o.Recommended.EgressSelector = nil
	addQuota(o.Recommended.Admission)
	addNodes(o)
	return o
}

// OwnNamespace is where the pod runs, or the usual namespace outside of a cluster.
func OwnNamespace() string {
	if ns := os.Getenv("POD_NAMESPACE"); ns != "" {
		return ns
	}
	if b, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace"); err == nil {
		if ns := strings.TrimSpace(string(b)); ns != "" {
			return ns
		}
	}
	return "kubevirt"
}

// AddFlags registers the flags.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	o.Recommended.AddFlags(fs)
	o.Store.AddFlags(fs)
	fs.StringVar(&o.Namespace, "namespace", o.Namespace, "Namespace in which the components run and keep what they share. By default that of the pod.")
	fs.StringVar(&o.Service, "service", o.Service, "Name of the Service in front of virt-api, in --namespace.")
	fs.IntVar(&o.NodePort, "node-port", o.NodePort, "Port on which virt-handler serves on each node.")
	fs.DurationVar(&o.Certificates.Leaf, "certificate-validity", o.Certificates.Leaf, "Life of the certificates of virt-api, of the store's members and of nodes. They are renewed after half of it.")
	fs.DurationVar(&o.Certificates.Authority, "ca-validity", o.Certificates.Authority, "Life of the authority that signs those certificates. Its successor is made after half of it.")
	fs.BoolVar(&o.Register, "register", o.Register, "Create the APIServices of our groups and keep them pointing at --service, with the authority's certificate. Set it to false, and --tls-cert-file, to do that otherwise.")
	fs.BoolVar(&o.AllowDirect, "allow-direct-requests", o.AllowDirect, "Serve objects also to clients that do not come through kube-apiserver, whose audit log then lacks them.")
	fs.DurationVar(&o.ShutdownDelay, "shutdown-delay-duration", o.ShutdownDelay,
		"How long to go on serving after the signal to stop, not ready any more, until clients and proxies have learned that this replica goes away.")
}

// AddFlags registers the flags of the store.
func (o *StoreOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Embedded, "embedded-etcd", o.Embedded, "Keep the objects in this folder, in a store of one member inside this process. For one node and for tests; excludes --etcd-servers.")
	fs.StringSliceVar(&o.Servers, "etcd-servers", o.Servers, "URLs of the store's members, or of an etcd of your own (version 3.5 or later), separated by commas.")
	fs.StringVar(&o.TLS.CA, "etcd-cafile", o.TLS.CA, "File with the certificate authorities of the store's members.")
	fs.StringVar(&o.TLS.Cert, "etcd-certfile", o.TLS.Cert, "File with the certificate that is shown to the store. Read again for each connection.")
	fs.StringVar(&o.TLS.Key, "etcd-keyfile", o.TLS.Key, "File with the key of --etcd-certfile.")
	fs.StringVar(&o.Prefix, "etcd-prefix", o.Prefix, "Where in the store the objects lie. Give each cluster that shares an etcd a prefix of its own.")
	fs.DurationVar(&o.Compaction, "etcd-compaction-interval", o.Compaction, "How long old revisions are kept. 0 never drops them.")
	fs.Int64Var(&o.QuotaBytes, "embedded-etcd-quota-bytes", o.QuotaBytes, "Size at which the store of --embedded-etcd takes no more writes.")
}

// Complete fills in what other options decide.
func (o *Options) Complete() error {
	for i, s := range o.Store.Servers {
		o.Store.Servers[i] = strings.TrimSuffix(strings.TrimSpace(s), "/")
	}
	return nil
}

// ownCertificate is true when the installation brings its own serving certificate.
func (o *Options) ownCertificate() bool {
	return o.Recommended.SecureServing.ServerCert.CertKey.CertFile != ""
}

// Validate names everything that is wrong.
func (o *Options) Validate() error {
	errs := o.Recommended.Validate()
	errs = append(errs, o.Store.Validate()...)
	if o.Namespace == "" {
		errs = append(errs, errors.New("--namespace must be set"))
	}
	if o.Service == "" {
		errs = append(errs, errors.New("--service must be set"))
	}
	if o.NodePort < 1 || o.NodePort > 65535 {
		errs = append(errs, fmt.Errorf("--node-port must be between 1 and 65535, but is %d", o.NodePort))
	}
	if o.Certificates.Leaf < time.Minute {
		errs = append(errs, fmt.Errorf("--certificate-validity must be at least a minute, but is %v", o.Certificates.Leaf))
	}
	if o.Certificates.Authority < 4*o.Certificates.Leaf {
		errs = append(errs, fmt.Errorf("--ca-validity must be at least four times --certificate-validity, but is %v", o.Certificates.Authority))
	}
	if o.ownCertificate() && o.Register {
		errs = append(errs, errors.New("--register writes the authority of our own certificates into the APIServices: set it to false to use --tls-cert-file"))
	}
	if o.ShutdownDelay < 0 {
		errs = append(errs, fmt.Errorf("--shutdown-delay-duration must not be negative, but is %v", o.ShutdownDelay))
	}
	return utilerrors.NewAggregate(errs)
}

// Validate names everything that is wrong with the store's flags.
func (o *StoreOptions) Validate() []error {
	var errs []error
	switch {
	case o.Embedded == "" && len(o.Servers) == 0:
		errs = append(errs, errors.New("one of --embedded-etcd and --etcd-servers must be set"))
	case o.Embedded != "" && len(o.Servers) > 0:
		errs = append(errs, errors.New("--embedded-etcd and --etcd-servers exclude each other"))
	}
	if o.Prefix == "" || !strings.HasPrefix(o.Prefix, "/") || o.Prefix == "/" {
		errs = append(errs, fmt.Errorf("--etcd-prefix must begin with a slash and have a name after it, but is %q", o.Prefix))
	}
	if (o.TLS.Cert == "") != (o.TLS.Key == "") {
		errs = append(errs, errors.New("--etcd-certfile and --etcd-keyfile must be set together"))
	}
	if o.Compaction < 0 {
		errs = append(errs, fmt.Errorf("--etcd-compaction-interval must not be negative, but is %v", o.Compaction))
	}
	return errs
}
