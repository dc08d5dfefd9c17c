package virtcontroller

import (
	"slices"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func parse[T any](t *testing.T, text string) *T {
	t.Helper()
	out := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), out); err != nil {
		t.Fatal(err)
	}
	return out
}

const smallSet = `{metadata: {name: web}, spec: {replicas: 2, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}},
	spec: {domain: {memory: {guest: 64Mi}, devices: {autoattachPodInterface: false}}}}}}`

// instances are those of a namespace that are not on their way out.
func instances(t *testing.T, ns string) []virtv1.VirtualMachineInstance {
	t.Helper()
	list, err := env.virt.KubevirtV1().VirtualMachineInstances(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(vmi virtv1.VirtualMachineInstance) bool { return vmi.DeletionTimestamp != nil })
}

// TestReplicaSet takes a set through its life: up, scaled by /scale, paused, and away together with its instances.
func TestReplicaSet(t *testing.T) {
	ns := newNamespace(t)
	sets := env.virt.KubevirtV1().VirtualMachineInstanceReplicaSets(ns)
	set, err := sets.Create(t.Context(), parse[virtv1.VirtualMachineInstanceReplicaSet](t, smallSet), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	status := func() virtv1.VirtualMachineInstanceReplicaSetStatus {
		t.Helper()
		got, err := sets.Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return got.Status
	}
	await(t, "there are two instances", func() bool { return len(instances(t, ns)) == 2 && status().Replicas == 2 })
	for _, vmi := range instances(t, ns) {
		if !metav1.IsControlledBy(&vmi, set) || !strings.HasPrefix(vmi.Name, "web-") || vmi.Labels["app"] != "web" {
			t.Errorf("instance %+v", vmi.ObjectMeta)
		}
	}
	await(t, "each has a pod", func() bool {
		pods, err := env.kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "kubevirt.io=virt-launcher,app=web"})
		return err == nil && len(pods.Items) == 2
	})
	await(t, "events tell of it", func() bool {
		events, err := env.kube.CoreV1().Events(ns).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=VirtualMachineInstanceReplicaSet,reason=SuccessfulCreate"})
		return err == nil && len(events.Items) > 0
	})

	scale, err := sets.GetScale(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if scale.Spec.Replicas != 2 || scale.Status.Replicas != 2 || scale.Status.Selector != "app=web" {
		t.Errorf("scale %+v", scale)
	}
	resize := func(n int32) {
		t.Helper()
		if _, err := sets.UpdateScale(t.Context(), "web", &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: ns}, Spec: autoscalingv1.ScaleSpec{Replicas: n}}, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	resize(4)
	await(t, "there are four", func() bool { return len(instances(t, ns)) == 4 && status().Replicas == 4 })
	resize(1)
	await(t, "there is one", func() bool { return len(instances(t, ns)) == 1 && status().Replicas == 1 })

	merge := func(patch string) {
		t.Helper()
		if _, err := sets.Patch(t.Context(), "web", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	merge(`{"spec": {"paused": true, "replicas": 3}}`)
	await(t, "it is paused", func() bool {
		c := status().Conditions
		return len(c) == 1 && c[0].Type == virtv1.VirtualMachineInstanceReplicaSetReplicaPaused
	})
	if n := len(instances(t, ns)); n != 1 {
		t.Errorf("a paused set has %d instances", n)
	}
	merge(`{"spec": {"paused": false}}`)
	await(t, "it goes on", func() bool { return len(instances(t, ns)) == 3 && len(status().Conditions) == 0 })

	if err := sets.Delete(t.Context(), "web", metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)}); err != nil {
		t.Fatal(err)
	}
	await(t, "set, instances and pods are gone", func() bool {
		left, err := sets.List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pods, err := env.kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all, err := env.virt.KubevirtV1().VirtualMachineInstances(ns).List(t.Context(), metav1.ListOptions{})
		return err == nil && len(left.Items)+len(all.Items)+len(pods.Items) == 0
	})
}
