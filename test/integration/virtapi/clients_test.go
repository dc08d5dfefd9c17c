package virtapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
)

const protobuf = "application/vnd.kubernetes.protobuf"

// virt is a typed client through kube-apiserver.
func virt(t *testing.T, contentType string) versioned.Interface {
	t.Helper()
	c := rest.CopyConfig(env.Admin)
	c.ContentType, c.AcceptContentTypes = contentType, contentType
	return must(versioned.NewForConfig(c))(t)
}

func kube(t *testing.T) kubernetes.Interface {
	t.Helper()
	return must(kubernetes.NewForConfig(env.Admin))(t)
}

func anything(t *testing.T) dynamic.Interface {
	t.Helper()
	c := rest.CopyConfig(env.Admin)
	c.WarningHandler = rest.NoWarnings{}
	return must(dynamic.NewForConfig(c))(t)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var namespaces struct {
	sync.Mutex
	n int
}

// newNamespace makes a namespace for one test.
func newNamespace(t *testing.T) string {
	t.Helper()
	namespaces.Lock()
	namespaces.n++
	name := fmt.Sprintf("test-%d", namespaces.n)
	namespaces.Unlock()
	if _, err := kube(t).CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return name
}

// machine is a small valid virtual machine.
func machine(name string) *virtv1.VirtualMachine {
	vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: name}}
	decode(`{"runStrategy": "Halted", "template": {"spec": {"domain": {"memory": {"guest": "64Mi"}, "devices": {}}}}}`, &vm.Spec)
	return vm
}

// instance is a small valid instance.
func instance(name string) *virtv1.VirtualMachineInstance {
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: name}}
	decode(`{"domain": {"memory": {"guest": "64Mi"}, "devices": {}}}`, &vmi.Spec)
	return vmi
}

func decode(s string, into any) {
	if err := json.Unmarshal([]byte(s), into); err != nil {
		panic(err)
	}
}

// object makes an unstructured object.
func object(gv schema.GroupVersion, kind, namespace, name, spec string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	if spec != "" {
		var s map[string]any
		decode(spec, &s)
		o.Object["spec"] = s
	}
	o.SetGroupVersionKind(gv.WithKind(kind))
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func(ctx context.Context) error) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		err := check(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// wantError checks an error's code, as the API tells it, and part of its text.
func wantError(t *testing.T, err error, is func(error) bool, text string) {
	t.Helper()
	if err == nil || !is(err) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v; want one with %q", err, text)
	}
}
