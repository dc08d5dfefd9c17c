package dhcp

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func lease() Lease {
	return Lease{
		MAC: "02:00:00:ab:cd:ef", Address: netip.MustParsePrefix("10.0.2.2/24"), Server: netip.MustParseAddr("10.0.2.1"),
		DNS: []netip.Addr{netip.MustParseAddr("10.96.0.10"), netip.MustParseAddr("fd00::a")}, Search: []string{"default.svc.cluster.local", "cluster.local"},
		MTU: 1400, Hostname: "vm", NTP: []netip.Addr{netip.MustParseAddr("10.1.1.1")}, BootFile: "pxelinux.0", TFTPServer: "10.1.1.2",
		Private: map[uint8]string{240: "private"},
	}
}

func message(t *testing.T, kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	mac, err := net.ParseMAC("02:00:00:ab:cd:ef")
	if err != nil {
		t.Fatal(err)
	}
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(mac), dhcpv4.WithMessageType(kind)}, mods...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestReplies(t *testing.T) {
	ip := func(s string) net.IP { return net.ParseIP(s).To4() }
	other, err := net.ParseMAC("02:00:00:00:00:01")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		message *dhcpv4.DHCPv4
		want    dhcpv4.MessageType
		address string
	}{
		{"discover", message(t, dhcpv4.MessageTypeDiscover), dhcpv4.MessageTypeOffer, "10.0.2.2"},
		{"request of the offer", message(t, dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ip("10.0.2.2"))),
			dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ip("10.0.2.1")))), dhcpv4.MessageTypeAck, "10.0.2.2"},
		{"renewal", message(t, dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(ip("10.0.2.2"))), dhcpv4.MessageTypeAck, "10.0.2.2"},
		{"request of an address of an earlier life", message(t, dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ip("192.168.1.5")))), dhcpv4.MessageTypeNak, "0.0.0.0"},
		{"inform", message(t, dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(ip("10.0.2.7"))), dhcpv4.MessageTypeAck, "0.0.0.0"},
		{"another server was chosen", message(t, dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ip("10.0.2.9")))), 0, ""},
		{"another card", message(t, dhcpv4.MessageTypeDiscover, dhcpv4.WithHwAddr(other)), 0, ""},
		{"release", message(t, dhcpv4.MessageTypeRelease), 0, ""},
		{"a server's answer", message(t, dhcpv4.MessageTypeOffer, func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootReply }), 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, _, err := lease().reply(tc.message)
			if tc.want == 0 {
				if err == nil {
					t.Errorf("answered: %s", r.Summary())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.MessageType() != tc.want || r.YourIPAddr.String() != tc.address || !r.ServerIdentifier().Equal(ip("10.0.2.1")) {
				t.Errorf("got %s", r.Summary())
			}
		})
	}
}

