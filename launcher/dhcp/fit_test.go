package dhcp

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// names makes n domains of a length, which end alike.
func names(n, length int, end string) []string {
	var out []string
	for i := range n {
		head := fmt.Sprintf("n%02d", i)
		for len(head)+1+len(end) < length {
			head += string(rune('a' + (i+len(head))%26))
			if len(head)%50 == 49 && len(head)+2+len(end) < length {
				head += ".x"
			}
		}
		out = append(out, head+"."+end)
	}
	return out
}

// TestAnswerFits is about leases that are larger than what their client takes.
func TestAnswerFits(t *testing.T) {
	servers := func(n int) []netip.Addr {
		var out []netip.Addr
		for i := range n {
			out = append(out, netip.AddrFrom4([4]byte{10, 1, byte(i / 250), byte(i%250 + 1)}))
		}
		return out
	}
	pods := []string{"default.svc.cluster.local", "svc.cluster.local", "cluster.local"}
	large := dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(1500))
	asks := func(codes ...dhcpv4.OptionCode) dhcpv4.Modifier { return dhcpv4.WithRequestedOptions(codes...) }
	for _, tc := range []struct {
		name   string
		change func(*Lease)
		asks   []dhcpv4.Modifier
		most   int
		want   func(*dhcpv4.DHCPv4) bool
		// left counts what is left out, by its first word.
		left map[string]int
	}{
		{"a pod's own names", func(l *Lease) { l.Search = pods }, nil, 548,
			func(r *dhcpv4.DHCPv4) bool { return slices.Equal(r.DomainSearch().Labels, pods) }, map[string]int{}},
		{"six names that end alike", func(l *Lease) { l.Search = slices.Concat(pods, names(6, 43, "corp.example.com")) }, nil, 548,
			func(r *dhcpv4.DHCPv4) bool {
				return len(r.DomainSearch().Labels) == 8 && len(r.Options.Get(dhcpv4.OptionDNSDomainSearchList)) < 255
			}, map[string]int{"search": 1}},
		{"six names, and the client takes more", func(l *Lease) { l.Search = slices.Concat(pods, names(6, 43, "corp.example.com")) }, []dhcpv4.Modifier{large}, 1472,
			func(r *dhcpv4.DHCPv4) bool { return len(r.DomainSearch().Labels) == 9 }, map[string]int{}},
		{"28 names", func(l *Lease) { l.Search = slices.Concat(pods, names(28, 66, "a.corp.example.com")) }, []dhcpv4.Modifier{large}, 1372,
			func(r *dhcpv4.DHCPv4) bool { return len(r.DomainSearch().Labels) > 20 }, map[string]int{"search": 9}},
		{"28 names for a small client", func(l *Lease) { l.Search = names(28, 66, "a.corp.example.com") }, nil, 548,
			func(r *dhcpv4.DHCPv4) bool { return len(r.DomainSearch().Labels) >= 2 && len(r.DNS()) == 1 }, map[string]int{"search": 25, "private": 1}},
		{"a client that wants the list and no boot file", func(l *Lease) { l.Search, l.BootFile = names(4, 60, "com"), strings.Repeat("b", 120) },
			[]dhcpv4.Modifier{asks(dhcpv4.OptionDomainNameServer, dhcpv4.OptionDNSDomainSearchList, dhcpv4.OptionDomainName, dhcpv4.OptionHostName)}, 548,
			func(r *dhcpv4.DHCPv4) bool {
				return len(r.DomainSearch().Labels) == 4 && r.BootFileName == strings.Repeat("b", 120)
			}, map[string]int{"domain": 1}},
		{"a client that does not know lists", func(l *Lease) { l.Search = names(9, 200, "com") }, []dhcpv4.Modifier{asks(dhcpv4.OptionDomainName)}, 548,
			func(r *dhcpv4.DHCPv4) bool { return len(r.DomainName()) == 200 && r.DomainSearch() == nil }, map[string]int{"search": 9}},
		{"private options", func(l *Lease) {
			l.Private = map[uint8]string{224: strings.Repeat("x", 300), 225: "short", 226: strings.Repeat("y", 200)}
		}, nil, 548,
			func(r *dhcpv4.DHCPv4) bool { return string(r.Options[225]) == "short" && r.Options[224] == nil }, map[string]int{"private": 2}},
		{"a long private option that fits", func(l *Lease) { l.Private = map[uint8]string{224: strings.Repeat("x", 300)} }, []dhcpv4.Modifier{large}, 1472,
			func(r *dhcpv4.DHCPv4) bool { return len(r.Options[224]) == 300 }, map[string]int{}},
		{"many time servers", func(l *Lease) { l.NTP = servers(100) }, nil, 548,
			func(r *dhcpv4.DHCPv4) bool { return len(r.NTPServers()) > 30 && len(r.DNS()) == 1 }, nil},
		{"many name servers", func(l *Lease) { l.DNS = servers(100) }, nil, 548,
			func(r *dhcpv4.DHCPv4) bool { return len(r.DNS()) > 30 && r.Router() != nil }, nil},
		{"a boot file of a URL's length", func(l *Lease) { l.BootFile = "http://" + strings.Repeat("b", 400) }, nil, 548,
			func(r *dhcpv4.DHCPv4) bool { return r.BootFileName == "" && r.BootFileNameOption() == "" }, map[string]int{"boot": 1}},
		{"a client that says too little", func(l *Lease) { l.Search = pods }, []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(100))}, 548,
			func(r *dhcpv4.DHCPv4) bool { return len(r.DomainSearch().Labels) == 3 }, map[string]int{}},
		{"a client with a long name", func(*Lease) {}, []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientIdentifier, make([]byte, 600)))}, 548,
			func(r *dhcpv4.DHCPv4) bool { return r.Router() != nil && len(r.DNS()) == 1 }, map[string]int{}},
		{"a link of jumbo frames", func(l *Lease) { l.MTU, l.Search = 9000, names(28, 66, "example.com") }, []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(9000))}, 8972,
			func(r *dhcpv4.DHCPv4) bool { return len(r.DomainSearch().Labels) == 28 }, map[string]int{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := lease()
			if tc.change(&l); tc.most == 1472 {
				l.MTU = 1500
			}
			for _, kind := range []dhcpv4.MessageType{dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest} {
				r, leftOut, err := l.reply(message(t, kind, tc.asks...))
				if err != nil {
					t.Fatal(err)
				}
				raw := r.ToBytes()
				if len(raw) > tc.most {
					t.Errorf("answer of %d bytes, the client takes %d", len(raw), tc.most)
				}
				heard, err := dhcpv4.FromBytes(raw)
				if err != nil {
					t.Fatal(err)
				}
				if heard.YourIPAddr.String() != "10.0.2.2" || !tc.want(heard) {
					t.Errorf("got %s", heard.Summary())
				}
				left := map[string]int{}
				for _, what := range leftOut {
					left[strings.Fields(what)[0]]++
				}
				if diff := cmp.Diff(tc.left, left); tc.left != nil && diff != "" {
					t.Errorf("left out %q: %s", leftOut, diff)
				}
				if tc.left == nil && len(leftOut) == 0 {
					t.Error("nothing is said to be left out")
				}
			}
		})
	}
}

