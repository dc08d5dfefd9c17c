package dhcp

import (
	"bufio"
	"io"
	"net/netip"
	"strings"
)

// Resolver is how the pod resolves names.
type Resolver struct {
	Servers []netip.Addr
	Search  []string
}

// maxSearch is the number of search domains that are passed on: a pod has no more.
const maxSearch = 32

// ParseResolver reads a resolv.conf. What it does not understand it leaves out, as the C library does.
func ParseResolver(r io.Reader) (Resolver, error) {
	var out Resolver
	lines := bufio.NewScanner(io.LimitReader(r, 64<<10))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(words[1]); err == nil && !a.IsLoopback() {
				out.Servers = append(out.Servers, a.WithZone(""))
			}
		case "search", "domain":
			out.Search = nil // the last one counts
			for _, w := range words[1:] {
				if d := strings.Trim(w, "."); validDomain(d) && len(out.Search) < maxSearch {
					out.Search = append(out.Search, d)
				}
			}
		}
	}
	return out, lines.Err()
}

func validDomain(d string) bool {
	if d == "" || len(d) > 253 {
		return false
	}
	for _, label := range strings.Split(d, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
	}
	return true
}
