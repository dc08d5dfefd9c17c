package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/virtplane/virtplane/test/cluster/machine"
	"github.com/virtplane/virtplane/test/cluster/plan"
)

// nodesBridge is the switch between the machines. It stands in the control plane's network namespace, so the
// host gets no link of the cluster at all.
const nodesBridge = "nodes"

// connect gives the machines their links, addresses and routes.
func connect(ctx context.Context, control machine.Record, nodes []plan.Node, records []machine.Record) error {
	mask := plan.NodeCIDR[strings.IndexByte(plan.NodeCIDR, '/'):]
	commands := []netCommand{
		{control, "ip link set lo up"},
		{control, "ip link add " + nodesBridge + " type bridge"},
		{control, "ip addr add " + plan.ControlPlaneIP + mask + " dev " + nodesBridge},
		{control, "ip link set " + nodesBridge + " up"},
	}
	for i, n := range nodes {
		r := records[i]
		commands = append(commands,
			netCommand{control, "ip link add " + n.Name + " type veth peer name eth0 netns " + strconv.Itoa(r.PID)},
			netCommand{control, "ip link set " + n.Name + " master " + nodesBridge + " up"},
			// Aggregated API servers are called on their pods' addresses.
			netCommand{control, "ip route add " + n.PodCIDR + " via " + n.IP},
			netCommand{r, "ip link set lo up"},
			netCommand{r, "ip addr add " + n.IP + mask + " dev eth0"},
			netCommand{r, "ip link set eth0 up"},
			// Nothing is beyond it; but programs look for the route to find the node's address.
			netCommand{r, "ip route add default via " + plan.ControlPlaneIP},
			netCommand{r, "sysctl -q -w net.ipv4.ip_forward=1"},
		)
		for j, other := range nodes {
			if i != j {
				commands = append(commands, netCommand{r, "ip route add " + other.PodCIDR + " via " + other.IP})
			}
		}
	}
	for _, c := range commands {
		if out, err := machine.NetCommand(ctx, c.in, strings.Fields(c.line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("connecting machine %s: %s: %w: %s", c.in.Name, c.line, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

type netCommand struct {
	in   machine.Record
	line string
}
