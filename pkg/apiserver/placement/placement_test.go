package placement

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestSync(t *testing.T) {
	pod := func(name string, gates ...string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kubevirt", Labels: map[string]string{"kubevirt.io": "virt-store"}}}
		for _, g := range gates {
			p.Spec.SchedulingGates = append(p.Spec.SchedulingGates, corev1.PodSchedulingGate{Name: g})
		}
		return p
	}
	for _, tc := range []struct {
		name      string
		pod       *corev1.Pod
		node      string
		wantGates []string
		wantNode  string
	}{
		{name: "first start", pod: pod("virt-store-0", "virtplane.io/store-placement")},
		{name: "later start", pod: pod("virt-store-0", "virtplane.io/store-placement"), node: "a", wantNode: "a"},
		{name: "another's gate stays", pod: pod("virt-store-0", "virtplane.io/store-placement", "example.com/x"), wantGates: []string{"example.com/x"}},
		{name: "no gate", pod: pod("virt-store-0"), node: "a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client := fake.NewClientset(tc.pod)
			if err := Sync(t.Context(), client, "kubevirt", func(_ context.Context, member string) (string, error) {
				if member != "virt-store-0" {
					t.Errorf("member %s", member)
				}
				return tc.node, nil
			}); err != nil {
				t.Fatal(err)
			}
			got, err := client.CoreV1().Pods("kubevirt").Get(t.Context(), tc.pod.Name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var gates []string
			for _, g := range got.Spec.SchedulingGates {
				gates = append(gates, g.Name)
			}
			if diff := cmp.Diff(tc.wantGates, gates); diff != "" {
				t.Errorf("gates (-want +got):\n%s", diff)
			}
			node := ""
			if a := got.Spec.Affinity; a != nil {
				node = a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
			}
			if node != tc.wantNode {
				t.Errorf("bound to %q, want %q", node, tc.wantNode)
			}
		})
	}
}
