// Package masquerade keeps the source NAT of the bridge network: one nftables table that maps a pod's address to a chain which hides it behind the node's address
// unless the packet stays in a network that can answer the pod directly. The package knows addresses and owners only; it must not touch links, namespaces or IPAM,
// and it never looks at a table other than its own.
package masquerade

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"sort"
	"strings"

	"sigs.k8s.io/knftables"
)

// Table is the one nftables table (family inet) that belongs to this package; `nft delete table inet virtplane-bridge` takes all of it away.
const Table = "virtplane-bridge"

const (
	basePostrouting = "postrouting"
	sources4        = "sources4"
	sources6        = "sources6"
	chainPrefix     = "from-"
	containerIDMax  = 64
)

// Owner names the attachment for which an address is masqueraded. Container ids are unique in a runtime only together with the interface name.
type Owner struct {
	Network     string
	ContainerID string
	IfName      string
}

// Masquerader holds the state of masquerading in the network namespace in which it was opened.
type Masquerader struct {
	nft knftables.Interface
}

// New opens the table in the current network namespace. Nothing is created before the first Add.
func New() (*Masquerader, error) {
	nft, err := knftables.New(knftables.InetFamily, Table, knftables.NoObjectCommentEmulation)
	if err != nil {
		return nil, fmt.Errorf("opening nftables, which ipMasq needs (is nft 1.0.1 or newer installed?): %w", err)
	}
	return NewWith(nft), nil
}

// NewWith works on the given table; tests hand in a fake one.
func NewWith(nft knftables.Interface) *Masquerader {
	return &Masquerader{nft: nft}
}

// Add masquerades what the given addresses send, except to their own subnet, to multicast groups and to the networks in except. It replaces what an earlier, forgotten owner of
// the same address left behind, in the same transaction.
func (m *Masquerader) Add(ctx context.Context, owner Owner, addrs []netip.Prefix, except []netip.Prefix) error {
	if len(addrs) == 0 {
		return nil
	}
	present, err := m.elements(ctx)
	if err != nil {
		return err
	}
	tx := m.nft.NewTransaction()
	m.frame(tx)
	for _, addr := range addrs {
		chain := chainName(addr, except)
		tx.Add(&knftables.Chain{Name: chain})
		tx.Flush(&knftables.Chain{Name: chain})
		for _, rule := range chainRules(addr, except) {
			tx.Add(&knftables.Rule{Chain: chain, Rule: rule})
		}
		key := addr.Addr().String()
		for _, old := range present {
			if old.Key[0] == key {
				tx.Delete(old)
			}
		}
		tx.Add(&knftables.Element{
			Map:     mapOf(addr),
			Key:     []string{key},
			Value:   []string{"goto " + chain},
			Comment: knftables.PtrTo(owner.comment()),
		})
	}
	if err := m.nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("adding %v to nftables table %s: %w", addrs, Table, err)
	}
	return nil
}

// Del ends the masquerading of every address of that owner. An owner that has none is no error.
func (m *Masquerader) Del(ctx context.Context, owner Owner) error {
	return m.deleteElements(ctx, func(comment string) bool {
		return strings.HasPrefix(comment, owner.id())
	})
}

// Check says whether each of the addresses is masqueraded for that owner.
func (m *Masquerader) Check(ctx context.Context, owner Owner, addrs []netip.Prefix) error {
	present, err := m.elements(ctx)
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		found := false
		for _, e := range present {
			found = found || e.Key[0] == addr.Addr().String() && strings.HasPrefix(*e.Comment, owner.id())
		}
		if !found {
			return fmt.Errorf("nftables table %s does not masquerade %s for container %s", Table, addr.Addr(), owner.ContainerID)
		}
	}
	return nil
}

// GC removes the addresses of one network whose owner is not among the valid ones, and chains that no address uses any more.
func (m *Masquerader) GC(ctx context.Context, network string, valid []Owner) error {
	keep := make(map[string]bool, len(valid))
	for _, owner := range valid {
		keep[owner.id()] = true
	}
	err := m.deleteElements(ctx, func(comment string) bool {
		id := strings.SplitN(comment, " ", 2)[0]
		return strings.HasPrefix(id, hash(network)+"-") && !keep[id]
	})
	if err != nil {
		return err
	}
	return m.deleteUnusedChains(ctx)
}

// Usable says whether nftables answers in this network namespace.
func (m *Masquerader) Usable(ctx context.Context) error {
	if _, err := m.nft.List(ctx, "chains"); err != nil && !knftables.IsNotFound(err) {
		return fmt.Errorf("listing nftables table %s: %w", Table, err)
	}
	return nil
}

