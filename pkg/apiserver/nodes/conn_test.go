package nodes

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

// fakeCertificates are of a generation, or not there yet.
type fakeCertificates struct {
	generation int
	missing    error
}

func (f *fakeCertificates) ClientTLS(name string) (*tls.Config, error) {
	return &tls.Config{ServerName: name}, f.missing
}
func (f *fakeCertificates) Generation() any { return f.generation }

func agentPod(name, node, ip string, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kubevirt", Labels: map[string]string{"kubevirt.io": "virt-handler"}},
		Spec:       corev1.PodSpec{NodeName: node},
		Status:     corev1.PodStatus{PodIP: ip, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	if change != nil {
		change(p)
	}
	return p
}

func start(t *testing.T, certificates Certificates, pods ...runtime.Object) *Conn {
	t.Helper()
	c, err := New(fake.NewClientset(pods...), "kubevirt", 8186, certificates)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.NodeConnection(t.Context(), "a"); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "is not known yet") {
		t.Errorf("before anything is known: error %v", err)
	}
	go func() { _ = c.Run(t.Context()) }()
	for deadline := time.Now().Add(30 * time.Second); !c.pods.HasSynced(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for the pods")
		}
	}
	return c
}

func TestNodeConnection(t *testing.T) {
	deleted := func(p *corev1.Pod) {
		p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: time.Now()}, []string{"x/y"}
	}
	for _, tc := range []struct {
		name    string
		pods    []runtime.Object
		missing error
		want    string // address, or part of the error
	}{
		{name: "ready", pods: []runtime.Object{agentPod("p", "a", "10.0.0.1", nil)}, want: "10.0.0.1:8186"},
		{name: "IPv6", pods: []runtime.Object{agentPod("p", "a", "fd00::1", nil)}, want: "[fd00::1]:8186"},
		{name: "of another node", pods: []runtime.Object{agentPod("p", "b", "10.0.0.1", nil)}, want: "node a has no agent to ask: no pod labelled kubevirt.io=virt-handler runs there in namespace kubevirt"},
		{name: "not ready", pods: []runtime.Object{agentPod("p", "a", "10.0.0.1", func(p *corev1.Pod) { p.Status.Conditions = nil })}, want: "pod kubevirt/p is not ready"},
		{name: "without an address", pods: []runtime.Object{agentPod("p", "a", "", nil)}, want: "pod kubevirt/p is not ready"},
		{name: "being replaced", pods: []runtime.Object{agentPod("p", "a", "10.0.0.1", deleted), agentPod("q", "a", "10.0.0.2", nil)}, want: "10.0.0.2:8186"},
		{name: "being deleted", pods: []runtime.Object{agentPod("p", "a", "10.0.0.1", deleted)}, want: "pod kubevirt/p is being deleted"},
		{name: "no certificate yet", pods: []runtime.Object{agentPod("p", "a", "10.0.0.1", nil)}, missing: errors.New("there is no certificate"), want: "there is no certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			location, transport, err := start(t, &fakeCertificates{missing: tc.missing}, tc.pods...).NodeConnection(t.Context(), "a")
			if err != nil {
				if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want %s", err, tc.want)
				}
				return
			}
			if location.String() != "https://"+tc.want {
				t.Errorf("location %s, want https://%s", location, tc.want)
			}
			if name := transport.(*http.Transport).TLSClientConfig.ServerName; name != "node:a" {
				t.Errorf("server name %s", name)
			}
		})
	}
}

func TestTransportsAreKeptUntilCertificatesChange(t *testing.T) {
	certificates := &fakeCertificates{}
	c := start(t, certificates, agentPod("p", "a", "10.0.0.1", nil))
	get := func() http.RoundTripper {
		_, transport, err := c.NodeConnection(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return transport
	}
	first := get()
	if get() != first {
		t.Error("a second request makes new connections")
	}
	certificates.generation++
	if get() == first {
		t.Error("old certificates are still used")
	}
}
