package cluster

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/virtplane/virtplane/test/cluster/plan"
)

func TestMountsBelow(t *testing.T) {
	const mountinfo = `22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:5 / /src/.cluster/machines/a rw - tmpfs tmpfs rw
31 30 0:6 / /src/.cluster/machines/a/with\040space rw - tmpfs tmpfs rw
32 22 0:7 / /src/.cluster-other rw - tmpfs tmpfs rw
short line
`
	want := []string{"/src/.cluster/machines/a", "/src/.cluster/machines/a/with space"}
	if diff := cmp.Diff(want, mountsBelow(mountinfo, "/src/.cluster")); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
}

func TestNetworkCommands(t *testing.T) {
	nodes, err := plan.Nodes(2)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range networkCommands(nodes, map[string]int{"node-1": 41, "node-2": 42}) {
		got = append(got, c.machine+": "+c.line)
	}
	want := []string{
		"control-plane: ip link set lo up",
		"control-plane: ip link add nodes type bridge",
		"control-plane: ip addr add 172.20.0.1/24 dev nodes",
		"control-plane: ip link set nodes up",
		"control-plane: ip link add node-1 type veth peer name eth0 netns 41",
		"control-plane: ip link set node-1 master nodes up",
		"control-plane: ip route add 10.244.1.0/24 via 172.20.0.11",
		"node-1: ip link set lo up",
		"node-1: ip addr add 172.20.0.11/24 dev eth0",
		"node-1: ip link set eth0 up",
		"node-1: ip route add default via 172.20.0.1",
		"node-1: sysctl -q -w net.ipv4.ip_forward=1",
		"node-1: sysctl -q -w net.bridge.bridge-nf-call-iptables=1",
		"node-1: ip route add 10.244.2.0/24 via 172.20.0.12",
		"control-plane: ip link add node-2 type veth peer name eth0 netns 42",
		"control-plane: ip link set node-2 master nodes up",
		"control-plane: ip route add 10.244.2.0/24 via 172.20.0.12",
		"node-2: ip link set lo up",
		"node-2: ip addr add 172.20.0.12/24 dev eth0",
		"node-2: ip link set eth0 up",
		"node-2: ip route add default via 172.20.0.1",
		"node-2: sysctl -q -w net.ipv4.ip_forward=1",
		"node-2: sysctl -q -w net.bridge.bridge-nf-call-iptables=1",
		"node-2: ip route add 10.244.1.0/24 via 172.20.0.11",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestNotReady(t *testing.T) {
	node := func(conditions ...corev1.NodeCondition) *corev1.Node {
		return &corev1.Node{Status: corev1.NodeStatus{Conditions: conditions}}
	}
	for _, tc := range []struct {
		name string
		node *corev1.Node
		want string
	}{
		{"new", node(), "the kubelet has not reported its condition"},
		{"ready", node(corev1.NodeCondition{Type: "Ready", Status: "True", Message: "fine"}), ""},
		{"not ready", node(corev1.NodeCondition{Type: "Ready", Status: "False", Message: "no network"}), "no network"},
	} {
		if got := notReady(tc.node); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestNotRolledOut(t *testing.T) {
	two := int32(2)
	d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &two}}
	d.Generation = 1
	if got := notRolledOut(d); got != "0 of 2 pods are available" {
		t.Errorf("new: %q", got)
	}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, UpdatedReplicas: 2, AvailableReplicas: 1}
	if got := notRolledOut(d); got != "1 of 2 pods are available" {
		t.Errorf("half: %q", got)
	}
	d.Status.AvailableReplicas = 2
	if got := notRolledOut(d); got != "" {
		t.Errorf("done: %q", got)
	}
}

func TestPoll(t *testing.T) {
	broken := errors.New("broken")
	calls := 0
	err := poll(t.Context(), time.Minute, "x", func(context.Context) (string, error) {
		calls++
		if calls < 3 {
			return "not yet", nil
		}
		return "", nil
	})
	if err != nil || calls != 3 {
		t.Errorf("poll = %v after %d calls", err, calls)
	}
	err = poll(t.Context(), time.Minute, "x", func(context.Context) (string, error) { return "", broken })
	if !errors.Is(err, broken) {
		t.Errorf("poll = %v, want the check's error", err)
	}
	err = poll(t.Context(), 0, "the moon", func(context.Context) (string, error) { return "too far", nil })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "waiting for the moon") || !strings.Contains(err.Error(), "too far") {
		t.Errorf("poll = %v, want what was waited for and the last reason", err)
	}
}

func TestNewFindsCheckout(t *testing.T) {
	c, err := New("", os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if c.Dir != plan.Dir(filepath.Join(c.Checkout, ".cluster")) {
		t.Errorf("folder = %s of checkout %s", c.Dir, c.Checkout)
	}
	if _, err := os.Stat(filepath.Join(c.Cache.Programs, "kubernetes", "go.mod")); err != nil {
		t.Error(err)
	}
}

func TestSameFolderByAnotherWay(t *testing.T) {
	real := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	a, err := New(filepath.Join(real, "c"), os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(filepath.Join(link, "c"), os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if a.Dir.ID() != b.Dir.ID() {
		t.Errorf("%s and %s are two clusters", a.Dir, b.Dir)
	}
}

func TestCommandsNeedACluster(t *testing.T) {
	c := &Cluster{Dir: plan.Dir(t.TempDir())}
	for name, err := range map[string]error{
		"status": c.Status(t.Context()),
		"load":   c.LoadImage(t.Context(), "x.tar"),
		"kill":   c.Kill("node-1", "kubelet"),
	} {
		if !errors.Is(err, errNotUp) {
			t.Errorf("%s: %v, want the way to bring a cluster up", name, err)
		}
	}
	if err := c.writeState(state{Nodes: 1, Port: 2}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.running(); !errors.Is(err, errNotUp) || !strings.Contains(err.Error(), "control-plane has ended") {
		t.Errorf("state without machines: %v", err)
	}
	if _, err := c.readState(); err != nil || errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
