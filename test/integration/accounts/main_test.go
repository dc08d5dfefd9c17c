// Package accounts tries, on a real kube-apiserver, what each service account of the manifests may write: all that its program
// does, and none of what lies beside it. It must not run our programs: roles and admission policies alone are on trial.
package accounts

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/virtplane/virtplane/test/integration/harness"
)

const (
	waitFor    = time.Minute
	controller = "kubevirt-controller"
	api        = "kubevirt-apiserver"
	handler    = "kubevirt-handler"
	driver     = "hostpath-provisioner-csi"
	store      = "virt-store"
	// tenant is the namespace of users' objects.
	tenant = "default"
)

// env is the one environment of the package.
var env struct {
	*harness.Host
	kube *kubernetes.Clientset
	// accounts are the ways of the service accounts to the cluster; those of programs of nodes have tokens of a pod on node-1.
	accounts map[string]*rest.Config
	// unbound has a token of virt-handler's account that is bound to no node.
	unbound *rest.Config
}

func TestMain(m *testing.M) { harness.Main(m, start) }

func start(ctx context.Context, h *harness.Host) (stop func(), err error) {
	env.Host = h
	if err := h.Register(ctx, 8443); err != nil {
		return nil, err
	}
	if err := h.Install(ctx, "base/virt-handler", "base/virt-controller", "components/hostpath-csi"); err != nil {
		return nil, err
	}
	if env.kube, err = kubernetes.NewForConfig(h.Admin); err != nil {
		return nil, err
	}
	for _, name := range []string{"node-1", "node-2"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/os": "linux"}, Annotations: map[string]string{"example.com/a": "b"}}}
		if node, err = env.kube.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return nil, err
		}
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}}
		if _, err := env.kube.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
			return nil, err
		}
	}
	// Pods are made in the name of the namespace's account, which the controllers may not have made yet.
	for _, namespace := range []string{tenant, "kube-system", harness.Namespace} {
		_, err := env.kube.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, err
		}
	}
	return func() {}, tokens(ctx, h)
}

// tokens asks for a token of each account as its program has it.
func tokens(ctx context.Context, h *harness.Host) (err error) {
	env.accounts = map[string]*rest.Config{}
	for _, name := range []string{controller, api, store} {
		if env.accounts[name], _, err = h.ServiceAccount(ctx, name, nil); err != nil {
			return err
		}
	}
	if env.unbound, _, err = h.ServiceAccount(ctx, handler, nil); err != nil {
		return err
	}
	for _, name := range []string{handler, driver} {
		pod, err := env.kube.CoreV1().Pods(harness.Namespace).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.PodSpec{NodeName: "node-1", ServiceAccountName: name, Containers: []corev1.Container{{Name: "c", Image: "c"}}},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		if env.accounts[name], _, err = h.ServiceAccount(ctx, name, pod); err != nil {
			return err
		}
	}
	return nil
}

// attempt is a request of an account, and what becomes of it.
type attempt struct {
	name string
	// denied is a part of the refusal's text; empty: the request is taken.
	denied string
	do     func(ctx context.Context) error
}

// try makes the requests. None of them changes anything: they are dry runs.
func try(t *testing.T, attempts []attempt) {
	t.Helper()
	// The refusals come first: once all of them have shown, each role and policy is in effect for what is to be taken.
	ordered := slices.Clone(attempts)
	slices.SortStableFunc(ordered, func(a, b attempt) int { return cmp.Compare(refusedFirst(a), refusedFirst(b)) })
	refused := 0
	for _, a := range ordered {
		if a.denied != "" {
			refused++
		}
		t.Run(a.name, func(t *testing.T) {
			// A role or policy takes effect a moment after it was made.
			for end := time.Now().Add(waitFor); ; time.Sleep(100 * time.Millisecond) {
				err := a.do(t.Context())
				if a.denied == "" && err == nil || a.denied != "" && err != nil && strings.Contains(err.Error(), a.denied) {
					return
				}
				if err != nil || time.Now().After(end) {
					t.Fatalf("got %v, want %q", err, a.denied)
				}
			}
		})
	}
	if refused == 0 || refused == len(attempts) {
		t.Errorf("%d of %d requests are to be refused: want some of each", refused, len(attempts))
	}
}

func refusedFirst(a attempt) int {
	if a.denied != "" {
		return 0
	}
	return 1
}

func clientOf(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dynamicOf(t *testing.T, config *rest.Config) dynamic.Interface {
	t.Helper()
	c, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var dry = []string{metav1.DryRunAll}

// made creates an object as the administrator.
func made[T any](t *testing.T) func(T, error) T {
	return func(o T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
}

// event is an event about an object, as recorders write it.
func event(namespace, apiVersion, kind, name string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: "e", Namespace: namespace},
		InvolvedObject: corev1.ObjectReference{APIVersion: apiVersion, Kind: kind, Name: name, Namespace: namespace, UID: types.UID("u")},
		Reason:         "R", Message: "m", Type: corev1.EventTypeNormal, Source: corev1.EventSource{Component: "c"},
	}
}

// grantHostDisks binds the role of component host-disks in the namespace of users.
func grantHostDisks(t *testing.T) {
	t.Helper()
	made[*rbacv1.RoleBinding](t)(env.kube.RbacV1().RoleBindings("host-disks").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "host-disks"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubevirt-host-disks"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: controller, Namespace: harness.Namespace}},
	}, metav1.CreateOptions{}))
}
