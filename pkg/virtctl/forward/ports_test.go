package forward

import (
	"math"
	"testing"
)

func TestParsePort(t *testing.T) {
	for _, tc := range []struct {
		text string
		max  uint32
		want forwarded
		err  string
	}{
		{"8080", maxPort, forwarded{tcp, 8080, 8080}, ""},
		{"8080:80", maxPort, forwarded{tcp, 8080, 80}, ""},
		{"udp/5353:53", maxPort, forwarded{udp, 5353, 53}, ""},
		{"TCP/:22", maxPort, forwarded{tcp, 0, 22}, ""},
		{"0:22", maxPort, forwarded{tcp, 0, 22}, ""},
		{"100000", math.MaxUint32, forwarded{tcp, 0, 100000}, ""},
		{"8000:100000", math.MaxUint32, forwarded{tcp, 8000, 100000}, ""},
		{"0", maxPort, forwarded{}, `port "0": "0" is no port from 1 to 65535; say [PROTOCOL/]LOCAL[:REMOTE]`},
		{"80:", maxPort, forwarded{}, `port "80:": "" is no port from 1 to 65535; say [PROTOCOL/]LOCAL[:REMOTE]`},
		{"70000:80", maxPort, forwarded{}, `port "70000:80": "70000" is no local port from 0 to 65535; say [PROTOCOL/]LOCAL[:REMOTE]`},
		{"sctp/80", maxPort, forwarded{}, `port "sctp/80": the protocol must be tcp or udp, not "sctp"`},
		{"http", maxPort, forwarded{}, `port "http": "http" is no port from 1 to 65535; say [PROTOCOL/]LOCAL[:REMOTE]`},
	} {
		got, err := parsePort(tc.text, tc.max)
		if tc.err != "" {
			if err == nil || err.Error() != tc.err {
				t.Errorf("%q: error %v, want %s", tc.text, err, tc.err)
			}
			continue
		}
		if err != nil || got != tc.want {
			t.Errorf("%q: %+v, %v; want %+v", tc.text, got, err, tc.want)
		}
	}
}

func FuzzParsePort(f *testing.F) {
	for _, s := range []string{"80", "udp/1:2", ":1", "1:", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := parsePort(s, maxPort); err == nil && (p.local > maxPort || p.remote < 1 || p.remote > maxPort) {
			t.Errorf("%q gives %+v", s, p)
		}
	})
}
