package network

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/containernetworking/plugins/pkg/testutils"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/spec"
)

const (
	// waitFor bounds what should happen, refuseFor what should not.
	waitFor   = 10 * time.Second
	refuseFor = 700 * time.Millisecond
)

// bareEnv tells the test program that it runs without the files that the agent's image lacks.
const bareEnv = "VIRTPLANE_TEST_BARE"

// bare runs the tests in a mount namespace in which /etc/protocols and /etc/services are empty, as in the agent's image: nft
// would look names up in them.
func bare() int {
	child := exec.Command("/proc/self/exe", os.Args[1:]...)
	child.Env = append(os.Environ(), bareEnv+"=1")
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	err := child.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "running the tests in a mount namespace:", err)
		return 1
	}
	return 0
}

func hide() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, file := range []string{"/etc/protocols", "/etc/services"} {
		if err := unix.Mount(os.DevNull, file, "", unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("hiding %s: %w", file, err)
		}
	}
	return nil
}

// TestMain lets the test program open a tap as another user (see TestTapBelongsToTheLauncher).
func TestMain(m *testing.M) {
	if os.Geteuid() == 0 && os.Getenv(bareEnv) == "" {
		os.Exit(bare())
	}
	if os.Geteuid() == 0 && (len(os.Args) < 2 || os.Args[1] != "open-tap") {
		if err := hide(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if len(os.Args) > 1 && os.Args[1] == "open-tap" {
		request, err := unix.NewIfreq(Tap)
		if err == nil {
			request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
			err = unix.IoctlIfreq(3, unix.TUNSETIFF, request)
		}
		if err != nil {
			fmt.Print(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// lab is a pod that is connected to a peer, as by a pod network, and to a guest, as by a tap.
type lab struct {
	t                *testing.T
	pod, peer, guest ns.NetNS
}

var (
	podIP4, peerIP4 = netip.MustParseAddr("10.99.0.2"), netip.MustParseAddr("10.99.0.1")
	podIP6, peerIP6 = netip.MustParseAddr("fd99::2"), netip.MustParseAddr("fd99::1")
	guestIP4        = netip.MustParseAddr("10.0.2.2")
	localhost       = netip.MustParseAddr("127.0.0.1")
)

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	l := &lab{t: t, pod: newNamespace(t), peer: newNamespace(t), guest: newNamespace(t)}
	l.connect(l.pod, "eth0", l.peer, "eth0")
	for _, end := range []struct {
		where ns.NetNS
		ips   []string
	}{{l.pod, []string{"10.99.0.2/24", "fd99::2/64"}}, {l.peer, []string{"10.99.0.1/24", "fd99::1/64"}}} {
		l.in(end.where, func() error { return address("eth0", end.ips...) })
	}
	l.in(l.pod, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.LinkSetMTU(link, 1400)
	})
	return l
}

func newNamespace(t *testing.T) ns.NetNS {
	t.Helper()
	made, err := testutils.NewNS()
	if err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	t.Cleanup(func() {
		_ = made.Close()
		_ = testutils.UnmountNS(made)
	})
	err = made.Do(func(ns.NetNS) error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (l *lab) in(where ns.NetNS, f func() error) {
	l.t.Helper()
	if err := where.Do(func(ns.NetNS) error { return f() }); err != nil {
		l.t.Fatal(err)
	}
}

// connect makes a pair of links between two namespaces.
func (l *lab) connect(a ns.NetNS, nameA string, b ns.NetNS, nameB string) {
	l.t.Helper()
	l.in(a, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = nameA
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: nameB, PeerNamespace: netlink.NsFd(int(b.Fd()))}); err != nil {
			return err
		}
		link, err := netlink.LinkByName(nameA)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
	l.in(b, func() error {
		link, err := netlink.LinkByName(nameB)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
}

func address(name string, ips ...string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, ip := range ips {
		addr, err := netlink.ParseAddr(ip)
		if err != nil {
			return err
		}
		addr.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(link, addr); err != nil {
			return err
		}
	}
	return nil
}

func route(name, to, via string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	_, dst, err := net.ParseCIDR(to)
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Gw: net.ParseIP(via)})
}

// apply runs Apply for the usual VMI with the given open ports.
func (l *lab) apply(ports ...PortRange) Result {
	l.t.Helper()
	plan, err := PlanFor(vmi(nil))
	if err != nil {
		l.t.Fatal(err)
	}
	plan.Ports = ports
	result, err := Apply(l.t.Context(), l.pod.Path(), plan)
	if err != nil {
		l.t.Fatal(err)
	}
	return result
}

// boot gives the pod's bridge a guest: a namespace at the end of a veth, with the addresses that a guest is given.
func (l *lab) boot() {
	l.t.Helper()
	l.connect(l.pod, "fake-tap", l.guest, "eth0")
	l.in(l.pod, func() error {
		port, err := netlink.LinkByName("fake-tap")
		if err != nil {
			return err
		}
		bridge, err := netlink.LinkByName(Bridge)
		if err != nil {
			return err
		}
		return netlink.LinkSetMaster(port, bridge)
	})
	l.in(l.guest, func() error {
		return errors.Join(
			address("eth0", "10.0.2.2/24", "fd10:0:2::2/120"),
			route("eth0", "0.0.0.0/0", "10.0.2.1"),
			route("eth0", "::/0", "fd10:0:2::1"))
	})
}

// serve accepts connections in one namespace, tells each client the address that it came from, and closes at the end.
func (l *lab) serve(where ns.NetNS, port int) {
	l.t.Helper()
	l.in(where, func() error {
		listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		l.t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					from := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
					fmt.Fprintln(conn, from)
					_, _ = io.Copy(conn, conn)
				}()
			}
		}()
		return nil
	})
}

// dial gives a connection or why there is none.
func (l *lab) dial(from ns.NetNS, to netip.Addr, port int, patience time.Duration) (net.Conn, error) {
	l.t.Helper()
	var conn net.Conn
	var dialErr error
	l.in(from, func() error {
		conn, dialErr = net.DialTimeout("tcp", netip.AddrPortFrom(to, uint16(port)).String(), patience)
		return nil
	})
	return conn, dialErr
}

// seenAs connects and gives the address that the server saw.
func (l *lab) seenAs(from ns.NetNS, to netip.Addr, port int) string {
	l.t.Helper()
	conn, err := l.dial(from, to, port, waitFor)
	if err != nil {
		l.t.Fatalf("connecting to %s port %d: %v", to, port, err)
	}
	defer conn.Close()
	return readLine(l.t, conn)
}

func readLine(t *testing.T, conn net.Conn) string {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(waitFor))
	var line []byte
	for one := make([]byte, 1); ; line = append(line, one[0]) {
		if _, err := conn.Read(one); err != nil {
			t.Fatalf("waiting for a line from %s: %v", conn.RemoteAddr(), err)
		}
		if one[0] == '\n' {
			return string(line)
		}
	}
}

func (l *lab) refused(from ns.NetNS, to netip.Addr, port int) {
	l.t.Helper()
	if conn, err := l.dial(from, to, port, refuseFor); err == nil {
		conn.Close()
		l.t.Errorf("port %d of %s answered", port, to)
	}
}

func TestMasqueradeOutgoing(t *testing.T) {
	spec.Covers(t, "P3-NETPOD-02")
	l := newLab(t)
	l.apply()
	l.boot()
	l.serve(l.peer, 8080)
	if got := l.seenAs(l.guest, peerIP4, 8080); got != podIP4.String() {
		t.Errorf("the peer saw %s, not the pod's address %s", got, podIP4)
	}
	if got := l.seenAs(l.guest, peerIP6, 8080); got != podIP6.String() {
		t.Errorf("the peer saw %s, not the pod's address %s", got, podIP6)
	}
	l.in(l.pod, func() error {
		link, err := netlink.LinkByName("k6t-eth0")
		if err == nil && link.Type() != "bridge" {
			err = fmt.Errorf("k6t-eth0 is a %s", link.Type())
		}
		return err
	})
}

func TestMasqueradeIncoming(t *testing.T) {
	spec.Covers(t, "P3-NETPOD-03", "P3-NETPOD-06", "P3-NETPOD-08")
	l := newLab(t)
	l.apply()
	l.boot()
	for _, port := range []int{22, 34567, 49151, 49152, 49153, 49154} {
		l.serve(l.guest, port)
	}
	for _, port := range []int{22, 34567, 49151, 49154} {
		if got := l.seenAs(l.peer, podIP4, port); got != peerIP4.String() {
			t.Errorf("port %d: the guest saw %s, not the peer %s", port, got, peerIP4)
		}
		if got := l.seenAs(l.peer, podIP6, port); got != peerIP6.String() {
			t.Errorf("port %d: the guest saw %s, not the peer %s", port, got, peerIP6)
		}
	}
	// The guest reaches itself by the pod's address, as it does when a Service chooses it.
	if got := l.seenAs(l.guest, podIP4, 22); got != "10.0.2.1" {
		t.Errorf("the guest saw itself as %s", got)
	}
	// A probe or port-forward begins in the pod.
	if got := l.seenAs(l.pod, localhost, 22); got != "10.0.2.1" {
		t.Errorf("the guest saw the pod's localhost as %s", got)
	}
	if got := l.seenAs(l.pod, podIP4, 22); got != podIP4.String() {
		t.Errorf("the guest saw the pod as %s", got)
	}
	// Reserved ports reach neither the guest nor a server in the pod.
	l.serve(l.pod, 49152)
	for _, port := range []int{49152, 49153} {
		l.refused(l.peer, podIP4, port)
		l.refused(l.peer, podIP6, port)
		l.refused(l.guest, podIP4, port)
	}
}

func TestMasqueradeIncomingUDP(t *testing.T) {
	l := newLab(t)
	l.apply(PortRange{"udp", 5353, 5353})
	l.boot()
	l.in(l.guest, func() error {
		conn, err := net.ListenPacket("udp", ":5353")
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = conn.Close() })
		go func() {
			buf := make([]byte, 100)
			for {
				n, from, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				_, _ = conn.WriteTo(buf[:n], from)
			}
		}()
		return nil
	})
	l.in(l.peer, func() error {
		conn, err := net.Dial("udp", netip.AddrPortFrom(podIP4, 5353).String())
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(waitFor))
		if _, err := conn.Write([]byte("hello")); err != nil {
			return err
		}
		buf := make([]byte, 100)
		n, err := conn.Read(buf)
		if err == nil && string(buf[:n]) != "hello" {
			err = fmt.Errorf("read %q", buf[:n])
		}
		return err
	})
}

