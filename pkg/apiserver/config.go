// Package apiserver assembles the aggregated API server: groups, storage, authentication, authorization, admission, and the
// life of the process around them.
//
// It holds no policy of a kind: that is in the registries.
package apiserver

import (
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apiserver/authz"
	"github.com/virtplane/virtplane/pkg/apiserver/certs"
	"github.com/virtplane/virtplane/pkg/apiserver/clusterconfig"
	"github.com/virtplane/virtplane/pkg/apiserver/registration"
	"github.com/virtplane/virtplane/pkg/store"
)

// Config is everything that a server is made of.
type Config struct {
	Generic *genericapiserver.RecommendedConfig
	Extra   Extra
}

// Extra is what our server has beside a generic one.
type Extra struct {
	// Host is a client of the cluster that this server is part of.
	Host kubernetes.Interface
	// Namespace is where the components run, Service the Service in front of this server.
	Namespace, Service string
	Store              Store
	Guard              *store.Guard

	// Agents recognizes the agents of nodes, NodePort is where they serve.
	Agents   authz.NodeAgents
	NodePort int
	// Review asks kube-apiserver whether a user may do something, also where it has forwarded the request.
	Review authorizer.Authorizer

	// Source holds the certificates in use; the leader's Manager writes them.
	Source  *certs.Source
	Manager *certs.Manager
	// Registrar keeps the APIServices if Register is true.
	Registrar *registration.Registrar
	Register  bool

	// config is the cluster's configuration, once the server that follows it is made.
	config *atomic.Pointer[clusterconfig.Config]
}

// configVersion is the version of the configuration that the server goes by, empty while there is none.
func (e *Extra) configVersion() string {
	if c := e.config.Load(); c != nil && c.KubeVirt() != nil {
		return c.KubeVirt().ResourceVersion
	}
	return ""
}

// Versions are the groups and versions that are served.
var Versions = []schema.GroupVersion{
	virtv1.SchemeGroupVersion, virtv1.DeprecatedGroupVersion,
	virtv1.SubresourceGroupVersion, virtv1.DeprecatedSubresourceGroupVersion,
}

// Store is the opened store.
type Store struct {
	Client *clientv3.Client
	Prefix string
	// InProcess is true when the client calls a member in this process.
	InProcess  bool
	Compaction time.Duration
	// Err tells why a member in this process ended. It is nil for a store elsewhere.
	Err <-chan error
	// Close ends what was opened.
	Close func()
}

type completedConfig struct {
	Generic genericapiserver.CompletedConfig
	Extra   *Extra
}

// CompletedConfig can be made by Config.Complete alone.
type CompletedConfig struct {
	*completedConfig
}
