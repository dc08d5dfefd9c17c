package plan

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNodes(t *testing.T) {
	got, err := Nodes(2)
	if err != nil {
		t.Fatal(err)
	}
	want := []Node{
		{Name: "node-1", IP: "172.20.0.11", PodCIDR: "10.244.1.0/24", PodGateway: "10.244.1.1"},
		{Name: "node-2", IP: "172.20.0.12", PodCIDR: "10.244.2.0/24", PodGateway: "10.244.2.1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Nodes(2) (-want +got):\n%s", diff)
	}
	for _, bad := range []int{-1, 0, MaxNodes + 1} {
		if _, err := Nodes(bad); err == nil {
			t.Errorf("Nodes(%d) was accepted", bad)
		}
	}
}

func TestAddressesStayInTheirNetworks(t *testing.T) {
	nodes, err := Nodes(MaxNodes)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{ControlPlaneIP: true}
	for _, n := range nodes {
		if seen[n.IP] || seen[n.PodCIDR] {
			t.Errorf("%+v shares an address", n)
		}
		seen[n.IP], seen[n.PodCIDR] = true, true
		if !netip.MustParsePrefix(NodeCIDR).Contains(netip.MustParseAddr(n.IP)) {
			t.Errorf("%s: %s is outside of %s", n.Name, n.IP, NodeCIDR)
		}
		if !netip.MustParsePrefix(PodCIDR).Overlaps(netip.MustParsePrefix(n.PodCIDR)) {
			t.Errorf("%s: %s is outside of %s", n.Name, n.PodCIDR, PodCIDR)
		}
		if !netip.MustParsePrefix(n.PodCIDR).Contains(netip.MustParseAddr(n.PodGateway)) {
			t.Errorf("%s: gateway %s is outside of %s", n.Name, n.PodGateway, n.PodCIDR)
		}
	}
	for _, ip := range []string{KubernetesIP, DNSIP} {
		if !netip.MustParsePrefix(ServiceCIDR).Contains(netip.MustParseAddr(ip)) {
			t.Errorf("%s is outside of %s", ip, ServiceCIDR)
		}
	}
}

func TestIDFollowsFolder(t *testing.T) {
	a, b := Dir("/a/.cluster"), Dir("/b/.cluster")
	if a.ID() == b.ID() || a.Cgroup() == b.Cgroup() {
		t.Error("two folders share an id")
	}
	if a.ID() != Dir("/a/.cluster").ID() {
		t.Error("the id is not stable")
	}
}
