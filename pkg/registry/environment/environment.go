// Package environment names what the registries need from the rest of the server: the way to a node's agent, the cluster's
// configuration, the authorizer and the clock. It holds interfaces only; who starts the server fills them in.
package environment

import (
	"context"
	"net/http"
	"net/url"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/utils/clock"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/writer"
)

// NodeConn finds the agent of a node.
type NodeConn interface {
	// NodeConnection gives the base address of the node's virt-handler (scheme and host, no path) and the transport that
	// authenticates both ends. The transport must serve upgrades too. It fails with an API error (service unavailable)
	// that says why when the node has no ready agent.
	NodeConnection(ctx context.Context, node string) (*url.URL, http.RoundTripper, error)
}

// ClusterConfig knows the cluster's one KubeVirt object.
type ClusterConfig interface {
	// KubeVirt gives the object, not to be changed, or nil as long as there is none: built-in defaults apply then.
	KubeVirt() *virtv1.KubeVirt
}

// Environment is everything that the registries depend on. All fields are required.
type Environment struct {
	// Namespace is where the components run: their service accounts there may write what users may not.
	Namespace writer.Namespace
	Nodes     NodeConn
	Config    ClusterConfig
	// Authorizer is asked again for what kube-apiserver cannot have checked (decision 5).
	Authorizer authorizer.Authorizer
	Clock      clock.PassiveClock
}
