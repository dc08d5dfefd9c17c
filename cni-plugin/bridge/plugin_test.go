package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/containernetworking/plugins/pkg/testutils"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/virtplane/virtplane/cni-plugin/masquerade"
)

// TestAllVersions runs the whole life of an attachment in each version of the specification.
func TestAllVersions(t *testing.T) {
	for _, version := range testutils.AllSpecVersions {
		t.Run(version, func(t *testing.T) {
			n := newNode(t)
			changes := conf{"isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, "mtu": 1400}
			if !testutils.SpecVersionHasMultipleIPs(version) {
				changes["ipam"] = v4only(n)
			}
			data := n.conf(version, changes)
			a, b := n.add("a", data), n.add("b", data)
			for _, to := range b.ips {
				if err := ping(t, a.ns, to.Addr()); err != nil {
					t.Errorf("pod to pod: %v", err)
				}
				if err := ping(t, n.ns, to.Addr()); err != nil {
					t.Errorf("node to pod: %v", err)
				}
				// Through the default route, since the gateway has this address only on another link.
			}
			in(t, a.ns, func() error { return wantDefaultRoutes(len(a.ips)) })
			full := withResult(t, data, a.out)
			if testutils.SpecVersionHasCHECK(version) {
				if err := n.check(a, full); err != nil {
					t.Errorf("CHECK: %v", err)
				}
			}
			if !testutils.SpecVersionHasCHECK(version) {
				full = data
			}
			for i := range 2 {
				if err := n.del(a, full); err != nil {
					t.Errorf("DEL number %d: %v", i+1, err)
				}
			}
			if err := n.del(b, data); err != nil {
				t.Errorf("DEL without a previous result: %v", err)
			}
			if left := n.leases(); len(left) != 0 {
				t.Errorf("addresses left after DEL: %v", left)
			}
			if left := n.ports(); len(left) != 0 {
				t.Errorf("links left after DEL: %v", left)
			}
		})
	}
}

func wantDefaultRoutes(want int) error {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	found := 0
	for _, r := range routes {
		if r.Gw != nil && (r.Dst == nil || r.Dst.IP.IsUnspecified()) {
			found++
		}
	}
	if found != want {
		return fmt.Errorf("%d default routes instead of %d: %v", found, want, routes)
	}
	return nil
}

// ports returns the veth links of the node.
func (n *node) ports() []string {
	n.t.Helper()
	var found []string
	n.do(func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			if l.Type() == "veth" {
				found = append(found, l.Attrs().Name)
			}
		}
		return err
	})
	return found
}

func TestResult(t *testing.T) {
	n := newNode(t)
	p := n.add("a", n.conf("1.1.0", conf{
		"isGateway":     true,
		"mtu":           1300,
		"runtimeConfig": conf{"mac": "02:00:5e:00:00:17"},
		"ipam": conf{"type": "host-local", "dataDir": n.dataDir, "routes": []conf{{"dst": "192.0.2.0/24"}},
			"ranges": [][]conf{{{"subnet": "10.77.1.0/24"}}}},
	}))
	bridgeMAC, portMAC := p.res.Interfaces[0].Mac, p.res.Interfaces[1].Mac
	if bridgeMAC == "" || portMAC == "" || bridgeMAC == "02:00:5e:00:00:17" {
		t.Errorf("bridge has hardware address %q, port %q", bridgeMAC, portMAC)
	}
	want := &current.Result{
		CNIVersion: "1.1.0",
		Interfaces: []*current.Interface{
			{Name: "br-test", Mac: bridgeMAC, Mtu: 1300},
			{Name: p.res.Interfaces[1].Name, Mac: portMAC, Mtu: 1300},
			{Name: "eth0", Mac: "02:00:5e:00:00:17", Mtu: 1300, Sandbox: p.ns.Path()},
		},
		IPs:    []*current.IPConfig{{Interface: current.Int(2), Address: cidr(t, "10.77.1.2/24"), Gateway: net.ParseIP("10.77.1.1").To4()}},
		Routes: []*types.Route{{Dst: cidr(t, "192.0.2.0/24")}},
	}
	asJSON := cmp.Transformer("json", func(r *current.Result) string {
		data, _ := json.MarshalIndent(r, "", " ")
		return string(data)
	})
	if diff := cmp.Diff(want, p.res, asJSON); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func cidr(t *testing.T, s string) net.IPNet {
	t.Helper()
	ip, n, err := net.ParseCIDR(s)
	if err != nil {
		t.Fatal(err)
	}
	if ip.To4() != nil {
		ip = ip.To4()
	}
	return net.IPNet{IP: ip, Mask: n.Mask}
}

// TestFailedAddLeavesNothing breaks ADD at its last steps.
func TestFailedAddLeavesNothing(t *testing.T) {
	for _, tc := range []struct {
		name  string
		setup func(*node) error
		conf  conf
		want  string
	}{
		{
			name: "no ipam program", conf: conf{"ipam": conf{"type": "no-such-ipam"}},
			want: `ipam no-such-ipam: failed to find plugin "no-such-ipam" in path`,
		},
		{
			name: "another address on the bridge", conf: conf{"isGateway": true},
			setup: func(*node) error {
				if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br-test"}}); err != nil {
					return err
				}
				return configure("br-test", "10.77.1.9/24")
			},
			want: `isGateway: bridge "br-test" already has address 10.77.1.9/24 in the subnet of gateway 10.77.1.1/24; set forceAddress to replace it`,
		},
		{
			name: "a bridge that is none", conf: conf{"bridge": "lo"},
			want: `bridge: "lo" is a device, not a bridge; name another one`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t)
			if tc.setup != nil {
				n.do(func() error { return tc.setup(n) })
			}
			p := &pod{ns: newNamespace(t), id: "a"}
			err := n.tryAdd(p, n.conf("1.1.0", tc.conf))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("ADD said %v, want %q", err, tc.want)
			}
			if left := n.leases(); len(left) != 0 {
				t.Errorf("addresses left: %v", left)
			}
			if left := n.ports(); len(left) != 0 {
				t.Errorf("links left: %v", left)
			}
		})
	}
}

