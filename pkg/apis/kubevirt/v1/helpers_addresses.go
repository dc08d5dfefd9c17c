package v1

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// ParseIP reads an address of either family. Leading zeros of IPv4 are read as decimal, as manifests have them and as
// Kubernetes reads them.
func ParseIP(s string) (netip.Addr, error) {
	plain := s
	if !strings.Contains(s, ":") {
		parts := strings.Split(s, ".")
		for i, p := range parts {
			if trimmed := strings.TrimLeft(p, "0"); p != "" {
				parts[i] = cmp.Or(trimmed, "0")
			}
		}
		plain = strings.Join(parts, ".")
	}
	a, err := netip.ParseAddr(plain)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is no IP address", s)
	}
	return a, nil
}

// ParseCIDR reads a network with its prefix length, of either family, with leading zeros as ParseIP does.
func ParseCIDR(s string) (netip.Prefix, error) {
	address, bits, ok := strings.Cut(s, "/")
	a, err := ParseIP(address)
	n, bad := strconv.ParseUint(bits, 10, 8)
	if !ok || err != nil || bad != nil || int(n) > a.BitLen() {
		return netip.Prefix{}, fmt.Errorf("%q is no network in CIDR notation", s)
	}
	return netip.PrefixFrom(a, int(n)), nil
}

// ParseMAC reads an Ethernet address in any of its usual forms: octets with colons, with hyphens or
// with nothing between them, or three groups with periods.
func ParseMAC(s string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != 6 {
		return nil, fmt.Errorf("%q is no Ethernet address", s)
	}
	return mac, nil
}

// canonical writes a value in its one form. What cannot be read stays as it is, for validation to refuse.
func canonical[T fmt.Stringer](s *string, parse func(string) (T, error)) {
	if *s == "" {
		return
	}
	if v, err := parse(*s); err == nil {
		*s = v.String()
	}
}

// defaultForms writes addresses and sizes in the one form in which everybody who reads the instance compares them: the guest, its
// node, and its pod. Lists are replaced, not written to.
func defaultForms(spec *VirtualMachineInstanceSpec) {
	for i := range spec.Networks {
		if p := spec.Networks[i].Pod; p != nil {
			canonical(&p.VMNetworkCIDR, ParseCIDR)
			canonical(&p.VMIPv6NetworkCIDR, ParseCIDR)
		}
	}
	for i := range spec.Domain.Devices.Interfaces {
		f := &spec.Domain.Devices.Interfaces[i]
		canonical(&f.MACAddress, ParseMAC)
		if f.DHCPOptions != nil {
			f.DHCPOptions.NTPServers = canonicalList(f.DHCPOptions.NTPServers)
		}
	}
	if spec.DNSConfig != nil {
		spec.DNSConfig.Nameservers = canonicalList(spec.DNSConfig.Nameservers)
	}
	if m := spec.Domain.Memory; m != nil && m.Hugepages != nil {
		if q, err := resource.ParseQuantity(m.Hugepages.PageSize); err == nil {
			m.Hugepages.PageSize = resource.NewQuantity(q.Value(), resource.BinarySI).String()
		}
	}
}

func canonicalList(addresses []string) []string {
	out := slices.Clone(addresses)
	for i := range out {
		canonical(&out[i], ParseIP)
	}
	return out
}
