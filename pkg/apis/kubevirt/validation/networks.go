package validation

import (
	"fmt"
	"regexp"
	"strings"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of networks and interfaces.
var (
	RuleNetworkName      = rule("network-name", "networks have a name of their own")
	RuleNetworkSource    = rule("network-source", "a network is the pod network, a Multus network or a resource claim")
	RuleNetworkMultus    = rule("network-multus", "a Multus network names its definition, as NAME or NAMESPACE/NAME")
	RuleNetworkPod       = rule("network-pod", "one network at most is the pod's own")
	RuleNetworkCIDR      = rule("network-cidr", "the guest's addresses on the pod network are prefixes of the right family")
	RuleNetworkInterface = rule("network-interface", "each network has an interface of its name")
	RuleInterfaceNetwork = rule("interface-network", "each interface has a network of its name")
	RuleInterfaceName    = rule("interface-name", "interfaces have a plain name of their own")
	RuleInterfaceBinding = rule("interface-binding", "an interface has one binding")
	RuleBindingRemoved   = rule("interface-binding-removed", "slirp, macvtap and passt are binding plugins today")
	RuleBindingNetwork   = rule("interface-binding-network", "masquerade is for the pod network, sriov for other networks")
	RuleInterfaceModel   = rule("interface-model", "the model is one that guests know")
	RuleInterfaceMAC     = rule("interface-mac", "MAC addresses are six octets of a single station")
	RuleInterfacePCI     = rule("interface-pci-address", "PCI addresses are on the root bus")
	RuleInterfaceACPI    = rule("interface-acpi-index", "ACPI indexes are 1 or more, each given once")
	RuleInterfaceState   = rule("interface-state", "the state is up, down or absent, and absent only on bridges that are not the default network")
	RulePortNumber       = rule("port-number", "ports are from 1 to 65535 (row P3-NETPOD-05)")
	RulePortProtocol     = rule("port-protocol", "the protocol of a port is TCP or UDP")
	RulePortName         = rule("port-name", "names of ports are service names, each given once")
	RulePortRange        = rule("port-range", "port ranges begin before they end")
	RuleDHCPOptions      = rule("dhcp-options", "DHCP options are well formed")

	interfaceName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	reservedMAC   = "02:00:00:00:00:00"
	noMAC         = "00:00:00:00:00:00"
)

func (r *report) networks(spec *virtv1.VirtualMachineInstanceSpec, p *field.Path) {
	networks := map[string]*virtv1.Network{}
	interfaces := map[string]bool{}
	for _, i := range spec.Domain.Devices.Interfaces {
		interfaces[i.Name] = true
	}
	var pods, defaults int
	for i := range spec.Networks {
		n, p := &spec.Networks[i], p.Child("networks").Index(i)
		switch {
		case n.Name == "":
			r.required(RuleNetworkName, p.Child("name"), "must be set")
		case networks[n.Name] != nil:
			r.duplicate(RuleNetworkName, p.Child("name"), n.Name)
		case !interfaces[n.Name]:
			r.invalid(RuleNetworkInterface, p.Child("name"), n.Name, "must be the name of an interface in `domain.devices.interfaces`")
		}
		if networks[n.Name] == nil {
			networks[n.Name] = n
		}
		r.network(n, p)
		pods += count(n.Pod != nil)
		defaults += count(n.Multus != nil && isTrue(n.Multus.Default))
	}
	if pods > 1 {
		r.forbidden(RuleNetworkPod, p.Child("networks"), "more than one interface is connected to a pod network")
	}
	if defaults > 1 || pods > 0 && defaults > 0 {
		r.forbidden(RuleNetworkPod, p.Child("networks"), "may have one default network only: the pod network, or a Multus network with `default`")
	}
	seen, indexes := map[string]bool{}, map[int32]bool{}
	for i := range spec.Domain.Devices.Interfaces {
		f, p := &spec.Domain.Devices.Interfaces[i], p.Child("domain", "devices", "interfaces").Index(i)
		switch {
		case !interfaceName.MatchString(f.Name):
			r.invalid(RuleInterfaceName, p.Child("name"), f.Name, "Network interface name can only contain alphabetical characters, numbers, dashes (-) or underscores (_)")
		case seen[f.Name]:
			r.duplicate(RuleInterfaceName, p.Child("name"), f.Name)
		case networks[f.Name] == nil:
			r.invalid(RuleInterfaceNetwork, p.Child("name"), f.Name, "must be the name of a network in `networks`")
		}
		seen[f.Name] = true
		r.binding(f, networks[f.Name], p)
		if f.State == "absent" {
			r.absent(f, networks[f.Name], p.Child("state"))
		}
		r.networkInterface(f, p)
		if f.ACPIIndex != nil {
			if *f.ACPIIndex < 1 || indexes[*f.ACPIIndex] {
				r.invalid(RuleInterfaceACPI, p.Child("acpiIndex"), *f.ACPIIndex, "must be 1 or more, and different for each interface")
			}
			indexes[*f.ACPIIndex] = true
		}
	}
}

func (r *report) network(n *virtv1.Network, p *field.Path) {
	if count(n.Pod != nil, n.Multus != nil, n.ResourceClaim != nil) != 1 {
		r.required(RuleNetworkSource, p, "should have exactly one network type: `pod`, `multus` or `resourceClaim`")
	}
	if m := n.Multus; m != nil {
		if m.NetworkName == "" {
			r.required(RuleNetworkMultus, p.Child("multus", "networkName"), "CNI delegating plugin must have a networkName")
		} else if parts := strings.Split(m.NetworkName, "/"); len(parts) > 2 || anyBad(parts) {
			r.invalid(RuleNetworkMultus, p.Child("multus", "networkName"), m.NetworkName, "must be the name of a NetworkAttachmentDefinition, as NAME or NAMESPACE/NAME")
		}
	}
	if n.Pod == nil {
		return
	}
	cidr := func(name, value string, v4 bool) {
		if value == "" {
			return
		}
		prefix, err := virtv1.ParseCIDR(value)
		if err != nil || prefix.Addr().Is4() != v4 {
			family := "IPv6"
			if v4 {
				family = "IPv4"
			}
			r.invalid(RuleNetworkCIDR, p.Child("pod", name), value, "must be an %s network such as 10.0.2.0/24 or fd10:0:2::/120", family)
			return
		}
		first := prefix.Masked().Addr()
		if most := first.BitLen() - 2; prefix.Bits() > most {
			r.invalid(RuleNetworkCIDR, p.Child("pod", name), value, "is too small for a gateway and a guest: take a prefix of at most %d bits", most)
		}
		if first.IsUnspecified() || first.IsLoopback() || first.IsMulticast() || first.Is4In6() {
			r.invalid(RuleNetworkCIDR, p.Child("pod", name), value, "must be a network that guests can have addresses of, such as 10.0.2.0/24 or fd10:0:2::/120")
		}
	}
	cidr("vmNetworkCIDR", n.Pod.VMNetworkCIDR, true)
	cidr("vmIPv6NetworkCIDR", n.Pod.VMIPv6NetworkCIDR, false)
}

func anyBad(names []string) bool {
	for _, n := range names {
		if len(utilvalidation.IsDNS1123Subdomain(n)) > 0 {
			return true
		}
	}
	return false
}

func (r *report) binding(f *virtv1.Interface, n *virtv1.Network, p *field.Path) {
	for _, removed := range []named[bool]{{"slirp", f.Slirp != nil}, {"macvtap", f.Macvtap != nil}, {"passt", f.Passt != nil}} {
		if removed.value {
			r.forbidden(RuleBindingRemoved, p.Child(removed.name), "%s is no longer a built-in binding: use `passtBinding`, or `binding` with the name of a network binding plugin", removed.name)
		}
	}
	if count(f.Bridge != nil, f.Masquerade != nil, f.Sriov != nil, f.PasstBinding != nil, f.Binding != nil) > 1 {
		r.forbidden(RuleInterfaceBinding, p, "logical %s interface cannot have more than one binding: keep one of `masquerade`, `bridge`, `sriov`, `passtBinding` and `binding`", f.Name)
	}
	if f.Binding != nil && f.Binding.Name == "" {
		r.required(RuleInterfaceBinding, p.Child("binding", "name"), "must be the name of a network binding plugin")
	}
	if n == nil {
		return
	}
	switch {
	case f.Masquerade != nil && n.Pod == nil:
		r.forbidden(RuleBindingNetwork, p.Child("masquerade"), "Masquerade interface only implemented with pod network: use `bridge` or `sriov`")
	case f.Sriov != nil && n.Pod != nil:
		r.forbidden(RuleBindingNetwork, p.Child("sriov"), "SR-IOV needs a network of its own: use `masquerade` for the pod network")
	case f.Bridge != nil && n.Pod != nil && r.options.ForbidBridgeOnPodNetwork:
		r.forbidden(RuleBindingNetwork, p.Child("bridge"), "Bridge on pod network configuration is not enabled: use `masquerade`")
	}
}

// absent checks an interface that is to be unplugged while the guest runs, as only bridges to further networks can be.
func (r *report) absent(f *virtv1.Interface, n *virtv1.Network, p *field.Path) {
	const instead = "remove the interface and its network instead, and restart the machine"
	if f.Masquerade != nil || f.Sriov != nil || f.PasstBinding != nil || f.Binding != nil {
		r.invalid(RuleInterfaceState, p, f.State, "%q interface's state %q is supported only for bridge binding: %s", f.Name, f.State, instead)
	}
	if n != nil && (n.Pod != nil || n.Multus != nil && isTrue(n.Multus.Default)) {
		r.invalid(RuleInterfaceState, p, f.State, "%q interface's state %q is not supported on default networks: %s", f.Name, f.State, instead)
	}
}

func (r *report) networkInterface(f *virtv1.Interface, p *field.Path) {
	oneOf(r, RuleInterfaceModel, p.Child("model"), f.Model, "virtio", "e1000", "e1000e", "ne2k_pci", "pcnet", "rtl8139")
	oneOf(r, RuleInterfaceState, p.Child("state"), f.State, "up", "down", "absent")
	if f.MACAddress != "" {
		mac, err := virtv1.ParseMAC(f.MACAddress)
		switch {
		case err != nil:
			r.invalid(RuleInterfaceMAC, p.Child("macAddress"), f.MACAddress, "must be six octets such as 02:00:00:01:02:03")
		case mac[0]&1 != 0:
			r.invalid(RuleInterfaceMAC, p.Child("macAddress"), f.MACAddress, "must be the address of a single station: the first octet must be even")
		case mac.String() == noMAC:
			r.invalid(RuleInterfaceMAC, p.Child("macAddress"), f.MACAddress, "is no address of a station: leave it out to have one made")
		case mac.String() == reservedMAC && f.Masquerade != nil:
			r.invalid(RuleInterfaceMAC, p.Child("macAddress"), f.MACAddress, "The requested MAC address is reserved for the in-pod bridge. Please choose another one")
		}
	}
	if f.PCIAddress != "" {
		r.pciAddress(RuleInterfacePCI, f.PCIAddress, p.Child("pciAddress"))
	}
	names := map[string]bool{}
	for i, port := range f.Ports {
		p := p.Child("ports").Index(i)
		r.port(port.Port, p.Child("port"))
		oneOf(r, RulePortProtocol, p.Child("protocol"), port.Protocol, "TCP", "UDP")
		if port.Name == "" {
			continue
		}
		if msgs := utilvalidation.IsValidPortName(port.Name); len(msgs) > 0 {
			r.invalid(RulePortName, p.Child("name"), port.Name, "%s", strings.Join(msgs, "; "))
		} else if names[port.Name] {
			r.duplicate(RulePortName, p.Child("name"), port.Name)
		}
		names[port.Name] = true
	}
	for i, pr := range f.PortRanges {
		p := p.Child("portRanges").Index(i)
		r.port(pr.Start, p.Child("start"))
		r.port(pr.End, p.Child("end"))
		if pr.End < pr.Start {
			r.invalid(RulePortRange, p.Child("end"), pr.End, "must not be less than `start`")
		}
		oneOf(r, RulePortProtocol, p.Child("protocol"), pr.Protocol, "TCP", "UDP")
	}
	if f.DHCPOptions != nil {
		r.dhcpOptions(f.DHCPOptions, p.Child("dhcpOptions"))
	}
}

func (r *report) port(port int32, p *field.Path) {
	if port < 1 || port > 65535 {
		r.invalid(RulePortNumber, p, port, "Port field must be in range 0 < x < 65536")
	}
}

func (r *report) dhcpOptions(o *virtv1.DHCPOptions, p *field.Path) {
	for _, n := range []named[string]{{"bootFileName", o.BootFileName}, {"tftpServerName", o.TFTPServerName}} {
		if len(n.value) > 255 || !printable.MatchString(n.value) {
			r.invalid(RuleDHCPOptions, p.Child(n.name), n.value, "must be at most 255 printable ASCII characters")
		}
	}
	for i, server := range o.NTPServers {
		if a, err := virtv1.ParseIP(server); err != nil || !a.Is4() {
			r.invalid(RuleDHCPOptions, p.Child("ntpServers").Index(i), server, "NTP servers must be a list of valid IPv4 addresses")
		}
	}
	seen := map[int32]bool{}
	for i, option := range o.PrivateOptions {
		p := p.Child("privateOptions").Index(i)
		switch {
		case option.Option < 224 || option.Option > 254:
			r.invalid(RuleDHCPOptions, p.Child("option"), option.Option, "provided DHCPPrivateOptions are out of range, must be in range 224 to 254")
		case seen[option.Option]:
			r.duplicate(RuleDHCPOptions, p.Child("option"), fmt.Sprint(option.Option))
		}
		seen[option.Option] = true
		if option.Value == "" || len(option.Value) > 255 {
			r.invalid(RuleDHCPOptions, p.Child("value"), option.Value, "must be 1 to 255 characters")
		}
	}
}
