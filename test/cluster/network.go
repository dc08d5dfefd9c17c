package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/virtplane/virtplane/test/cluster/machine"
	"github.com/virtplane/virtplane/test/cluster/plan"
)

// nodesBridge is the switch between the machines. It stands in the control plane's network namespace, so the
// host gets no link of the cluster at all.
const nodesBridge = "nodes"

// bridgeSettings appear with the kernel's br_netfilter.
const bridgeSettings = "/proc/sys/net/bridge"

// loadBridgeFilter sees to it that the kernel can show bridged packets to the packet filter, as Services need.
// Loading that module switches it on for the host's own bridges; it is switched off there again, and on for the
// nodes' bridges by networkCommands.
func loadBridgeFilter(ctx context.Context) error {
	if _, err := os.Stat(bridgeSettings); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "modprobe", "br_netfilter").CombinedOutput(); err != nil {
		return fmt.Errorf("loading the kernel's br_netfilter: %w: %s", err, strings.TrimSpace(string(out)))
	}
	for _, name := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"} {
		if err := os.WriteFile(filepath.Join(bridgeSettings, name), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("leaving the host's bridges as they were: %w", err)
		}
	}
	return nil
}

// connectTimeout bounds all of the few milliseconds' work of connect.
const connectTimeout = 30 * time.Second

// connect gives the machines their links, addresses and routes.
func connect(ctx context.Context, control machine.Record, nodes []plan.Node, records []machine.Record) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	byName := map[string]machine.Record{plan.ControlPlane: control}
	pids := make(map[string]int)
	for _, r := range records {
		byName[r.Name], pids[r.Name] = r, r.PID
	}
	for _, c := range networkCommands(nodes, pids) {
		out, err := machine.NetCommand(ctx, byName[c.machine], strings.Fields(c.line)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("connecting machine %s: %s: %w: %s", c.machine, c.line, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// netCommand is a command in the network namespace of a machine.
type netCommand struct{ machine, line string }

// networkCommands lists what connects the machines; pids are the host's numbers of the nodes' process 1.
func networkCommands(nodes []plan.Node, pids map[string]int) []netCommand {
	mask := plan.NodeCIDR[strings.IndexByte(plan.NodeCIDR, '/'):]
	commands := []netCommand{
		{plan.ControlPlane, "ip link set lo up"},
		{plan.ControlPlane, "ip link add " + nodesBridge + " type bridge"},
		{plan.ControlPlane, "ip addr add " + plan.ControlPlaneIP + mask + " dev " + nodesBridge},
		{plan.ControlPlane, "ip link set " + nodesBridge + " up"},
	}
	for i, n := range nodes {
		commands = append(commands,
			netCommand{plan.ControlPlane, "ip link add " + n.Name + " type veth peer name eth0 netns " + strconv.Itoa(pids[n.Name])},
			netCommand{plan.ControlPlane, "ip link set " + n.Name + " master " + nodesBridge + " up"},
			// Aggregated API servers are called on their pods' addresses.
			netCommand{plan.ControlPlane, "ip route add " + n.PodCIDR + " via " + n.IP},
			netCommand{n.Name, "ip link set lo up"},
			netCommand{n.Name, "ip addr add " + n.IP + mask + " dev eth0"},
			netCommand{n.Name, "ip link set eth0 up"},
			// Nothing is beyond it; but programs look for the route to find the node's address.
			netCommand{n.Name, "ip route add default via " + plan.ControlPlaneIP},
			netCommand{n.Name, "sysctl -q -w net.ipv4.ip_forward=1"},
			// Answers between two pods of a node must pass the rules of Services, too.
			netCommand{n.Name, "sysctl -q -w net.bridge.bridge-nf-call-iptables=1"},
		)
		for j, other := range nodes {
			if i != j {
				commands = append(commands, netCommand{n.Name, "ip route add " + other.PodCIDR + " via " + other.IP})
			}
		}
	}
	return commands
}
