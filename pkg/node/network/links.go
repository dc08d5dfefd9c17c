package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// gatewayMAC is the same in every pod, so that a guest that moves finds its gateway under the address that it knows.
var gatewayMAC = net.HardwareAddr{0x0a, 0x58, 0x0a, 0x00, 0x02, 0x01}

// uplink finds the pod's interface and its addresses, IPv4 first.
func uplink() (netlink.Link, []netip.Addr, error) {
	link, err := netlinksafe.LinkByName(Uplink)
	if err != nil {
		return nil, nil, fmt.Errorf("looking up the pod's interface %s: %w", Uplink, err)
	}
	var pod []netip.Addr
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		addrs, err := netlinksafe.AddrList(link, family)
		if err != nil {
			return nil, nil, fmt.Errorf("listing addresses of %s: %w", Uplink, err)
		}
		for _, a := range addrs {
			addr, ok := netip.AddrFromSlice(a.IP)
			if ok && a.Scope == unix.RT_SCOPE_UNIVERSE {
				pod = append(pod, addr.Unmap())
			}
		}
	}
	if len(pod) == 0 {
		return nil, nil, fmt.Errorf("the pod's interface %s has no address", Uplink)
	}
	return link, pod, nil
}

func ensureBridge(plan *Plan, mtu int, ipv6 bool) (netlink.Link, error) {
	link, err := netlinksafe.LinkByName(Bridge)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU, attrs.HardwareAddr = Bridge, mtu, gatewayMAC
		off := false
		fresh := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &off}
		if err := netlink.LinkAdd(fresh); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("making bridge %s: %w", Bridge, err)
		}
		link, err = netlinksafe.LinkByName(Bridge)
	}
	if err != nil {
		return nil, fmt.Errorf("looking up bridge %s: %w", Bridge, err)
	}
	if link.Type() != "bridge" {
		return nil, fmt.Errorf("%s is a %s, not a bridge; something else in the pod took the name", Bridge, link.Type())
	}
	if link.Attrs().HardwareAddr.String() != gatewayMAC.String() {
		if err := netlink.LinkSetHardwareAddr(link, gatewayMAC); err != nil {
			return nil, fmt.Errorf("setting the address of bridge %s: %w", Bridge, err)
		}
	}
	settings := map[string]string{
		"net/ipv4/conf/" + Bridge + "/route_localnet": "1",
		"net/ipv6/conf/" + Bridge + "/accept_ra":      "0",
		"net/ipv6/conf/" + Bridge + "/disable_ipv6":   "1",
		// Frames on the bridge are routed, not bridged: with these on, a connection of the guest to the pod's own address
		// would be translated before it is routed, and sent back where it came from.
		"net/bridge/bridge-nf-call-iptables":  "0",
		"net/bridge/bridge-nf-call-ip6tables": "0",
	}
	addresses := []netip.Prefix{plan.Gateway4}
	if ipv6 {
		settings["net/ipv6/conf/"+Bridge+"/disable_ipv6"] = "0"
		addresses = append(addresses, plan.Gateway6)
	}
	if err := setSysctls(settings); err != nil {
		return nil, err
	}
	for _, address := range addresses {
		if err := ensureAddress(link, address); err != nil {
			return nil, err
		}
	}
	return link, ensureUp(link, mtu)
}

func ensureAddress(link netlink.Link, address netip.Prefix) error {
	family, flags := netlink.FAMILY_V4, 0
	if address.Addr().Is6() {
		// Nobody else lives on this link, so that looking for duplicates would only delay.
		family, flags = netlink.FAMILY_V6, unix.IFA_F_NODAD
	}
	present, err := netlinksafe.AddrList(link, family)
	if err != nil {
		return fmt.Errorf("listing addresses of %s: %w", link.Attrs().Name, err)
	}
	ipNet := &net.IPNet{IP: address.Addr().AsSlice(), Mask: net.CIDRMask(address.Bits(), address.Addr().BitLen())}
	for _, a := range present {
		if a.IPNet.String() == ipNet.String() {
			return nil
		}
	}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet, Flags: flags}); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("adding %s to %s: %w", address, link.Attrs().Name, err)
	}
	return nil
}

// ensureTap makes the tap device, which lives on without an open file, and connects it to the bridge. A tap that QEMU
// holds is not opened: it is as we made it.
func ensureTap(plan *Plan, bridge netlink.Link, mtu int) error {
	link, err := netlinksafe.LinkByName(Tap)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		if err := makeTap(plan); err != nil {
			return err
		}
		link, err = netlinksafe.LinkByName(Tap)
	}
	if err != nil {
		return fmt.Errorf("looking up tap %s: %w", Tap, err)
	}
	tap, ok := link.(*netlink.Tuntap)
	if !ok || tap.Mode != netlink.TUNTAP_MODE_TAP {
		return fmt.Errorf("%s is a %s, not a tap; something else in the pod took the name", Tap, link.Type())
	}
	if int(tap.Owner) != plan.User || int(tap.Group) != plan.Group {
		// A crash between making it and giving it away; QEMU cannot have opened it.
		if err := makeTap(plan); err != nil {
			return err
		}
	}
	if err := setSysctls(map[string]string{"net/ipv6/conf/" + Tap + "/disable_ipv6": "1"}); err != nil {
		return err
	}
	if link.Attrs().MasterIndex != bridge.Attrs().Index {
		if err := netlink.LinkSetMaster(link, bridge); err != nil {
			return fmt.Errorf("connecting %s to %s: %w", Tap, Bridge, err)
		}
	}
	return ensureUp(link, mtu)
}

func makeTap(plan *Plan) error {
	// The device belongs to the network namespace of the thread that opens the file.
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(Tap)
	if err != nil {
		return fmt.Errorf("naming tap %s: %w", Tap, err)
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("making tap %s: %w", Tap, err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETOWNER, plan.User); err != nil {
		return fmt.Errorf("giving tap %s to user %d: %w", Tap, plan.User, err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETGROUP, plan.Group); err != nil {
		return fmt.Errorf("giving tap %s to group %d: %w", Tap, plan.Group, err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
		return fmt.Errorf("keeping tap %s: %w", Tap, err)
	}
	return nil
}

func ensureUp(link netlink.Link, mtu int) error {
	if link.Attrs().MTU != mtu {
		if err := netlink.LinkSetMTU(link, mtu); err != nil {
			return fmt.Errorf("setting the MTU of %s to %d: %w", link.Attrs().Name, mtu, err)
		}
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("setting %s up: %w", link.Attrs().Name, err)
		}
	}
	return nil
}

func removeLink(name string) error {
	link, err := netlinksafe.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking up %s: %w", name, err)
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return nil
}

// setSysctls writes settings of the thread's network namespace that differ. Those of a protocol that the kernel lacks
// are passed over.
func setSysctls(settings map[string]string) error {
	for name, value := range settings {
		file := "/proc/sys/" + name
		old, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || err == nil && strings.TrimSpace(string(old)) == value {
			continue
		}
		if err == nil {
			err = os.WriteFile(file, []byte(value), 0)
		}
		if err != nil {
			return fmt.Errorf("setting %s to %s: %w", name, value, err)
		}
	}
	return nil
}
