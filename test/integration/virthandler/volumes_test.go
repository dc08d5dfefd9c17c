package virthandler

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/virtplane/virtplane/csi-driver/driver"
)

func volume(name, node, by string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{driver.TopologyKey: node}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: by, VolumeHandle: name}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: driver.TopologyKey, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}}},
		},
	}
}

// TestVolumeWrites tries what the hostpath driver of node-1 writes of volumes and claims, and what it must not.
func TestVolumeWrites(t *testing.T) {
	ctx := t.Context()
	client, err := kubernetes.NewForConfig(env.driver)
	if err != nil {
		t.Fatal(err)
	}
	const provisioner, selected = "volume.kubernetes.io/storage-provisioner", "volume.kubernetes.io/selected-node"
	claim := func(name string, annotations map[string]string) {
		t.Helper()
		if _, err := env.kube.CoreV1().PersistentVolumeClaims("default").Create(ctx, &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations, Labels: map[string]string{"a": "b"}},
			Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	claim("ours", map[string]string{provisioner: driver.Name})
	claim("here", map[string]string{provisioner: driver.Name, selected: "node-1"})
	claim("there", map[string]string{provisioner: driver.Name, selected: "node-2"})
	claim("foreign", map[string]string{provisioner: "other.example.com"})
	dry := []string{metav1.DryRunAll}
	patch := func(name, patch string) func() error {
		return func() error {
			_, err := client.CoreV1().PersistentVolumeClaims("default").Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{DryRun: dry})
			return err
		}
	}
	create := func(v *corev1.PersistentVolume) func() error {
		return func() error {
			_, err := client.CoreV1().PersistentVolumes().Create(ctx, v, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	elsewhere := volume("pvc-3", "node-1", driver.Name)
	elsewhere.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values = []string{"node-1", "node-2"}
	nowhere := volume("pvc-4", "node-1", driver.Name)
	nowhere.Spec.NodeAffinity = nil
	for _, tc := range []struct {
		name, denied string
		write        func() error
	}{
		{name: "a volume here", write: create(volume("pvc-1", "node-1", driver.Name))},
		{name: "a volume there", write: create(volume("pvc-1", "node-2", driver.Name)), denied: "may only write objects whose label topology.hostpath.csi/node names that node"},
		{name: "a volume of another driver", write: create(volume("pvc-2", "node-1", "other.example.com")), denied: "may only write volumes of its own"},
		{name: "a volume that draws pods of other nodes", write: create(elsewhere), denied: "may only write volumes that are on that node"},
		{name: "a volume of no node", write: create(nowhere), denied: "may only write volumes that are on that node"},
		{name: "taking a claim", write: patch("ours", `{"metadata":{"annotations":{"`+selected+`":"node-1"}}}`)},
		{name: "giving a claim back", write: patch("here", `{"metadata":{"annotations":{"`+selected+`":null}}}`)},
		{name: "pushing a claim to another node", write: patch("ours", `{"metadata":{"annotations":{"`+selected+`":"node-2"}}}`), denied: "may not change claims that were given to other nodes"},
		{name: "taking another node's claim", write: patch("there", `{"metadata":{"annotations":{"`+selected+`":"node-1"}}}`), denied: "may not change claims that were given to other nodes"},
		{name: "taking another driver's claim", write: patch("foreign", `{"metadata":{"annotations":{"`+selected+`":"node-1"}}}`), denied: "may only write claims that it is to fill"},
		{name: "another annotation", write: patch("ours", `{"metadata":{"annotations":{"x":"y"}}}`), denied: "may change nothing of a claim but the selected node"},
		{name: "a label", write: patch("ours", `{"metadata":{"labels":{"a":null}}}`), denied: "may change nothing of a claim but the selected node"},
		{name: "a finalizer", write: patch("ours", `{"metadata":{"finalizers":["example.com/x"]}}`), denied: "may change nothing of a claim but the selected node"},
		{name: "the volume", write: patch("ours", `{"spec":{"volumeName":"pvc-1"}}`), denied: "may change nothing of a claim but the selected node"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// A policy takes effect a moment after it was made.
			for end := time.Now().Add(waitFor); ; time.Sleep(100 * time.Millisecond) {
				err := tc.write()
				if tc.denied == "" && err == nil || tc.denied != "" && err != nil && strings.Contains(err.Error(), tc.denied) {
					return
				}
				if err != nil || time.Now().After(end) {
					t.Fatalf("got %v, want %q", err, tc.denied)
				}
			}
		})
	}
}
