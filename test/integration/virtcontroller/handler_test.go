package virtcontroller

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubelet "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"

	"github.com/virtplane/virtplane/cmd/virt-handler/app"
	"github.com/virtplane/virtplane/test/integration/harness"
)

const handlerAccount = "kubevirt-handler"

// registrations plays the kubelet's part towards device plugins.
type registrations struct {
	kubelet.UnimplementedRegistrationServer
	came chan *kubelet.RegisterRequest
}

func (r *registrations) Register(_ context.Context, request *kubelet.RegisterRequest) (*kubelet.Empty, error) {
	r.came <- request
	return &kubelet.Empty{}, nil
}

// playKubelet listens for device plugins in a folder of its own.
func playKubelet(t *testing.T) (dir string, came <-chan *kubelet.RegisterRequest) {
	t.Helper()
	dir, err := os.MkdirTemp("", "dp") // short: a socket's path holds 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	played := &registrations{came: make(chan *kubelet.RegisterRequest, 64)}
	listener, err := net.Listen("unix", filepath.Join(dir, "kubelet.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	kubelet.RegisterRegistrationServer(server, played)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return dir, played.came
}

// awaitDevices waits until the plugin of a resource offers some.
func awaitDevices(t *testing.T, dir string, came <-chan *kubelet.RegisterRequest, resource string) []*kubelet.Device {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitFor)
	defer cancel()
	for {
		select {
		case r := <-came:
			if r.ResourceName != resource {
				continue
			}
			conn, err := grpc.NewClient("unix://"+filepath.Join(dir, r.Endpoint), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			stream, err := kubelet.NewDevicePluginClient(conn).ListAndWatch(ctx, &kubelet.Empty{})
			if err != nil {
				t.Fatal(err)
			}
			for {
				list, err := stream.Recv()
				if err != nil {
					t.Fatalf("waiting for devices of %s: %v", resource, err)
				}
				if len(list.Devices) > 0 {
					return list.Devices
				}
			}
		case <-ctx.Done():
			t.Fatalf("waiting for the plugin of %s", resource)
		}
	}
}

// startHandler runs virt-handler of a new node in this process, with a token that is bound to a pod there and with its own
// flags' defaults but for where things are. It can run once: its metrics are the process's.
func startHandler(t *testing.T, name string, change func(*app.Options)) {
	t.Helper()
	ctx := t.Context()
	if err := env.Install(ctx, "base/virt-handler"); err != nil {
		t.Fatal(err)
	}
	node, err := env.kube.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64", corev1.LabelHostname: name}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.kube.CoreV1().Nodes().Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	if _, err := env.kube.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod, err := env.kube.CoreV1().Pods(harness.Namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "virt-handler-" + name},
		Spec:       corev1.PodSpec{NodeName: name, ServiceAccountName: handlerAccount, Containers: []corev1.Container{{Name: "virt-handler", Image: "virt-handler"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, file, err := env.ServiceAccount(ctx, handlerAccount, pod)
	if err != nil {
		t.Fatal(err)
	}
	o := app.NewOptions()
	o.Node, o.Namespace, o.Kubeconfig, o.PodsDir = name, harness.Namespace, file, t.TempDir()
	o.ListenAddress, o.MetricsAddress = "127.0.0.1:0", "127.0.0.1:0"
	change(o)
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- app.Run(running, o, nil) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("virt-handler: %v", err)
			}
		case <-time.After(waitFor):
			t.Error("virt-handler has not ended in time")
		}
	})
}
