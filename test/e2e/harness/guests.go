package harness

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// BootLimit is how long a tiny guest may take from its creation to its shell, on a busy machine under emulation.
const BootLimit = 3 * time.Minute

// Instance is the spec of a tiny guest, as lines of YAML at the top of a VirtualMachineInstanceSpec; more adds volumes and
// disks.
type Instance struct {
	// Null says that nobody looks into the guest: it halts as soon as its firmware has started it, which takes next to no
	// time of a CPU. As it does not hear that it is to stop either, its grace period is 0.
	Null bool
	// Network says whether the guest is on the pod network.
	Network bool
	// Ports are the lines of the interface's ports list, none if empty.
	Ports []int
	// Disks and Volumes are further YAML list items, without indentation.
	Disks, Volumes string
	// NodeName pins the guest to a node.
	NodeName string
	// Labels are those of the pod.
	Labels map[string]string
	// GracePeriod is terminationGracePeriodSeconds.
	GracePeriod int
	// Extra are further lines of the spec, without indentation.
	Extra string
}

// Indent puts n spaces before each line that is not empty.
func Indent(n int, text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		if line != "" {
			b.WriteString(strings.Repeat(" ", n) + line + "\n")
		}
	}
	return b.String()
}

// Spec renders the instance spec.
func (i Instance) Spec() string {
	var b strings.Builder
	image := TinyImage
	if i.Null {
		image, i.GracePeriod = NullImage, 0
	}
	fmt.Fprintf(&b, "terminationGracePeriodSeconds: %d\n", i.GracePeriod)
	if i.NodeName != "" {
		fmt.Fprintf(&b, "nodeSelector: {kubernetes.io/hostname: %s}\n", i.NodeName)
	}
	b.WriteString(i.Extra)
	b.WriteString("domain:\n  memory: {guest: 128Mi}\n  devices:\n    autoattachGraphicsDevice: false\n")
	if i.Network {
		b.WriteString("    interfaces:\n    - name: default\n      masquerade: {}\n")
		if len(i.Ports) > 0 {
			b.WriteString("      ports:\n")
			for _, p := range i.Ports {
				fmt.Fprintf(&b, "      - {port: %d, protocol: TCP}\n", p)
			}
		}
	} else {
		b.WriteString("    autoattachPodInterface: false\n")
	}
	b.WriteString("    disks:\n    - name: root\n      disk: {bus: virtio}\n" + Indent(4, i.Disks))
	if i.Network {
		b.WriteString("networks:\n- name: default\n  pod: {}\n")
	}
	b.WriteString("volumes:\n- name: root\n  containerDisk: {image: " + image + "}\n" + Indent(0, i.Volumes))
	return b.String()
}

func (i Instance) labels(n int) string {
	var b strings.Builder
	for k, v := range i.Labels {
		fmt.Fprintf(&b, "%s: %q\n", k, v)
	}
	if b.Len() == 0 {
		return ""
	}
	return strings.Repeat(" ", n) + "labels:\n" + Indent(n+2, b.String())
}

// VM renders a VirtualMachine with a run strategy.
func (i Instance) VM(name, strategy string) string {
	return fmt.Sprintf("apiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {name: %s}\nspec:\n  runStrategy: %s\n  template:\n    metadata:\n%s%s    spec:\n%s",
		name, strategy, "      annotations: {virtplane.test/guest: tiny}\n", i.labels(6), Indent(6, i.Spec()))
}

// VMI renders a VirtualMachineInstance that nobody owns.
func (i Instance) VMI(name string) string {
	return fmt.Sprintf("apiVersion: kubevirt.io/v1\nkind: VirtualMachineInstance\nmetadata:\n  name: %s\n%sspec:\n%s", name, i.labels(2), Indent(2, i.Spec()))
}

// BootID reads the identity of a boot from the root shell of a guest's console.
func (c *Cluster) BootID(t testing.TB, namespace, name string) string {
	t.Helper()
	console := c.Console(t, namespace, name)
	Shell(t, console)
	return Run(t, console, "cat /proc/sys/kernel/random/boot_id")
}

// Peer is a pod that tests connect from, on a node of their choice; it has bash and no special rights.
func (c *Cluster) Peer(t testing.TB, namespace, name, node string) *corev1.Pod {
	t.Helper()
	pod, err := c.Kube.CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			NodeSelector:                  map[string]string{corev1.LabelHostname: node},
			TerminationGracePeriodSeconds: new(int64),
			Containers: []corev1.Container{{Name: "peer", Image: "registry.virtplane.local:5000/virtplane/virt-launcher:devel", ImagePullPolicy: corev1.PullIfNotPresent,
				Command: []string{"/bin/bash", "-c", "trap exit TERM; while :; do sleep 1 & wait; done"}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating pod %s: %v", name, err)
	}
	c.Kubectl(t, "", "-n", namespace, "wait", "--for=condition=Ready", "--timeout=90s", "pod/"+name)
	return pod
}

// Fetch gets an HTTP path from a peer pod with nothing but bash, and fails with what went wrong.
func (c *Cluster) Fetch(t testing.TB, peer *corev1.Pod, host string, port int, path string) (string, error) {
	t.Helper()
	script := fmt.Sprintf(`exec 3<>/dev/tcp/%s/%d && printf 'GET %s HTTP/1.0\r\n\r\n' >&3 && cat <&3`, host, port, path)
	return c.TryExec(t, peer.Namespace, peer.Name, "peer", "timeout", "30", "bash", "-c", script)
}

// Connects says whether a peer pod gets a TCP connection, whatever is said on it afterwards.
func (c *Cluster) Connects(t testing.TB, peer *corev1.Pod, host string, port int) bool {
	t.Helper()
	out, err := c.TryExec(t, peer.Namespace, peer.Name, "peer", "timeout", "10", "bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/%s/%d && echo connected", host, port))
	return err == nil && strings.Contains(out, "connected")
}

// Node names, in order.
func (c *Cluster) Nodes(t testing.TB) []string {
	t.Helper()
	nodes, err := c.Kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{LabelSelector: "node-role.kubernetes.io/worker"})
	if err != nil {
		t.Fatalf("listing nodes: %v", err)
	}
	var out []string
	for _, n := range nodes.Items {
		out = append(out, n.Name)
	}
	return out
}

// UID is the identity of an instance, empty if there is none.
func UID(vmi *virtv1.VirtualMachineInstance) string {
	if vmi == nil {
		return ""
	}
	return string(vmi.UID)
}