func TestListedPortsOnly(t *testing.T) {
	spec.Covers(t, "P3-NETPOD-07")
	l := newLab(t)
	l.apply(PortRange{"tcp", 80, 80}, PortRange{"tcp", 8000, 8010})
	l.boot()
	for _, port := range []int{80, 81, 8005, 22} {
		l.serve(l.guest, port)
	}
	l.seenAs(l.peer, podIP4, 80)
	l.seenAs(l.peer, podIP6, 80)
	l.seenAs(l.peer, podIP4, 8005)
	l.seenAs(l.pod, localhost, 80)
	l.refused(l.peer, podIP4, 81)
	l.refused(l.peer, podIP6, 22)
	// Nor does a route to the guest's network lead around the list.
	l.in(l.peer, func() error { return route("eth0", "10.0.2.0/24", podIP4.String()) })
	l.refused(l.peer, guestIP4, 81)
	l.refused(l.peer, guestIP4, 80)
}

func TestGuestReachesNoServiceOfThePod(t *testing.T) {
	l := newLab(t)
	l.apply(PortRange{"tcp", 80, 80})
	l.boot()
	l.serve(l.pod, 9000)
	l.seenAs(l.peer, podIP4, 9000) // it is there
	l.refused(l.guest, podIP4, 9000)
	l.refused(l.guest, netip.MustParseAddr("10.0.2.1"), 9000)
}

