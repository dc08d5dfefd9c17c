package bridge

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const aliasPrefix = "bridge-cni "

// ensureBridge returns the bridge of the configuration, made and set up if need be. Several ADDs may do so at the same time.
func ensureBridge(conf *Config) (*netlink.Bridge, error) {
	br, err := findBridge(conf.Bridge)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = conf.Bridge, conf.MTU
		fresh := &netlink.Bridge{LinkAttrs: attrs}
		if conf.VLAN > 0 {
			on := true
			fresh.VlanFiltering = &on
		}
		if err := netlink.LinkAdd(fresh); errors.Is(err, unix.EOPNOTSUPP) && conf.VLAN > 0 {
			return nil, noVLANFiltering(conf.Bridge, conf.VLAN, err)
		} else if err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("making bridge %q: %w", conf.Bridge, err)
		}
		br, err = findBridge(conf.Bridge)
	}
	if err != nil {
		return nil, err
	}
	if conf.VLAN > 0 {
		if err := needVLANFiltering(br, conf.VLAN); err != nil {
			return nil, err
		}
	}
	if conf.PromiscMode {
		if err := netlink.SetPromiscOn(br); err != nil {
			return nil, fmt.Errorf("setting promiscuous mode of bridge %q: %w", conf.Bridge, err)
		}
	}
	// The node must not take routes from pods.
	if err := setSysctl("net/ipv6/conf/"+conf.Bridge+"/accept_ra", "0"); err != nil {
		return nil, err
	}
	if err := netlink.LinkSetUp(br); err != nil {
		return nil, fmt.Errorf("setting bridge %q up: %w", conf.Bridge, err)
	}
	return br, nil
}

func findBridge(name string) (*netlink.Bridge, error) {
	link, err := netlinksafe.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("looking up bridge %q: %w", name, err)
	}
	br, ok := link.(*netlink.Bridge)
	if !ok {
		return nil, fmt.Errorf("bridge: %q is a %s, not a bridge; name another one", name, link.Type())
	}
	return br, nil
}

// needVLANFiltering reads the bridge again, because a kernel without the feature takes the wish and forgets it.
func needVLANFiltering(br *netlink.Bridge, vlan int) error {
	if br.VlanFiltering != nil && *br.VlanFiltering {
		return nil
	}
	setErr := netlink.BridgeSetVlanFiltering(br, true)
	again, err := findBridge(br.Name)
	if err != nil {
		return err
	}
	if again.VlanFiltering == nil || !*again.VlanFiltering {
		if setErr == nil {
			setErr = errors.New("vlan_filtering stays 0")
		}
		return noVLANFiltering(br.Name, vlan, setErr)
	}
	return nil
}

func noVLANFiltering(name string, vlan int, err error) error {
	return fmt.Errorf("vlan: %d was asked for, but bridge %q cannot filter VLANs; the kernel needs CONFIG_BRIDGE_VLAN_FILTERING: %w", vlan, name, err)
}

