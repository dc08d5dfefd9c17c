package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/pkg/netlinksafe"

	"github.com/virtplane/virtplane/cni-plugin/masquerade"
)

const validAttachments = "cni.dev/valid-attachments"

// GC removes what belongs to attachments of this network that the runtime no longer knows: ports of the bridge, masqueraded addresses, and whatever the IPAM plugin keeps.
func (p *Plugin) GC(ctx context.Context, args *skel.CmdArgs) error {
	conf, err := ParseConfig(args.StdinData, args.Args)
	if err != nil {
		return err
	}
	// A missing list is not an empty one: it would cut off every pod of the node.
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(args.StdinData, &keys); err != nil {
		return types.NewError(types.ErrDecodingFailure, "network configuration: "+err.Error(), "")
	}
	if _, ok := keys[validAttachments]; !ok {
		return types.NewError(types.ErrInvalidNetworkConfig, validAttachments+": must be set for GC, to an empty list when no attachment is left", "")
	}
	errs := []error{p.gcPorts(conf)}
	if conf.IPMasq {
		errs = append(errs, gcMasquerade(ctx, conf))
	}
	if conf.IPAM.Type != "" {
		if err := invoke.DelegateGC(ctx, conf.IPAM.Type, args.StdinData, nil); err != nil {
			errs = append(errs, fmt.Errorf("ipam %s: %w", conf.IPAM.Type, err))
		}
	}
	return errors.Join(errs...)
}

func (p *Plugin) gcPorts(conf *Config) error {
	keep := map[string]bool{}
	for _, a := range conf.ValidAttachments {
		keep[portAlias(conf.Name, a.ContainerID, a.IfName)] = true
	}
	links, err := netlinksafe.LinkList()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}
	var errs []error
	for _, link := range links {
		alias := link.Attrs().Alias
		if !strings.HasPrefix(alias, aliasOfNetwork(conf.Name)) || keep[alias] {
			continue
		}
		p.Log.Info("Removing a forgotten bridge port", "link", link.Attrs().Name, "network", conf.Name)
		errs = append(errs, removeLink(link.Attrs().Name))
	}
	return errors.Join(errs...)
}

func gcMasquerade(ctx context.Context, conf *Config) error {
	var valid []masquerade.Owner
	for _, a := range conf.ValidAttachments {
		valid = append(valid, masquerade.Owner{Network: conf.Name, ContainerID: a.ContainerID, IfName: a.IfName})
	}
	m, err := masquerade.New()
	if err != nil {
		return fmt.Errorf("ipMasq: %w", err)
	}
	if err := m.GC(ctx, conf.Name, valid); err != nil {
		return fmt.Errorf("ipMasq: %w", err)
	}
	return nil
}
