package boot

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/convert"
	"github.com/virtplane/virtplane/launcher/dhcp"
	"github.com/virtplane/virtplane/launcher/domain"
	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func (r *request) interfaces() map[string]convert.Interface {
	out := map[string]convert.Interface{}
	for _, o := range r.options.GetInterfaces() {
		out[o.GetName()] = convert.Interface{
			Tap: o.GetTap(), MAC: o.GetMac(), MTU: int(o.GetMtu()), Queues: int(o.GetQueues()), Vhost: o.GetVhost(),
		}
	}
	return out
}

// guestInterfaces lists the cards of the machine with their leases.
func (r *request) guestInterfaces(result *convert.Result) ([]domain.Interface, error) {
	var out []domain.Interface
	for _, device := range result.Machine.Devices {
		card, ok := device.(*qemu.NIC)
		if !ok {
			continue
		}
		i := domain.Interface{
			Name: card.Name, MAC: card.MAC, Queues: uint32(card.Queues), Down: slices.Contains(result.LinksDown, card.ID()),
		}
		o := r.interfaceOptions(card.Name)
		if o.GetBridge() != "" && o.GetGuestIpv4() != "" {
			lease, err := r.lease(o, card.MAC)
			if err != nil {
				return nil, api.Errorf(codes.InvalidArgument, api.ReasonNetworkUnavailable, "interface %s: %w", card.Name, err)
			}
			i.Bridge, i.Lease = o.GetBridge(), lease
		}
		out = append(out, i)
	}
	return out, nil
}

// lease is what the guest is told by DHCP.
func (r *request) lease(o *api.InterfaceOptions, mac string) (*dhcp.Lease, error) {
	address, err := netip.ParsePrefix(o.GetGuestIpv4())
	if err != nil {
		return nil, fmt.Errorf("guest address: %w", err)
	}
	gateway, err := netip.ParseAddr(o.GetGatewayIpv4())
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	l := &dhcp.Lease{MAC: mac, Address: address, Server: gateway, MTU: uint16(o.GetMtu()), Hostname: convert.Hostname(r.vmi)}
	if l.DNS, l.Search, err = r.resolver(o); err != nil {
		return nil, err
	}
	l.Search = withSubdomain(l.Search, r.vmi.Spec.Subdomain, r.vmi.Namespace)
	if d := r.dhcpOptions(o.GetName()); d != nil {
		l.BootFile, l.TFTPServer = d.BootFileName, d.TFTPServerName
		for _, s := range d.NTPServers {
			ip, err := netip.ParseAddr(s)
			if err != nil {
				return nil, fmt.Errorf("dhcpOptions.ntpServers: %w", err)
			}
			l.NTP = append(l.NTP, ip)
		}
		for _, p := range d.PrivateOptions {
			if p.Option < 0 || p.Option > 255 {
				return nil, fmt.Errorf("dhcpOptions.privateOptions: option %d must be from 224 to 254", p.Option)
			}
			if l.Private == nil {
				l.Private = map[uint8]string{}
			}
			l.Private[uint8(p.Option)] = p.Value
		}
	}
	return l, l.Validate()
}

func (r *request) dhcpOptions(name string) *virtv1.DHCPOptions {
	for i := range r.vmi.Spec.Domain.Devices.Interfaces {
		if iface := &r.vmi.Spec.Domain.Devices.Interfaces[i]; iface.Name == name {
			return iface.DHCPOptions
		}
	}
	return nil
}

// resolver is how the guest resolves names: as the pod does, unless the node agent says otherwise.
func (r *request) resolver(o *api.InterfaceOptions) ([]netip.Addr, []string, error) {
	var pod dhcp.Resolver
	f, err := os.Open(r.ResolvConf)
	if err == nil {
		pod, err = dhcp.ParseResolver(f)
		f.Close()
	}
	if err != nil {
		r.Log.Warn("Could not read how the pod resolves names", "err", err)
	}
	if len(o.GetDnsServers()) > 0 {
		pod.Servers = nil
		for _, s := range o.GetDnsServers() {
			ip, err := netip.ParseAddr(s)
			if err != nil {
				return nil, nil, fmt.Errorf("name server: %w", err)
			}
			pod.Servers = append(pod.Servers, ip)
		}
	}
	if len(o.GetDnsSearch()) > 0 {
		pod.Search = o.GetDnsSearch()
	}
	return pod.Servers, pod.Search, nil
}

// withSubdomain puts the domain of a headless Service first, so that a guest's full name is the one under which the
// cluster knows it.
func withSubdomain(search []string, subdomain, namespace string) []string {
	if subdomain == "" {
		return search
	}
	for _, s := range search {
		if strings.HasPrefix(s, namespace+".svc.") {
			return append([]string{subdomain + "." + s}, search...)
		}
	}
	return search
}
