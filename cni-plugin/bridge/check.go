package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ip"
	"github.com/containernetworking/plugins/pkg/ipam"
	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"github.com/vishvananda/netlink"

	"github.com/virtplane/virtplane/cni-plugin/masquerade"
)

// Check compares what the previous result promised with what is there.
func (p *Plugin) Check(ctx context.Context, args *skel.CmdArgs) error {
	conf, err := ParseConfig(args.StdinData, args.Args)
	if err != nil {
		return err
	}
	if conf.previous == nil {
		return types.NewError(types.ErrInvalidNetworkConfig, "prevResult: must be set for CHECK", "")
	}
	if conf.IPAM.Type != "" {
		if err := ipam.ExecCheck(conf.IPAM.Type, args.StdinData); err != nil {
			return fmt.Errorf("ipam %s: %w", conf.IPAM.Type, err)
		}
	}
	index, promised := findInterface(conf.previous, args.IfName, args.Netns)
	if promised == nil {
		return fmt.Errorf("prevResult: has no interface %q in %q", args.IfName, args.Netns)
	}
	if err := checkPort(conf, args); err != nil {
		return err
	}
	ours := ipsOf(conf.previous, index)
	err = inNamespace(args.Netns, func() error {
		return checkPodLink(conf, args.IfName, promised, ours, conf.previous.Routes)
	})
	if err != nil {
		return fmt.Errorf("in network namespace %q: %w", args.Netns, err)
	}
	if !conf.IPMasq || len(ours) == 0 {
		return nil
	}
	prefixes, err := prefixesOf(ours)
	if err != nil {
		return err
	}
	m, err := masquerade.New()
	if err != nil {
		return fmt.Errorf("ipMasq: %w", err)
	}
	return m.Check(ctx, masquerade.Owner{Network: conf.Name, ContainerID: args.ContainerID, IfName: args.IfName}, prefixes)
}

func findInterface(result *current.Result, name, sandbox string) (int, *current.Interface) {
	for i, iface := range result.Interfaces {
		if iface.Name == name && iface.Sandbox == sandbox {
			return i, iface
		}
	}
	return 0, nil
}

func ipsOf(result *current.Result, index int) []*current.IPConfig {
	var ours []*current.IPConfig
	for _, address := range result.IPs {
		if address.Interface != nil && *address.Interface == index {
			ours = append(ours, address)
		}
	}
	return ours
}

func checkPort(conf *Config, args *skel.CmdArgs) error {
	br, err := findBridge(conf.Bridge)
	if err != nil {
		return err
	}
	if br.Attrs().Flags&1 == 0 {
		return fmt.Errorf("bridge %q is down", conf.Bridge)
	}
	name := hostLinkName(conf.Name, args.ContainerID, args.IfName)
	port, err := netlinksafe.LinkByName(name)
	if err != nil {
		return fmt.Errorf("looking up bridge port %q: %w", name, err)
	}
	if port.Attrs().MasterIndex != br.Attrs().Index {
		return fmt.Errorf("link %q is not a port of bridge %q", name, conf.Bridge)
	}
	info, err := netlinksafe.LinkGetProtinfo(port)
	if err != nil {
		return fmt.Errorf("reading bridge port %q: %w", name, err)
	}
	if conf.HairpinMode && !info.Hairpin {
		return fmt.Errorf("bridge port %q has lost its hairpin mode", name)
	}
	if conf.PortIsolation && !info.Isolated {
		return fmt.Errorf("bridge port %q has lost its isolation", name)
	}
	return nil
}

func checkPodLink(conf *Config, name string, promised *current.Interface, addresses []*current.IPConfig, routes []*types.Route) error {
	link, err := netlinksafe.LinkByName(name)
	if err != nil {
		return fmt.Errorf("looking up %q: %w", name, err)
	}
	if _, ok := link.(*netlink.Veth); !ok {
		return fmt.Errorf("interface %q is a %s, not a veth", name, link.Type())
	}
	if mac := link.Attrs().HardwareAddr.String(); promised.Mac != "" && !strings.EqualFold(mac, promised.Mac) {
		return fmt.Errorf("interface %q has hardware address %s instead of %s", name, mac, promised.Mac)
	}
	if conf.MTU != 0 && link.Attrs().MTU != conf.MTU {
		return fmt.Errorf("interface %q has MTU %d instead of %d", name, link.Attrs().MTU, conf.MTU)
	}
	if len(addresses) == 0 {
		return nil
	}
	return errors.Join(ip.ValidateExpectedInterfaceIPs(name, addresses), ip.ValidateExpectedRoute(routes))
}
