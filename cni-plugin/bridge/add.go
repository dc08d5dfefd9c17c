package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ip"
	"github.com/containernetworking/plugins/pkg/ipam"
	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"github.com/virtplane/virtplane/cni-plugin/masquerade"
)

const (
	portUpTimeout = 5 * time.Second
	portUpFirst   = 2 * time.Millisecond
	portUpMost    = 250 * time.Millisecond
)

// Add connects a container to the bridge.
func (p *Plugin) Add(ctx context.Context, args *skel.CmdArgs) (err error) {
	conf, err := ParseConfig(args.StdinData, args.Args)
	if err != nil {
		return err
	}
	undo := &undo{log: p.Log}
	defer undo.unless(&err)

	br, err := ensureBridge(conf)
	if err != nil {
		return err
	}
	pod, err := ns.GetNS(args.Netns)
	if err != nil {
		return fmt.Errorf("opening network namespace %q: %w", args.Netns, err)
	}
	defer func() { _ = pod.Close() }()

	port, err := makeLink(conf, args, pod)
	if err != nil {
		return err
	}
	undo.push("link", func() error { return removeLink(port.Attrs().Name) })
	if err := attachPort(conf, br, port, portAlias(conf.Name, args.ContainerID, args.IfName)); err != nil {
		return err
	}

	result := &current.Result{
		CNIVersion: current.ImplementedSpecVersion,
		Interfaces: []*current.Interface{{Name: br.Name}, {Name: port.Attrs().Name}, {Name: args.IfName, Sandbox: args.Netns}},
		DNS:        conf.DNS,
	}
	switch {
	case conf.IPAM.Type != "":
		// The delegate may have recorded an address before it failed, so the way back stands before the call.
		undo.push("address", func() error { return ipam.ExecDel(conf.IPAM.Type, args.StdinData) })
		if err := addAddresses(conf, br, pod, args, result); err != nil {
			return err
		}
		if conf.IPMasq {
			owner := masquerade.Owner{Network: conf.Name, ContainerID: args.ContainerID, IfName: args.IfName}
			undo.push("masquerading", func() error { return delMasquerade(ctx, owner) })
			if err := addMasquerade(ctx, owner, result.IPs, conf.except); err != nil {
				return err
			}
		}
	case conf.DisableContainerInterface:
		err = pod.Do(func(ns.NetNS) error { return setLink(args.IfName, netlink.LinkSetDown) })
	default:
		err = pod.Do(func(ns.NetNS) error { return setLink(args.IfName, netlink.LinkSetUp) })
	}
	if err != nil {
		return err
	}
	if !conf.DisableContainerInterface {
		if err := waitForPort(ctx, port.Attrs().Name); err != nil {
			return err
		}
	}
	if err := describeLinks(result, pod); err != nil {
		return err
	}
	return types.PrintResult(merge(conf.previous, result), conf.CNIVersion)
}

// makeLink makes the veth pair from inside the pod's namespace, so that the pod's end never shows up in the node's, and returns the host's end.
func makeLink(conf *Config, args *skel.CmdArgs, pod ns.NetNS) (netlink.Link, error) {
	hostName := hostLinkName(conf.Name, args.ContainerID, args.IfName)
	err := pod.Do(func(host ns.NetNS) error {
		_, _, err := ip.SetupVethWithName(args.IfName, hostName, conf.MTU, conf.mac, host)
		if err != nil {
			return fmt.Errorf("making link %q: %w", args.IfName, err)
		}
		if conf.EnableDAD {
			return nil
		}
		// IPAM has assigned the address already; detection would only hold it back for a second.
		return setSysctl("net/ipv6/conf/"+args.IfName+"/accept_dad", "0")
	})
	if err != nil {
		return nil, err
	}
	port, err := netlinksafe.LinkByName(hostName)
	if err != nil {
		return nil, fmt.Errorf("looking up %q: %w", hostName, err)
	}
	return port, nil
}

// addAddresses asks IPAM, configures the pod's end and the gateway, and completes the result.
func addAddresses(conf *Config, br *netlink.Bridge, pod ns.NetNS, args *skel.CmdArgs, result *current.Result) error {
	raw, err := ipam.ExecAdd(conf.IPAM.Type, args.StdinData)
	if err != nil {
		return fmt.Errorf("ipam %s: %w", conf.IPAM.Type, err)
	}
	assigned, err := current.NewResultFromResult(raw)
	if err != nil {
		return fmt.Errorf("ipam %s: reading its result: %w", conf.IPAM.Type, err)
	}
	if len(assigned.IPs) == 0 {
		return fmt.Errorf("ipam %s: it assigned no address", conf.IPAM.Type)
	}
	result.IPs, result.Routes = assigned.IPs, assigned.Routes
	if noDNS(conf.DNS) {
		result.DNS = assigned.DNS
	}
	for _, address := range result.IPs {
		address.Interface = current.Int(len(result.Interfaces) - 1)
	}
	gateways, err := planGateways(conf, result)
	if err != nil {
		return err
	}
	// The gateway comes first: the pod's end may send as soon as it is up.
	for _, gateway := range gateways {
		if err := ensureGateway(conf, br, gateway); err != nil {
			return err
		}
	}
	if len(gateways) > 0 {
		if err := ip.EnableForward(result.IPs); err != nil {
			return fmt.Errorf("enabling IP forwarding: %w", err)
		}
	}
	return pod.Do(func(ns.NetNS) error {
		// Announce the address when the link comes up: neighbours may remember an earlier pod's hardware address.
		for _, proto := range []string{"ipv4/conf/" + args.IfName + "/arp_notify", "ipv6/conf/" + args.IfName + "/ndisc_notify"} {
			if err := setSysctl("net/"+proto, "1"); err != nil {
				return err
			}
		}
		if err := ipam.ConfigureIface(args.IfName, result); err != nil {
			return fmt.Errorf("configuring %q: %w", args.IfName, err)
		}
		return nil
	})
}

