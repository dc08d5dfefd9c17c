package provisioner

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"

	"github.com/virtplane/virtplane/csi-driver/driver"
)

const within = 20 * time.Second

// TestRun lets everything run: a claim that was there before, one that comes later, and the release of a volume.
func TestRun(t *testing.T) {
	early, late := newClaim(), newClaim(func(c *corev1.PersistentVolumeClaim) { c.Name, c.UID = "late", "late" })
	foreign := newClaim(func(c *corev1.PersistentVolumeClaim) {
		c.Name, c.UID = "foreign", "foreign"
		c.Annotations[annSelectedNode] = "node-2"
	})
	b := newBox(t, newClass(), early, foreign)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	defer func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(within):
			t.Errorf("waiting for the provisioner to end: it still runs after %s", within)
		}
	}()
	b.waitFor(t, "the volume of the early claim", func() bool { return slices.Contains(b.local(t), "hostpath-"+uid) })
	if err := b.Ready(); err != nil {
		t.Error(err)
	}
	if _, err := b.client.CoreV1().PersistentVolumeClaims("default").Create(ctx, late, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.meta.Resource(corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims")).Namespace("default").(interface {
		CreateFake(*metav1.PartialObjectMetadata, metav1.CreateOptions, ...string) (*metav1.PartialObjectMetadata, error)
	}).CreateFake(metadataOf(late), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.waitFor(t, "the volume of the late claim", func() bool {
		list, err := b.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{LabelSelector: driver.TopologyKey + "=" + node})
		return err == nil && len(list.Items) == 2
	})
	v := b.volume(t, "hostpath-"+uid)
	v.Status.Phase = corev1.VolumeReleased
	if _, err := b.client.CoreV1().PersistentVolumes().UpdateStatus(ctx, v, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.waitFor(t, "the end of the released volume", func() bool {
		list, err := b.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		return err == nil && len(list.Items) == 1
	})
	if diff := cmp.Diff([]string{"hostpath-late"}, b.local(t)); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	b.waitFor(t, "the capacity", func() bool {
		list, err := b.client.StorageV1().CSIStorageCapacities("kubevirt").List(ctx, metav1.ListOptions{})
		return err == nil && len(list.Items) == 1
	})
}

func (b *box) waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, within, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

// TestClaimStore wants the store to hold nothing but what waits for this node.
func TestClaimStore(t *testing.T) {
	var woken []string
	s := newClaimStore(node, func(key string) { woken = append(woken, key) })
	claim := func(name string, changes ...func(*corev1.PersistentVolumeClaim)) *metav1.PartialObjectMetadata {
		return metadataOf(newClaim(append(changes, func(c *corev1.PersistentVolumeClaim) { c.Name, c.UID = name, types.UID(name) })...))
	}
	annotate := func(key, value string) func(*corev1.PersistentVolumeClaim) {
		return func(c *corev1.PersistentVolumeClaim) { c.Annotations[key] = value }
	}
	if err := s.Replace([]any{
		claim("mine"), claim("other-node", annotate(annSelectedNode, "node-2")), claim("other-driver", annotate(annProvisioner, "x")),
		claim("bound", annotate(annBound, "yes")), claim("anywhere", annotate(annSelectedNode, "")),
	}, "1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(claim("late", annotate(annProvisioner, ""), annotate(annBetaProvisioner, driver.Name))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"default/mine", "default/anywhere", "default/late"}, woken); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	if err := s.Update(claim("mine", annotate(annBound, "yes"))); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(cache.DeletedFinalStateUnknown{Obj: claim("anywhere")}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]types.UID{"default/late": "late"}, s.waiting); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	cut, err := s.Transformer()(claim("other-node", annotate(annSelectedNode, "node-2")))
	if err != nil {
		t.Fatal(err)
	}
	if o := cut.(*metav1.PartialObjectMetadata); o.Annotations != nil || o.Name != "other-node" {
		t.Errorf("kept %+v", o)
	}
	for _, bad := range []error{s.Add("x"), s.Delete("x")} {
		if bad == nil {
			t.Error("accepted something that is no object")
		}
	}
}
