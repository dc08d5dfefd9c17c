package bridge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseConfig(t *testing.T) {
	for _, tc := range []struct{ name, conf, args, want string }{
		{"not JSON", `{`, "", "network configuration: unexpected end of JSON input"},
		{"bridge name too long", `{"bridge":"a-name-of-sixteen"}`, "", `bridge: "a-name-of-sixteen" must be an interface name of 1 to 15 characters`},
		{"empty bridge name", `{"bridge":""}`, "", `bridge: "" must be an interface name of 1 to 15 characters`},
		{"mtu", `{"mtu":67}`, "", "mtu: 67 must be 0 or from 68 to 65535"},
		{"vlan", `{"vlan":4095}`, "", "vlan: 4095 must be from 0 to 4094"},
		{"vlan and gateway", `{"vlan":4,"isDefaultGateway":true}`, "", "vlan: may not be used with isGateway, the bridge has its address in the untagged network"},
		{"hairpin and promiscuous", `{"hairpinMode":true,"promiscMode":true}`, "", "promiscMode: may not be used with hairpinMode, set one of them"},
		{"macspoofchk", `{"macspoofchk":true}`, "", "macspoofchk: not offered by bridge-cni, remove the key"},
		{"vlanTrunk", `{"vlanTrunk":[{"id":3}]}`, "", "vlanTrunk: not offered by bridge-cni, use vlan"},
		{"down with ipam", `{"disableContainerInterface":true,"ipam":{"type":"x"}}`, "", "disableContainerInterface: may not be used with ipam, a link that is down keeps no addresses"},
		{"default gateway without ipam", `{"isDefaultGateway":true}`, "", "isDefaultGateway: needs ipam, which gives the gateway's address"},
		{"ips without ipam", `{"runtimeConfig":{"ips":["10.0.0.1/8"]}}`, "", "runtimeConfig.ips: addresses were asked for, but the network has no ipam that could assign them"},
		{"exception", `{"ipMasqExcept":["10.0.0.0/8","nowhere"]}`, "", `ipMasqExcept[1]: netip.ParsePrefix("nowhere"): no '/'`},
		{"multicast mac", `{"runtimeConfig":{"mac":"01:00:5e:00:00:01"}}`, "", `runtimeConfig.mac: "01:00:5e:00:00:01" must be a unicast Ethernet address of six bytes`},
		{"long mac", `{"args":{"cni":{"mac":"02:00:5e:10:00:00:00:01"}}}`, "", `args.cni.mac: "02:00:5e:10:00:00:00:01" must be a unicast Ethernet address of six bytes`},
		{"no mac", `{}`, "MAC=hello", "CNI_ARGS MAC: address hello: invalid MAC address"},
		{"prevResult", `{"cniVersion":"1.1.0","prevResult":{"cniVersion":"1.1.0","ips":3}}`, "", "prevResult: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseConfig([]byte(tc.conf), tc.args)
			if err == nil {
				t.Fatal("accepted")
			}
			if tc.name == "prevResult" {
				if !strings.HasPrefix(err.Error(), tc.want) {
					t.Errorf("said %q", err)
				}
				return
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMACOrder(t *testing.T) {
	for _, tc := range []struct{ name, conf, args, want string }{
		{"none", `{}`, "IgnoreUnknown=1;K8S_POD_NAME=x", ""},
		{"CNI_ARGS", `{}`, "MAC=02:00:00:00:00:03;K8S_POD_NAME=x", "02:00:00:00:00:03"},
		{"args", `{"args":{"cni":{"mac":"02:00:00:00:00:02"}}}`, "MAC=02:00:00:00:00:03", "02:00:00:00:00:02"},
		{"capability", `{"runtimeConfig":{"mac":"02:00:00:00:00:01"},"args":{"cni":{"mac":"02:00:00:00:00:02"}}}`, "", "02:00:00:00:00:01"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conf, err := ParseConfig([]byte(tc.conf), tc.args)
			if err != nil {
				t.Fatal(err)
			}
			if conf.mac != tc.want {
				t.Errorf("got %q, want %q", conf.mac, tc.want)
			}
		})
	}
}

func TestNamesOfLinks(t *testing.T) {
	names := map[string]bool{}
	for _, a := range [][3]string{{"net", "a", "eth0"}, {"net", "a", "eth1"}, {"net", "b", "eth0"}, {"net2", "a", "eth0"}} {
		name, alias := hostLinkName(a[0], a[1], a[2]), portAlias(a[0], a[1], a[2])
		if len(name) != 15 || len(alias) > 255 || !strings.HasPrefix(alias, aliasOfNetwork(a[0])) {
			t.Errorf("%v: link %q, alias %q", a, name, alias)
		}
		names[name] = true
	}
	if len(names) != 4 {
		t.Errorf("names are not distinct: %v", names)
	}
}

// FuzzParseConfig wants no configuration to panic, and none to be accepted whose values cannot be given to the kernel.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"cniVersion":"1.1.0","name":"n","bridge":"br0","isGateway":true,"ipam":{"type":"host-local"},"mtu":1400,"vlan":0}`), "MAC=02:00:00:00:00:01")
	f.Add([]byte(`{"prevResult":{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.1/8"}},"cniVersion":"0.2.0"}`), "IgnoreUnknown=1")
	f.Fuzz(func(t *testing.T, data []byte, args string) {
		conf, err := ParseConfig(data, args)
		if err != nil {
			return
		}
		if conf.Bridge == "" || len(conf.Bridge) > 15 || conf.VLAN < 0 || conf.VLAN > 4094 || conf.MTU < 0 || conf.MTU > 65535 {
			t.Errorf("accepted %+v", conf)
		}
	})
}
