// Package environment names what the registries need from the rest of the server: the way to a node's agent, the cluster's
// configuration, the authorizer and the clock, and reads from them what strategies ask for. Who starts the server fills it in.
package environment

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/utils/clock"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apis/kubevirt/validation"
	"github.com/virtplane/virtplane/pkg/machine/support"
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

// Environment is everything that the registries depend on. All fields but Admission are required.
type Environment struct {
	// Namespace is where the components run: their service accounts there may write what users may not.
	Namespace writer.Namespace
	Nodes     NodeConn
	Config    ClusterConfig
	// Authorizer is asked again for what kube-apiserver cannot have checked (decision 5).
	Authorizer authorizer.UnconditionalAuthorizer
	// Admission is the server's chain. It is asked about what an action changes of an object, as about an update that the
	// user had sent (decision 11). Nil admits everything.
	Admission admission.Interface
	Clock     clock.PassiveClock
	// Migrations says that a controller moves instances. Without one nobody would act on a migration, which is refused.
	Migrations bool
}

// Configuration is what the cluster's KubeVirt object configures, or nothing while there is none.
func (e Environment) Configuration() *virtv1.KubeVirtConfiguration {
	if k := e.Config.KubeVirt(); k != nil {
		return &k.Spec.Configuration
	}
	return &virtv1.KubeVirtConfiguration{}
}

// Architecture is what instances that name none are run as.
func (e Environment) Architecture() string {
	if a := e.Configuration().ArchitectureConfiguration; a != nil && a.DefaultArchitecture != "" {
		return a.DefaultArchitecture
	}
	if k := e.Config.KubeVirt(); k != nil && k.Status.DefaultArchitecture != "" {
		return k.Status.DefaultArchitecture
	}
	return "amd64"
}

// Installation is what the configuration lets instances have.
func (e Environment) Installation() support.Installation {
	return support.InstallationOf(e.Configuration())
}

// ArchitectureConfiguration is the part of the configuration that holds for one architecture.
func (e Environment) ArchitectureConfiguration(architecture string) *virtv1.ArchSpecificConfiguration {
	if a := e.Configuration().ArchitectureConfiguration; a != nil {
		for name, c := range map[string]*virtv1.ArchSpecificConfiguration{"amd64": a.Amd64, "arm64": a.Arm64, "ppc64le": a.Ppc64le, "s390x": a.S390x} {
			if name == architecture && c != nil {
				return c
			}
		}
	}
	return &virtv1.ArchSpecificConfiguration{}
}

// Validation is what the rules for instances depend on in a request.
func (e Environment) Validation(ctx context.Context) validation.Options {
	c := e.Configuration()
	options := validation.Options{
		Trusted:          e.Namespace.From(ctx) != writer.User,
		EmulatedMachines: c.EmulatedMachines,
	}
	if machines := e.ArchitectureConfiguration(e.Architecture()).EmulatedMachines; len(machines) > 0 {
		options.EmulatedMachines = machines
	}
	if d := c.DeveloperConfiguration; d != nil {
		for _, gate := range d.FeatureGates {
			if !slices.Contains(d.DisabledFeatureGates, gate) {
				options.FeatureGates = append(options.FeatureGates, gate)
			}
		}
	}
	if n := c.Network; n != nil && n.PermitBridgeInterfaceOnPodNetwork != nil {
		options.ForbidBridgeOnPodNetwork = !*n.PermitBridgeInterfaceOnPodNetwork
	}
	return options
}
