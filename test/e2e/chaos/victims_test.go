package chaos

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/test/bench/pods"
	"github.com/virtplane/virtplane/test/cluster"
	"github.com/virtplane/virtplane/test/e2e/harness"
)

// backLimit is how long a killed program may take to be back. The kubelet waits longer with each crash of a container.
const backLimit = 6 * time.Minute

// site is where the tests do their harm.
type site struct {
	*harness.Cluster
	local *cluster.Cluster
	ns    string
}

func newSite(t *testing.T) *site {
	t.Helper()
	c := harness.Connect(t)
	local, err := cluster.New("", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return &site{Cluster: c, local: local, ns: c.Namespace(t)}
}

// victim is a program that is killed.
type victim struct {
	name string
	// kill sends SIGKILL to one running instance, if there is one, and says to which.
	kill func(ctx context.Context, s *site, r *rand.Rand) (string, error)
}

var victims = []victim{
	{"virt-api", system("virt-api", "virt-api")},
	{"store member", system("virt-store", "virt-api")},
	{"virt-controller", system("virt-controller", "virt-controller")},
	{"virt-handler", system("virt-handler", "virt-handler")},
	{"launcher", killLauncher},
	{"kubelet", service("kubelet")},
	{"containerd", service("containerd")},
}

// system kills a program in one of the system's own pods, which its label names.
func system(label, program string) func(context.Context, *site, *rand.Rand) (string, error) {
	return func(ctx context.Context, s *site, r *rand.Rand) (string, error) {
		return s.killIn(ctx, r, harness.SystemNamespace, label, func(args []string) bool { return filepath.Base(args[0]) == program })
	}
}

// killLauncher kills a launcher beside a guest; the pod's first process, which is the same program, has to start it again.
func killLauncher(ctx context.Context, s *site, r *rand.Rand) (string, error) {
	return s.killIn(ctx, r, s.ns, "virt-launcher", func(args []string) bool {
		return filepath.Base(args[0]) == "virt-launcher" && len(args) > 1 && args[1] == "run"
	})
}

// service kills a service of a node.
func service(name string) func(context.Context, *site, *rand.Rand) (string, error) {
	return func(ctx context.Context, s *site, r *rand.Rand) (string, error) {
		nodes, err := s.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "node-role.kubernetes.io/worker"})
		if err != nil {
			return "", err
		}
		node := nodes.Items[r.IntN(len(nodes.Items))].Name
		return name + " of " + node, s.local.Kill(node, name)
	}
}

// killIn kills a process of one of the pods with a label that run.
func (s *site) killIn(ctx context.Context, r *rand.Rand, namespace, label string, is func(args []string) bool) (string, error) {
	list, err := s.Kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "kubevirt.io=" + label})
	if err != nil {
		return "", err
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	r.Shuffle(len(list.Items), func(i, j int) { list.Items[i], list.Items[j] = list.Items[j], list.Items[i] })
	for _, pod := range list.Items {
		pids, err := processes(string(pod.UID), is)
		if err != nil {
			return "", err
		}
		if len(pids) > 0 {
			return fmt.Sprintf("%s (pid %d)", pod.Name, pids[0]), unix.Kill(pids[0], unix.SIGKILL)
		}
	}
	return "", fmt.Errorf("none of the %d pods with the label kubevirt.io=%s in namespace %s runs the program", len(list.Items), label, namespace)
}

// processes are those of a pod whose command line is as wanted.
func processes(podUID string, is func(args []string) bool) ([]int, error) {
	all, err := pods.Processes(podUID)
	if err != nil {
		return nil, err
	}
	var found []int
	for _, pid := range all {
		if args, err := pods.Command(pid); err == nil && is(args) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// waitWhole waits until all parts of the system are ready and all nodes are.
func (s *site) waitWhole(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return poll(ctx, "the system to be whole", func() error {
		nodes, err := s.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, n := range nodes.Items {
			if !slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
				return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
			}) {
				return fmt.Errorf("node %s is not ready", n.Name)
			}
		}
		list, err := s.Kube.CoreV1().Pods(harness.SystemNamespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, p := range list.Items {
			if !slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			}) {
				return fmt.Errorf("pod %s is not ready", p.Name)
			}
		}
		_, err = s.Virt.KubevirtV1().VirtualMachines(s.ns).List(ctx, metav1.ListOptions{Limit: 1})
		return err
	})
}

// poll asks until there is no error.
func poll(ctx context.Context, what string, ask func() error) error {
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, err)
		case <-time.After(300 * time.Millisecond):
		}
	}
}
