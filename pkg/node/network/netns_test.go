package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/spec"
)

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

// TestDial connects to the guest from inside the pod, by the address that nobody else knows.
func TestDial(t *testing.T) {
	l := newLab(t)
	l.apply()
	l.boot()
	l.serve(l.guest, 22)
	ctx, cancel := context.WithTimeout(t.Context(), waitFor)
	defer cancel()
	conn, err := Dial(ctx, l.pod.Path(), "tcp", netip.MustParseAddrPort("10.0.2.2:22"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := readLine(t, conn); got != "10.0.2.1" {
		t.Errorf("the guest saw %s", got)
	}
	if _, err := Dial(ctx, l.pod.Path(), "tcp", netip.MustParseAddrPort("10.0.2.2:23")); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("a port where nobody listens: %v", err)
	}
}
