package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Dial connects by "tcp" or "udp" from inside the network namespace at path. The connection stays there.
func Dial(ctx context.Context, path, protocol string, to netip.AddrPort) (net.Conn, error) {
	var conn net.Conn
	err := inside(path, func() (err error) {
		// One address, and so one socket, made on this thread.
		conn, err = (&net.Dialer{}).DialContext(ctx, protocol, to.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("from the pod's network: %w", err)
	}
	return conn, nil
}

// Open says whether a port of the guest is open to others.
func (p *Plan) Open(protocol string, port uint16) bool {
	for _, r := range p.Ports {
		if r.Protocol == protocol && r.First <= port && port <= r.Last {
			return true
		}
	}
	return len(p.Ports) == 0
}