func TestApplyAgainDisturbsNothing(t *testing.T) {
	l := newLab(t)
	first := l.apply()
	l.boot()
	l.serve(l.guest, 22)
	conn, err := l.dial(l.peer, podIP4, 22, waitFor)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	readLine(t, conn)
	before := l.links()
	for range 3 {
		if again := l.apply(); fmt.Sprint(again) != fmt.Sprint(first) {
			t.Errorf("first %v, then %v", first, again)
		}
		if _, err := fmt.Fprintln(conn, "still there"); err != nil {
			t.Fatal(err)
		}
		if got := readLine(t, conn); got != "still there" {
			t.Errorf("the connection brought %q", got)
		}
	}
	if after := l.links(); after != before {
		t.Errorf("links before:\n%s\nafter:\n%s", before, after)
	}
	if first.MTU != 1400 || fmt.Sprint(first.PodIPs) != "[10.99.0.2 fd99::2]" {
		t.Errorf("got %+v", first)
	}
}

// links describes all links of the pod, by number, so that one that was made anew is seen.
func (l *lab) links() string {
	l.t.Helper()
	var lines []string
	l.in(l.pod, func() error {
		links, err := netlink.LinkList()
		for _, link := range links {
			a := link.Attrs()
			lines = append(lines, fmt.Sprint(a.Index, a.Name, a.MTU, a.MasterIndex, a.HardwareAddr, a.Flags))
		}
		return err
	})
	return strings.Join(lines, "\n")
}

