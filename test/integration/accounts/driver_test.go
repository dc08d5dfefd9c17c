package accounts

import (
	"cmp"
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	hostpath "github.com/virtplane/virtplane/csi-driver/driver"
	"github.com/virtplane/virtplane/test/integration/harness"
)

// volume is one as the driver of a node makes it, for claim "ours".
func volume(node string, change func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "hostpath-u", Labels: map[string]string{hostpath.TopologyKey: node}, Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": hostpath.Name},
			Finalizers: []string{"external-provisioner.volume.kubernetes.io/finalizer"}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: "hostpath-csi", PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			ClaimRef:               &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: tenant, Name: "ours", UID: "u"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: hostpath.Name, VolumeHandle: "hostpath-u", VolumeAttributes: map[string]string{hostpath.ParameterPool: "local"}}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: hostpath.TopologyKey, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}}},
		},
	}
	if change != nil {
		change(v)
	}
	return v
}

// TestVolumeWrites tries what the hostpath driver of node-1 writes of volumes and claims, and what it must not.
func TestVolumeWrites(t *testing.T) {
	ctx := t.Context()
	client := clientOf(t, env.accounts[driver])
	const provisioner, selected = "volume.kubernetes.io/storage-provisioner", "volume.kubernetes.io/selected-node"
	claim := func(name string, annotations map[string]string) {
		t.Helper()
		if _, err := env.kube.CoreV1().PersistentVolumeClaims(tenant).Create(ctx, &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations, Labels: map[string]string{"a": "b"}},
			Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	claim("ours", map[string]string{provisioner: hostpath.Name})
	claim("here", map[string]string{provisioner: hostpath.Name, selected: "node-1"})
	claim("there", map[string]string{provisioner: hostpath.Name, selected: "node-2"})
	claim("static", nil)
	claim("foreign", map[string]string{provisioner: "other.example.com"})
	for node, name := range map[string]string{"node-1": "hostpath-here", "node-2": "hostpath-there"} {
		made[*corev1.PersistentVolume](t)(env.kube.CoreV1().PersistentVolumes().Create(ctx, volume(node, func(v *corev1.PersistentVolume) {
			v.Name, v.Spec.CSI.VolumeHandle, v.Spec.ClaimRef = name, name, nil
		}), metav1.CreateOptions{}))
	}
	patch := func(name, patch string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := client.CoreV1().PersistentVolumeClaims(tenant).Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{DryRun: dry})
			return err
		}
	}
	bind := func(name, volume string) func(context.Context) error {
		return func(ctx context.Context) error {
			claim, err := env.kube.CoreV1().PersistentVolumeClaims(tenant).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			claim.Spec.VolumeName = cmp.Or(volume, "hostpath-"+string(claim.UID))
			_, err = env.kube.CoreV1().PersistentVolumeClaims(tenant).Update(ctx, claim, metav1.UpdateOptions{DryRun: dry})
			return err
		}
	}
	patchVolume := func(name, patch string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := client.CoreV1().PersistentVolumes().Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{DryRun: dry})
			return err
		}
	}
	remove := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			return client.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{DryRun: dry})
		}
	}
	createAt := func(node string, change func(*corev1.PersistentVolume)) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := client.CoreV1().PersistentVolumes().Create(ctx, volume(node, change), metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	create := func(change func(*corev1.PersistentVolume)) func(context.Context) error {
		return createAt("node-1", change)
	}
	secret := &corev1.SecretReference{Namespace: "kubevirt", Name: "kubevirt-ca"}
	room := func(change func(*storagev1.CSIStorageCapacity)) func(context.Context) error {
		return func(ctx context.Context) error {
			o := &storagev1.CSIStorageCapacity{
				ObjectMeta: metav1.ObjectMeta{Name: "hostpath-1", Labels: map[string]string{hostpath.TopologyKey: "node-1"},
					OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "node-1", UID: "u"}}},
				NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{hostpath.TopologyKey: "node-1"}}, StorageClassName: "fast",
			}
			change(o)
			_, err := client.StorageV1().CSIStorageCapacities(harness.Namespace).Create(ctx, o, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	tell := func(namespace, apiVersion, kind, name string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := client.CoreV1().Events(namespace).Create(ctx, event(namespace, apiVersion, kind, name), metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	const label, foreign, elsewhere = "may only write objects whose label topology.hostpath.csi/node names that node", "may only write volumes of its own", "may only write volumes that are on that node"
	const names, bare, extras = "its handle have the name hostpath- and the uid of the claim", "name no Secrets and no attributes but their pool", "no labels, annotations, finalizers or owners but those that the driver gives it"
	const finalizer, capacity, claims = "may change nothing of a volume but its own finalizer", "may only tell of the room on that node", "may change nothing of a claim but the selected node"
	const filled = "the claim is not for the hostpath driver to fill"
	const others, fill, about = "may not change claims that were given to other nodes", "may only write claims that it is to fill", "may only write events about volumes, claims and storage classes"
	try(t, []attempt{
		{"a volume here", "", create(nil)},
		{"a volume of another class of ours", "", create(func(v *corev1.PersistentVolume) { v.Spec.StorageClassName = "fast" })},
		{"a volume that is kept", "", create(func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeReclaimPolicy, v.Finalizers = corev1.PersistentVolumeReclaimRetain, nil
		})},
		{"a volume there", label, createAt("node-2", nil)},
		{"a volume of another driver", foreign, create(func(v *corev1.PersistentVolume) { v.Spec.CSI.Driver = "other.example.com" })},
		{"a path of the node", foreign, create(func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
		})},
		{"a volume that draws pods of other nodes", elsewhere, create(func(v *corev1.PersistentVolume) {
			v.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values = []string{"node-1", "node-2"}
		})},
		{"a volume of no node", elsewhere, create(func(v *corev1.PersistentVolume) { v.Spec.NodeAffinity = nil })},
		{"a Secret to publish with", bare, create(func(v *corev1.PersistentVolume) { v.Spec.CSI.NodePublishSecretRef = secret })},
		{"a Secret to stage with", bare, create(func(v *corev1.PersistentVolume) { v.Spec.CSI.NodeStageSecretRef = secret })},
		{"a Secret to expand with", bare, create(func(v *corev1.PersistentVolume) { v.Spec.CSI.NodeExpandSecretRef = secret })},
		{"a Secret to attach with", bare, create(func(v *corev1.PersistentVolume) { v.Spec.CSI.ControllerPublishSecretRef = secret })},
		{"a Secret to grow with", bare, create(func(v *corev1.PersistentVolume) { v.Spec.CSI.ControllerExpandSecretRef = secret })},
		{"an attribute", bare, create(func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeAttributes["csi.storage.k8s.io/ephemeral"] = "true" })},
		{"a foreign name", names, create(func(v *corev1.PersistentVolume) { v.Name = "data" })},
		{"a foreign handle", names, create(func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeHandle = "hostpath-other" })},
		{"another claim's uid", names, create(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "other" })},
		{"a claim without its uid", names, create(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "" })},
		{"no claim", names, create(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil })},
		{"no class", "has the storage class of its claim", create(func(v *corev1.PersistentVolume) { v.Spec.StorageClassName = "" })},
		{"an owner", extras, create(func(v *corev1.PersistentVolume) {
			v.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "node-1", UID: "gone"}}
		})},
		{"a finalizer of its own", extras, create(func(v *corev1.PersistentVolume) { v.Finalizers = []string{"example.com/x"} })},
		{"a label", extras, create(func(v *corev1.PersistentVolume) { v.Labels["topology.kubernetes.io/zone"] = "" })},
		{"an annotation", extras, create(func(v *corev1.PersistentVolume) { v.Annotations["example.com/x"] = "" })},
		{"taking its finalizer off", "", patchVolume("hostpath-here", `{"metadata":{"finalizers":["kubernetes.io/pv-protection"]}}`)},
		{"taking another's finalizer off", finalizer, patchVolume("hostpath-here", `{"metadata":{"finalizers":null}}`)},
		{"a claim for a volume", finalizer, patchVolume("hostpath-here", `{"spec":{"claimRef":{"namespace":"default","name":"foreign"}}}`)},
		{"another class", finalizer, patchVolume("hostpath-here", `{"spec":{"storageClassName":"ceph"}}`)},
		{"a label with an empty value", finalizer, patchVolume("hostpath-here", `{"metadata":{"labels":{"x":""}}}`)},
		{"an annotation with an empty value", finalizer, patchVolume("hostpath-here", `{"metadata":{"annotations":{"x":""}}}`)},
		{"an owner afterwards", finalizer, patchVolume("hostpath-here", `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"node-1","uid":"gone"}]}}`)},
		{"a volume of another node", label, patchVolume("hostpath-there", `{"metadata":{"finalizers":["kubernetes.io/pv-protection"]}}`)},
		{"end of a volume here", "", remove("hostpath-here")},
		{"end of a volume there", label, remove("hostpath-there")},
		{"taking a claim", "", patch("ours", `{"metadata":{"annotations":{"`+selected+`":"node-1"}}}`)},
		{"giving a claim back", "", patch("here", `{"metadata":{"annotations":{"`+selected+`":null}}}`)},
		{"pushing a claim to another node", others, patch("ours", `{"metadata":{"annotations":{"`+selected+`":"node-2"}}}`)},
		{"taking another node's claim", others, patch("there", `{"metadata":{"annotations":{"`+selected+`":"node-1"}}}`)},
		{"taking another driver's claim", fill, patch("foreign", `{"metadata":{"annotations":{"`+selected+`":"node-1"}}}`)},
		{"another annotation", claims, patch("ours", `{"metadata":{"annotations":{"x":"y"}}}`)},
		{"another annotation with an empty value", claims, patch("ours", `{"metadata":{"annotations":{"x":""}}}`)},
		{"a label of a claim", claims, patch("ours", `{"metadata":{"labels":{"a":null}}}`)},
		{"a finalizer of a claim", claims, patch("ours", `{"metadata":{"finalizers":["example.com/x"]}}`)},
		{"an owner of a claim", claims, patch("ours", `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"node-1","uid":"gone"}]}}`)},
		{"the volume of a claim", claims, patch("ours", `{"spec":{"volumeName":"pvc-1"}}`)},
		// Kubernetes' own binder, or whoever else binds: it takes any volume that names the claim.
		{"binding its claim", "", bind("ours", "")},
		{"binding another provisioner's claim", filled, bind("foreign", "")},
		{"binding a claim of no provisioner", filled, bind("static", "")},
		{"binding a claim to another's volume", "the volume was made for another claim", bind("ours", "hostpath-x")},
		{"binding another provisioner's claim to its own volume", "", bind("foreign", "pvc-x")},
		{"room here", "", room(func(*storagev1.CSIStorageCapacity) {})},
		{"room there", capacity, room(func(c *storagev1.CSIStorageCapacity) { c.NodeTopology.MatchLabels[hostpath.TopologyKey] = "node-2" })},
		{"room everywhere", capacity, room(func(c *storagev1.CSIStorageCapacity) { c.NodeTopology = &metav1.LabelSelector{} })},
		{"room owned by another", capacity, room(func(c *storagev1.CSIStorageCapacity) { c.OwnerReferences[0].Name = "node-2" })},
		{"event of a claim", "", tell(tenant, "v1", "PersistentVolumeClaim", "ours")},
		{"event of a pod", about, tell("kube-system", "v1", "Pod", "kube-proxy")},
		{"a Secret", "is forbidden: User", func(ctx context.Context) error {
			_, err := client.CoreV1().Secrets("kubevirt").Get(ctx, "kubevirt-ca", metav1.GetOptions{})
			return err
		}},
	})
}
