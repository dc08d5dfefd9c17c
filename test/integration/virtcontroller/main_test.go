// Package virtcontroller tests virt-controller on real API servers, with the rights that the manifests give it. No scheduler
// and no kubelet run: pods are made and stay as they are.
package virtcontroller

import (
	"context"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/virtplane/virtplane/cmd/virt-controller/app"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/test/integration/harness"
)

const (
	waitFor        = time.Minute
	metricsAddress = "127.0.0.1:18443"
)

// env is the one environment of the package.
var env struct {
	*harness.Host
	kube *kubernetes.Clientset
	virt *versioned.Clientset
	// warnings are those that the API has answered with.
	warnings warnings
}

func TestMain(m *testing.M) { harness.Main(m, start) }

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
	if env.kube, err = kubernetes.NewForConfig(h.Admin); err != nil {
		return stop, err
	}
	config := rest.CopyConfig(h.Admin)
	config.WarningHandlerWithContext = &env.warnings
	if env.virt, err = versioned.NewForConfig(config); err != nil {
		return stop, err
	}
	end, err := startController(ctx, h)
	if err != nil {
		return stop, err
	}
	servers := stop // the name is the result's, which is set below
	return func() { end(); servers() }, nil
}

// startController runs virt-controller in this process, with its own account's token.
func startController(ctx context.Context, h *harness.Host) (stop func(), err error) {
	if err := h.Install(ctx, "base/virt-controller"); err != nil {
		return nil, err
	}
	_, file, err := h.ServiceAccount(ctx, "kubevirt-controller", nil)
	if err != nil {
		return nil, err
	}
	if err := os.Setenv("KUBECONFIG", file); err != nil {
		return nil, err
	}
	o := app.NewOptions()
	o.Namespace, o.LauncherImage, o.MetricsAddr = harness.Namespace, "virtplane/virt-launcher:test", metricsAddress
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := app.Run(running, o, nil); err != nil && running.Err() == nil {
			panic("virt-controller: " + err.Error())
		}
	}()
	return func() { cancel(); <-done }, nil
}

func newNamespace(t *testing.T) string {
	t.Helper()
	ns, err := env.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Pods are made in the name of the namespace's account.
	await(t, "the namespace has its account", func() bool {
		_, err := env.kube.CoreV1().ServiceAccounts(ns.Name).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	return ns.Name
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(waitFor); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting until %s", what)
		}
	}
}
