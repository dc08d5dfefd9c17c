package dhcp

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Sizes in bytes. A client that reads from the link itself, as most do before they have an address, takes no fragments and
// drops an answer that is larger than its buffer: the guest then has no network at all.
const (
	// smallest is the datagram that each client takes (RFC 2131, section 2). Option 57 says that one takes more.
	smallest = 576
	// headers are those of IP and UDP, which option 57 counts.
	headers = 28
	// fixed is a message without options: its fields, the cookie and the end of the options.
	fixed = 241
	// etherMTU is the size of a link of which nothing is known.
	etherMTU = 1500
	// bootFileField is what the field of a message holds of the boot file's name.
	bootFileField = 127
)

// limit is the size that an answer to m may have, in bytes.
func (l Lease) limit(m *dhcpv4.DHCPv4) int {
	link := etherMTU
	if l.MTU != 0 {
		link = int(l.MTU)
	}
	takes := smallest
	if size, err := m.MaxMessageSize(); err == nil {
		takes = int(size)
	}
	return max(min(takes, link), smallest) - headers
}

// item is something that a guest can do without.
type item struct {
	code dhcpv4.OptionCode
	// names says what is lost by leaving it out.
	names string
	// put adds it to the answer if there is room for it.
	put func(*answer) bool
}

// answer is a message that is filled.
type answer struct {
	*dhcpv4.DHCPv4
	limit  int
	search searchList
}

// fill adds all that the guest is told beside its address, what it needs first, and names what found no room.
func (l Lease) fill(r, m *dhcpv4.DHCPv4) (leftOut []string) {
	a := &answer{DHCPv4: r, limit: l.limit(m)}
	r.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(l.Address.Bits(), 32)))
	if !l.NoGateway {
		r.UpdateOption(dhcpv4.OptRouter(l.Server.AsSlice()))
	}
	// A client that names itself at such length hears no echo of it.
	for _, echo := range []dhcpv4.OptionCode{dhcpv4.OptionRelayAgentInformation, dhcpv4.OptionClientIdentifier} {
		if a.size() > a.limit {
			r.Options.Del(echo)
		}
	}
	if len(l.BootFile) <= bootFileField {
		r.BootFileName = l.BootFile
	}
	for _, i := range inOrder(l.items(), m) {
		if !i.put(a) {
			leftOut = append(leftOut, i.names)
		}
	}
	return leftOut
}

// inOrder sorts items by need: those that the client has asked for come first, and among them the search list before the one
// domain that it holds, too.
func inOrder(items []item, m *dhcpv4.DHCPv4) []item {
	asked := m.ParameterRequestList()
	rank := func(i item) int {
		switch {
		case len(asked) == 0:
			return 0
		case !asked.Has(i.code):
			return 2
		case i.code == dhcpv4.OptionDomainName && asked.Has(dhcpv4.OptionDNSDomainSearchList):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(items, func(a, b item) int { return rank(a) - rank(b) })
	return items
}

// items lists what there is to tell, in the order of need for a guest that does not say what it wants.
func (l Lease) items() []item {
	var out []item
	add := func(o dhcpv4.Option, format string, args ...any) {
		out = append(out, item{o.Code, fmt.Sprintf(format, args...), func(a *answer) bool { return a.append(o) }})
	}
	for _, ip := range addresses(l.DNS) {
		add(dhcpv4.OptDNS(ip), "name server %s", ip)
	}
	if l.MTU != 0 {
		add(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, dhcpv4.Uint16(l.MTU).ToBytes()), "MTU %d", l.MTU)
	}
	if l.Hostname != "" {
		add(dhcpv4.OptHostName(l.Hostname), "host name %s", l.Hostname)
	}
	if l.TFTPServer != "" {
		add(dhcpv4.OptTFTPServerName(l.TFTPServer), "TFTP server %s", l.TFTPServer)
	}
	if l.BootFile != "" {
		o := dhcpv4.OptBootFileName(l.BootFile)
		out = append(out, item{o.Code, "boot file " + l.BootFile, func(a *answer) bool {
			return a.append(o) || len(l.BootFile) <= bootFileField // which has it then
		}})
	}
	for _, ip := range addresses(l.NTP) {
		add(dhcpv4.OptNTPServers(ip), "NTP server %s", ip)
	}
	if len(l.Search) > 0 {
		add(dhcpv4.OptDomainName(l.Search[0]), "domain name %s", l.Search[0])
	}
	for _, name := range l.Search {
		out = append(out, item{dhcpv4.OptionDNSDomainSearchList, "search domain " + name, func(a *answer) bool { return a.appendSearch(name) }})
	}
	for _, option := range slices.Sorted(maps.Keys(l.Private)) {
		add(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(option), []byte(l.Private[option])), "private option %d", option)
	}
	return out
}

// append adds a value to those that its option has already.
func (a *answer) append(o dhcpv4.Option) bool {
	return a.set(o.Code, append(slices.Clone(a.Options.Get(o.Code)), o.Value.ToBytes()...))
}

// appendSearch adds a domain to the search list.
func (a *answer) appendSearch(name string) bool {
	longer, ok := a.search.with(name)
	if !ok || !a.set(dhcpv4.OptionDNSDomainSearchList, longer.raw) {
		return false
	}
	a.search = longer
	return true
}

// set gives an option its value, unless the message becomes too large by it.
func (a *answer) set(code dhcpv4.OptionCode, value []byte) bool {
	was, had := a.Options[code.Code()]
	a.Options[code.Code()] = value
	if a.size() <= a.limit {
		return true
	}
	if delete(a.Options, code.Code()); had {
		a.Options[code.Code()] = was
	}
	return false
}

// size is that of the message on its way, in bytes. A value of more than 255 bytes goes in several options (RFC 3396).
func (a *answer) size() int {
	size := fixed
	for _, value := range a.Options {
		size += len(value) + 2*max(1, (len(value)+254)/255)
	}
	return size
}

// addresses keeps what fits into DHCPv4.
func addresses(in []netip.Addr) []net.IP {
	var out []net.IP
	for _, a := range in {
		if a = a.Unmap(); a.Is4() {
			out = append(out, a.AsSlice())
		}
	}
	return out
}
