package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/pkg/machine/support"
)

const (
	// Uplink is the pod's own interface; container runtimes call it so in every pod.
	Uplink = "eth0"
	// Bridge and Tap are what Apply makes.
	Bridge = "k6t-eth0"
	Tap    = "tap0"

	defaultCIDR4 = "10.0.2.0/24"
	defaultCIDR6 = "fd10:0:2::/120"
)

// ReservedPorts never reach the guest: migrations use them (row P3-NETPOD-08).
var ReservedPorts = []uint16{49152, 49153}

// PortRange opens ports of one protocol, "tcp" or "udp", to the guest.
type PortRange struct {
	Protocol    string
	First, Last uint16
}

// Plan says how the interface of a VMI is connected. It depends on the VMI alone.
type Plan struct {
	// Interface is the name in spec.domain.devices.interfaces.
	Interface string
	// Gateway4 is the bridge's address in the guest's network, Guest4 the guest's. The IPv6 ones are used if the pod
	// has IPv6.
	Gateway4, Guest4, Gateway6, Guest6 netip.Prefix
	// Ports are open; none: all are.
	Ports []PortRange
	// User and Group own the tap.
	User, Group int
}

// UnsupportedError says that a VMI asks for a network that this version cannot make.
type UnsupportedError struct {
	Field, Message string
}

func (e *UnsupportedError) Error() string { return e.Field + ": " + e.Message }

// PlanFor reads the plan out of a VMI. It is nil for a VMI without interfaces.
func PlanFor(vmi *virtv1.VirtualMachineInstance) (*Plan, error) {
	interfaces := vmi.Spec.Domain.Devices.Interfaces
	if len(interfaces) == 0 {
		return nil, nil
	}
	// virt-api has warned of these, and virt-controller makes no pod for them: an instance of an older release may come here.
	for _, r := range support.Instance(nil, &vmi.Spec, support.Installation{}) {
		if r.Reason == support.ReasonNetwork && r.Blocks() {
			return nil, &UnsupportedError{Field: r.Field, Message: r.Message}
		}
	}
	iface := &interfaces[0]
	if iface.Masquerade == nil {
		return nil, unsupported(0, "", "no binding is named; use `masquerade: {}`")
	}
	at := slices.IndexFunc(vmi.Spec.Networks, func(n virtv1.Network) bool { return n.Name == iface.Name })
	if at < 0 {
		return nil, unsupported(0, "name", fmt.Sprintf("no network is called %q; add one to spec.networks", iface.Name))
	}
	pod := vmi.Spec.Networks[at].Pod
	if pod == nil {
		return nil, &UnsupportedError{Field: fmt.Sprintf("spec.networks[%d]", at), Message: "masquerade works on the pod network only; say `pod: {}`"}
	}
	plan := &Plan{Interface: iface.Name, User: int(machine.QEMUUser), Group: int(machine.QEMUGroup)}
	var err error
	field := fmt.Sprintf("spec.networks[%d].pod", at)
	if plan.Gateway4, plan.Guest4, err = addresses(field+".vmNetworkCIDR", pod.VMNetworkCIDR, defaultCIDR4); err != nil {
		return nil, err
	}
	if plan.Gateway6, plan.Guest6, err = addresses(field+".vmIPv6NetworkCIDR", pod.VMIPv6NetworkCIDR, defaultCIDR6); err != nil {
		return nil, err
	}
	if plan.Ports, err = ports(iface); err != nil {
		return nil, err
	}
	return plan, nil
}

func unsupported(i int, field, message string) *UnsupportedError {
	path := fmt.Sprintf("spec.domain.devices.interfaces[%d]", i)
	if field != "" {
		path += "." + field
	}
	return &UnsupportedError{Field: path, Message: message}
}

// addresses gives the first two addresses of a network, each with the network's prefix length.
func addresses(field, cidr, otherwise string) (gateway, guest netip.Prefix, err error) {
	if cidr == "" {
		cidr = otherwise
	}
	network, err := netip.ParsePrefix(cidr)
	if err != nil {
		return gateway, guest, &UnsupportedError{Field: field, Message: fmt.Sprintf("%q is no network in CIDR notation like %s", cidr, otherwise)}
	}
	if network.Addr().Is4() != netip.MustParsePrefix(otherwise).Addr().Is4() {
		return gateway, guest, &UnsupportedError{Field: field, Message: fmt.Sprintf("%s is of the other IP version; write one like %s", cidr, otherwise)}
	}
	if network.Addr().BitLen()-network.Bits() < 2 {
		return gateway, guest, &UnsupportedError{Field: field, Message: fmt.Sprintf("%s is too small for a gateway and a guest; take a prefix of at most %d bits", cidr, network.Addr().BitLen()-2)}
	}
	first := network.Masked().Addr().Next()
	return netip.PrefixFrom(first, network.Bits()), netip.PrefixFrom(first.Next(), network.Bits()), nil
}

func ports(iface *virtv1.Interface) ([]PortRange, error) {
	var open []PortRange
	for i, p := range iface.Ports {
		r, err := portRange(p.Protocol, p.Port, p.Port)
		if err != nil {
			return nil, unsupported(0, fmt.Sprintf("ports[%d]", i), err.Error())
		}
		open = append(open, r)
	}
	for i, p := range iface.PortRanges {
		r, err := portRange(p.Protocol, p.Start, p.End)
		if err != nil {
			return nil, unsupported(0, fmt.Sprintf("portRanges[%d]", i), err.Error())
		}
		open = append(open, r)
	}
	return open, nil
}

func portRange(protocol string, first, last int32) (PortRange, error) {
	if protocol == "" {
		protocol = "TCP"
	}
	lower := strings.ToLower(protocol)
	if lower != "tcp" && lower != "udp" {
		return PortRange{}, fmt.Errorf("protocol %q must be TCP or UDP", protocol)
	}
	if first < 1 || last > 65535 || last < first {
		return PortRange{}, fmt.Errorf("port %d to %d must lie between 1 and 65535", first, last)
	}
	return PortRange{Protocol: lower, First: uint16(first), Last: uint16(last)}, nil
}