func TestGuestIsToldAll(t *testing.T) {
	r, leftOut, err := lease().reply(message(t, dhcpv4.MessageTypeDiscover))
	if err != nil || len(leftOut) > 0 {
		t.Fatalf("left out %q, error %v", leftOut, err)
	}
	if r, err = dhcpv4.FromBytes(r.ToBytes()); err != nil {
		t.Fatal(err)
	}
	mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, r.Options)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{
		"mask": r.SubnetMask().String(), "router": r.Router()[0].String(), "dns": len(r.DNS()), "dns0": r.DNS()[0].String(), "domain": r.DomainName(),
		"search": strings.Join(r.DomainSearch().Labels, " "), "mtu": int(mtu), "host": r.HostName(), "ntp": r.NTPServers()[0].String(),
		"file": r.BootFileNameOption(), "tftp": r.TFTPServerName(), "private": string(r.GetOneOption(dhcpv4.GenericOptionCode(240))),
		"time": r.IPAddressLeaseTime(0),
	}
	want := map[string]any{
		"mask": "ffffff00", "router": "10.0.2.1", "dns": 1, "dns0": "10.96.0.10", "domain": "default.svc.cluster.local",
		"search": "default.svc.cluster.local cluster.local", "mtu": 1400, "host": "vm", "ntp": "10.1.1.1",
		"file": "pxelinux.0", "tftp": "10.1.1.2", "private": "private", "time": 8760 * time.Hour,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	bare := Lease{MAC: lease().MAC, Address: lease().Address, Server: lease().Server, NoGateway: true}
	if r, _, err = bare.reply(message(t, dhcpv4.MessageTypeDiscover)); err != nil || len(r.Router()) > 0 || len(r.DNS()) > 0 || r.HostName() != "" {
		t.Errorf("told more than it knows: %v, %v", r, err)
	}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		change func(*Lease)
		want   string
	}{
		{func(l *Lease) { l.MAC = "x" }, `lease: "x" is no Ethernet address`},
		{func(l *Lease) { l.Address = netip.MustParsePrefix("fd00::2/64") }, "lease: guest address fd00::2/64 must be IPv4 with a prefix"},
		{func(l *Lease) { l.Server = netip.MustParseAddr("10.0.3.1") }, "lease: gateway 10.0.3.1 must be another address of 10.0.2.0/24"},
		{func(l *Lease) { l.Server = netip.MustParseAddr("10.0.2.2") }, "lease: gateway 10.0.2.2 must be another address of 10.0.2.0/24"},
		{func(l *Lease) { l.MTU = 12 }, "lease: MTU 12 must be at least 68"},
		{func(l *Lease) { l.Private[12] = "x" }, "lease: private option 12 must be from 224 to 254"},
	} {
		l := lease()
		tc.change(&l)
		if err := l.Validate(); err == nil || err.Error() != tc.want {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

// TestLeaseOnLink runs the server as a user without capabilities on a real link, with busybox as the guest.
func TestLeaseOnLink(t *testing.T) {
	if os.Getenv("DHCP_TEST_IFNAME") != "" {
		serveForever(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := t.TempDir() + "/bound"
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ \"$1\" = bound ] && echo \"$ip/$mask $router $dns $domain $mtu $hostname\"\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	// The guest's end sits in a namespace below that of the server, so that both ends are real.
	program := `set -e
sysctl -qw net.ipv4.ip_unprivileged_port_start=0
ip link add k6t-eth0 type veth peer name guest address 02:00:00:ab:cd:ef
ip addr add 10.0.2.1/24 dev k6t-eth0; ip link set k6t-eth0 up
setpriv --reuid 107 --regid 107 --clear-groups --bounding-set -all "$1" -test.run TestLeaseOnLink -test.timeout 60s >/dev/null 2>&1 &
server=$!
ip link set guest up
"$2" udhcpc -i guest -n -q -f -t 20 -T 1 -s "$3" -O search -O mtu 2>/dev/null || r=$?
kill $server; exit ${r:-0}`
	dir := t.TempDir()
	// The test program must be reachable for user 107.
	copied := dir + "/dhcp.test"
	raw, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, strings.TrimSuffix(dir, "/002")} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("unshare", "-n", "sh", "-c", program, "sh", copied, busybox, script)
	cmd.Env = append(os.Environ(), "DHCP_TEST_IFNAME=k6t-eth0")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got, want := strings.TrimSpace(string(out)), "10.0.2.2/24 10.0.2.1 10.96.0.10 default.svc.cluster.local 1400 vm"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func serveForever(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	s, err := Listen(ctx, os.Getenv("DHCP_TEST_IFNAME"), lease(), nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	<-ctx.Done()
}

// pipe is a packet socket without a network.
type pipe struct {
	in  chan []byte
	out chan []byte
	end chan struct{}
}

func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case m := <-p.in:
		return copy(b, m), &net.UDPAddr{}, nil
	case <-p.end:
		return 0, nil, net.ErrClosed
	}
}
func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	p.out <- bytes.Clone(b)
	return len(b), nil
}
func (p *pipe) Close() error                     { close(p.end); return nil }
func (p *pipe) LocalAddr() net.Addr              { return &net.UDPAddr{} }
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

func TestServeIgnoresNonsenseAndTellsOfLeases(t *testing.T) {
	p := &pipe{in: make(chan []byte), out: make(chan []byte, 1), end: make(chan struct{})}
	given := make(chan time.Time, 1)
	s := Serve(p, lease(), func(at time.Time, _ []string) { given <- at }, quiet)
	p.in <- []byte("nonsense")
	p.in <- nil
	p.in <- message(t, dhcpv4.MessageTypeRelease).ToBytes()
	p.in <- message(t, dhcpv4.MessageTypeDiscover).ToBytes()
	<-p.out
	p.in <- message(t, dhcpv4.MessageTypeRequest).ToBytes()
	<-p.out
	if at := <-given; at.IsZero() {
		t.Error("the lease was given at no time")
	}
	if err := s.Close(); err != nil || len(given) != 0 {
		t.Errorf("Close: %v, %d more leases", err, len(given))
	}
}

func TestParseResolver(t *testing.T) {
	in := "# a pod's\nnameserver 10.96.0.10\nnameserver fd00::a\nnameserver 127.0.0.53\nnameserver x\ndomain old\n" +
		"search default.svc.cluster.local svc.cluster.local. bad..domain wo$e\noptions ndots:5\nsearch"
	got, err := ParseResolver(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	want := Resolver{Servers: []netip.Addr{netip.MustParseAddr("10.96.0.10"), netip.MustParseAddr("fd00::a")}, Search: []string{"default.svc.cluster.local", "svc.cluster.local"}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

// FuzzServe feeds what a guest may send.
func FuzzServe(f *testing.F) {
	mac := net.HardwareAddr{2, 0, 0, 0xab, 0xcd, 0xef}
	for _, kind := range []dhcpv4.MessageType{dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeInform} {
		m, err := dhcpv4.New(dhcpv4.WithHwAddr(mac), dhcpv4.WithMessageType(kind))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.ToBytes())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := dhcpv4.FromBytes(raw)
		if err != nil {
			return
		}
		r, _, err := lease().reply(m)
		if err != nil {
			return
		}
		if y := r.YourIPAddr.String(); y != "10.0.2.2" && y != "0.0.0.0" {
			t.Errorf("gave %s away", y)
		}
		if most := lease().limit(m); r.MessageType() != dhcpv4.MessageTypeNak && len(r.ToBytes()) > most {
			t.Errorf("answer of %d bytes, the client takes %d", len(r.ToBytes()), most)
		}
	})
}

// FuzzParseResolver feeds resolv.conf files.
func FuzzParseResolver(f *testing.F) {
	f.Add("nameserver 1.1.1.1\nsearch a b\n")
	f.Fuzz(func(t *testing.T, in string) {
		r, err := ParseResolver(strings.NewReader(in))
		if err == nil && len(r.Search) > maxSearch {
			t.Errorf("%d search domains", len(r.Search))
		}
		l := lease()
		l.DNS, l.Search = r.Servers, r.Search
		m := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootRequest, ClientHWAddr: net.HardwareAddr{2, 0, 0, 0xab, 0xcd, 0xef},
			Options: dhcpv4.OptionsFromList(dhcpv4.OptMessageType(dhcpv4.MessageTypeDiscover), dhcpv4.OptMaxMessageSize(1500))}
		a, leftOut, err := l.reply(m)
		if err != nil {
			return
		}
		if n := len(a.ToBytes()); n > l.limit(m) {
			t.Errorf("answer of %d bytes, the client takes %d", n, l.limit(m))
		}
		told := 0
		if list := a.DomainSearch(); list != nil {
			told = len(list.Labels)
		}
		unique := map[string]bool{}
		for _, s := range r.Search {
			unique[s] = true
		}
		if told > len(unique) || len(leftOut) == 0 && told != len(unique) {
			t.Errorf("told %d of %d search domains, left out %q", told, len(unique), leftOut)
		}
	})
}
