package accounts

import (
	"context"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/virtplane/virtplane/test/integration/harness"
)

// storePod waits at its scheduling gate; handlerPod is what root on every node would be had by.
func storePod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "virt-store-0", Labels: map[string]string{"kubevirt.io": "virt-store"}},
		Spec: corev1.PodSpec{SchedulingGates: []corev1.PodSchedulingGate{{Name: "virtplane.io/store-placement"}},
			Containers: []corev1.Container{{Name: "c", Image: "c"}}},
	}
}

// TestAPIWrites tries what virt-api writes in the host cluster, and what lies beside it.
func TestAPIWrites(t *testing.T) {
	ctx := t.Context()
	made[*corev1.Pod](t)(env.kube.CoreV1().Pods(harness.Namespace).Create(ctx, storePod(), metav1.CreateOptions{}))
	made[*corev1.ResourceQuota](t)(env.kube.CoreV1().ResourceQuotas(tenant).Create(ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/virtualmachines.kubevirt.io": resource.MustParse("5"), "pods": resource.MustParse("100")}}}, metav1.CreateOptions{}))
	c := clientOf(t, env.accounts[api])
	pod := func(name string, change func(*corev1.Pod)) func(context.Context) error {
		return func(ctx context.Context) error {
			p, err := c.CoreV1().Pods(harness.Namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			change(p)
			_, err = c.CoreV1().Pods(harness.Namespace).Update(ctx, p, metav1.UpdateOptions{DryRun: dry})
			return err
		}
	}
	open := func(p *corev1.Pod) { p.Spec.SchedulingGates = nil }
	secret := func(namespace, name string, kind corev1.SecretType, annotations map[string]string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CoreV1().Secrets(namespace).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}, Type: kind}, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	configMap := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CoreV1().ConfigMaps(harness.Namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	lease := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CoordinationV1().Leases(harness.Namespace).Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	services := dynamicOf(t, env.accounts[api]).Resource(schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"})
	redirect := func(name, patch string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := services.Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{DryRun: dry})
			return err
		}
	}
	register := func(version, group string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := services.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": version + "." + group},
				"spec": map[string]any{"group": group, "version": version, "groupPriorityMinimum": int64(1), "versionPriority": int64(1),
					"service": map[string]any{"namespace": harness.Namespace, "name": "virt-api"}},
			}}, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	quota := func(patch string) func(context.Context) error {
		return func(ctx context.Context) error {
			q, err := c.CoreV1().ResourceQuotas(tenant).Get(ctx, "q", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if q.Status.Used == nil {
				q.Status.Used = corev1.ResourceList{}
			}
			q.Status.Used[corev1.ResourceName(patch)] = resource.MustParse("4")
			_, err = c.CoreV1().ResourceQuotas(tenant).UpdateStatus(ctx, q, metav1.UpdateOptions{DryRun: dry})
			return err
		}
	}
	tell := func(namespace, apiVersion, kind, name string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CoreV1().Events(namespace).Create(ctx, event(namespace, apiVersion, kind, name), metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	const others, metadata, secrets = "virt-api may change pods of the store only", "virt-api may not change the metadata of pods", "virt-api may make no Secrets but those of its certificates"
	const forbidden, own, elsewhere = "is forbidden: User", "virt-api may register its own API groups only", "virt-api may register its API groups for its own Service only"
	try(t, []attempt{
		{"opening a gate of the store", "", pod("virt-store-0", open)},
		{"opening it for one node", "", pod("virt-store-0", func(p *corev1.Pod) {
			open(p)
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"node-1"}}}}}}}}
		})},
		{"image of the store", "virt-api may change nothing of a pod but its scheduling gates and its affinity", pod("virt-store-0", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "evil.example/rootkit:1" })},
		{"label of the store", metadata, pod("virt-store-0", func(p *corev1.Pod) { p.Labels["a"] = "b" })},
		{"finalizer of the store", metadata, pod("virt-store-0", func(p *corev1.Pod) { p.Finalizers = []string{"example.com/x"} })},
		{"image of a privileged pod", others, pod(handler, func(p *corev1.Pod) { p.Spec.Containers[0].Image = "evil.example/rootkit:1" })},
		{"a privileged pod made the store's", others, pod(handler, func(p *corev1.Pod) { p.Labels = map[string]string{"kubevirt.io": "virt-store"} })},
		{"a new pod", forbidden, func(ctx context.Context) error {
			_, err := c.CoreV1().Pods(harness.Namespace).Create(ctx, storePod(), metav1.CreateOptions{DryRun: dry})
			return err
		}},
		{"Secret of certificates", "", secret(harness.Namespace, "kubevirt-ca", corev1.SecretTypeOpaque, nil)},
		{"Secret of another name", secrets, secret(harness.Namespace, "mine", corev1.SecretTypeOpaque, nil)},
		{"token of an account", secrets, secret(harness.Namespace, "kubevirt-ca", corev1.SecretTypeServiceAccountToken, map[string]string{corev1.ServiceAccountNameKey: controller})},
		{"Secret of another namespace", forbidden, secret(tenant, "kubevirt-ca", corev1.SecretTypeOpaque, nil)},
		{"reading another Secret", forbidden, func(ctx context.Context) error {
			_, err := c.CoreV1().Secrets(harness.Namespace).Get(ctx, "mine", metav1.GetOptions{})
			return err
		}},
		{"record of the store", "", configMap("virtplane-store")},
		{"another ConfigMap", "virt-api may make no ConfigMap but the record of its store", configMap("virtplane-images")},
		{"its Lease", "", lease("virt-api")},
		{"virt-controller's Lease", "virt-api may make no Lease but its own", lease("virt-controller")},
		{"its APIService", "", redirect("v1.kubevirt.io", `{"spec":{"caBundle":"QQ=="}}`)},
		{"its APIService to another server", elsewhere, redirect("v1.kubevirt.io", `{"spec":{"service":{"namespace":"default","name":"evil"}}}`)},
		{"its APIService unverified", elsewhere, redirect("v1.kubevirt.io", `{"spec":{"insecureSkipTLSVerify":true,"caBundle":null}}`)},
		{"another's APIService", own, register("v1beta1", "metrics.k8s.io")},
		{"a group of a like name", own, register("v1", "evil.kubevirt.io")},
		{"change of another's APIService", forbidden, redirect("v1.apps", `{"metadata":{"labels":{"a":"b"}}}`)},
		{"count of machines", "", quota("count/virtualmachines.kubevirt.io")},
		{"count of pods", "virt-api may count its own objects only in quotas", quota("pods")},
		{"event of its store", "", tell(harness.Namespace, "v1", "ConfigMap", "virtplane-store")},
		{"event of a pod", "virt-api may only write events about the ConfigMap virtplane-store", tell(harness.Namespace, "v1", "Pod", "virt-handler")},
		{"event in another namespace", forbidden, tell("kube-system", "v1", "ConfigMap", "virtplane-store")},
	})
}

// TestStoreWrites tries what a member of the store writes.
func TestStoreWrites(t *testing.T) {
	c := clientOf(t, env.accounts[store])
	configMap := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CoreV1().ConfigMaps(harness.Namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	try(t, []attempt{
		{"record of the store", "", configMap("virtplane-store")},
		{"another ConfigMap", "a member of the store may make no ConfigMap but the record of the store", configMap("x")},
		{"the authority's key", "is forbidden: User", func(ctx context.Context) error {
			_, err := c.CoreV1().Secrets(harness.Namespace).Get(ctx, "kubevirt-ca", metav1.GetOptions{})
			return err
		}},
	})
}
