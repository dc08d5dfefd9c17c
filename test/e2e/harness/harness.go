// Package harness is what the end-to-end tests share: clients of the local cluster, a namespace for each test that is
// taken away again, waits that say what they wait for, and the state of the cluster when a test fails. It holds no test.
package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/test/cluster"
	"github.com/virtplane/virtplane/test/e2e/harness/contract"
	"github.com/virtplane/virtplane/test/guest/serial"
	"github.com/virtplane/virtplane/test/wire"
)

// Images of the guests, as make images builds and loads them.
const (
	// TinyGenericImage has a kernel with drivers for emulated hardware, TinySignedImage one that Secure Boot takes, TinyAgentImage
	// the guest agent; TinyKernelImage holds a kernel and its initrd alone. NullImage halts at once and ignores the power button.
	TinyGenericImage = "registry.virtplane.local:5000/virtplane/guest-tiny-generic:devel"
	TinyKernelImage  = "registry.virtplane.local:5000/virtplane/guest-tiny-kernel:devel"
	TinyImage        = "registry.virtplane.local:5000/virtplane/guest-tiny:devel"
	TinySignedImage  = "registry.virtplane.local:5000/virtplane/guest-tiny-signed:devel"
	TinyAgentImage   = "registry.virtplane.local:5000/virtplane/guest-tiny-agent:devel"
	NullImage        = "registry.virtplane.local:5000/virtplane/guest-null:devel"
	DebianImage      = "registry.virtplane.local:5000/virtplane/guest-debian:devel"
	KernelImage      = "registry.virtplane.local:5000/virtplane/guest-tiny-kernel:devel"
	// SystemNamespace is where the local cluster has Virtplane installed.
	SystemNamespace = "kubevirt"
)

// Cluster is the local cluster, seen by an administrator.
type Cluster struct {
	Config *rest.Config
	Kube   kubernetes.Interface
	Virt   versioned.Interface
	Wire   *wire.Client

	boots boots
}

// Connect connects to the cluster that KUBECONFIG names.
func Connect(t testing.TB) *Cluster {
	t.Helper()
	file := os.Getenv("KUBECONFIG")
	if file == "" {
		t.Fatal("KUBECONFIG is not set: run make test-e2e, or make install and export KUBECONFIG=$PWD/.cluster/kubeconfig")
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatalf("reading %s: %v", file, err)
	}
	config.QPS, config.Burst = 200, 400
	c := &Cluster{Config: config}
	if c.Kube, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if c.Virt, err = versioned.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if c.Wire, err = wire.New(config); err != nil {
		t.Fatal(err)
	}
	return c
}

// Emulates says whether the cluster emulates its guests, which does without what KVM and the nodes' CPUs give.
func (c *Cluster) Emulates(t testing.TB) bool {
	t.Helper()
	list, err := c.Virt.KubevirtV1().KubeVirts(SystemNamespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("reading the cluster's configuration: %d objects, %v", len(list.Items), err)
	}
	d := list.Items[0].Spec.Configuration.DeveloperConfiguration
	return d != nil && d.UseEmulation != nil && *d.UseEmulation
}

// Namespace makes a namespace for the test. It is deleted, and seen gone, when the test ends; when the test has failed, its
// objects and logs are printed first.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	ns, err := c.Kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating a namespace: %v", err)
	}
	t.Attr(contract.Namespace, ns.Name)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.Dump(ns.Name))
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 3*time.Minute)
		defer cancel()
		if err := c.empty(ctx, ns.Name); err != nil {
			t.Errorf("namespace %s: %v\n%s", ns.Name, err, c.Dump(ns.Name))
		}
		// Kubernetes takes five seconds for an empty namespace, which nobody needs to wait for.
		if err := c.Kube.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("deleting namespace %s: %v", ns.Name, err)
		}
	})
	return ns.Name
}