// TestVLAN wants a tagged port where the kernel can tag, and a clear refusal where it cannot; both on a bridge that is there already and on a fresh one.
func TestVLAN(t *testing.T) {
	for _, tc := range []struct {
		name string
		made bool
	}{{"fresh bridge", false}, {"bridge without filtering", true}} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t)
			if tc.made {
				n.do(func() error { return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br-test"}}) })
			}
			p := &pod{ns: newNamespace(t), id: "a"}
			err := n.tryAdd(p, n.conf("1.1.0", conf{"vlan": 7, "ipam": nil}))
			if !n.filtersVLANs() {
				const want = `vlan: 7 was asked for, but bridge "br-test" cannot filter VLANs; the kernel needs CONFIG_BRIDGE_VLAN_FILTERING`
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("ADD said %v, want %q", err, want)
				}
				if left := n.ports(); len(left) != 0 {
					t.Errorf("links left: %v", left)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []uint16
			n.do(func() error {
				port, err := netlink.LinkByName(p.res.Interfaces[1].Name)
				if err != nil {
					return err
				}
				vlans, err := netlink.BridgeVlanList()
				for _, v := range vlans[int32(port.Attrs().Index)] {
					got = append(got, v.Vid)
				}
				return err
			})
			if diff := cmp.Diff([]uint16{7}, got); diff != "" {
				t.Errorf("VLANs of the port (-want +got):\n%s", diff)
			}
		})
	}
}

// filtersVLANs asks the kernel by trying it on a bridge of its own.
func (n *node) filtersVLANs() bool {
	n.t.Helper()
	can := false
	n.do(func() error {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br-probe"}}
		if err := netlink.LinkAdd(br); err != nil {
			return err
		}
		setErr := netlink.BridgeSetVlanFiltering(br, true)
		link, err := netlink.LinkByName("br-probe")
		if err != nil {
			return err
		}
		on := link.(*netlink.Bridge).VlanFiltering
		can = setErr == nil && on != nil && *on
		return nil
	})
	return can
}

func TestDelWithoutNamespace(t *testing.T) {
	n := newNode(t)
	data := n.conf("1.1.0", conf{"isGateway": true, "ipMasq": true})
	p := n.add("a", data)
	for _, netns := range []string{"", "/run/netns/never-was", "/etc/hostname"} {
		args := &skel.CmdArgs{ContainerID: p.id, Netns: netns, IfName: "eth0", StdinData: data}
		n.do(func() error {
			return testutils.CmdDelWithArgs(args, func() error { return n.plugin.Del(context.Background(), args) })
		})
	}
	// The namespace is still there: the link must have been found from the node's side.
	if left := n.ports(); len(left) != 0 {
		t.Errorf("links left: %v", left)
	}
	if left := n.leases(); len(left) != 0 {
		t.Errorf("addresses left: %v", left)
	}
}

