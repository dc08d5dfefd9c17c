package dhcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

// Ports of DHCP.
const (
	serverPort = 67
	clientPort = 68
)

// maxPacket is more than an Ethernet frame holds.
const maxPacket = 4096

// Given is told of each time that the guest took its address, and of what of the lease did not fit into the answer.
type Given func(at time.Time, leftOut []string)

// Server serves one lease on one network interface.
type Server struct {
	lease Lease
	conn  net.PacketConn
	log   *slog.Logger
	given Given
	done  sync.WaitGroup
}

// Listen opens the socket and serves until Close. given is called each time that the guest took its address.
//
// Neither a port below 1024 nor the binding to the interface needs a capability: pods have the sysctl
// net.ipv4.ip_unprivileged_port_start=0, and Linux 5.7 lets anyone bind a fresh socket to an interface.
func Listen(ctx context.Context, ifname string, l Lease, given Given, log *slog.Logger) (*Server, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		var err error
		if cerr := rc.Control(func(fd uintptr) { err = setUp(int(fd), ifname) }); cerr != nil {
			return cerr
		}
		return err
	}}
	conn, err := lc.ListenPacket(ctx, "udp4", fmt.Sprintf("0.0.0.0:%d", serverPort))
	if err != nil {
		return nil, fmt.Errorf("serving DHCP on %s: %w", ifname, err)
	}
	return Serve(conn, l, given, log), nil
}

func setUp(fd int, ifname string) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return err
	}
	return unix.BindToDevice(fd, ifname)
}

// Serve serves on a socket that is open already, and owns it.
func Serve(conn net.PacketConn, l Lease, given Given, log *slog.Logger) *Server {
	s := &Server{lease: l, conn: conn, log: log, given: given}
	s.done.Go(s.run)
	return s
}

// Close ends the service.
func (s *Server) Close() error {
	err := s.conn.Close()
	s.done.Wait()
	return err
}

func (s *Server) run() {
	buf := make([]byte, maxPacket)
	for {
		n, peer, err := s.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// The bridge was taken down, or a message about an earlier answer came back.
			s.log.Warn("Could not read DHCP packet", "err", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		s.serve(buf[:n], peer)
	}
}

// serve answers one packet. Whatever is wrong with it is the guest's affair.
func (s *Server) serve(packet []byte, peer net.Addr) {
	m, err := dhcpv4.FromBytes(packet)
	if err != nil {
		s.log.Debug("Ignored packet that is no DHCP", "peer", peer.String(), "err", err)
		return
	}
	r, leftOut, err := s.lease.reply(m)
	if errors.Is(err, errNotOurs) {
		s.log.Debug("Ignored DHCP packet of somebody else", "mac", m.ClientHWAddr.String(), "type", m.MessageType().String())
		return
	}
	if err != nil {
		s.log.Warn("Could not answer DHCP packet", "err", err)
		return
	}
	if _, err := s.conn.WriteTo(r.ToBytes(), destination(m)); err != nil {
		s.log.Warn("Could not send DHCP answer", "err", err)
		return
	}
	// A guest may ask as often as it likes: only what it takes is worth a line that everybody sees.
	level, took := slog.LevelDebug, r.MessageType() == dhcpv4.MessageTypeAck && m.MessageType() == dhcpv4.MessageTypeRequest
	if took {
		level = slog.LevelInfo
	}
	s.log.Log(context.Background(), level, "Answered DHCP", "request", m.MessageType().String(), "answer", r.MessageType().String(),
		"address", s.lease.Address.String(), "leftOut", len(leftOut))
	if took && s.given != nil {
		s.given(time.Now(), leftOut)
	}
}

// destination is the client's own address where it has one; else everybody's, since it cannot hear its own yet.
func destination(m *dhcpv4.DHCPv4) net.Addr {
	ip := net.IPv4bcast
	if m.ClientIPAddr != nil && !m.ClientIPAddr.IsUnspecified() && !m.IsBroadcast() {
		ip = m.ClientIPAddr
	}
	return &net.UDPAddr{IP: ip, Port: clientPort}
}
