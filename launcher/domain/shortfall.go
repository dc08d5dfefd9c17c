package domain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/virtplane/virtplane/launcher/api"
)

// settling holds back what a guest can make change as often as it likes.
type settling struct {
	at      time.Time
	leftOut []string
	told    time.Time
	// waits says that this is told when the time has come.
	waits bool
}

// leased keeps that the guest took the address of an interface, and what of the lease found no room in the answer.
func (d *Domain) leased(name string, at time.Time, leftOut []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.settling[name]
	if s == nil {
		s = &settling{}
		d.settling[name] = s
	}
	if s.at, s.leftOut = at, leftOut; s.waits {
		return
	}
	if wait := d.Times.Settle - time.Since(s.told); wait > 0 {
		s.waits = true
		time.AfterFunc(wait, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			s.waits = false
			d.tellLease(name, s)
		})
		return
	}
	d.tellLease(name, s)
}

// tellLease publishes what is known of an interface's lease; mu is held.
func (d *Domain) tellLease(name string, s *settling) {
	s.told = time.Now()
	d.leases[name] = s.at
	if !slices.Equal(d.rec.LeftOut[name], s.leftOut) {
		all := maps.Clone(d.rec.LeftOut)
		if all == nil {
			all = map[string][]string{}
		}
		if all[name] = s.leftOut; len(s.leftOut) == 0 {
			delete(all, name)
		}
		d.rec.LeftOut = all
		d.save()
	}
	d.publish()
}

// shortfalls lists what the guest runs without; mu is held.
func (d *Domain) shortfalls() []*api.Shortfall {
	var out []*api.Shortfall
	if names := slices.Sorted(maps.Keys(d.rec.LeftOut)); len(names) > 0 {
		var parts []string
		for _, name := range names {
			parts = append(parts, fmt.Sprintf("interface %s: the answer to the guest's DHCP request has no room for %s", name, listed(d.rec.LeftOut[name])))
		}
		out = append(out, &api.Shortfall{Reason: api.ReasonDHCPOptionsLeftOut, Message: strings.Join(parts, "; ")})
	}
	if g := d.rec.Guest; g != nil && len(g.Warnings) > 0 {
		out = append(out, &api.Shortfall{Reason: api.ReasonFieldsWithoutEffect, Message: strings.Join(g.Warnings, "; ")})
	}
	return out
}

// mostListed bounds how many things a message names.
const mostListed = 8

func listed(all []string) string {
	if more := len(all) - mostListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:mostListed], ", "), more)
	}
	return strings.Join(all, ", ")
}
