package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/virtplane/virtplane/test/cluster/pki"
	"github.com/virtplane/virtplane/test/cluster/plan"
)

func TestWriteFiles(t *testing.T) {
	nodes, err := plan.Nodes(2)
	if err != nil {
		t.Fatal(err)
	}
	authority, pair, err := pki.NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	s := Settings{Node: nodes[1], Cgroup: "/group/node-2", ReservedMemory: 3 << 30}
	if err := WriteFiles(root, s, authority, pair.Cert); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var kubelet struct {
		CgroupRoot, ContainerRuntimeEndpoint string
		FailCgroupV1                         *bool
		SystemReserved                       map[string]string
	}
	if err := yaml.Unmarshal(read("var/lib/kubelet/config.yaml"), &kubelet); err != nil {
		t.Fatal(err)
	}
	if kubelet.CgroupRoot != "/group/node-2" || kubelet.ContainerRuntimeEndpoint != "unix:///run/containerd/containerd.sock" ||
		kubelet.FailCgroupV1 == nil || *kubelet.FailCgroupV1 || kubelet.SystemReserved["memory"] != "3072Mi" {
		t.Errorf("kubelet configuration = %+v", kubelet)
	}
	var network struct {
		Name    string
		Plugins []struct {
			Type        string
			HairpinMode bool
			IPAM        struct {
				Ranges [][]struct{ Subnet, Gateway string }
			}
		}
	}
	if err := json.Unmarshal(read("etc/cni/net.d/10-pods.conflist"), &network); err != nil {
		t.Fatal(err)
	}
	bridge := network.Plugins[0]
	if bridge.Type != "bridge-cni" || !bridge.HairpinMode || bridge.IPAM.Ranges[0][0].Subnet != "10.244.2.0/24" || bridge.IPAM.Ranges[0][0].Gateway != "10.244.2.1" {
		t.Errorf("network configuration = %+v", network)
	}
	if got := string(read("etc/containerd/certs.d/registry.virtplane.local:5000/hosts.toml")); !strings.Contains(got, `[host."http://registry.virtplane.local:5000"]`) {
		t.Errorf("hosts.toml = %s", got)
	}
	for _, secret := range []string{"etc/kubernetes/kubelet.conf", "etc/kubernetes/pki/kubelet.key"} {
		st, err := os.Stat(filepath.Join(root, secret))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", secret, st.Mode())
		}
	}
}

func TestServicesWaitForWhatTheyNeed(t *testing.T) {
	services := Services(Settings{})
	var names []string
	for _, s := range services {
		names = append(names, s.Name)
		if s.Name == "kubelet" && strings.Join(s.WaitFor, " ") != "unix:/run/containerd/containerd.sock https://172.20.0.1:6443/readyz" {
			t.Errorf("kubelet waits for %v", s.WaitFor)
		}
	}
	if strings.Join(names, " ") != "containerd kubelet kube-proxy" {
		t.Errorf("services = %v", names)
	}
}
