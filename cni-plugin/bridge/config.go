package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

const (
	defaultBridge = "cni0"
	maxVLAN       = 4094
	minMTU        = 68
	maxMTU        = 65535
)

// Config is what a network configuration may say. Its keys are those of the well-known bridge plugin, so that a configuration written for that one means the same here.
type Config struct {
	types.PluginConf

	// Bridge is the name of the bridge; it is made when it is missing.
	Bridge string `json:"bridge"`
	// IsGateway gives the bridge the gateway address of each subnet.
	IsGateway bool `json:"isGateway"`
	// IsDefaultGateway is IsGateway with a default route in the pod.
	IsDefaultGateway bool `json:"isDefaultGateway"`
	// ForceAddress replaces another address of the bridge in the same subnet.
	ForceAddress bool `json:"forceAddress"`
	// IPMasq hides the pod's address when it leaves its subnet.
	IPMasq bool `json:"ipMasq"`
	// IPMasqExcept lists networks that see the pod's own address although IPMasq is set: the other nodes' pods, for a start. It is a key of ours.
	IPMasqExcept []string `json:"ipMasqExcept"`
	// MTU of the bridge, when it is made, and of the pod's link. 0 takes the kernel's default.
	MTU int `json:"mtu"`
	// HairpinMode lets a pod reach itself through a Service.
	HairpinMode bool `json:"hairpinMode"`
	// PromiscMode puts the bridge itself into promiscuous mode.
	PromiscMode bool `json:"promiscMode"`
	// PortIsolation keeps the ports of the bridge that ask for it apart from one another.
	PortIsolation bool `json:"portIsolation"`
	// VLAN is the tag of the pod's untagged traffic, 0 for none.
	VLAN int `json:"vlan"`
	// PreserveDefaultVLAN keeps VLAN 1 on a port that has another one.
	PreserveDefaultVLAN *bool `json:"preserveDefaultVlan"`
	// EnableDAD leaves the kernel's duplicate address detection on in the pod.
	EnableDAD bool `json:"enabledad"`
	// DisableContainerInterface leaves the pod's link down.
	DisableContainerInterface bool `json:"disableContainerInterface"`

	// Keys of the well-known plugin that this one refuses, so that nobody believes in a protection that is not there.
	MACSpoofCheck bool              `json:"macspoofchk"`
	VLANTrunk     []json.RawMessage `json:"vlanTrunk"`

	Args struct {
		CNI struct {
			MAC string `json:"mac"`
		} `json:"cni"`
	} `json:"args"`
	RuntimeConfig struct {
		MAC string   `json:"mac"`
		IPs []string `json:"ips"`
	} `json:"runtimeConfig"`

	mac      string
	except   []netip.Prefix
	previous *current.Result
}

// environment is the part of CNI_ARGS that matters here.
type environment struct {
	types.CommonArgs
	MAC types.UnmarshallableString `json:"mac,omitempty"`
}

// ParseConfig reads and checks a network configuration. args is the content of CNI_ARGS.
func ParseConfig(data []byte, args string) (*Config, error) {
	conf := &Config{Bridge: defaultBridge}
	if err := json.Unmarshal(data, conf); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "network configuration: "+err.Error(), "")
	}
	if err := conf.complete(args); err != nil {
		return nil, types.NewError(types.ErrInvalidNetworkConfig, err.Error(), "")
	}
	return conf, nil
}

func (c *Config) complete(args string) error {
	if err := c.validate(); err != nil {
		return err
	}
	if c.IsDefaultGateway {
		c.IsGateway = true
	}
	for i, text := range c.IPMasqExcept {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("ipMasqExcept[%d]: %w", i, err)
		}
		c.except = append(c.except, prefix)
	}
	if err := c.chooseMAC(args); err != nil {
		return err
	}
	if c.RawPrevResult == nil {
		return nil
	}
	if err := version.ParsePrevResult(&c.PluginConf); err != nil {
		return fmt.Errorf("prevResult: %w", err)
	}
	previous, err := current.NewResultFromResult(c.PrevResult)
	if err != nil {
		return fmt.Errorf("prevResult: %w", err)
	}
	c.previous = previous
	return nil
}

func (c *Config) validate() error {
	switch {
	case c.Bridge == "" || len(c.Bridge) > 15:
		return fmt.Errorf("bridge: %q must be an interface name of 1 to 15 characters", c.Bridge)
	case c.MTU != 0 && (c.MTU < minMTU || c.MTU > maxMTU):
		return fmt.Errorf("mtu: %d must be 0 or from %d to %d", c.MTU, minMTU, maxMTU)
	case c.VLAN < 0 || c.VLAN > maxVLAN:
		return fmt.Errorf("vlan: %d must be from 0 to %d", c.VLAN, maxVLAN)
	case c.VLAN > 0 && (c.IsGateway || c.IsDefaultGateway):
		return errors.New("vlan: may not be used with isGateway, the bridge has its address in the untagged network")
	case c.HairpinMode && c.PromiscMode:
		return errors.New("promiscMode: may not be used with hairpinMode, set one of them")
	case c.MACSpoofCheck:
		return errors.New("macspoofchk: not offered by bridge-cni, remove the key")
	case len(c.VLANTrunk) > 0:
		return errors.New("vlanTrunk: not offered by bridge-cni, use vlan")
	case c.DisableContainerInterface && c.IPAM.Type != "":
		return errors.New("disableContainerInterface: may not be used with ipam, a link that is down keeps no addresses")
	case c.IPAM.Type == "" && c.IsDefaultGateway:
		return errors.New("isDefaultGateway: needs ipam, which gives the gateway's address")
	case c.IPAM.Type == "" && len(c.RuntimeConfig.IPs) > 0:
		return errors.New("runtimeConfig.ips: addresses were asked for, but the network has no ipam that could assign them")
	}
	return nil
}

// chooseMAC takes the most specific wish: the runtime's capability, then args in the configuration, then CNI_ARGS.
func (c *Config) chooseMAC(args string) error {
	env := environment{}
	if args != "" {
		env.IgnoreUnknown = true
		if err := types.LoadArgs(args, &env); err != nil {
			return fmt.Errorf("CNI_ARGS: %w", err)
		}
	}
	for _, candidate := range []struct{ field, value string }{
		{"runtimeConfig.mac", c.RuntimeConfig.MAC},
		{"args.cni.mac", c.Args.CNI.MAC},
		{"CNI_ARGS MAC", string(env.MAC)},
	} {
		if candidate.value == "" {
			continue
		}
		hw, err := net.ParseMAC(candidate.value)
		if err != nil {
			return fmt.Errorf("%s: %w", candidate.field, err)
		}
		if len(hw) != 6 || hw[0]&1 != 0 {
			return fmt.Errorf("%s: %q must be a unicast Ethernet address of six bytes", candidate.field, candidate.value)
		}
		c.mac = hw.String()
		return nil
	}
	return nil
}

func (c *Config) keepsDefaultVLAN() bool {
	return c.PreserveDefaultVLAN != nil && *c.PreserveDefaultVLAN
}
