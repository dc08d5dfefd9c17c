// Package node says what runs on a node's machine and with which settings: containerd, kubelet, kube-proxy and
// the pod network. It writes their certificates and files; it starts nothing.
package node

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/virtplane/virtplane/test/cluster/machine"
	"github.com/virtplane/virtplane/test/cluster/pki"
	"github.com/virtplane/virtplane/test/cluster/plan"
)

// Paths inside the machine, the standard ones.
const (
	Socket = "/run/containerd/containerd.sock"
	// StoreDir is where volumes of the node's disk and data of stores go.
	StoreDir = "/var/lib/virtplane"
	// Bridge is the plugin that makes the pod network, the project's own.
	Bridge = "bridge-cni"
	// CNIBin is where pod network plugins are looked for; an installer may add to it.
	CNIBin = "/opt/cni/bin"

	pkiDir         = "/etc/kubernetes/pki"
	kubeletConf    = "/etc/kubernetes/kubelet.conf"
	kubeProxyConf  = "/etc/kubernetes/kube-proxy.conf"
	kubeletConfig  = "/var/lib/kubelet/config.yaml"
	proxyConfig    = "/var/lib/kube-proxy/config.yaml"
	containerdFile = "/etc/containerd/config.toml"
	hostsDir       = "/etc/containerd/certs.d"
	cniConf        = "/etc/cni/net.d/10-pods.conflist"
)

// Settings is what the files of one node follow from.
type Settings struct {
	plan.Node
	// Cgroup is the node's control group, below which the kubelet makes those of pods.
	Cgroup string
	// ReservedMemory is what the node must not give to pods, in bytes: its machine shares the host's memory
	// with others.
	ReservedMemory int64
}

// WriteFiles fills the machine's root directory.
func WriteFiles(root string, s Settings, authority *pki.Authority, ca []byte) error {
	kubelet, err := client(authority, ca, "system:node:"+s.Name, "system:nodes")
	if err != nil {
		return err
	}
	proxy, err := client(authority, ca, "system:kube-proxy")
	if err != nil {
		return err
	}
	serving, err := authority.Sign(pki.Request{Name: "system:node:" + s.Name, Groups: []string{"system:nodes"}, Hosts: []string{s.Name, s.IP}})
	if err != nil {
		return err
	}
	if err := serving.Write(filepath.Join(root, pkiDir), "kubelet"); err != nil {
		return err
	}
	kubeletYAML, err := yaml.Marshal(kubeletConfiguration(s))
	if err != nil {
		return err
	}
	proxyYAML, err := yaml.Marshal(proxyConfiguration(s))
	if err != nil {
		return err
	}
	cni, err := json.MarshalIndent(networkConfiguration(s), "", "  ")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		path    string
		content []byte
		mode    fs.FileMode
	}{
		{pkiDir + "/ca.crt", ca, 0o644},
		{kubeletConf, kubelet, 0o600},
		{kubeProxyConf, proxy, 0o600},
		{kubeletConfig, kubeletYAML, 0o644},
		{proxyConfig, proxyYAML, 0o644},
		{cniConf, cni, 0o644},
		{containerdFile, []byte(containerdConfiguration()), 0o644},
		{filepath.Join(hostsDir, plan.Registry, "hosts.toml"), []byte(registryHosts()), 0o644},
	} {
		if err := write(root, f.path, f.content, f.mode); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/var/lib/containerd", "/var/lib/cni", "/var/log/pods", "/var/log/containers", CNIBin, StoreDir} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func client(authority *pki.Authority, ca []byte, user string, groups ...string) ([]byte, error) {
	pair, err := authority.Sign(pki.Request{Name: user, Groups: groups})
	if err != nil {
		return nil, err
	}
	return pki.Kubeconfig("local", plan.APIURL(), user, ca, pair)
}

func write(root, path string, content []byte, mode fs.FileMode) error {
	file := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, content, mode)
}

// Services is what the machine runs.
func Services(s Settings) []machine.Service {
	api := plan.APIURL() + "/readyz"
	return []machine.Service{
		{Name: "containerd", Args: []string{"containerd", "--config", containerdFile}},
		{
			Name: "kubelet",
			Args: []string{
				"kubelet",
				"--config=" + kubeletConfig,
				"--kubeconfig=" + kubeletConf,
				"--hostname-override=" + s.Name,
				"--node-ip=" + s.IP,
				"--v=2",
			},
			WaitFor: []string{"unix:" + Socket, api},
		},
		{Name: "kube-proxy", Args: []string{"kube-proxy", "--config=" + proxyConfig, "--v=2"}, WaitFor: []string{api}},
	}
}

// Sysctls are the settings that a kubelet makes for the whole host. The machine sees them as it wants them, and
// the host keeps its own.
func Sysctls() map[string]string {
	return map[string]string{
		"vm/overcommit_memory":      "1",
		"vm/panic_on_oom":           "0",
		"kernel/panic":              "10",
		"kernel/panic_on_oops":      "1",
		"kernel/keys/root_maxkeys":  "1000000",
		"kernel/keys/root_maxbytes": "25000000",
	}
}

// ImportCommand pulls an image that the registry has into the node's containerd. Layers that the node has
// already are not read again.
func ImportCommand(ref string) []string {
	return []string{"ctr", "--address", Socket, "--namespace", "k8s.io", "images", "pull", "--hosts-dir", hostsDir, ref}
}

func registryHosts() string {
	url := fmt.Sprintf("http://%s", plan.Registry)
	return fmt.Sprintf("server = %q\n\n[host.%q]\n  capabilities = [\"pull\", \"resolve\", \"push\"]\n", url, url)
}