// TestApplyRepairs begins from what a crash at any line may leave behind.
func TestApplyRepairs(t *testing.T) {
	for name, damage := range map[string]func() error{
		"tap gone":      func() error { return removeLink(Tap) },
		"bridge gone":   func() error { return removeLink(Bridge) },
		"not forwarded": func() error { return setSysctls(map[string]string{"net/ipv4/ip_forward": "0"}) },
		"tap of root": func() error {
			return errors.Join(removeLink(Tap), makeTap(&Plan{User: 0, Group: 0}))
		},
		"bridge down": func() error {
			link, err := netlink.LinkByName(Bridge)
			if err != nil {
				return err
			}
			return netlink.LinkSetDown(link)
		},
		"a chain of another kind": func() error {
			out, err := exec.Command("nft", "flush table inet virtplane; delete chain inet virtplane inbound; add chain inet virtplane inbound { type filter hook input priority 0; }").CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.apply()
			l.in(l.pod, damage)
			l.apply()
			l.boot()
			l.serve(l.guest, 22)
			l.serve(l.peer, 8080)
			l.seenAs(l.peer, podIP4, 22)
			l.seenAs(l.guest, peerIP4, 8080)
			l.in(l.pod, func() error { return tapAttributes(l.t) })
		})
	}
}

func tapAttributes(t *testing.T) error {
	link, err := netlink.LinkByName("tap0")
	if err != nil {
		return err
	}
	tap, ok := link.(*netlink.Tuntap)
	if !ok {
		return fmt.Errorf("tap0 is a %s", link.Type())
	}
	bridge, err := netlink.LinkByName("k6t-eth0")
	if err != nil {
		return err
	}
	got := fmt.Sprintf("owner %d group %d persist %v vnet_hdr %v multi_queue %v mtu %d in bridge %v up %v", tap.Owner, tap.Group, !tap.NonPersist,
		tap.Flags&netlink.TUNTAP_VNET_HDR != 0, tap.Flags&netlink.TUNTAP_MULTI_QUEUE != 0, tap.MTU, tap.MasterIndex == bridge.Attrs().Index, tap.Attrs().Flags&net.FlagUp != 0)
	if want := "owner 107 group 107 persist true vnet_hdr true multi_queue false mtu 1400 in bridge true up true"; got != want {
		t.Errorf("tap0: %s, want %s", got, want)
	}
	return nil
}

func TestTapBelongsToTheLauncher(t *testing.T) {
	l := newLab(t)
	l.apply()
	l.in(l.pod, func() error { return tapAttributes(t) })
	for user, want := range map[uint32]string{107: "", 108: "operation not permitted"} {
		var out []byte
		l.in(l.pod, func() (err error) {
			file, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer file.Close()
			child := exec.Command("/proc/self/exe", "open-tap")
			child.ExtraFiles = []*os.File{file}
			child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user, NoSetGroups: true}}
			out, err = child.CombinedOutput()
			return err
		})
		if string(out) != want {
			t.Errorf("user %d opens the tap: %q, want %q", user, out, want)
		}
	}
}

// TestApplyWhileTapIsOpen is the case of a guest that runs while its node agent starts anew.
func TestApplyWhileTapIsOpen(t *testing.T) {
	l := newLab(t)
	l.apply()
	l.in(l.pod, func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		request, err := unix.NewIfreq(Tap)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	})
	l.apply()
}

func TestApplyRefusesAGuestNetworkThatHoldsThePod(t *testing.T) {
	l := newLab(t)
	v := vmi(nil)
	v.Spec.Networks[0].Pod.VMNetworkCIDR = "10.99.0.0/24"
	plan, err := PlanFor(v)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Apply(t.Context(), l.pod.Path(), plan)
	var refused *UnsupportedError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v", err)
	}
	if want := "spec.networks[].pod.vmNetworkCIDR: the guest's network 10.99.0.0/24 contains the pod's address 10.99.0.2; choose another"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestRemove(t *testing.T) {
	l := newLab(t)
	before := l.links()
	l.apply()
	for range 2 { // the second time, nothing is there
		if err := Remove(t.Context(), l.pod.Path()); err != nil {
			t.Fatal(err)
		}
	}
	if after := l.links(); after != before {
		t.Errorf("links before:\n%s\nafter:\n%s", before, after)
	}
	l.in(l.pod, func() error {
		out, err := exec.Command("nft", "list", "tables").CombinedOutput()
		if err == nil && strings.Contains(string(out), Table) {
			err = fmt.Errorf("tables are left: %s", out)
		}
		return err
	})
}

func TestInspect(t *testing.T) {
	l := newLab(t)
	got, err := Inspect(l.pod.Path())
	if err != nil || fmt.Sprint(got) != "{1400 [10.99.0.2 fd99::2]}" {
		t.Errorf("got %v, %v", got, err)
	}
}