// empty deletes the machines and instances of a namespace and waits for them and their pods to go.
func (c *Cluster) empty(ctx context.Context, namespace string) error {
	machines, instances := c.Virt.KubevirtV1().VirtualMachines(namespace), c.Virt.KubevirtV1().VirtualMachineInstances(namespace)
	one := metav1.ListOptions{Limit: 1}
	for asked := false; ; {
		var err error
		if !asked { // again, if the test has just disturbed who answers, or one was made late, by a request that its client gave up
			err = errors.Join(machines.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}), instances.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
			asked = err == nil
		}
		vms, verr := machines.List(ctx, one)
		vmis, ierr := instances.List(ctx, one)
		pods, perr := c.Kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "kubevirt.io=virt-launcher", Limit: 1})
		err = errors.Join(err, verr, ierr, perr)
		if err == nil && len(vms.Items)+len(vmis.Items)+len(pods.Items) == 0 {
			return nil
		}
		asked = asked && !slices.ContainsFunc(vms.Items, func(vm virtv1.VirtualMachine) bool { return vm.DeletionTimestamp == nil }) &&
			!slices.ContainsFunc(vmis.Items, func(vmi virtv1.VirtualMachineInstance) bool { return vmi.DeletionTimestamp == nil })
		select {
		case <-ctx.Done():
			return fmt.Errorf("its machines, instances and launcher pods are not gone in time: %w", errors.Join(context.Cause(ctx), err))
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// Dump shows what a namespace and the system's own namespace hold, for a failed test.
func (c *Cluster) Dump(namespace string) string {
	var b strings.Builder
	for _, args := range [][]string{
		{"-n", namespace, "get", "vm,vmi,pods,pvc", "-o", "wide"},
		{"-n", namespace, "get", "vmi", "-o", "yaml"},
		{"-n", namespace, "get", "events", "--sort-by=.metadata.creationTimestamp"},
		{"-n", namespace, "logs", "-l", "kubevirt.io=virt-launcher", "--tail=60", "--prefix"},
		{"-n", SystemNamespace, "get", "pods", "-o", "wide"},
		{"-n", SystemNamespace, "logs", "-l", "kubevirt.io=virt-handler", "--tail=60", "--prefix"},
		{"-n", SystemNamespace, "logs", "-l", "kubevirt.io=virt-controller", "--tail=40", "--prefix"},
		{"-n", SystemNamespace, "logs", "-l", "kubevirt.io=virt-api", "--tail=40", "--prefix"},
	} {
		out, _ := exec.Command("kubectl", args...).CombinedOutput() // a failure is part of the picture
		fmt.Fprintf(&b, "--- kubectl %s\n%s\n", strings.Join(args, " "), out)
	}
	return b.String()
}

// Kubectl runs kubectl as a user would and returns what it prints; it fails the test when kubectl fails.
func (c *Cluster) Kubectl(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	out, err := c.TryKubectl(t, stdin, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// TryKubectl is Kubectl for commands that may fail.
func (c *Cluster) TryKubectl(t testing.TB, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// Apply applies a manifest in a namespace.
func (c *Cluster) Apply(t testing.TB, namespace, manifest string) string {
	t.Helper()
	if startsGuests(manifest) {
		c.boots.begin(t)
	}
	return c.Kubectl(t, manifest, "-n", namespace, "apply", "-f", "-")
}

// WaitVMI waits until an instance is as wanted; what names that for the message of a failure.
func (c *Cluster) WaitVMI(t testing.TB, namespace, name, what string, limit time.Duration, ok func(*virtv1.VirtualMachineInstance) bool) *virtv1.VirtualMachineInstance {
	t.Helper()
	vmi := wait(t, "instance "+name, what, limit, func(ctx context.Context) (*virtv1.VirtualMachineInstance, watch.Interface, error) {
		api := c.Virt.KubevirtV1().VirtualMachineInstances(namespace)
		obj, err := api.Get(ctx, name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, nil, err
		}
		version := ""
		if err == nil {
			version = obj.ResourceVersion
		} else {
			obj = nil
		}
		w, err := api.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String(), ResourceVersion: version})
		return obj, w, err
	}, ok)
	if Running(vmi) {
		c.boots.soon(bootAfterRunning)
	}
	return vmi
}

// WaitVM waits until a machine is as wanted.
func (c *Cluster) WaitVM(t testing.TB, namespace, name, what string, limit time.Duration, ok func(*virtv1.VirtualMachine) bool) *virtv1.VirtualMachine {
	t.Helper()
	return wait(t, "machine "+name, what, limit, func(ctx context.Context) (*virtv1.VirtualMachine, watch.Interface, error) {
		api := c.Virt.KubevirtV1().VirtualMachines(namespace)
		obj, err := api.Get(ctx, name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, nil, err
		}
		version := ""
		if err == nil {
			version = obj.ResourceVersion
		} else {
			obj = nil
		}
		w, err := api.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String(), ResourceVersion: version})
		return obj, w, err
	}, ok)
}

