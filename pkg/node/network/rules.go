package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sigs.k8s.io/knftables"
)

// Table is the one nftables table (family inet) of this package.
const Table = "virtplane"

// The chains of the table.
const (
	chainGuard       = "guard"
	chainPrerouting  = "prerouting"
	chainInput       = "input"
	chainOutput      = "output"
	chainInbound     = "inbound"
	chainForward     = "forward"
	chainPostrouting = "postrouting"

	setPod4 = "pod4"
	setPod6 = "pod6"
)

type chain struct {
	name     string
	kind     knftables.BaseChainType
	hook     knftables.BaseChainHook
	priority knftables.BaseChainPriority
	rules    []string
}

// chains computes the rules. Reserved ports are matched on new connections only: a connection that the guest opened may
// have been given such a port as its source, and its answers must come back.
func chains(plan *Plan, ipv6 bool) []chain {
	var (
		reserved = fmt.Sprintf("meta l4proto { tcp, udp } th dport { %s }", joinPorts(ReservedPorts))
		up       = fmt.Sprintf("%q", Uplink)
		bridge   = fmt.Sprintf("%q", Bridge)
		guest4   = plan.Guest4.Addr().String()
		gateway4 = plan.Gateway4.Addr().String()
		guest6   = plan.Guest6.Addr().String()
	)
	guard := []string{
		"iifname " + up + " ct state != { established, related } " + reserved + " drop",
		// route_localnet, which answers to 127.0.0.1 need, must not open the pod's loopback services to the guest.
		"iifname " + bridge + " ip daddr 127.0.0.0/8 drop",
	}
	prerouting := []string{
		"iifname { " + up + ", " + bridge + " } ip daddr @" + setPod4 + " goto " + chainInbound,
	}
	// The guest is a stranger to the pod: it gets its address there and may ping, no more.
	input := []string{
		"iifname != " + bridge + " accept",
		"ct state { established, related } accept",
		"meta l4proto { 1, 58 } accept", // ICMP and ICMPv6, by number: nft looks names up in a file that images lack
		"udp dport { 67, 547 } accept",
		"drop",
	}
	// Probes and port-forwards begin inside the pod, on its own address or on 127.0.0.1.
	output := []string{
		"ip daddr @" + setPod4 + " goto " + chainInbound,
		"ip daddr 127.0.0.0/8 goto " + chainInbound,
	}
	forward := []string{
		"ct state { established, related } accept",
		"iifname " + bridge + " oifname " + up + " ip saddr " + guest4 + " accept",
	}
	postrouting := []string{
		"oifname " + up + " ip saddr " + guest4 + " masquerade",
		"oifname " + bridge + " ip saddr { 127.0.0.0/8, " + guest4 + " } snat ip to " + gateway4,
	}
	if ipv6 {
		prerouting = append(prerouting, "iifname { "+up+", "+bridge+" } ip6 daddr @"+setPod6+" goto "+chainInbound)
		output = append(output, "ip6 daddr @"+setPod6+" goto "+chainInbound)
		forward = append(forward, "iifname "+bridge+" oifname "+up+" ip6 saddr "+guest6+" accept")
		postrouting = append(postrouting,
			"oifname "+up+" ip6 saddr "+guest6+" masquerade",
			"oifname "+bridge+" ip6 saddr "+guest6+" snat ip6 to "+plan.Gateway6.Addr().String())
	}
	forward = append(forward,
		"oifname "+bridge+" ct status dnat accept",
		"iifname "+bridge+" drop",
		"oifname "+bridge+" drop")
	return []chain{
		{chainGuard, knftables.FilterType, knftables.PreroutingHook, knftables.ManglePriority, guard},
		{chainInbound, "", "", "", inbound(plan, ipv6, reserved)},
		{chainPrerouting, knftables.NATType, knftables.PreroutingHook, knftables.DNATPriority, prerouting},
		{chainInput, knftables.FilterType, knftables.InputHook, knftables.FilterPriority, input},
		{chainOutput, knftables.NATType, knftables.OutputHook, knftables.DNATPriority, output},
		{chainForward, knftables.FilterType, knftables.ForwardHook, knftables.FilterPriority, forward},
		{chainPostrouting, knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority, postrouting},
	}
}

// inbound gives to the guest what was sent to the pod's address.
func inbound(plan *Plan, ipv6 bool, reserved string) []string {
	rules := []string{reserved + " return"}
	targets := []string{"meta nfproto ipv4 %sdnat ip to " + plan.Guest4.Addr().String()}
	if ipv6 {
		targets = append(targets, "meta nfproto ipv6 %sdnat ip6 to "+plan.Guest6.Addr().String())
	}
	matches := []string{""}
	if len(plan.Ports) > 0 {
		matches = nil
		for _, protocol := range []string{"tcp", "udp"} {
			if ports := portSet(plan.Ports, protocol); ports != "" {
				matches = append(matches, protocol+" dport { "+ports+" } ")
			}
		}
	}
	for _, target := range targets {
		for _, match := range matches {
			rules = append(rules, fmt.Sprintf(target, match))
		}
	}
	return rules
}

// portSet writes the ranges of one protocol as elements of a set, merged: nft refuses elements that overlap.
func portSet(open []PortRange, protocol string) string {
	var ranges []PortRange
	for _, r := range open {
		if r.Protocol == protocol {
			ranges = append(ranges, r)
		}
	}
	slices.SortFunc(ranges, func(a, b PortRange) int { return int(a.First) - int(b.First) })
	var merged []PortRange
	for _, r := range ranges {
		if n := len(merged); n > 0 && int(r.First) <= int(merged[n-1].Last)+1 {
			merged[n-1].Last = max(merged[n-1].Last, r.Last)
			continue
		}
		merged = append(merged, r)
	}
	var texts []string
	for _, r := range merged {
		if r.First == r.Last {
			texts = append(texts, fmt.Sprint(r.First))
			continue
		}
		texts = append(texts, fmt.Sprintf("%d-%d", r.First, r.Last))
	}
	return strings.Join(texts, ", ")
}

func joinPorts(ports []uint16) string {
	var texts []string
	for _, p := range ports {
		texts = append(texts, fmt.Sprint(p))
	}
	return strings.Join(texts, ", ")
}

// fill makes the table what chains says, in one transaction. Chains are emptied and filled, not removed: connections
// that are being translated go on.
func fill(tx *knftables.Transaction, plan *Plan, pod []netip.Addr) {
	ipv6 := slices.ContainsFunc(pod, netip.Addr.Is6)
	tx.Add(&knftables.Table{})
	for name, kind := range map[string]string{setPod4: "ipv4_addr", setPod6: "ipv6_addr"} {
		tx.Add(&knftables.Set{Name: name, Type: kind})
		tx.Flush(&knftables.Set{Name: name})
	}
	for _, addr := range pod {
		set := setPod4
		if addr.Is6() {
			set = setPod6
		}
		tx.Add(&knftables.Element{Set: set, Key: []string{addr.String()}})
	}
	all := chains(plan, ipv6)
	for _, c := range all {
		object := &knftables.Chain{Name: c.name}
		if c.hook != "" {
			object.Type, object.Hook, object.Priority = &c.kind, &c.hook, &c.priority
		}
		tx.Add(object)
		tx.Flush(&knftables.Chain{Name: c.name})
	}
	for _, c := range all {
		for _, rule := range c.rules {
			tx.Add(&knftables.Rule{Chain: c.name, Rule: rule})
		}
	}
}
