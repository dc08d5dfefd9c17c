package forward

import (
	"strconv"
	"strings"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// Protocols that can be forwarded.
const (
	tcp = "tcp"
	udp = "udp"
)

// forwarded is a local port and the guest's port that it leads to.
type forwarded struct {
	protocol      string
	local, remote uint32
}

// parsePort reads [PROTOCOL/]LOCAL[:REMOTE]; 0 or nothing before the colon takes a local port that is free.
func parsePort(text string, maxRemote uint32) (forwarded, error) {
	f := forwarded{protocol: tcp}
	ports := text
	if protocol, rest, ok := strings.Cut(text, "/"); ok {
		f.protocol, ports = strings.ToLower(protocol), rest
		if f.protocol != tcp && f.protocol != udp {
			return f, command.Usagef("port %q: the protocol must be tcp or udp, not %q", text, protocol)
		}
	}
	local, remote, both := strings.Cut(ports, ":")
	if !both {
		remote = local
	}
	to, err := strconv.ParseUint(remote, 10, 32)
	if err != nil || to == 0 || to > uint64(maxRemote) {
		return f, command.Usagef("port %q: %q is no port from 1 to %d; say [PROTOCOL/]LOCAL[:REMOTE]", text, remote, maxRemote)
	}
	f.remote = uint32(to)
	if both && local == "" {
		return f, nil
	}
	from, err := strconv.ParseUint(local, 10, 32)
	if err != nil || from > 65535 {
		if !both && err == nil { // a vsock port alone: beyond what TCP has, so any local port
			return f, nil
		}
		return f, command.Usagef("port %q: %q is no local port from 0 to 65535; say [PROTOCOL/]LOCAL[:REMOTE]", text, local)
	}
	f.local = uint32(from)
	return f, nil
}

func parsePorts(texts []string, maxRemote uint32) ([]forwarded, error) {
	var ports []forwarded
	for _, text := range texts {
		f, err := parsePort(text, maxRemote)
		if err != nil {
			return nil, err
		}
		ports = append(ports, f)
	}
	return ports, nil
}