// planGateways fills in gateways and default routes that IPAM left to us and returns the addresses that the bridge needs.
func planGateways(conf *Config, result *current.Result) ([]*net.IPNet, error) {
	if !conf.IsGateway {
		return nil, nil
	}
	var gateways []*net.IPNet
	hasDefault := map[bool]bool{}
	for _, route := range result.Routes {
		if ones, _ := route.Dst.Mask.Size(); ones == 0 && route.Dst.IP.IsUnspecified() {
			hasDefault[route.Dst.IP.To4() != nil] = true
		}
	}
	seen := map[string]bool{}
	for _, address := range result.IPs {
		is4 := address.Address.IP.To4() != nil
		if address.Gateway == nil {
			address.Gateway = firstHost(address.Address)
		}
		if address.Gateway.Equal(address.Address.IP) {
			return nil, fmt.Errorf("isGateway: ipam %s gave the pod the gateway's own address %s", conf.IPAM.Type, address.Gateway)
		}
		gateway := &net.IPNet{IP: address.Gateway, Mask: address.Address.Mask}
		if !seen[gateway.String()] {
			seen[gateway.String()] = true
			gateways = append(gateways, gateway)
		}
		if conf.IsDefaultGateway && !hasDefault[is4] {
			hasDefault[is4] = true
			result.Routes = append(result.Routes, &types.Route{Dst: defaultNet(is4), GW: address.Gateway})
		}
	}
	return gateways, nil
}

func firstHost(network net.IPNet) net.IP {
	return ip.NextIP(network.IP.Mask(network.Mask))
}

func defaultNet(is4 bool) net.IPNet {
	if is4 {
		return net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	}
	return net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
}

func setLink(name string, set func(netlink.Link) error) error {
	link, err := netlinksafe.LinkByName(name)
	if err != nil {
		return fmt.Errorf("looking up %q: %w", name, err)
	}
	if err := set(link); err != nil {
		return fmt.Errorf("changing state of %q: %w", name, err)
	}
	return nil
}

// waitForPort waits until the bridge forwards for the port: a pod that starts earlier loses its first packets.
func waitForPort(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, portUpTimeout)
	defer cancel()
	for pause := portUpFirst; ; pause = min(2*pause, portUpMost) {
		link, err := netlinksafe.LinkByName(name)
		if err != nil {
			return fmt.Errorf("looking up %q: %w", name, err)
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for bridge port %q to come up (it is %s): %w", name, link.Attrs().OperState, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// describeLinks reads hardware addresses and MTUs at the very end, because connecting a port may have changed them.
func describeLinks(result *current.Result, pod ns.NetNS) error {
	for _, iface := range result.Interfaces {
		read := func() error {
			link, err := netlinksafe.LinkByName(iface.Name)
			if err != nil {
				return fmt.Errorf("looking up %q: %w", iface.Name, err)
			}
			iface.Mac, iface.Mtu = link.Attrs().HardwareAddr.String(), link.Attrs().MTU
			return nil
		}
		err := error(nil)
		if iface.Sandbox != "" {
			err = pod.Do(func(ns.NetNS) error { return read() })
		} else {
			err = read()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// merge puts our result behind that of the plugins before us in the chain.
func merge(previous, ours *current.Result) *current.Result {
	if previous == nil {
		return ours
	}
	merged := *previous
	offset := len(previous.Interfaces)
	merged.Interfaces = append(append([]*current.Interface{}, previous.Interfaces...), ours.Interfaces...)
	merged.IPs = append([]*current.IPConfig{}, previous.IPs...)
	for _, address := range ours.IPs {
		moved := *address
		moved.Interface = current.Int(*address.Interface + offset)
		merged.IPs = append(merged.IPs, &moved)
	}
	merged.Routes = append(append([]*types.Route{}, previous.Routes...), ours.Routes...)
	if noDNS(previous.DNS) {
		merged.DNS = ours.DNS
	}
	return &merged
}

func noDNS(dns types.DNS) bool {
	return len(dns.Nameservers) == 0 && dns.Domain == "" && len(dns.Search) == 0 && len(dns.Options) == 0
}

func addMasquerade(ctx context.Context, owner masquerade.Owner, addresses []*current.IPConfig, except []netip.Prefix) error {
	prefixes, err := prefixesOf(addresses)
	if err != nil {
		return err
	}
	m, err := masquerade.New()
	if err != nil {
		return fmt.Errorf("ipMasq: %w", err)
	}
	if err := m.Add(ctx, owner, prefixes, except); err != nil {
		return fmt.Errorf("ipMasq: %w", err)
	}
	return nil
}

func delMasquerade(ctx context.Context, owner masquerade.Owner) error {
	m, err := masquerade.New()
	if err != nil {
		return fmt.Errorf("ipMasq: %w", err)
	}
	if err := m.Del(ctx, owner); err != nil {
		return fmt.Errorf("ipMasq: %w", err)
	}
	return nil
}

func prefixesOf(addresses []*current.IPConfig) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, address := range addresses {
		addr, ok := netip.AddrFromSlice(address.Address.IP)
		if !ok {
			return nil, errors.New("result: an address is neither IPv4 nor IPv6")
		}
		ones, _ := address.Address.Mask.Size()
		prefixes = append(prefixes, netip.PrefixFrom(addr.Unmap(), ones))
	}
	return prefixes, nil
}
