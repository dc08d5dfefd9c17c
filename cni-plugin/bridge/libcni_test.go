package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/google/go-cmp/cmp"
)

// cniRuntime drives the built program as a container runtime does.
type cniRuntime struct {
	*libcni.CNIConfig
	list *libcni.NetworkConfigList
}

func (n *node) runtime(changes conf) *cniRuntime {
	n.t.Helper()
	var plugin conf
	if err := json.Unmarshal(n.conf("1.1.0", changes), &plugin); err != nil {
		n.t.Fatal(err)
	}
	data, err := json.Marshal(conf{"cniVersion": "1.1.0", "name": "testnet", "plugins": []conf{plugin}})
	if err != nil {
		n.t.Fatal(err)
	}
	list, err := libcni.ConfListFromBytes(data)
	if err != nil {
		n.t.Fatal(err)
	}
	// The library makes its executor on first use, which is not safe for concurrent callers.
	executor := &invoke.DefaultExec{RawExec: &invoke.RawExec{Stderr: os.Stderr}}
	return &cniRuntime{libcni.NewCNIConfigWithCacheDir([]string{programs}, n.t.TempDir(), executor), list}
}

func runtimeConf(id string, where ns.NetNS) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: id, NetNS: where.Path(), IfName: "eth0", CapabilityArgs: map[string]any{
		"mac": "02:00:5e:00:01:" + fmt.Sprintf("%02x", len(id)),
	}}
}

func TestRuntimeRoundTrip(t *testing.T) {
	n := newNode(t)
	ctx := t.Context()
	rt := n.runtime(conf{"isDefaultGateway": true, "ipMasq": true, "capabilities": conf{"mac": true, "ips": true}})
	a, b := newNamespace(t), newNamespace(t)
	n.do(func() error {
		if err := rt.GetStatusNetworkList(ctx, rt.list); err != nil {
			return fmt.Errorf("STATUS: %w", err)
		}
		for id, where := range map[string]ns.NetNS{"a": a, "bb": b} {
			conf := runtimeConf(id, where)
			if id == "a" {
				conf.CapabilityArgs["ips"] = []string{"10.77.1.55/24", "fd77:1::55/64"}
			}
			result, err := rt.AddNetworkList(ctx, rt.list, conf)
			if err != nil {
				return fmt.Errorf("ADD: %w", err)
			}
			if id == "a" && !strings.Contains(fmt.Sprint(result), "10.77.1.55") {
				t.Errorf("the address asked for was not assigned: %s", result)
			}
			if err := rt.CheckNetworkList(ctx, rt.list, runtimeConf(id, where)); err != nil {
				return fmt.Errorf("CHECK: %w", err)
			}
		}
		return rt.DelNetworkList(ctx, rt.list, runtimeConf("bb", b))
	})
	if diff := cmp.Diff([]string{"10.77.1.55", "fd77:1::55"}, n.leases()); diff != "" {
		t.Errorf("leases (-want +got):\n%s", diff)
	}
	// GC of a runtime that remembers: the library deletes what is not valid.
	n.do(func() error {
		return rt.GCNetworkList(ctx, rt.list, &libcni.GCArgs{ValidAttachments: []types.GCAttachment{}})
	})
	if left := append(n.leases(), n.ports()...); len(left) != 0 {
		t.Errorf("left after GC: %v", left)
	}
}

// TestGCOfForgottenPods has a runtime that lost its cache, so only the plugin itself can know what is stale.
func TestGCOfForgottenPods(t *testing.T) {
	n := newNode(t)
	ctx := t.Context()
	changes := conf{"isGateway": true, "ipMasq": true}
	data := n.conf("1.1.0", changes)
	keep, stale := n.add("keep", data), n.add("stale", data)
	other := n.add("other", n.conf("1.1.0", conf{"name": "othernet"}))
	rt := n.runtime(changes)
	n.do(func() error {
		return rt.GCNetworkList(ctx, rt.list, &libcni.GCArgs{ValidAttachments: []types.GCAttachment{{ContainerID: "keep", IfName: "eth0"}}})
	})
	want := map[string]bool{keep.res.Interfaces[1].Name: true, other.res.Interfaces[1].Name: true}
	got := map[string]bool{}
	for _, name := range n.ports() {
		got[name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if err := n.check(keep, withResult(t, data, keep.out)); err != nil {
		t.Errorf("CHECK of the pod that stays: %v", err)
	}
	n.do(func() error { return wantNoMasquerade(stale) })
}

func TestGCNeedsAList(t *testing.T) {
	n := newNode(t)
	data := n.conf("1.1.0", nil)
	n.add("a", data)
	rt := n.runtime(nil)
	var got *types.Error
	err := n.ns.Do(func(ns.NetNS) error { return rt.GCNetworkList(t.Context(), rt.list, nil) })
	if !errors.As(err, &got) || got.Code != types.ErrInvalidNetworkConfig {
		t.Errorf("GC without a list said %v", err)
	}
	if len(n.ports()) != 1 {
		t.Error("GC without a list removed a port")
	}
}

func TestStatus(t *testing.T) {
	n := newNode(t)
	for _, tc := range []struct {
		name string
		conf conf
		want string
	}{
		{"ready", conf{"ipMasq": true}, ""},
		{"ipam missing", conf{"ipam": conf{"type": "no-such-ipam"}}, `failed to find plugin "no-such-ipam"`},
		{"not a bridge", conf{"bridge": "lo"}, `"lo" is a device, not a bridge`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rt := n.runtime(tc.conf)
			err := n.ns.Do(func(ns.NetNS) error { return rt.GetStatusNetworkList(context.Background(), rt.list) })
			var got *types.Error
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("STATUS: %v", err)
			case tc.want != "" && (!errors.As(err, &got) || got.Code != types.ErrPluginNotAvailable || !strings.Contains(got.Msg, tc.want)):
				t.Errorf("STATUS said %v, want code %d and %q", err, types.ErrPluginNotAvailable, tc.want)
			}
		})
	}
}

// TestManyAtOnce adds and deletes pods in parallel, the bridge being made by whoever is first.
func TestManyAtOnce(t *testing.T) {
	const pods = 16
	n := newNode(t)
	rt := n.runtime(conf{"isDefaultGateway": true, "ipMasq": true})
	namespaces := make([]ns.NetNS, pods)
	for i := range namespaces {
		namespaces[i] = newNamespace(t)
	}
	each := func(f func(*libcni.RuntimeConf) error) {
		t.Helper()
		var wg sync.WaitGroup
		for i, where := range namespaces {
			wg.Go(func() {
				err := n.ns.Do(func(ns.NetNS) error {
					return f(&libcni.RuntimeConf{ContainerID: fmt.Sprintf("pod%d", i), NetNS: where.Path(), IfName: "eth0"})
				})
				if err != nil {
					t.Errorf("pod %d: %v", i, err)
				}
			})
		}
		wg.Wait()
	}
	ctx := t.Context()
	each(func(conf *libcni.RuntimeConf) error { _, err := rt.AddNetworkList(ctx, rt.list, conf); return err })
	each(func(conf *libcni.RuntimeConf) error { return rt.CheckNetworkList(ctx, rt.list, conf) })
	each(func(conf *libcni.RuntimeConf) error { return rt.DelNetworkList(ctx, rt.list, conf) })
	if left := append(n.leases(), n.ports()...); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