// TestCheckFindsDamage damages one thing at a time.
func TestCheckFindsDamage(t *testing.T) {
	podLink := func(f func(netlink.Link) error) func(*node, *pod) error {
		return func(_ *node, p *pod) error {
			return p.ns.Do(func(ns.NetNS) error {
				link, err := netlink.LinkByName("eth0")
				if err != nil {
					return err
				}
				return f(link)
			})
		}
	}
	for _, tc := range []struct {
		name   string
		damage func(*node, *pod) error
		want   string
	}{
		{"address removed", podLink(func(l netlink.Link) error {
			addrs, err := netlink.AddrList(l, netlink.FAMILY_V4)
			if err != nil {
				return err
			}
			return netlink.AddrDel(l, &addrs[0])
		}), "Failed to match addr"},
		{"default route removed", podLink(func(l netlink.Link) error {
			return netlink.RouteDel(&netlink.Route{Gw: net.ParseIP("10.77.1.1"), LinkIndex: l.Attrs().Index})
		}), "not found in routing table"},
		{"hardware address changed", podLink(func(l netlink.Link) error {
			return netlink.LinkSetHardwareAddr(l, net.HardwareAddr{2, 0, 0, 0, 0, 9})
		}), "has hardware address 02:00:00:00:00:09 instead of"},
		{"MTU changed", podLink(func(l netlink.Link) error { return netlink.LinkSetMTU(l, 1280) }), "has MTU 1280 instead of 1400"},
		{"port off the bridge", func(_ *node, p *pod) error {
			port, err := netlink.LinkByName(p.res.Interfaces[1].Name)
			if err != nil {
				return err
			}
			return netlink.LinkSetNoMaster(port)
		}, `is not a port of bridge "br-test"`},
		{"hairpin lost", func(_ *node, p *pod) error {
			port, err := netlink.LinkByName(p.res.Interfaces[1].Name)
			if err != nil {
				return err
			}
			return netlink.LinkSetHairpin(port, false)
		}, "has lost its hairpin mode"},
		{"bridge down", func(*node, *pod) error {
			br, err := netlink.LinkByName("br-test")
			if err != nil {
				return err
			}
			return netlink.LinkSetDown(br)
		}, `bridge "br-test" is down`},
		{"masquerading lost", func(_ *node, p *pod) error {
			m, err := masquerade.New()
			if err != nil {
				return err
			}
			return m.Del(context.Background(), masquerade.Owner{Network: "testnet", ContainerID: p.id, IfName: "eth0"})
		}, "does not masquerade 10.77.1.2"},
		{"lease lost", func(n *node, _ *pod) error { return os.RemoveAll(n.dataDir + "/testnet") }, "host-local: Failed to find address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t)
			data := n.conf("1.1.0", conf{"isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, "mtu": 1400})
			p := n.add("a", data)
			full := withResult(t, data, p.out)
			if err := n.check(p, full); err != nil {
				t.Fatalf("CHECK before the damage: %v", err)
			}
			n.do(func() error { return tc.damage(n, p) })
			if err := n.check(p, full); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("CHECK said %v, want %q", err, tc.want)
			}
		})
	}
}

func TestIsolatedPorts(t *testing.T) {
	n := newNode(t)
	data := n.conf("1.1.0", conf{"portIsolation": true, "isGateway": true, "ipam": v4only(n)})
	p := n.add("a", data)
	if err := ping(t, p.ns, netip.MustParseAddr("10.77.1.1")); err != nil {
		t.Errorf("an isolated port must reach the gateway: %v", err)
	}
	if err := n.check(p, withResult(t, data, p.out)); err != nil {
		t.Error(err)
	}
}

func TestWithoutIPAM(t *testing.T) {
	n := newNode(t)
	for _, tc := range []struct {
		name string
		conf conf
		up   bool
	}{
		{"up", conf{"ipam": nil}, true},
		{"down", conf{"ipam": nil, "disableContainerInterface": true}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := n.add(tc.name, n.conf("1.1.0", tc.conf))
			in(t, p.ns, func() error {
				link, err := netlink.LinkByName("eth0")
				if err != nil {
					return err
				}
				if up := link.Attrs().Flags&net.FlagUp != 0; up != tc.up {
					return fmt.Errorf("link is up: %v, want %v", up, tc.up)
				}
				return nil
			})
		})
	}
}

// TestChainedResult has a plugin before us in the chain.
func TestChainedResult(t *testing.T) {
	n := newNode(t)
	previous := `{"cniVersion":"1.1.0","interfaces":[{"name":"other0","sandbox":"/x"}],"ips":[{"interface":0,"address":"198.51.100.7/24"}],"dns":{"nameservers":["198.51.100.1"]}}`
	p := n.add("a", withResult(t, n.conf("1.1.0", conf{"ipam": v4only(n)}), []byte(previous)))
	var got []string
	for _, ip := range p.res.IPs {
		got = append(got, p.res.Interfaces[*ip.Interface].Name+" "+ip.Address.String())
	}
	if diff := cmp.Diff([]string{"other0 198.51.100.7/24", "eth0 10.77.1.2/24"}, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"198.51.100.1"}, p.res.DNS.Nameservers); diff != "" {
		t.Errorf("name servers (-want +got):\n%s", diff)
	}
}

// TestStableGatewayAddress removes the port whose hardware address a bridge would otherwise have taken.
func TestStableGatewayAddress(t *testing.T) {
	n := newNode(t)
	data := n.conf("1.1.0", conf{"isGateway": true, "ipam": v4only(n)})
	pods := []*pod{n.add("a", data), n.add("b", data), n.add("c", data)}
	want := pods[0].res.Interfaces[0].Mac
	for _, p := range pods[:2] {
		if err := n.del(p, data); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.add("d", data).res.Interfaces[0].Mac; got != want {
		t.Errorf("the bridge's hardware address went from %s to %s", want, got)
	}
}
