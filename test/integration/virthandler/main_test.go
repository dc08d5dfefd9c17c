// Package virthandler tests the node agent on real API servers: that what it reads and writes is what virt-api serves and takes.
// Launchers, pods and their networks are played.
package virthandler

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/virtplane/virtplane/test/integration/harness"
)

const (
	account = "kubevirt-handler"
	waitFor = time.Minute
)

// env is the one environment of the package.
var env struct {
	*harness.Host
	api  *harness.VirtAPI
	kube *kubernetes.Clientset
	// agent is how the agent of node-1 reaches the cluster.
	agent *rest.Config
	// unbound has a token of the same account that is bound to no node.
	unbound *rest.Config
}

func TestMain(m *testing.M) {
	harness.Main(m, start)
}

func start(ctx context.Context, h *harness.Host) (stop func(), err error) {
	env.Host = h
	const port = 8443
	if err := h.Register(ctx, port); err != nil {
		return nil, err
	}
	_, storeFile, err := h.ServiceAccount(ctx, "virt-store", nil)
	if err != nil {
		return nil, err
	}
	api, err := h.StartVirtAPI("virt-api", port, "--etcd-servers="+harness.StoreURL)
	if err != nil {
		return nil, err
	}
	env.api = api
	store, err := h.StartStore(ctx, storeFile)
	if err != nil {
		return api.Stop, err
	}
	stop = func() { api.Stop(); store.Stop() }
	if err := api.WaitReady(waitFor); err != nil {
		return stop, err
	}
	if err := h.WaitAvailable(ctx, api, waitFor); err != nil {
		return stop, err
	}
	return stop, register(ctx, h)
}

// register applies the manifests of the accounts and makes two nodes, with an agent's pod on the first.
func register(ctx context.Context, h *harness.Host) error {
	if err := h.Install(ctx, "base/virt-handler", "base/virt-controller"); err != nil {
		return err
	}
	var err error
	if env.kube, err = kubernetes.NewForConfig(h.Admin); err != nil {
		return err
	}
	for _, name := range []string{"node-1", "node-2"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/os": "linux"}}}
		if node, err = env.kube.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return err
		}
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		if _, err := env.kube.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	if env.unbound, _, err = h.ServiceAccount(ctx, account, nil); err != nil {
		return err
	}
	pod, err := env.kube.CoreV1().Pods(harness.Namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "virt-handler-1"},
		Spec:       corev1.PodSpec{NodeName: "node-1", ServiceAccountName: account, Containers: []corev1.Container{{Name: "virt-handler", Image: "virt-handler"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	env.agent, _, err = h.ServiceAccount(ctx, account, pod)
	return err
}
