package dhcp

import (
	"maps"
	"slices"
	"strings"
)

// pointer marks an offset that stands for the rest of a name, and farthest is the last one that can be told.
const (
	pointer  = 0xc0
	farthest = 0x3fff
)

// searchList is a list of domains as RFC 3397 writes it: what ends like an earlier name points to there.
type searchList struct {
	raw []byte
	// ends has the offsets of what follows a dot, or is a whole name. Only names that are written out are pointed to: some
	// clients follow no pointer that leads to another.
	ends map[string]int
	has  map[string]bool
}

// with gives the list with one more name, and false for what is no domain. A name that is there already changes nothing.
func (s searchList) with(name string) (searchList, bool) {
	switch {
	case !validDomain(name):
		return s, false
	case s.has[name]:
		return s, true
	}
	out := searchList{raw: slices.Clone(s.raw), ends: maps.Clone(s.ends), has: maps.Clone(s.has)}
	if out.has == nil {
		out.ends, out.has = map[string]int{}, map[string]bool{}
	}
	out.has[name] = true
	begins := map[string]int{}
	for rest := name; rest != ""; {
		if at, ok := s.ends[rest]; ok {
			out.raw = append(out.raw, pointer|byte(at>>8), byte(at))
			return out, true
		}
		if at := len(out.raw); at <= farthest {
			begins[rest] = at
		}
		var label string
		label, rest, _ = strings.Cut(rest, ".")
		out.raw = append(append(out.raw, byte(len(label))), label...)
	}
	out.raw = append(out.raw, 0)
	maps.Copy(out.ends, begins)
	return out, true
}
