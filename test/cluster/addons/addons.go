// Package addons holds the manifests of what every cluster runs in pods: CoreDNS.
package addons

import (
	_ "embed"
	"strings"

	"github.com/virtplane/virtplane/test/cluster/plan"
)

//go:embed coredns.yaml
var coredns string

// CoreDNS gives the manifests of the cluster's DNS.
func CoreDNS() string {
	return strings.NewReplacer(
		"{{image}}", plan.DNSImage,
		"{{domain}}", plan.Domain,
		"{{ip}}", plan.DNSIP,
		"{{registryHost}}", plan.RegistryHost,
		"{{registryIP}}", plan.ControlPlaneIP,
	).Replace(coredns)
}