// frame adds the parts that all networks share. The base chain is filled anew each time: so it holds exactly these rules, whatever version of us wrote it before.
func (m *Masquerader) frame(tx *knftables.Transaction) {
	tx.Add(&knftables.Table{})
	tx.Add(&knftables.Map{Name: sources4, Type: "ipv4_addr : verdict"})
	tx.Add(&knftables.Map{Name: sources6, Type: "ipv6_addr : verdict"})
	tx.Add(&knftables.Chain{
		Name:     basePostrouting,
		Type:     knftables.PtrTo(knftables.NATType),
		Hook:     knftables.PtrTo(knftables.PostroutingHook),
		Priority: knftables.PtrTo(knftables.SNATPriority),
	})
	tx.Flush(&knftables.Chain{Name: basePostrouting})
	tx.Add(&knftables.Rule{Chain: basePostrouting, Rule: "ip saddr vmap @" + sources4})
	tx.Add(&knftables.Rule{Chain: basePostrouting, Rule: "ip6 saddr vmap @" + sources6})
}

func (m *Masquerader) elements(ctx context.Context) ([]*knftables.Element, error) {
	var all []*knftables.Element
	for _, name := range []string{sources4, sources6} {
		elements, err := m.nft.ListElements(ctx, "map", name)
		if knftables.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing map %s of nftables table %s: %w", name, Table, err)
		}
		for _, e := range elements {
			if len(e.Key) == 0 {
				return nil, fmt.Errorf("map %s of nftables table %s has an element without a key", name, Table)
			}
			if e.Comment == nil {
				e.Comment = new(string)
			}
			all = append(all, e)
		}
	}
	return all, nil
}

func (m *Masquerader) deleteElements(ctx context.Context, match func(comment string) bool) error {
	present, err := m.elements(ctx)
	if err != nil {
		return err
	}
	tx := m.nft.NewTransaction()
	for _, e := range present {
		if match(*e.Comment) {
			tx.Delete(e)
		}
	}
	if tx.NumOperations() == 0 {
		return nil
	}
	// Somebody else may have removed the same element in the meantime; then it is gone, which is all that was wanted, but others of the transaction are not.
	err = m.nft.Run(ctx, tx)
	if knftables.IsNotFound(err) {
		return m.deleteOneByOne(ctx, match)
	}
	if err != nil {
		return fmt.Errorf("removing addresses from nftables table %s: %w", Table, err)
	}
	return nil
}

func (m *Masquerader) deleteOneByOne(ctx context.Context, match func(comment string) bool) error {
	present, err := m.elements(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range present {
		if !match(*e.Comment) {
			continue
		}
		tx := m.nft.NewTransaction()
		tx.Delete(e)
		if err := m.nft.Run(ctx, tx); err != nil && !knftables.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("removing %s from nftables table %s: %w", e.Key[0], Table, err))
		}
	}
	return errors.Join(errs...)
}

// deleteUnusedChains removes chains one by one and passes over failures: a chain that an ADD running beside us has just begun to use cannot be deleted, and must not be.
func (m *Masquerader) deleteUnusedChains(ctx context.Context) error {
	chains, err := m.nft.List(ctx, "chains")
	if knftables.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing chains of nftables table %s: %w", Table, err)
	}
	present, err := m.elements(ctx)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, e := range present {
		for _, v := range e.Value {
			used[strings.TrimPrefix(v, "goto ")] = true
		}
	}
	for _, chain := range chains {
		if !strings.HasPrefix(chain, chainPrefix) || used[chain] {
			continue
		}
		tx := m.nft.NewTransaction()
		tx.Flush(&knftables.Chain{Name: chain})
		tx.Delete(&knftables.Chain{Name: chain})
		_ = m.nft.Run(ctx, tx)
	}
	return nil
}

// chainName is the same for all addresses of one subnet with one list of exceptions, so that the number of chains does not grow with the number of pods.
func chainName(addr netip.Prefix, except []netip.Prefix) string {
	subnet := strings.ReplaceAll(addr.Masked().String(), ":", "_")
	if len(except) == 0 {
		return chainPrefix + subnet
	}
	texts := make([]string, 0, len(except))
	for _, e := range except {
		texts = append(texts, e.Masked().String())
	}
	sort.Strings(texts)
	return chainPrefix + subnet + "-" + hash(strings.Join(texts, ","))[:8]
}

func chainRules(addr netip.Prefix, except []netip.Prefix) []string {
	proto, multicast := "ip", "224.0.0.0/4"
	if addr.Addr().Is6() {
		proto, multicast = "ip6", "ff00::/8"
	}
	rules := []string{
		knftables.Concat(proto, "daddr", addr.Masked().String(), "return"),
		knftables.Concat(proto, "daddr", multicast, "return"),
	}
	for _, e := range except {
		if e.Addr().Is6() == addr.Addr().Is6() {
			rules = append(rules, knftables.Concat(proto, "daddr", e.Masked().String(), "return"))
		}
	}
	return append(rules, "masquerade")
}

func mapOf(addr netip.Prefix) string {
	if addr.Addr().Is6() {
		return sources6
	}
	return sources4
}

// id is a hash because network and interface names may hold characters that a comment cannot.
func (o Owner) id() string {
	return hash(o.Network) + "-" + hash(o.IfName+":"+o.ContainerID)
}

// comment ends with the container id in clear text for whoever reads `nft list table`.
func (o Owner) comment() string {
	id := o.ContainerID
	if len(id) > containerIDMax {
		id = id[:containerIDMax]
	}
	return o.id() + " " + id
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}
