package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"github.com/virtplane/virtplane/cni-plugin/masquerade"
)

// TestMasquerade looks at who an outside host believes to talk to.
func TestMasquerade(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes conf
		want4   string
		want6   string
	}{
		{"off", conf{}, "10.77.1.2", "fd77:1::2"},
		{"on", conf{"ipMasq": true}, "192.0.2.1", "2001:db8:99::1"},
		{"on, but not for this network", conf{"ipMasq": true, "ipMasqExcept": []string{"192.0.2.0/24", "2001:db8:99::/64"}}, "10.77.1.2", "fd77:1::2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t)
			outside := n.outside("192.0.2.1/24", "192.0.2.2/24", "10.77.1.0/24")
			n.outsideAddrs(outside, "2001:db8:99::1/64", "2001:db8:99::2/64", "fd77:1::/64")
			tc.changes["isDefaultGateway"] = true
			data := n.conf("1.1.0", tc.changes)
			p := n.add("a", data)
			if got := seenAs(t, p.ns, outside, netip.MustParseAddr("192.0.2.2")); got != tc.want4 {
				t.Errorf("IPv4: the outside host saw %s, want %s", got, tc.want4)
			}
			if got := seenAs(t, p.ns, outside, netip.MustParseAddr("2001:db8:99::2")); got != tc.want6 {
				t.Errorf("IPv6: the outside host saw %s, want %s", got, tc.want6)
			}
			if err := n.del(p, data); err != nil {
				t.Fatal(err)
			}
			n.do(func() error { return wantNoMasquerade(p) })
		})
	}
}

func wantNoMasquerade(p *pod) error {
	m, err := masquerade.New()
	if err != nil {
		return err
	}
	owner := masquerade.Owner{Network: "testnet", ContainerID: p.id, IfName: "eth0"}
	for _, ip := range p.ips {
		if err := m.Check(context.Background(), owner, []netip.Prefix{ip}); err == nil {
			return fmt.Errorf("%s is still masqueraded", ip)
		}
	}
	return nil
}

// outside connects a namespace to the node that stands for the rest of the world; it knows a route to the pods.
func (n *node) outside(nodeAddr, outsideAddr, pods string) ns.NetNS {
	n.t.Helper()
	world := newNamespace(n.t)
	n.do(func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}, PeerName: "world0", PeerNamespace: netlink.NsFd(int(world.Fd()))}
		return netlink.LinkAdd(veth)
	})
	n.outsideAddrs(world, nodeAddr, outsideAddr, pods)
	return world
}

func (n *node) outsideAddrs(world ns.NetNS, nodeAddr, outsideAddr, pods string) {
	n.t.Helper()
	n.do(func() error { return configure("uplink", nodeAddr) })
	in(n.t, world, func() error {
		if err := configure("world0", outsideAddr); err != nil {
			return err
		}
		gateway, _, err := net.ParseCIDR(nodeAddr)
		if err != nil {
			return err
		}
		dst := cidr(n.t, pods)
		return netlink.RouteAdd(&netlink.Route{Dst: &dst, Gw: gateway})
	})
}

func configure(name, address string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	if addr.IP.To4() == nil {
		addr.Flags = 2 // no duplicate address detection
	}
	return errors.Join(netlink.AddrAdd(link, addr), netlink.LinkSetUp(link))
}
