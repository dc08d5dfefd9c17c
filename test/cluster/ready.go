package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/virtplane/virtplane/test/cluster/addons"
	"github.com/virtplane/virtplane/test/cluster/machine"
	"github.com/virtplane/virtplane/test/cluster/node"
	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/cluster/progress"
)

// Deadlines of the waits. They are for a slow and busy machine.
const (
	serviceTimeout = time.Minute
	apiTimeout     = 2 * time.Minute
	nodeTimeout    = 3 * time.Minute
	podTimeout     = 3 * time.Minute
	pollEvery      = 200 * time.Millisecond
)

// poll calls check until it gives no reason to wait any longer. An error ends the wait at once.
func poll(ctx context.Context, timeout time.Duration, what string, check func(context.Context) (reason string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		reason, err := check(ctx)
		if err == nil && reason == "" {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w after %s: %s", what, ctx.Err(), timeout, reason)
		case <-time.After(pollEvery):
		}
	}
}

// waitService waits, inside the machine, until a service answers.
func (u *upRun) waitService(ctx context.Context, r machine.Record, service, target string, timeout time.Duration) error {
	cmd := machine.Command(ctx, r, "cluster", "wait-for", target, timeout.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		if !r.Alive() {
			return &progress.LogError{Err: fmt.Errorf("machine %s has ended", r.Name), Log: u.Dir.Log(r.Name, "machine")}
		}
		return &progress.LogError{
			Err: fmt.Errorf("waiting for %s on %s: %w: %s", service, r.Name, err, lastLine(string(out))),
			Log: u.Dir.Log(r.Name, service),
		}
	}
	return nil
}

func (u *upRun) waitEtcd(ctx context.Context) (string, error) {
	return "", u.waitService(ctx, u.control, "etcd", "tcp:127.0.0.1:2379", serviceTimeout)
}

func (u *upRun) waitAPI(ctx context.Context) (string, error) {
	return "", u.waitService(ctx, u.control, "kube-apiserver", plan.APIURL()+"/readyz", apiTimeout)
}

func (u *upRun) pushImages(ctx context.Context) (string, error) {
	registry := fmt.Sprintf("tcp:127.0.0.1:%d", plan.RegistryPort)
	if err := u.waitService(ctx, u.control, "registry", registry, serviceTimeout); err != nil {
		return "", err
	}
	for _, a := range u.archives {
		if _, err := push(ctx, u.control, a); err != nil {
			return "", &progress.LogError{Err: err, Log: u.Dir.Log(u.control.Name, "registry")}
		}
	}
	return "", nil
}

func (u *upRun) loadImages(ctx context.Context) (string, error) {
	records := map[string]machine.Record{plan.ControlPlane: u.control}
	for _, r := range u.records {
		if err := u.waitService(ctx, r, "containerd", "unix:"+node.Socket, serviceTimeout); err != nil {
			return "", err
		}
		records[r.Name] = r
	}
	for _, a := range u.archives {
		if _, err := u.load(ctx, records, a); err != nil {
			return "", &progress.LogError{Err: err, Log: u.Dir.Log(u.records[0].Name, "containerd")}
		}
	}
	return "", nil
}

// Client gives a client of the cluster.
func (c *Cluster) Client() (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Dir.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 100, 200
	return kubernetes.NewForConfig(config)
}

// registerNodes waits until each kubelet has made its node, and adds what a kubelet may not say of itself.
func (u *upRun) registerNodes(ctx context.Context) (string, error) {
	client, err := u.Client()
	if err != nil {
		return "", err
	}
	for i, n := range u.nodes {
		labels := `"node-role.kubernetes.io/worker":""`
		if i == 0 {
			labels += `,"node-role.kubernetes.io/control-plane":""`
		}
		patch := fmt.Sprintf(`{"metadata":{"labels":{%s}},"spec":{"podCIDR":%q,"podCIDRs":[%q]}}`, labels, n.PodCIDR, n.PodCIDR)
		err := poll(ctx, nodeTimeout, n.Name+" to register", func(ctx context.Context) (string, error) {
			_, err := client.CoreV1().Nodes().Patch(ctx, n.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
			if apierrors.IsNotFound(err) {
				return "the kubelet has not made its node", nil
			}
			return "", err
		})
		if err != nil {
			return "", &progress.LogError{Err: err, Log: u.Dir.Log(n.Name, "kubelet")}
		}
	}
	return "", nil
}

func (u *upRun) waitNodes(ctx context.Context) (string, error) {
	client, err := u.Client()
	if err != nil {
		return "", err
	}
	for _, n := range u.nodes {
		err := poll(ctx, nodeTimeout, n.Name+" to be ready", func(ctx context.Context) (string, error) {
			got, err := client.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
			if err != nil {
				return "", err
			}
			return notReady(got), nil
		})
		if err != nil {
			return "", &progress.LogError{Err: err, Log: u.Dir.Log(n.Name, "kubelet")}
		}
	}
	return u.storeNote()
}

// storeNote says so when the nodes could not make their disks.
func (u *upRun) storeNote() (string, error) {
	for _, r := range u.records {
		mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mounts", r.PID))
		if err != nil {
			return "", err
		}
		if !strings.Contains(string(mounts), " "+node.StoreDir+" ") {
			return fmt.Sprintf("%s is a plain folder without reflinks, see %s", node.StoreDir, u.Dir.Log(r.Name, "machine")), nil
		}
	}
	return "", nil
}

// notReady says why a node is not ready, or nothing.
func notReady(n *corev1.Node) string {
	for _, c := range n.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		if c.Status == corev1.ConditionTrue {
			return ""
		}
		return c.Message
	}
	return "the kubelet has not reported its condition"
}

func (u *upRun) installDNS(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(u.Dir.Bin(), "kubectl"), "--kubeconfig", u.Dir.Kubeconfig(),
		"apply", "--server-side", "--filename", "-")
	cmd.Stdin = strings.NewReader(addons.CoreDNS())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl apply: %w: %s", err, lastLine(stderr.String()))
	}
	return "", nil
}

func (u *upRun) waitDNS(ctx context.Context) (string, error) {
	client, err := u.Client()
	if err != nil {
		return "", err
	}
	err = poll(ctx, podTimeout, "CoreDNS", func(ctx context.Context) (string, error) {
		d, err := client.AppsV1().Deployments(metav1.NamespaceSystem).Get(ctx, "coredns", metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		return notRolledOut(d), nil
	})
	if err != nil {
		return "", &progress.LogError{Err: errors.Join(err, u.podProblems(ctx)), Log: u.Dir.Log(u.nodes[0].Name, "kubelet")}
	}
	return "", nil
}

func notRolledOut(d *appsv1.Deployment) string {
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	s := d.Status
	if s.ObservedGeneration < d.Generation || s.UpdatedReplicas < want || s.AvailableReplicas < want {
		return fmt.Sprintf("%d of %d pods are available", s.AvailableReplicas, want)
	}
	return ""
}

// podProblems tells what the system's pods wait for.
func (u *upRun) podProblems(ctx context.Context) error {
	client, err := u.Client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	events, err := client.CoreV1().Events(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		return err
	}
	var problems error
	for _, e := range events.Items {
		problems = errors.Join(problems, fmt.Errorf("%s: %s: %s", e.InvolvedObject.Name, e.Reason, e.Message))
	}
	return problems
}