func TestSearchListIsCompressed(t *testing.T) {
	var s searchList
	all := []string{"ns.svc.cluster.local", "svc.cluster.local", "a.svc.cluster.local", "b.a.svc.cluster.local", "svc.cluster.local", "other"}
	for _, name := range all {
		var ok bool
		if s, ok = s.with(name); !ok {
			t.Errorf("%s was refused", name)
		}
	}
	want := "\x02ns\x03svc\x07cluster\x05local\x00" + "\xc0\x03" + "\x01a\xc0\x03" + "\x01b\x01a\xc0\x03" + "\x05other\x00"
	if string(s.raw) != want {
		t.Errorf("got %q, want %q", s.raw, want)
	}
	for _, bad := range []string{"", ".", "a..b", strings.Repeat("x", 64) + ".com", strings.Repeat("abcdefg.", 32) + "com", "ä.com"} {
		if _, ok := s.with(bad); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestQuestionsFillNoLog is a guest that asks for its address and never takes it.
func TestQuestionsFillNoLog(t *testing.T) {
	var out bytes.Buffer
	p := &pipe{in: make(chan []byte), out: make(chan []byte, 1), end: make(chan struct{})}
	s := Serve(p, lease(), nil, slog.New(slog.NewTextHandler(&out, nil)))
	for range 50 {
		for _, m := range []*dhcpv4.DHCPv4{
			message(t, dhcpv4.MessageTypeDiscover),
			message(t, dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress([]byte{192, 168, 1, 5}))),
			message(t, dhcpv4.MessageTypeInform),
		} {
			p.in <- m.ToBytes()
			<-p.out
		}
	}
	p.in <- message(t, dhcpv4.MessageTypeRequest).ToBytes()
	<-p.out
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.Contains(out.String(), "Answered DHCP") {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
}
