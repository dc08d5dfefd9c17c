package network

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/containernetworking/plugins/pkg/testutils"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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
	// On a busy machine a neighbour may be given up before it has answered; it is asked again with the next connection.
	for again := 0; again < 3 && errors.Is(err, unix.EHOSTUNREACH); again++ {
		conn, err = l.dial(from, to, port, waitFor)
	}
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
