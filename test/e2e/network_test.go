package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// TestPodNetwork puts a guest on the pod network by masquerade and speaks to it from both nodes, by its pod's address and
// by a Service, and lets it speak to others by name.
func TestPodNetwork(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	nodes := c.Nodes(t)
	if len(nodes) < 2 {
		t.Fatalf("the cluster has %d nodes, this test needs 2", len(nodes))
	}
	c.Apply(t, ns, harness.Instance{Network: true, NodeName: nodes[0], Labels: map[string]string{"app": "web"}}.VMI("web"))
	c.Apply(t, ns, harness.Instance{Network: true, NodeName: nodes[1], Ports: []int{80}}.VMI("closed"))
	c.Apply(t, ns, `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 8080, targetPort: 80}]
`)
	peers := map[string]string{"same": nodes[0], "other": nodes[1]}
	same := c.Peer(t, ns, "same", peers["same"])
	other := c.Peer(t, ns, "other", peers["other"])
	web := c.WaitVMI(t, ns, "web", "running", harness.BootLimit, harness.Running)
	closed := c.WaitVMI(t, ns, "closed", "running", harness.BootLimit, harness.Running)
	console := c.Console(t, ns, "web")
	harness.Shell(t, console)
	closedConsole := c.Console(t, ns, "closed")
	harness.Shell(t, closedConsole)

	t.Run("the guest has its lease", func(t *testing.T) {
		out := harness.Run(t, console, "ip -4 addr show eth0; ip route; cat /etc/resolv.conf; hostname; ls /sys/class/net")
		for _, want := range []string{"10.0.2.2/24", "default via 10.0.2.1", "nameserver", ns + ".svc.cluster.local", "web"} {
			if !strings.Contains(out, want) {
				t.Errorf("the guest lacks %q:\n%s", want, out)
			}
		}
		if strings.Contains(out, "eth1") {
			t.Errorf("more than one NIC:\n%s", out)
		}
		if got := harness.Run(t, console, "cat /sys/class/net/eth0/device/../vendor /sys/class/net/eth0/device/../device"); got != "0x1af4\n0x1000" && got != "0x1af4\n0x1041" {
			t.Errorf("the guest's card is %q", got)
		}
		const address = "cat /sys/class/net/eth0/address"
		own, others := harness.Run(t, console, address), harness.Run(t, closedConsole, address)
		if !regexp.MustCompile(`^[0-9a-f][26ae](:[0-9a-f]{2}){5}$`).MatchString(own) || own == others || own != web.Status.Interfaces[0].MAC {
			t.Errorf("nobody has said which MAC addresses: the guests have %q and %q, the status says %q", own, others, web.Status.Interfaces[0].MAC)
		}
		spec.Covers(t, "P3-NETPOD-01", "P3-NETPOD-04", "P3-NETPOD-11", "P2-VIRTIOWIN-12", "P2-PXE-08")
	})
	t.Run("status shows the pod's address", func(t *testing.T) {
		pod := c.LauncherPod(t, web)
		if len(web.Status.Interfaces) != 1 || web.Status.Interfaces[0].IPAddress != pod.Status.PodIP {
			t.Errorf("interfaces %+v, pod has %s", web.Status.Interfaces, pod.Status.PodIP)
		}
	})
	ip := c.LauncherPod(t, web).Status.PodIP
	t.Run("reachable", func(t *testing.T) {
		for _, from := range []struct {
			name, host string
			port       int
		}{{"by address", ip, 80}, {"by service", "web", 8080}} {
			for _, peer := range []string{"same", "other"} {
				p := same
				if peer == "other" {
					p = other
				}
				out, err := c.Fetch(t, p, from.host, from.port, "/boot-id")
				if err != nil || !strings.Contains(out, "200 OK") {
					t.Errorf("%s from the %s node: %v\n%s", from.name, peer, err, out)
				}
			}
		}
		spec.Covers(t, "P3-NETPOD-03", "P3-NETPOD-06")
	})
	t.Run("only listed ports", func(t *testing.T) {
		ip := c.LauncherPod(t, closed).Status.PodIP
		if out, err := c.Fetch(t, other, ip, 80, "/boot-id"); err != nil || !strings.Contains(out, "200 OK") {
			t.Errorf("listed port: %v\n%s", err, out)
		}
		if c.Connects(t, other, ip, 7777) {
			t.Error("port 7777 is open though it is not listed")
		}
		if !c.Connects(t, other, c.LauncherPod(t, web).Status.PodIP, 7777) {
			t.Error("port 7777 of a guest that lists no ports is closed")
		}
		spec.Covers(t, "P3-NETPOD-07")
	})
	t.Run("reserved ports", func(t *testing.T) {
		harness.Run(t, console, "for p in 49151 49152 49153 49154; do (nc -ll -p $p -e cat >/dev/null 2>&1 &); done; sleep 1")
		for port, want := range map[int]bool{49151: true, 49152: false, 49153: false, 49154: true} {
			if got := c.Connects(t, other, ip, port); got != want {
				t.Errorf("port %d reaches the guest: %v, want %v", port, got, want)
			}
		}
		spec.Covers(t, "P3-NETPOD-08")
	})
	t.Run("reaches out by name behind the pod's address", func(t *testing.T) {
		out := harness.Run(t, console, "nslookup kubernetes.default.svc.cluster.local")
		if !strings.Contains(out, "kubernetes.default.svc.cluster.local") {
			t.Errorf("the guest resolves no name:\n%s", out)
		}
		closedIP := c.LauncherPod(t, closed).Status.PodIP
		if got := harness.Run(t, console, fmt.Sprintf(`printf 'GET /boot-id HTTP/1.0\r\n\r\n' | nc -w 60 %s 80`, closedIP)); !strings.Contains(got, "200 OK") {
			t.Errorf("fetched %q from the other guest", got)
		}
	})
	t.Run("others see the pod behind a bridge", func(t *testing.T) {
		// The connection stays open while the other guest looks at who is there.
		harness.Run(t, console, fmt.Sprintf("(sleep 60 | nc %s 80 >/dev/null 2>&1 &); sleep 1", c.LauncherPod(t, closed).Status.PodIP))
		if out := harness.Run(t, closedConsole, "netstat -tn"); !strings.Contains(out, ip) {
			t.Errorf("the other guest does not see %s:\n%s", ip, out)
		}
		out := c.Exec(t, ns, c.LauncherPod(t, web).Name, "compute", "ip", "-br", "link")
		if !strings.Contains(out, "k6t-eth0") || !strings.Contains(out, "tap0") {
			t.Errorf("links:\n%s", out)
		}
		spec.Covers(t, "P3-NETPOD-02")
	})
}
