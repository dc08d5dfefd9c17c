package virtcontroller

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

// TestQuota makes instances in namespaces whose quotas count requests, or limits: real API servers decide on the pods.
func TestQuota(t *testing.T) {
	for _, tc := range []struct {
		name string
		hard map[corev1.ResourceName]string
		vmi  string
		// refused is what a condition of the instance says when its pod is; empty when it is made.
		refused string
		// memory and cpu are the limits of the pod, empty for none.
		memory, cpu func(request resource.Quantity) string
	}{
		{name: "requests", hard: map[corev1.ResourceName]string{"requests.memory": "1Gi", "requests.cpu": "2"},
			vmi: `{metadata: {name: a}, spec: {domain: {memory: {guest: 128Mi}, devices: {autoattachPodInterface: false}}}}`},
		{name: "requests that are used up", hard: map[corev1.ResourceName]string{"requests.memory": "128Mi"},
			vmi:     `{metadata: {name: a}, spec: {domain: {memory: {guest: 128Mi}, devices: {autoattachPodInterface: false}}}}`,
			refused: "exceeded quota"},
		// Two for the guest; the container that prints its console has a small limit of its own.
		{name: "limits that nobody wrote", hard: map[corev1.ResourceName]string{"limits.memory": "2Gi", "limits.cpu": "2100m"},
			vmi:    `{metadata: {name: a}, spec: {domain: {memory: {guest: 128Mi}, cpu: {cores: 2}, devices: {autoattachPodInterface: false}}}}`,
			memory: func(r resource.Quantity) string { return resource.NewQuantity(2*r.Value(), resource.BinarySI).String() },
			cpu:    func(resource.Quantity) string { return "2" }},
		{name: "limits by hand", hard: map[corev1.ResourceName]string{"limits.memory": "1Gi"},
			vmi: `{metadata: {name: a}, spec: {domain: {resources: {requests: {memory: 128Mi}, limits: {memory: 256Mi}}, devices: {autoattachPodInterface: false}}}}`,
			// 128Mi more than the request, which has the same overhead.
			memory: func(r resource.Quantity) string {
				r.Add(resource.MustParse("128Mi"))
				return r.String()
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ns := newNamespace(t)
			quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{}}}
			for name, q := range tc.hard {
				quota.Spec.Hard[name] = resource.MustParse(q)
			}
			if _, err := env.kube.CoreV1().ResourceQuotas(ns).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			await(t, "the quota counts", func() bool {
				q, err := env.kube.CoreV1().ResourceQuotas(ns).Get(t.Context(), "q", metav1.GetOptions{})
				return err == nil && len(q.Status.Hard) == len(tc.hard)
			})
			instances := env.virt.KubevirtV1().VirtualMachineInstances(ns)
			if _, err := instances.Create(t.Context(), parse[virtv1.VirtualMachineInstance](t, tc.vmi), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			if tc.refused != "" {
				await(t, "the instance says why it has no pod", func() bool {
					vmi, err := instances.Get(t.Context(), "a", metav1.GetOptions{})
					if err != nil {
						return false
					}
					for _, c := range vmi.Status.Conditions {
						if c.Type == virtv1.VirtualMachineInstanceProvisioning && c.Reason == "FailedCreate" && strings.Contains(c.Message, tc.refused) {
							return true
						}
					}
					return false
				})
				return
			}
			var pod corev1.Pod
			await(t, "there is a pod", func() bool {
				pods, err := env.kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
				if err != nil || len(pods.Items) != 1 {
					return false
				}
				pod = pods.Items[0]
				return true
			})
			r := pod.Spec.Containers[0].Resources
			for name, want := range map[corev1.ResourceName]func(resource.Quantity) string{corev1.ResourceMemory: tc.memory, corev1.ResourceCPU: tc.cpu} {
				got, limited := r.Limits[name]
				switch {
				case want == nil && limited:
					t.Errorf("limit of %s is %s", name, got.String())
				case want != nil && got.String() != want(r.Requests[name]):
					t.Errorf("limit of %s is %s, want %s", name, got.String(), want(r.Requests[name]))
				}
			}
		})
	}
	spec.Covers(t, "P2-QUOTA-01", "P2-QUOTA-02")
}
