package bridge

import (
	"context"
	"errors"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/plugins/pkg/ipam"

	"github.com/virtplane/virtplane/cni-plugin/masquerade"
)

// Del takes a container off the bridge. It can be repeated, and works without the container's namespace and without a previous result. The address is given back last, so that IPAM cannot
// assign it again while something of the old attachment is left; and only when all else succeeded, for the same reason.
func (p *Plugin) Del(ctx context.Context, args *skel.CmdArgs) error {
	conf, err := ParseConfig(args.StdinData, args.Args)
	if err != nil {
		return err
	}
	var errs []error
	if conf.IPMasq {
		errs = append(errs, delMasquerade(ctx, masquerade.Owner{Network: conf.Name, ContainerID: args.ContainerID, IfName: args.IfName}))
	}
	if args.Netns != "" {
		err := inNamespace(args.Netns, func() error { return removeLink(args.IfName) })
		if !errors.Is(err, errNamespaceGone) {
			errs = append(errs, err)
		}
	}
	// Usually gone with its peer; still there when the runtime no longer knows the namespace but something else keeps it alive.
	errs = append(errs, removeLink(hostLinkName(conf.Name, args.ContainerID, args.IfName)))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if conf.IPAM.Type == "" {
		return nil
	}
	return ipam.ExecDel(conf.IPAM.Type, args.StdinData)
}
