package masquerade

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/knftables"
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range texts {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func newFake() (*Masquerader, *knftables.Fake) {
	fake := knftables.NewFake(knftables.InetFamily, Table)
	return NewWith(fake), fake
}

func sources(t *testing.T, fake *knftables.Fake) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, name := range []string{sources4, sources6} {
		elements, err := fake.ListElements(t.Context(), "map", name)
		if err != nil && !knftables.IsNotFound(err) {
			t.Fatal(err)
		}
		for _, e := range elements {
			got[e.Key[0]] = strings.Join(e.Value, " ")
		}
	}
	return got
}

func TestAddShape(t *testing.T) {
	m, fake := newFake()
	owner := Owner{Network: "net", ContainerID: "c1", IfName: "eth0"}
	if err := m.Add(t.Context(), owner, prefixes("10.1.2.3/24", "fd00:1::3/64"), prefixes("10.0.0.0/8", "fd00::/16")); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimLeft(`
add table inet virtplane-bridge
add chain inet virtplane-bridge from-10.1.2.0/24-80529c74
add chain inet virtplane-bridge from-fd00_1__/64-80529c74
add chain inet virtplane-bridge postrouting { type nat hook postrouting priority 100 ; }
add map inet virtplane-bridge sources4 { type ipv4_addr : verdict ; }
add map inet virtplane-bridge sources6 { type ipv6_addr : verdict ; }
add rule inet virtplane-bridge from-10.1.2.0/24-80529c74 ip daddr 10.1.2.0/24 return
add rule inet virtplane-bridge from-10.1.2.0/24-80529c74 ip daddr 224.0.0.0/4 return
add rule inet virtplane-bridge from-10.1.2.0/24-80529c74 ip daddr 10.0.0.0/8 return
add rule inet virtplane-bridge from-10.1.2.0/24-80529c74 masquerade
add rule inet virtplane-bridge from-fd00_1__/64-80529c74 ip6 daddr fd00:1::/64 return
add rule inet virtplane-bridge from-fd00_1__/64-80529c74 ip6 daddr ff00::/8 return
add rule inet virtplane-bridge from-fd00_1__/64-80529c74 ip6 daddr fd00::/16 return
add rule inet virtplane-bridge from-fd00_1__/64-80529c74 masquerade
add rule inet virtplane-bridge postrouting ip saddr vmap @sources4
add rule inet virtplane-bridge postrouting ip6 saddr vmap @sources6
add element inet virtplane-bridge sources4 { 10.1.2.3 comment "OWNER c1" : goto from-10.1.2.0/24-80529c74 }
add element inet virtplane-bridge sources6 { fd00:1::3 comment "OWNER c1" : goto from-fd00_1__/64-80529c74 }
`, "\n")
	got := strings.ReplaceAll(fake.Dump(), owner.id(), "OWNER")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// TestOwners plays what runtimes do wrong: an address that moved on before its first owner was deleted.
func TestOwners(t *testing.T) {
	m, fake := newFake()
	ctx := t.Context()
	first, second := Owner{"net", "c1", "eth0"}, Owner{"net", "c2", "eth0"}
	steps := []error{
		m.Del(ctx, first), // nothing there, not even the table
		m.Add(ctx, first, prefixes("10.1.2.3/24"), nil),
		m.Add(ctx, first, prefixes("10.1.2.3/24"), nil),
		m.Check(ctx, first, prefixes("10.1.2.3/24")),
		m.Add(ctx, second, prefixes("10.1.2.3/24"), prefixes("10.0.0.0/8")),
		m.Check(ctx, second, prefixes("10.1.2.3/24")),
		m.Del(ctx, first),
		m.Check(ctx, second, prefixes("10.1.2.3/24")),
	}
	for i, err := range steps {
		if err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if err := m.Check(ctx, first, prefixes("10.1.2.3/24")); err == nil {
		t.Error("the first owner must have lost the address")
	}
	if err := m.Del(ctx, second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{}, sources(t, fake)); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}

func TestGC(t *testing.T) {
	m, fake := newFake()
	ctx := t.Context()
	if err := m.GC(ctx, "net", nil); err != nil {
		t.Fatalf("GC without a table: %v", err)
	}
	for _, a := range []struct {
		owner Owner
		addr  string
	}{
		{Owner{"net", "keep", "eth0"}, "10.1.2.3/24"},
		{Owner{"net", "stale", "eth0"}, "10.1.3.4/24"},
		{Owner{"net", "keep", "eth1"}, "10.1.2.5/24"},
		{Owner{"net2", "other", "eth0"}, "10.2.2.3/24"},
	} {
		if err := m.Add(ctx, a.owner, prefixes(a.addr), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.GC(ctx, "net", []Owner{{"net", "keep", "eth0"}}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"10.1.2.3": "goto from-10.1.2.0/24", "10.2.2.3": "goto from-10.2.2.0/24"}
	if diff := cmp.Diff(want, sources(t, fake)); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	chains, err := fake.List(ctx, "chains")
	if err != nil {
		t.Fatal(err)
	}
	for _, chain := range chains {
		if chain == "from-10.1.3.0/24" {
			t.Error("the chain of the stale subnet is left")
		}
	}
}
