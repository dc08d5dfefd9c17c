package agent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sort"
	"strings"
	"unicode"
)

// Bounds of what a guest may have shown of itself.
const (
	maxText       = 256
	maxInterfaces = 256
	maxAddresses  = 64
	maxCommands   = 256
)

// Info is what the agent tells of its guest.
type Info struct {
	Version    string
	Commands   []string
	Hostname   string
	OS         OS
	Timezone   Timezone
	Interfaces []Interface
}

// OS is the guest's operating system.
type OS struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	PrettyName    string `json:"pretty-name"`
	Version       string `json:"version"`
	VersionID     string `json:"version-id"`
	KernelRelease string `json:"kernel-release"`
	KernelVersion string `json:"kernel-version"`
	Machine       string `json:"machine"`
}

// Timezone is the guest's.
type Timezone struct {
	Zone          string `json:"zone"`
	OffsetSeconds int32  `json:"offset"`
}

// Interface is a network interface as the guest sees it.
type Interface struct {
	Name string
	// MAC is in lower case, empty for an interface without one.
	MAC string
	// IPs has the IPv4 addresses first and leaves out those of the link alone.
	IPs []string
}

// Query asks for all that Info holds. A command that this agent lacks leaves its part empty.
func (c *Client) Query(ctx context.Context) (Info, error) {
	var out Info
	var info struct {
		Version  string `json:"version"`
		Commands []struct {
			Name    string `json:"name"`
			Enabled bool   `json:"enabled"`
		} `json:"supported_commands"`
	}
	if err := c.Execute(ctx, "guest-info", nil, &info); err != nil {
		return out, err
	}
	out.Version = Clean(info.Version)
	for _, cmd := range info.Commands {
		if cmd.Enabled && len(out.Commands) < maxCommands {
			out.Commands = append(out.Commands, Clean(cmd.Name))
		}
	}
	sort.Strings(out.Commands)

	var host struct {
		Name string `json:"host-name"`
	}
	var interfaces []wireInterface
	for _, q := range []struct {
		command string
		result  any
	}{
		{"guest-get-host-name", &host}, {"guest-get-osinfo", &out.OS}, {"guest-get-timezone", &out.Timezone},
		{"guest-network-get-interfaces", &interfaces},
	} {
		err := c.Execute(ctx, q.command, nil, q.result)
		var refused *Error
		if err != nil && !errors.As(err, &refused) {
			return out, err
		}
	}
	out.Hostname, out.Timezone.Zone = Clean(host.Name), Clean(out.Timezone.Zone)
	for _, s := range []*string{&out.OS.ID, &out.OS.Name, &out.OS.PrettyName, &out.OS.Version, &out.OS.VersionID,
		&out.OS.KernelRelease, &out.OS.KernelVersion, &out.OS.Machine} {
		*s = Clean(*s)
	}
	out.Interfaces = cleanInterfaces(interfaces)
	return out, nil
}

// Ping asks for a sign of life.
func (c *Client) Ping(ctx context.Context) error { return c.Execute(ctx, "guest-ping", nil, nil) }

// ShutdownMode is what guest-shutdown does.
type ShutdownMode string

// Modes of guest-shutdown.
const (
	Powerdown ShutdownMode = "powerdown"
	Reboot    ShutdownMode = "reboot"
)

// Shutdown has the guest power down or reboot. The agent answers only when it cannot.
func (c *Client) Shutdown(ctx context.Context, mode ShutdownMode) error {
	return c.Notify(ctx, "guest-shutdown", map[string]any{"mode": mode})
}

type wireInterface struct {
	Name string `json:"name"`
	MAC  string `json:"hardware-address"`
	IPs  []struct {
		Address string `json:"ip-address"`
	} `json:"ip-addresses"`
}

// cleanInterfaces keeps what makes sense, in the guest's order.
func cleanInterfaces(in []wireInterface) []Interface {
	var out []Interface
	for _, w := range in {
		if len(out) == maxInterfaces {
			break
		}
		i := Interface{Name: Clean(w.Name)}
		if mac, err := net.ParseMAC(w.MAC); err == nil && len(mac) == 6 && strings.Trim(mac.String(), "0:") != "" {
			i.MAC = mac.String()
		}
		if i.Name == "lo" || i.Name == "" && i.MAC == "" {
			continue
		}
		var six []string
		for _, a := range w.IPs {
			ip, err := netip.ParseAddr(a.Address)
			switch ip = ip.Unmap().WithZone(""); {
			case err != nil, ip.IsUnspecified(), ip.IsLoopback(), ip.IsLinkLocalUnicast(), len(i.IPs)+len(six) >= maxAddresses:
			case ip.Is4():
				i.IPs = append(i.IPs, ip.String())
			default:
				six = append(six, ip.String())
			}
		}
		i.IPs = append(i.IPs, six...)
		out = append(out, i)
	}
	return out
}

// Clean makes a guest's text fit to be shown: valid, on one line, short.
func Clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut]
}
