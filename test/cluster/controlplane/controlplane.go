// Package controlplane says what runs on the control plane's machine and with which settings: etcd,
// kube-apiserver, kube-controller-manager, kube-scheduler, the image registry and the proxy to the host. It
// writes their certificates and files; it starts nothing.
package controlplane

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/virtplane/virtplane/test/cluster/machine"
	"github.com/virtplane/virtplane/test/cluster/pki"
	"github.com/virtplane/virtplane/test/cluster/plan"
)

// Paths inside the machine.
const (
	pkiDir      = "/etc/kubernetes/pki"
	etcdDir     = "/var/lib/etcd"
	registryDir = "/var/lib/registry"
	etcdURL     = "http://127.0.0.1:2379"
	apiReady    = "https://127.0.0.1:6443/readyz"
)

// Authorities are the two authorities of a cluster.
type Authorities struct {
	Cluster     *pki.Authority
	ClusterPair pki.Pair
	FrontProxy  *pki.Authority
	frontPair   pki.Pair
}

// NewAuthorities makes both.
func NewAuthorities() (*Authorities, error) {
	var a Authorities
	var err error
	if a.Cluster, a.ClusterPair, err = pki.NewAuthority("virtplane-local"); err != nil {
		return nil, err
	}
	if a.FrontProxy, a.frontPair, err = pki.NewAuthority("virtplane-local-front-proxy"); err != nil {
		return nil, err
	}
	return &a, nil
}

// WriteFiles fills the machine's root directory.
func WriteFiles(root string, a *Authorities) error {
	dir := filepath.Join(root, pkiDir)
	if err := a.ClusterPair.Write(dir, "ca"); err != nil {
		return err
	}
	if err := a.frontPair.Write(dir, "front-proxy-ca"); err != nil {
		return err
	}
	for _, c := range []struct {
		file      string
		authority *pki.Authority
		request   pki.Request
	}{
		{"apiserver", a.Cluster, pki.Request{Name: "kube-apiserver", Hosts: []string{
			"localhost", "127.0.0.1", plan.ControlPlaneIP, plan.KubernetesIP,
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + plan.Domain,
		}}},
		{"apiserver-kubelet-client", a.Cluster, pki.Request{Name: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}}},
		{"front-proxy-client", a.FrontProxy, pki.Request{Name: "front-proxy-client"}},
	} {
		pair, err := c.authority.Sign(c.request)
		if err != nil {
			return err
		}
		if err := pair.Write(dir, c.file); err != nil {
			return err
		}
	}
	private, public, err := pki.NewKeyPair()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "sa.key"), private, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "sa.pub"), public, 0o644); err != nil {
		return err
	}
	for _, user := range []string{"kube-controller-manager", "kube-scheduler"} {
		pair, err := a.Cluster.Sign(pki.Request{Name: "system:" + user})
		if err != nil {
			return err
		}
		config, err := pki.Kubeconfig("local", plan.APIURL(), "system:"+user, a.ClusterPair.Cert, pair)
		if err != nil {
			return err
		}
		if err := os.WriteFile(kubeconfig(root, user), config, 0o600); err != nil {
			return err
		}
	}
	for _, d := range []string{etcdDir, registryDir} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func kubeconfig(root, user string) string {
	return filepath.Join(root, "/etc/kubernetes", user+".conf")
}

// Services is what the machine runs. The cluster command serves registry and proxy itself.
func Services() []machine.Service {
	return []machine.Service{
		{Name: "registry", Args: []string{"cluster", "serve-registry", registryDir, fmt.Sprintf(":%d", plan.RegistryPort)}},
		{Name: "proxy", Args: []string{"cluster", "serve-proxy", fmt.Sprintf("127.0.0.1:%d", plan.APIPort)}, Listener: true},
		{Name: "etcd", Args: etcdArgs()},
		{Name: "kube-apiserver", Args: apiserverArgs(), WaitFor: []string{"tcp:127.0.0.1:2379"}},
		{Name: "kube-controller-manager", Args: controllerManagerArgs(), WaitFor: []string{apiReady}},
		{Name: "kube-scheduler", Args: schedulerArgs(), WaitFor: []string{apiReady}},
	}
}

// etcd syncs every write to disk, as a real one does: benches compare what waits for the disk.
func etcdArgs() []string {
	return []string{
		"etcd",
		"--name=local",
		"--data-dir=" + etcdDir,
		"--listen-client-urls=" + etcdURL,
		"--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=http://127.0.0.1:2380",
		"--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=local=http://127.0.0.1:2380",
		"--quota-backend-bytes=8589934592",
		"--snapshot-count=10000",
		"--log-level=warn",
	}
}

func apiserverArgs() []string {
	return []string{
		"kube-apiserver",
		"--advertise-address=" + plan.ControlPlaneIP,
		fmt.Sprintf("--secure-port=%d", plan.APIPort),
		"--etcd-servers=" + etcdURL,
		// Tests written for objects of one store watch events from the resource version of a machine. Ours come from another
		// store and are far behind: to the host cluster they are a past that it must still have.
		"--etcd-compaction-interval=6h",
		"--service-cluster-ip-range=" + plan.ServiceCIDR,
		"--allow-privileged=true",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--client-ca-file=" + pkiDir + "/ca.crt",
		"--tls-cert-file=" + pkiDir + "/apiserver.crt",
		"--tls-private-key-file=" + pkiDir + "/apiserver.key",
		"--kubelet-client-certificate=" + pkiDir + "/apiserver-kubelet-client.crt",
		"--kubelet-client-key=" + pkiDir + "/apiserver-kubelet-client.key",
		"--kubelet-certificate-authority=" + pkiDir + "/ca.crt",
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc." + plan.Domain,
		"--service-account-key-file=" + pkiDir + "/sa.pub",
		"--service-account-signing-key-file=" + pkiDir + "/sa.key",
		// Aggregated API servers run in pods: requests go to the pods' addresses, with the user in headers
		// that only the front proxy's certificate may send.
		"--enable-aggregator-routing=true",
		"--proxy-client-cert-file=" + pkiDir + "/front-proxy-client.crt",
		"--proxy-client-key-file=" + pkiDir + "/front-proxy-client.key",
		"--requestheader-client-ca-file=" + pkiDir + "/front-proxy-ca.crt",
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-uid-headers=X-Remote-Uid",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
	}
}

func controllerManagerArgs() []string {
	return []string{
		"kube-controller-manager",
		"--kubeconfig=" + kubeconfig("/", "kube-controller-manager"),
		"--authentication-kubeconfig=" + kubeconfig("/", "kube-controller-manager"),
		"--authorization-kubeconfig=" + kubeconfig("/", "kube-controller-manager"),
		"--bind-address=127.0.0.1",
		// There is one of it; an election would only delay it.
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--root-ca-file=" + pkiDir + "/ca.crt",
		"--service-account-private-key-file=" + pkiDir + "/sa.key",
		"--cluster-signing-cert-file=" + pkiDir + "/ca.crt",
		"--cluster-signing-key-file=" + pkiDir + "/ca.key",
		// Each node's part of the pod network follows from its number; see package plan.
		"--allocate-node-cidrs=false",
		"--service-cluster-ip-range=" + plan.ServiceCIDR,
		"--cluster-cidr=" + plan.PodCIDR,
	}
}

func schedulerArgs() []string {
	return []string{
		"kube-scheduler",
		"--kubeconfig=" + kubeconfig("/", "kube-scheduler"),
		"--authentication-kubeconfig=" + kubeconfig("/", "kube-scheduler"),
		"--authorization-kubeconfig=" + kubeconfig("/", "kube-scheduler"),
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
	}
}