// attachPort makes the host's end of the pod's link a port of the bridge.
func attachPort(conf *Config, br *netlink.Bridge, port netlink.Link, alias string) error {
	name := port.Attrs().Name
	// The alias says whose port it is, so that GC can tell attachments of this network from others.
	if err := netlink.LinkSetAlias(port, alias); err != nil {
		return fmt.Errorf("setting alias of %q: %w", name, err)
	}
	if err := netlink.LinkSetMaster(port, br); err != nil {
		return fmt.Errorf("connecting %q to bridge %q: %w", name, br.Name, err)
	}
	if conf.HairpinMode {
		if err := netlink.LinkSetHairpin(port, true); err != nil {
			return fmt.Errorf("setting hairpin mode of %q: %w", name, err)
		}
	}
	if conf.PortIsolation {
		if err := netlink.LinkSetIsolated(port, true); err != nil {
			return fmt.Errorf("setting isolation of %q: %w", name, err)
		}
	}
	if conf.VLAN > 0 {
		if err := setPortVLAN(conf, port); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetUp(port); err != nil {
		return fmt.Errorf("setting %q up: %w", name, err)
	}
	return nil
}

func setPortVLAN(conf *Config, port netlink.Link) error {
	name := port.Attrs().Name
	if conf.VLAN != 1 && !conf.keepsDefaultVLAN() {
		if err := netlink.BridgeVlanDel(port, 1, true, true, false, true); err != nil {
			return fmt.Errorf("removing default VLAN of %q: %w", name, err)
		}
	}
	if err := netlink.BridgeVlanAdd(port, uint16(conf.VLAN), true, true, false, true); err != nil {
		return fmt.Errorf("setting VLAN %d of %q: %w", conf.VLAN, name, err)
	}
	return nil
}

// ensureGateway gives the bridge the gateway's address of one subnet.
func ensureGateway(conf *Config, br *netlink.Bridge, gateway *net.IPNet) error {
	family := netlink.FAMILY_V4
	if gateway.IP.To4() == nil {
		family = netlink.FAMILY_V6
	}
	present, err := netlinksafe.AddrList(br, family)
	if err != nil {
		return fmt.Errorf("listing addresses of bridge %q: %w", br.Name, err)
	}
	for _, addr := range present {
		if addr.IPNet.String() == gateway.String() {
			return nil
		}
		// IPv6 links have many addresses; for IPv4 a second one in the same subnet is a sign of two configurations that disagree.
		if family == netlink.FAMILY_V4 && (addr.IPNet.Contains(gateway.IP) || gateway.Contains(addr.IP)) {
			if !conf.ForceAddress {
				return fmt.Errorf("isGateway: bridge %q already has address %s in the subnet of gateway %s; set forceAddress to replace it", br.Name, addr.IPNet, gateway)
			}
			if err := netlink.AddrDel(br, &addr); err != nil {
				return fmt.Errorf("removing address %s from bridge %q: %w", addr.IPNet, br.Name, err)
			}
		}
	}
	addr := &netlink.Addr{IPNet: gateway}
	if family == netlink.FAMILY_V6 {
		// The subnet is ours alone; a second of detection for the gateway would delay the first pod.
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := netlink.AddrAdd(br, addr); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("adding address %s to bridge %q: %w", gateway, br.Name, err)
	}
	// A bridge takes the smallest hardware address of its ports unless it was given one. Pods remember the gateway's, so it must stay when ports come and go.
	if err := netlink.LinkSetHardwareAddr(br, br.HardwareAddr); err != nil {
		return fmt.Errorf("fixing hardware address of bridge %q: %w", br.Name, err)
	}
	return nil
}

// removeLink deletes a link of the current namespace; a missing one is no error.
func removeLink(name string) error {
	link, err := netlinksafe.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking up %q: %w", name, err)
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("deleting %q: %w", name, err)
	}
	return nil
}

// inNamespace runs f in the network namespace at path. A namespace that is gone is reported as errNamespaceGone.
func inNamespace(path string, f func() error) error {
	err := ns.WithNetNSPath(path, func(ns.NetNS) error { return f() })
	var gone ns.NSPathNotExistErr
	var other ns.NSPathNotNSErr
	if errors.As(err, &gone) || errors.As(err, &other) {
		return errNamespaceGone
	}
	return err
}

var errNamespaceGone = errors.New("network namespace is gone")

// hostLinkName is the same in each command for one attachment, so that DEL finds the link when the pod's namespace is gone. Network managers leave links alone whose name begins with veth.
func hostLinkName(network, containerID, ifName string) string {
	return "veth" + attachmentHash(network, containerID, ifName)[:11]
}

// portAlias marks the host's end as a port of the network; both parts are hashes because an alias holds at most 255 bytes.
func portAlias(network, containerID, ifName string) string {
	return aliasOfNetwork(network) + attachmentHash(network, containerID, ifName)
}

func aliasOfNetwork(network string) string {
	sum := sha256.Sum256([]byte(network))
	return aliasPrefix + hex.EncodeToString(sum[:8]) + " "
}

func attachmentHash(network, containerID, ifName string) string {
	// A slash stands in none of the three, so no two attachments spell the same.
	sum := sha256.Sum256([]byte(network + "/" + containerID + "/" + ifName))
	return hex.EncodeToString(sum[:16])
}

func setSysctl(path, value string) error {
	file := "/proc/sys/" + path
	old, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the kernel has no such protocol
	}
	if err == nil && len(old) > 0 && string(old[:len(old)-1]) == value {
		return nil
	}
	if err := os.WriteFile(file, []byte(value), 0); err != nil {
		return fmt.Errorf("setting %s to %s: %w", file, value, err)
	}
	return nil
}
