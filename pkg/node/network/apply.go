package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/containernetworking/plugins/pkg/ns"
	"sigs.k8s.io/knftables"
)

// Result is what Apply found in the pod.
type Result struct {
	// MTU is that of the pod's interface, and so of the guest's.
	MTU int
	// PodIPs are the pod's addresses, IPv4 first.
	PodIPs []netip.Addr
}

// Apply brings the network namespace at path (/proc/PID/ns/net) to the plan.
func Apply(ctx context.Context, path string, plan *Plan) (Result, error) {
	var result Result
	err := inside(path, func() error {
		link, pod, err := uplink()
		if err != nil {
			return err
		}
		mtu, ipv6 := link.Attrs().MTU, slices.ContainsFunc(pod, netip.Addr.Is6)
		result = Result{MTU: mtu, PodIPs: pod}
		if plan.Gateway4.Masked().Contains(pod[0]) {
			return &UnsupportedError{Field: "spec.networks[].pod.vmNetworkCIDR", Message: fmt.Sprintf(
				"the guest's network %s contains the pod's address %s; choose another", plan.Gateway4.Masked(), pod[0])}
		}
		// The rules come first: nothing is forwarded before it is guarded.
		if err := applyRules(ctx, plan, pod); err != nil {
			return err
		}
		if err := forward(ipv6); err != nil {
			return err
		}
		bridge, err := ensureBridge(plan, mtu, ipv6)
		if err != nil {
			return err
		}
		return ensureTap(plan, bridge, mtu)
	})
	return result, err
}

// Inspect tells what Apply would find, without changing anything.
func Inspect(path string) (Result, error) {
	var result Result
	err := inside(path, func() error {
		link, pod, err := uplink()
		if err != nil {
			return err
		}
		result = Result{MTU: link.Attrs().MTU, PodIPs: pod}
		return nil
	})
	return result, err
}

// Remove takes away what Apply made. Forwarding stays on: others in the pod may rely on it by now.
func Remove(ctx context.Context, path string) error {
	return inside(path, func() error {
		return errors.Join(removeLink(Tap), removeLink(Bridge), removeRules(ctx))
	})
}

func inside(path string, do func() error) error {
	namespace, err := ns.GetNS(path)
	if err != nil {
		return fmt.Errorf("opening the pod's network namespace: %w", err)
	}
	defer func() { _ = namespace.Close() }()
	return namespace.Do(func(ns.NetNS) error { return do() })
}

// forward lets the namespace route. IPv6 routers ignore router advertisements unless they are told not to, and the pod
// may have its default route from one.
func forward(ipv6 bool) error {
	if err := setSysctls(map[string]string{"net/ipv4/ip_forward": "1"}); err != nil || !ipv6 {
		return err
	}
	acceptRA := "/proc/sys/net/ipv6/conf/" + Uplink + "/accept_ra"
	if now, err := os.ReadFile(acceptRA); err == nil && strings.TrimSpace(string(now)) == "1" {
		if err := os.WriteFile(acceptRA, []byte("2"), 0); err != nil {
			return fmt.Errorf("keeping router advertisements on %s: %w", Uplink, err)
		}
	}
	return setSysctls(map[string]string{"net/ipv6/conf/all/forwarding": "1"})
}

func applyRules(ctx context.Context, plan *Plan, pod []netip.Addr) error {
	nft, err := table()
	if err != nil {
		return err
	}
	tx := nft.NewTransaction()
	fill(tx, plan, pod)
	if err := nft.Run(ctx, tx); err == nil {
		return nil
	}
	// A chain or set of another version of us may have the same name and another shape: begin again, in one
	// transaction still.
	tx = nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	fill(tx, plan, pod)
	if err := nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("writing nftables table %s: %w", Table, err)
	}
	return nil
}

func removeRules(ctx context.Context) error {
	nft, err := table()
	if err != nil {
		return err
	}
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	if err := nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("removing nftables table %s: %w", Table, err)
	}
	return nil
}

var opened struct {
	sync.Mutex
	nft knftables.Interface
}

// table opens the table once. What it returns belongs to no network namespace: each call of it runs nft as a child of the
// calling thread, and so in that thread's namespace.
func table() (knftables.Interface, error) {
	opened.Lock()
	defer opened.Unlock()
	if opened.nft != nil {
		return opened.nft, nil
	}
	nft, err := knftables.New(knftables.InetFamily, Table, knftables.NoObjectCommentEmulation)
	if err != nil {
		return nil, fmt.Errorf("opening nftables in the pod (is nft 1.0.1 or newer in the image?): %w", err)
	}
	opened.nft = nft
	return nft, nil
}
