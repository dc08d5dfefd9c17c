package provisioner

import (
	"context"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/csi-driver/driver"
)

// capacities is a driver that only knows how much there is, by pool.
type capacities struct {
	Volumes
	byPool map[string]int64
}

func (c *capacities) GetCapacity(_ context.Context, r *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	n, found := c.byPool[r.Parameters[driver.ParameterPool]]
	if !found {
		return nil, status.Error(codes.InvalidArgument, "there is no such pool")
	}
	return &csi.GetCapacityResponse{AvailableCapacity: n}, nil
}

type capacityBox struct {
	*box
	*capacityPublisher
	byPool     map[string]int64
	shown      []*storagev1.StorageClass
	complaints []string
}

func newCapacityBox(t *testing.T) *capacityBox {
	b := &capacityBox{box: newBox(t), byPool: map[string]int64{"local": 10 << 30}}
	config := b.box.Provisioner.Config
	config.Volumes = &capacities{byPool: b.byPool}
	b.capacityPublisher = newCapacityPublisher(config, func() []*storagev1.StorageClass { return b.shown }, func(class *storagev1.StorageClass, message string) {
		b.complaints = append(b.complaints, class.Name+": "+message)
	})
	return b
}

func (b *capacityBox) read(t *testing.T) map[string]string {
	t.Helper()
	list, err := b.client.StorageV1().CSIStorageCapacities("kubevirt").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range list.Items {
		got[c.StorageClassName] = c.Capacity.String()
	}
	return got
}

func named(name, pool string) *storagev1.StorageClass {
	return newClass(func(c *storagev1.StorageClass) {
		c.Name, c.Parameters = name, map[string]string{driver.ParameterPool: pool}
	})
}

func TestCapacity(t *testing.T) {
	b := newCapacityBox(t)
	now := time.Unix(1000, 0)
	b.byPool["other"] = 100<<30 + 12345
	elsewhere := named("elsewhere", "local")
	elsewhere.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: driver.TopologyKey, Values: []string{"node-2"}}}}}
	for _, step := range []struct {
		name   string
		shown  []*storagev1.StorageClass
		change func()
		want   map[string]string
	}{
		{"no class", nil, func() {}, map[string]string{}},
		{"two classes, and one of another node", []*storagev1.StorageClass{named("a", "local"), named("b", "other"), elsewhere}, func() {}, map[string]string{"a": "10Gi", "b": "100Gi"}},
		{"a little less", []*storagev1.StorageClass{named("a", "local"), named("b", "other")}, func() { b.byPool["other"] -= 512 << 20 }, map[string]string{"a": "10Gi", "b": "100Gi"}},
		{"much less", []*storagev1.StorageClass{named("a", "local"), named("b", "other")}, func() { b.byPool["other"] = 50 << 30 }, map[string]string{"a": "10Gi", "b": "50Gi"}},
		{"nothing", []*storagev1.StorageClass{named("a", "local"), named("b", "other")}, func() { b.byPool["other"] = 12345 }, map[string]string{"a": "10Gi", "b": "0"}},
		{"a class less", []*storagev1.StorageClass{named("a", "local")}, func() {}, map[string]string{"a": "10Gi"}},
	} {
		b.shown = step.shown
		step.change()
		if err := b.publish(t.Context(), now); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, b.read(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestCapacityObject(t *testing.T) {
	b := newCapacityBox(t)
	b.shown = []*storagev1.StorageClass{named("a", "local")}
	if err := b.publish(t.Context(), time.Unix(1000, 0)); err != nil {
		t.Fatal(err)
	}
	list, err := b.client.StorageV1().CSIStorageCapacities("kubevirt").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	got := list.Items[0]
	if diff := cmp.Diff(&metav1.LabelSelector{MatchLabels: map[string]string{driver.TopologyKey: node}}, got.NodeTopology); diff != "" {
		t.Errorf("topology (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node, UID: "node-uid"}}, got.OwnerReferences); diff != "" {
		t.Errorf("owner (-want +got):\n%s", diff)
	}
	if got.MaximumVolumeSize.Cmp(*got.Capacity) != 0 || got.Labels[driver.TopologyKey] != node {
		t.Errorf("object %+v", got)
	}
	// Somebody removes it: it comes back in time.
	if err := b.client.StorageV1().CSIStorageCapacities("kubevirt").Delete(t.Context(), got.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := b.publish(t.Context(), time.Unix(1000, 0).Add(capacityAnyway)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "10Gi"}, b.read(t)); diff != "" {
		t.Errorf("capacities (-want +got):\n%s", diff)
	}
}

// TestLeftoverCapacity has an object of a class that was deleted while no driver ran, and one of another node.
func TestLeftoverCapacity(t *testing.T) {
	b := newCapacityBox(t)
	for name, on := range map[string]string{"stale": node, "foreign": "node-2"} {
		object := &storagev1.CSIStorageCapacity{
			ObjectMeta:       metav1.ObjectMeta{Name: name, Namespace: "kubevirt", Labels: map[string]string{labelManagedBy: managedBy, driver.TopologyKey: on}},
			StorageClassName: name,
		}
		if _, err := b.client.StorageV1().CSIStorageCapacities("kubevirt").Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.publish(t.Context(), time.Unix(1000, 0)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"foreign": "<nil>"}, b.read(t)); diff != "" {
		t.Errorf("capacities (-want +got):\n%s", diff)
	}
}

// TestCapacityOfNoPool wants the scheduler to see nothing, and the class to say why, once.
func TestCapacityOfNoPool(t *testing.T) {
	b := newCapacityBox(t)
	b.shown = []*storagev1.StorageClass{named("a", "nowhere")}
	for range 2 {
		if err := b.publish(t.Context(), time.Unix(1000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]string{"a": "0"}, b.read(t)); diff != "" {
		t.Errorf("capacities (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a: there is no such pool"}, b.complaints); diff != "" {
		t.Errorf("complaints (-want +got):\n%s", diff)
	}
}
