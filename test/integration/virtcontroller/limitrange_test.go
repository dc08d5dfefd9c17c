package virtcontroller

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestLimitRanges makes instances in namespaces with LimitRanges: a real API server gives the defaults and decides on the pods.
func TestLimitRanges(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	for _, tc := range []struct {
		name string
		item corev1.LimitRangeItem
		// refused is what a condition of the instance says when it gets no pod; empty when it does.
		refused string
	}{
		{"a minimum above what helpers ask for", corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Min: list("10m", "32Mi")}, ""},
		{"a maximum", corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Max: list("2", "4Gi")}, ""},
		{"a maximum below the guest", corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Max: list("2", "64Mi")}, "LimitRange team of this namespace lets a container have at most 64Mi of memory"},
		{"a default below the guest", corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Default: list("500m", "64Mi")}, ""},
		{"a ratio", corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, MaxLimitRequestRatio: list("4", "2")}, ""},
		{"a minimum of pods", corev1.LimitRangeItem{Type: corev1.LimitTypePod, Min: list("500m", "2Gi")}, ""},
		{"a ratio of pods", corev1.LimitRangeItem{Type: corev1.LimitTypePod, MaxLimitRequestRatio: list("4", "2")}, ""},
		{"a high maximum of pods", corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: list("4", "4Gi")}, ""},
		{"a maximum of pods", corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: list("2", "64Mi")}, "LimitRange team of this namespace lets a pod have at most 64Mi of memory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ns := newNamespace(t)
			ranges := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "team"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{tc.item}}}
			if _, err := env.kube.CoreV1().LimitRanges(ns).Create(t.Context(), ranges, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			instances := env.virt.KubevirtV1().VirtualMachineInstances(ns)
			vmi := `{metadata: {name: a}, spec: {domain: {memory: {guest: 128Mi}, devices: {autoattachPodInterface: false}}}}`
			if _, err := instances.Create(t.Context(), parse[virtv1.VirtualMachineInstance](t, vmi), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			told := func() string {
				vmi, err := instances.Get(t.Context(), "a", metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range vmi.Status.Conditions {
					if c.Type == virtv1.VirtualMachineInstanceProvisioning && (c.Reason == "LimitRangeViolated" || c.Reason == "FailedCreate") {
						return c.Message
					}
				}
				return ""
			}
			await(t, "the instance has a pod, or is told why not", func() bool {
				pods, err := env.kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
				return err == nil && len(pods.Items) == 1 || told() != ""
			})
			if got := told(); tc.refused == "" && got != "" || !strings.Contains(got, tc.refused) {
				t.Fatalf("told %q, want %q", got, tc.refused)
			}
			if tc.refused == "" {
				return
			}
			if err := env.kube.CoreV1().LimitRanges(ns).Delete(t.Context(), "team", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			await(t, "the instance has a pod once the range is gone", func() bool {
				pods, err := env.kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
				return err == nil && len(pods.Items) == 1
			})
		})
	}
}
