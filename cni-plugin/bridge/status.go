package bridge

import (
	"context"
	"errors"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/pkg/ipam"
	"github.com/vishvananda/netlink"

	"github.com/virtplane/virtplane/cni-plugin/masquerade"
)

// Status says whether an ADD could succeed now. A bridge that does not exist yet is fine, ADD makes it.
func (p *Plugin) Status(ctx context.Context, args *skel.CmdArgs) error {
	conf, err := ParseConfig(args.StdinData, args.Args)
	if err != nil {
		return err
	}
	br, err := findBridge(conf.Bridge)
	switch {
	case errors.As(err, &netlink.LinkNotFoundError{}):
	case err != nil:
		return unavailable(err)
	case conf.VLAN > 0:
		if err := needVLANFiltering(br, conf.VLAN); err != nil {
			return unavailable(err)
		}
	}
	if conf.IPMasq {
		m, err := masquerade.New()
		if err != nil {
			return unavailable(err)
		}
		if err := m.Usable(ctx); err != nil {
			return unavailable(err)
		}
	}
	if conf.IPAM.Type == "" {
		return nil
	}
	err = ipam.ExecStatus(conf.IPAM.Type, args.StdinData)
	if typed := (*types.Error)(nil); errors.As(err, &typed) {
		return typed
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

func unavailable(err error) error {
	return types.NewError(types.ErrPluginNotAvailable, err.Error(), "")
}
