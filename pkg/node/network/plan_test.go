package network

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/knftables"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func vmi(change func(*virtv1.VirtualMachineInstance)) *virtv1.VirtualMachineInstance {
	v := &virtv1.VirtualMachineInstance{}
	v.Spec.Domain.Devices.Interfaces = []virtv1.Interface{{Name: "default", Masquerade: &virtv1.InterfaceMasquerade{}}}
	v.Spec.Networks = []virtv1.Network{{Name: "default", Pod: &virtv1.PodNetwork{}}}
	if change != nil {
		change(v)
	}
	return v
}

func TestPlanFor(t *testing.T) {
	usual := func(change func(*Plan)) *Plan {
		p := &Plan{
			Interface: "default", User: 107, Group: 107,
			Gateway4: netip.MustParsePrefix("10.0.2.1/24"), Guest4: netip.MustParsePrefix("10.0.2.2/24"),
			Gateway6: netip.MustParsePrefix("fd10:0:2::1/120"), Guest6: netip.MustParsePrefix("fd10:0:2::2/120"),
		}
		if change != nil {
			change(p)
		}
		return p
	}
	iface := func(change func(*virtv1.Interface)) func(*virtv1.VirtualMachineInstance) {
		return func(v *virtv1.VirtualMachineInstance) { change(&v.Spec.Domain.Devices.Interfaces[0]) }
	}
	for _, tc := range []struct {
		name    string
		vmi     func(*virtv1.VirtualMachineInstance)
		want    *Plan
		wantErr string
	}{
		{name: "masquerade", want: usual(nil)},
		{name: "no interface", vmi: func(v *virtv1.VirtualMachineInstance) { v.Spec.Domain.Devices.Interfaces = nil }},
		{name: "own networks", vmi: func(v *virtv1.VirtualMachineInstance) {
			v.Spec.Networks[0].Pod.VMNetworkCIDR, v.Spec.Networks[0].Pod.VMIPv6NetworkCIDR = "192.168.100.0/28", "fd00:1::/64"
		}, want: usual(func(p *Plan) {
			p.Gateway4, p.Guest4 = netip.MustParsePrefix("192.168.100.1/28"), netip.MustParsePrefix("192.168.100.2/28")
			p.Gateway6, p.Guest6 = netip.MustParsePrefix("fd00:1::1/64"), netip.MustParsePrefix("fd00:1::2/64")
		})},
		{name: "a CIDR with host bits", vmi: func(v *virtv1.VirtualMachineInstance) { v.Spec.Networks[0].Pod.VMNetworkCIDR = "10.0.2.77/24" }, want: usual(nil)},
		{name: "ports", vmi: iface(func(i *virtv1.Interface) {
			i.Ports = []virtv1.Port{{Port: 80}, {Port: 53, Protocol: "UDP"}}
			i.PortRanges = []virtv1.PortRange{{Start: 8000, End: 8010, Protocol: "TCP"}}
		}), want: usual(func(p *Plan) { p.Ports = []PortRange{{"tcp", 80, 80}, {"udp", 53, 53}, {"tcp", 8000, 8010}} })},
		{name: "bridge", vmi: iface(func(i *virtv1.Interface) { i.Masquerade, i.Bridge = nil, &virtv1.InterfaceBridge{} }),
			wantErr: "spec.domain.devices.interfaces[0].bridge: this binding is not supported yet; use `masquerade: {}`"},
		{name: "no binding", vmi: iface(func(i *virtv1.Interface) { i.Masquerade = nil }),
			wantErr: "spec.domain.devices.interfaces[0]: no binding is named; use `masquerade: {}`"},
		{name: "two interfaces", vmi: func(v *virtv1.VirtualMachineInstance) {
			v.Spec.Domain.Devices.Interfaces = append(v.Spec.Domain.Devices.Interfaces, virtv1.Interface{Name: "second"})
		}, wantErr: "spec.domain.devices.interfaces[1]: a second interface is not supported yet; leave one interface on the pod network"},
		{name: "no network", vmi: func(v *virtv1.VirtualMachineInstance) { v.Spec.Networks = nil },
			wantErr: "spec.domain.devices.interfaces[0].name: no network is called \"default\"; add one to spec.networks"},
		{name: "other network", vmi: func(v *virtv1.VirtualMachineInstance) { v.Spec.Networks[0].Pod = nil },
			wantErr: "spec.networks[0]: masquerade works on the pod network only; say `pod: {}`"},
		{name: "bad CIDR", vmi: func(v *virtv1.VirtualMachineInstance) { v.Spec.Networks[0].Pod.VMNetworkCIDR = "10.0.2.0" },
			wantErr: `spec.networks[0].pod.vmNetworkCIDR: "10.0.2.0" is no network in CIDR notation like 10.0.2.0/24`},
		{name: "CIDR of the other version", vmi: func(v *virtv1.VirtualMachineInstance) { v.Spec.Networks[0].Pod.VMIPv6NetworkCIDR = "10.0.3.0/24" },
			wantErr: "spec.networks[0].pod.vmIPv6NetworkCIDR: 10.0.3.0/24 is of the other IP version; write one like fd10:0:2::/120"},
		{name: "small CIDR", vmi: func(v *virtv1.VirtualMachineInstance) { v.Spec.Networks[0].Pod.VMNetworkCIDR = "10.0.2.0/31" },
			wantErr: "spec.networks[0].pod.vmNetworkCIDR: 10.0.2.0/31 is too small for a gateway and a guest; take a prefix of at most 30 bits"},
		{name: "bad port", vmi: iface(func(i *virtv1.Interface) { i.Ports = []virtv1.Port{{Port: 70000}} }),
			wantErr: "spec.domain.devices.interfaces[0].ports[0]: port 70000 to 70000 must lie between 1 and 65535"},
		{name: "bad protocol", vmi: iface(func(i *virtv1.Interface) { i.Ports = []virtv1.Port{{Port: 7, Protocol: "SCTP"}} }),
			wantErr: `spec.domain.devices.interfaces[0].ports[0]: protocol "SCTP" must be TCP or UDP`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := PlanFor(vmi(tc.vmi))
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != tc.wantErr {
				t.Fatalf("error %q, want %q", text, tc.wantErr)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPortSet(t *testing.T) {
	open := []PortRange{{"tcp", 443, 443}, {"tcp", 80, 90}, {"udp", 53, 53}, {"tcp", 85, 100}, {"tcp", 101, 101}, {"tcp", 65535, 65535}}
	if got, want := portSet(open, "tcp"), "80-101, 443, 65535"; got != want {
		t.Errorf("tcp: %q, want %q", got, want)
	}
	if got, want := portSet(open, "udp"), "53"; got != want {
		t.Errorf("udp: %q, want %q", got, want)
	}
}

// TestRules compares the whole table with golden files; `UPDATE_GOLDEN=1 go test` writes them.
func TestRules(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ports []PortRange
		pod   []netip.Addr
	}{
		{"all-ports-ipv4", nil, []netip.Addr{netip.MustParseAddr("10.244.1.7")}},
		{"ports-dual-stack", []PortRange{{"tcp", 80, 80}, {"udp", 53, 53}}, []netip.Addr{netip.MustParseAddr("10.244.1.7"), netip.MustParseAddr("fd44::7")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan, err := PlanFor(vmi(nil))
			if err != nil {
				t.Fatal(err)
			}
			plan.Ports = tc.ports
			fake := knftables.NewFake(knftables.InetFamily, Table)
			for range 2 { // the second time, everything is there
				tx := fake.NewTransaction()
				fill(tx, plan, tc.pod)
				if err := fake.Run(context.Background(), tx); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join("testdata", tc.name+".nft")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(file, []byte(fake.Dump()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), fake.Dump()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
