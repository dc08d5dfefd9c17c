// Package plan knows the names, addresses and folders of a local cluster. It is pure: it touches no file and
// starts nothing. Every address lives in network namespaces that the cluster makes for itself, so all
// clusters use the same ones.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path/filepath"
)

// Addresses and ports that are the same in every cluster.
const (
	ServiceCIDR = "10.96.0.0/16"
	PodCIDR     = "10.244.0.0/16"
	NodeCIDR    = "172.20.0.0/24"

	ControlPlaneIP = "172.20.0.1"
	KubernetesIP   = "10.96.0.1"
	DNSIP          = "10.96.0.10"
	Domain         = "cluster.local"

	APIPort      = 6443
	RegistryPort = 5000
	RegistryHost = "registry.virtplane.local"

	// ControlPlane is the name of the machine with etcd, kube-apiserver and the registry.
	ControlPlane = "control-plane"

	// MaxNodes is what the address plan holds.
	MaxNodes = 100
)

// Images of the cluster itself.
const (
	Registry   = RegistryHost + ":5000"
	PauseImage = Registry + "/virtplane/pause:devel"
	DNSImage   = Registry + "/virtplane/coredns:devel"
)

// Node is one node of the cluster.
type Node struct {
	Name string
	IP   string
	// PodCIDR is the node's part of the pod network, PodGateway the address of its bridge.
	PodCIDR    string
	PodGateway string
}

// Nodes gives count nodes, node-1 first.
func Nodes(count int) ([]Node, error) {
	if count < 1 || count > MaxNodes {
		return nil, fmt.Errorf("nodes: %d must be from 1 to %d", count, MaxNodes)
	}
	base := netip.MustParsePrefix(NodeCIDR).Addr().As4()
	pods := netip.MustParsePrefix(PodCIDR).Addr().As4()
	nodes := make([]Node, 0, count)
	for i := 1; i <= count; i++ {
		ip, pod := base, pods
		ip[3] = byte(10 + i)
		pod[2] = byte(i)
		gateway := pod
		gateway[3] = 1
		nodes = append(nodes, Node{
			Name:       fmt.Sprintf("node-%d", i),
			IP:         netip.AddrFrom4(ip).String(),
			PodCIDR:    netip.PrefixFrom(netip.AddrFrom4(pod), 24).String(),
			PodGateway: netip.AddrFrom4(gateway).String(),
		})
	}
	return nodes, nil
}

// APIURL is kube-apiserver as the cluster's machines see it.
func APIURL() string { return fmt.Sprintf("https://%s:%d", ControlPlaneIP, APIPort) }

// Dir is the folder that holds everything a cluster writes.
type Dir string

// ID tells clusters of one machine apart: it follows from the folder.
func (d Dir) ID() string {
	sum := sha256.Sum256([]byte(d))
	return hex.EncodeToString(sum[:4])
}

// Cgroup is the control group, below each controller's root, of the whole cluster.
func (d Dir) Cgroup() string { return "/virtplane-" + d.ID() }

// MachineCgroup is the control group of one machine.
func (d Dir) MachineCgroup(machine string) string { return d.Cgroup() + "/" + machine }

func (d Dir) join(parts ...string) string {
	return filepath.Join(append([]string{string(d)}, parts...)...)
}

// The files and folders of the cluster.
func (d Dir) State() string                      { return d.join("state.json") }
func (d Dir) Kubeconfig() string                 { return d.join("kubeconfig") }
func (d Dir) Bin() string                        { return d.join("bin") }
func (d Dir) CNIBin() string                     { return d.join("cni-bin") }
func (d Dir) Images() string                     { return d.join("images") }
func (d Dir) PKI() string                        { return d.join("pki") }
func (d Dir) Run() string                        { return d.join("run") }
func (d Dir) Logs() string                       { return d.join("logs") }
func (d Dir) MachineLogs(machine string) string  { return d.join("logs", machine) }
func (d Dir) Log(machine, service string) string { return d.join("logs", machine, service+".log") }
func (d Dir) Machine(machine string) string      { return d.join("machines", machine) }
func (d Dir) Root(machine string) string         { return d.join("machines", machine, "root") }
func (d Dir) Record(machine string) string       { return d.join("run", machine+".json") }
func (d Dir) StoreDisk(machine string) string    { return d.join("machines", machine, "store.img") }
