package clusterconfig

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubefake "k8s.io/client-go/kubernetes/fake"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned/fake"
)

const initial = "apiVersion: kubevirt.io/v1\nkind: KubeVirt\nmetadata: {name: kubevirt}\nspec: {configuration: {developerConfiguration: {useEmulation: true}}}\n"

func initialMap(content, createdIn string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kubevirt-config-initial", Namespace: "kubevirt"}, Data: map[string]string{"kubevirt.yaml": content}}
	if createdIn != "" {
		cm.Annotations = map[string]string{"virtplane.io/created-in-store": createdIn}
	}
	return cm
}

func kubevirt(name string, age time.Duration) *virtv1.KubeVirt {
	return &virtv1.KubeVirt{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kubevirt", CreationTimestamp: metav1.NewTime(time.Now().Add(-age))}}
}

func TestEnsureInitial(t *testing.T) {
	for _, tc := range []struct {
		name string
		host []runtime.Object
		ours []runtime.Object
		want string // names of the objects afterwards
		err  string
	}{
		{name: "first start", host: []runtime.Object{initialMap(initial, "")}, want: "kubevirt"},
		{name: "another store than last time", host: []runtime.Object{initialMap(initial, "old")}, want: "kubevirt"},
		{name: "deleted by the administrator", host: []runtime.Object{initialMap(initial, "store")}},
		{name: "there is one", host: []runtime.Object{initialMap(initial, "")}, ours: []runtime.Object{kubevirt("mine", 0)}, want: "mine"},
		{name: "no ConfigMap"},
		{name: "damaged", host: []runtime.Object{initialMap("spec: {surprise: 1}", "")}, err: `ConfigMap kubevirt/kubevirt-config-initial: decoding kubevirt.yaml: error unmarshaling JSON: while decoding JSON: json: unknown field "surprise"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client := fake.NewSimpleClientset(tc.ours...)
			host := kubefake.NewClientset(tc.host...)
			for range 2 { // the second time changes nothing
				err := New(client, "kubevirt").EnsureInitial(t.Context(), host, "store")
				if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
					t.Fatalf("error %v, want %s", err, tc.err)
				}
			}
			list, err := client.KubevirtV1().KubeVirts("").List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, kv := range list.Items {
				names = append(names, kv.Name)
			}
			if got := strings.Join(names, " "); got != tc.want {
				t.Errorf("objects %q, want %q", got, tc.want)
			}
		})
	}
}

func TestKubeVirtIsTheOldest(t *testing.T) {
	client := fake.NewSimpleClientset(kubevirt("young", time.Hour), kubevirt("old", 2*time.Hour))
	c := New(client, "kubevirt")
	if c.KubeVirt() != nil {
		t.Error("there is one before anything was read")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = c.Run(ctx) }()
	is := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			got := ""
			if kv := c.KubeVirt(); kv != nil {
				got = kv.Name
			}
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the configuration is %q, want %q", got, want)
			}
		}
	}
	is("old")
	for _, step := range []struct{ remove, left string }{{"old", "young"}, {"young", ""}} {
		if err := client.KubevirtV1().KubeVirts("kubevirt").Delete(t.Context(), step.remove, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		is(step.left)
	}
}
