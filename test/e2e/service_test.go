package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// TestRemoteDesktop reaches a guest's port 3389 by a port of a node, the way in which the manual has desktops of Windows
// reached. What listens there is a web server: a way through is a way for any protocol on TCP.
func TestRemoteDesktop(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns, elsewhere := c.Namespace(t), c.Namespace(t)
	nodes := c.Nodes(t)
	service, labelled := manual(t, "p2-10.8.2.4-service-rdp-nodeport"), manual(t, "p2-10.8.2.4-vm-rdp-service-label")
	inNamespace := func(manifest, ns string) string { return strings.ReplaceAll(manifest, "example-namespace", ns) }

	if out, err := c.TryKubectl(t, inNamespace(service, ns), "create", "-f", "-"); err == nil || !strings.Contains(out, "spec.ports[0].port") {
		t.Errorf("the Service as it is printed, without a port: %v\n%s", err, out)
	}
	whole := strings.Replace(service, "# port: 3389", "port: 3389", 1)
	for _, n := range []string{ns, elsewhere} {
		c.Kubectl(t, inNamespace(whole, n), "create", "-f", "-")
	}
	c.Apply(t, ns, strings.Replace(harness.Instance{Network: true, Ports: []int{80}}.VM("vm-ephemeral", "Always"), "runStrategy: Always", "running: true", 1))
	peer := c.Peer(t, ns, "desktop", nodes[0])
	first := c.WaitVMI(t, ns, "vm-ephemeral", "running", harness.BootLimit, harness.Running)
	lookInto(t, c, ns, "vm-ephemeral").run(t, "httpd -h /www -p 3389")
	if c.Connects(t, peer, c.LauncherPod(t, first).Status.PodIP, 3389) {
		t.Error("port 3389 is open though the machine's list of ports lacks it")
	}

	// The label, by the manual's manifest, which says nothing of the rest, for a machine that goes on running; and the port.
	c.Kubectl(t, strings.Replace(inNamespace(labelled, ns), "running: false", "running: true", 1), "patch", "vm", "vm-ephemeral", "-n", ns, "--type=merge", "--patch-file=/dev/stdin")
	c.Kubectl(t, "", "-n", ns, "patch", "vm", "vm-ephemeral", "--type=json", "-p",
		`[{"op":"add","path":"/spec/template/spec/domain/devices/interfaces/0/ports/-","value":{"port":3389}}]`)
	endpoints := func(namespace string) int {
		t.Helper()
		found, err := c.Kube.DiscoveryV1().EndpointSlices(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=rdpservice"})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range found.Items {
			n += len(s.Endpoints)
		}
		return n
	}
	time.Sleep(5 * time.Second)
	if n := endpoints(ns); n != 0 {
		t.Errorf("the machine that was not started anew is behind the Service: %d endpoints", n)
	}
	guest := again(t, c, ns, "vm-ephemeral")
	guest.run(t, "httpd -h /www -p 3389")
	eventually(t, "an endpoint of the Service", time.Minute, func() (string, bool) { return strconv.Itoa(endpoints(ns)), endpoints(ns) == 1 })
	vmi := c.WaitVMI(t, ns, "vm-ephemeral", "running", harness.BootLimit, harness.Running)
	if vmi.Labels["special"] != "key" {
		t.Errorf("the instance has labels %v", vmi.Labels)
	}
	if n := endpoints(elsewhere); n != 0 {
		t.Errorf("a Service in another namespace has %d endpoints", n)
	}

	t.Run("by a port of each node", func(t *testing.T) {
		made, err := c.Kube.CoreV1().Services(ns).Get(t.Context(), "rdpservice", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		port := int(made.Spec.Ports[0].NodePort)
		if got := c.Kubectl(t, "", "get", "service", "-n", ns); !strings.Contains(got, "NodePort") || !strings.Contains(got, "3389:"+strconv.Itoa(port)+"/TCP") {
			t.Errorf("kubectl get service prints\n%s", got)
		}
		for _, name := range nodes {
			node, err := c.Kube.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			address := ""
			for _, a := range node.Status.Addresses {
				if a.Type == corev1.NodeInternalIP {
					address = a.Address
				}
			}
			eventually(t, "port "+strconv.Itoa(port)+" of node "+name+" leads to the guest", time.Minute, func() (string, bool) {
				out, err := c.Fetch(t, peer, address, port, "/boot-id")
				return out, err == nil && strings.Contains(out, "200 OK")
			})
		}
		spec.Covers(t, "P2-RDP-06", "P2-RDP-07", "P2-RDP-08")
	})
	spec.Covers(t, "P2-RDP-01", "P2-RDP-02", "P2-RDP-03", "P2-RDP-04", "P2-RDP-05")
}