// wait asks ok about the object now and after each change, nil standing for one that does not exist.
func wait[T any](t testing.TB, which, what string, limit time.Duration, open func(context.Context) (*T, watch.Interface, error), ok func(*T) bool) *T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var last *T
	for ctx.Err() == nil {
		obj, w, err := open(ctx)
		if err != nil {
			// The API may be away for a moment when a test restarts it.
			select {
			case <-time.After(500 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		last = obj
		if ok(obj) {
			w.Stop()
			return obj
		}
		for event := range w.ResultChan() {
			if obj, is := any(event.Object).(*T); is {
				last = obj
				if event.Type == watch.Deleted {
					last = nil
				}
				if ok(last) {
					w.Stop()
					return last
				}
			}
		}
	}
	t.Fatalf("%s is not %s after %s; it is now %+v", which, what, limit, last)
	return nil
}

// Running says that an instance runs and is ready.
func Running(vmi *virtv1.VirtualMachineInstance) bool {
	if vmi == nil || vmi.Status.Phase != virtv1.Running {
		return false
	}
	for _, c := range vmi.Status.Conditions {
		if c.Type == virtv1.VirtualMachineInstanceReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Gone says that there is no instance.
func Gone(vmi *virtv1.VirtualMachineInstance) bool { return vmi == nil }

// Console opens the serial console of an instance. It is closed when the test ends. Like every client, it tries again for a
// while when the answer is 400: the instance does not run yet.
func (c *Cluster) Console(t testing.TB, namespace, name string) *serial.Console {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	path := wire.Subresource("v1", namespace, "virtualmachineinstances", name, "console")
	conn, err := c.Wire.Stream(ctx, path)
	var refused *wire.Refused
	for tries := 0; tries < 5 && errors.As(err, &refused) && refused.Code == http.StatusBadRequest; tries++ {
		time.Sleep(time.Second)
		conn, err = c.Wire.Stream(ctx, path)
	}
	if err != nil {
		cancel()
		t.Fatalf("console of %s: %v", name, err)
	}
	console := serial.New(conn)
	bootOf.Store(console, &c.boots)
	t.Cleanup(func() { conn.Close(); cancel(); bootOf.Delete(console) })
	return console
}

// As is a client with the rights of a service account.
func (c *Cluster) As(t testing.TB, namespace, account string) *wire.Client {
	t.Helper()
	token, err := c.Kube.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("a token of service account %s: %v", account, err)
	}
	config := rest.AnonymousClientConfig(c.Config)
	config.BearerToken = token.Status.Token
	client, err := wire.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Expect waits for a pattern on a console.
func Expect(t testing.TB, console *serial.Console, limit time.Duration, pattern string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	groups, err := console.Expect(ctx, pattern)
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

// runLimit bounds a command in a guest that shares two CPUs with seven others.
const runLimit = 2 * time.Minute

// Run runs a command in the root shell of a tiny guest and returns what it printed.
func Run(t testing.TB, console *serial.Console, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	out, err := console.Run(ctx, command)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Local is the local cluster as who started it sees it: its nodes are machines.
func Local(t testing.TB) *cluster.Cluster {
	t.Helper()
	local, err := cluster.New("", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return local
}

// OnNode runs a script as root on a node of the local cluster.
func (c *Cluster) OnNode(t testing.TB, node, script string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), execLimit)
	defer cancel()
	cmd, err := Local(t).Command(ctx, node, "sh", "-ec", script)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s on %s: %v\n%s", script, node, err, out)
	}
}

// LauncherPod is the launcher pod of an instance.
func (c *Cluster) LauncherPod(t testing.TB, vmi *virtv1.VirtualMachineInstance) *corev1.Pod {
	t.Helper()
	pods, err := c.Kube.CoreV1().Pods(vmi.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: virtv1.CreatedByLabel + "=" + string(vmi.UID)})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("launcher pods of %s: %d, %v", vmi.Name, len(pods.Items), err)
	}
	return &pods.Items[0]
}

// Shell waits until the root shell of a tiny guest answers.
func Shell(t testing.TB, console *serial.Console) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), BootLimit)
	defer cancel()
	if err := console.WaitShell(ctx); err != nil {
		t.Fatal(err)
	}
	booted(console)
}
