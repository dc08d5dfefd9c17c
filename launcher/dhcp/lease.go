package dhcp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// leaseTime is long because the address never changes while the guest lives, and so nothing depends on a server
// being there to renew it.
const leaseTime = 365 * 24 * time.Hour

// Lease is all that the guest is told.
type Lease struct {
	// MAC is the card that is served.
	MAC string `json:"mac"`
	// Address is the guest's, with the prefix of its network.
	Address netip.Prefix `json:"address"`
	// Server is the address of the bridge and, unless NoGateway, the way out.
	Server    netip.Addr   `json:"server"`
	NoGateway bool         `json:"noGateway,omitempty"`
	DNS       []netip.Addr `json:"dns,omitempty"`
	Search    []string     `json:"search,omitempty"`
	MTU       uint16       `json:"mtu,omitempty"`
	Hostname  string       `json:"hostname,omitempty"`
	NTP       []netip.Addr `json:"ntp,omitempty"`
	// BootFile and TFTPServer are for network boot.
	BootFile   string `json:"bootFile,omitempty"`
	TFTPServer string `json:"tftpServer,omitempty"`
	// Private holds options 224 to 254.
	Private map[uint8]string `json:"private,omitempty"`
}

// Validate tells why a lease cannot be served.
func (l Lease) Validate() error {
	if mac, err := net.ParseMAC(l.MAC); err != nil || len(mac) != 6 {
		return fmt.Errorf("lease: %q is no Ethernet address", l.MAC)
	}
	if !l.Address.IsValid() || !l.Address.Addr().Is4() {
		return fmt.Errorf("lease: guest address %s must be IPv4 with a prefix", l.Address)
	}
	if !l.Server.Is4() || !l.Address.Contains(l.Server) || l.Server == l.Address.Addr() {
		return fmt.Errorf("lease: gateway %s must be another address of %s", l.Server, l.Address.Masked())
	}
	if l.MTU != 0 && l.MTU < 68 {
		return fmt.Errorf("lease: MTU %d must be at least 68", l.MTU)
	}
	for option := range l.Private {
		if option < 224 || option > 254 {
			return fmt.Errorf("lease: private option %d must be from 224 to 254", option)
		}
	}
	return nil
}

// errNotOurs is given for a packet that gets no answer.
var errNotOurs = errors.New("not for this server")

// reply gives the answer to a message and names what of the lease did not fit into it, or errNotOurs.
func (l Lease) reply(m *dhcpv4.DHCPv4) (r *dhcpv4.DHCPv4, leftOut []string, err error) {
	if m.OpCode != dhcpv4.OpcodeBootRequest || m.ClientHWAddr.String() != l.MAC {
		return nil, nil, errNotOurs
	}
	ours := net.IP(l.Server.AsSlice())
	if id := m.ServerIdentifier(); id != nil && !id.Equal(ours) {
		return nil, nil, errNotOurs // it chose another server
	}
	var kind dhcpv4.MessageType
	switch m.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		kind = dhcpv4.MessageTypeOffer
	case dhcpv4.MessageTypeInform:
		kind = dhcpv4.MessageTypeAck
	case dhcpv4.MessageTypeRequest:
		kind = dhcpv4.MessageTypeAck
		if want := requested(m); want != nil && !want.Equal(l.Address.Addr().AsSlice()) {
			r, err = dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(dhcpv4.MessageTypeNak),
				dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ours)), dhcpv4.WithBroadcast(true))
			return r, nil, err
		}
	default:
		return nil, nil, errNotOurs
	}
	r, err = dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(kind), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ours)))
	if err != nil {
		return nil, nil, err
	}
	r.ServerIPAddr = ours
	if m.MessageType() != dhcpv4.MessageTypeInform {
		r.YourIPAddr = l.Address.Addr().AsSlice()
		r.UpdateOption(dhcpv4.OptIPAddressLeaseTime(leaseTime))
	}
	return r, l.fill(r, m), nil
}

// requested is the address that a client wants: the one it was offered, or the one that it has.
func requested(m *dhcpv4.DHCPv4) net.IP {
	if ip := m.RequestedIPAddress(); ip != nil {
		return ip
	}
	if m.ClientIPAddr != nil && !m.ClientIPAddr.IsUnspecified() {
		return m.ClientIPAddr
	}
	return nil
}
