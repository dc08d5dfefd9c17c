package provisioner

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/tools/record"

	"github.com/virtplane/virtplane/csi-driver/driver"
	mountfake "github.com/virtplane/virtplane/csi-driver/mount/fake"
	"github.com/virtplane/virtplane/csi-driver/pool"
)

const (
	node = "node-1"
	mib  = 1 << 20
	uid  = "0c7d2b60-4a39-4f6c-9d7c-1b7f1b7f1b7f"
)

// box is a provisioner over a fake API server and a real driver.
type box struct {
	*Provisioner
	client *fake.Clientset
	meta   *metadatafake.FakeMetadataClient
	pools  *pool.Pools
	events *record.FakeRecorder
}

func newBox(t *testing.T, objects ...runtime.Object) *box {
	t.Helper()
	b := &box{events: record.NewFakeRecorder(100)}
	objects = append(objects, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node, UID: "node-uid"}})
	b.client = fake.NewClientset(objects...)
	metaScheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(metaScheme); err != nil {
		t.Fatal(err)
	}
	var metas []runtime.Object
	for _, o := range objects {
		if claim, ok := o.(*corev1.PersistentVolumeClaim); ok {
			metas = append(metas, metadataOf(claim))
		}
	}
	b.meta = metadatafake.NewSimpleMetadataClient(metaScheme, metas...)
	var err error
	if b.pools, err = pool.New([]pool.Spec{{Name: "local", Path: t.TempDir()}}, 100); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.pools.Close() })
	d, err := driver.New(node, "test", b.pools, mountfake.New(), func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	b.Provisioner, err = New(Config{
		NodeName: node, Namespace: "kubevirt", Client: b.client, Metadata: b.meta, Volumes: driver.Controller{Driver: d}, CapacityInterval: time.Hour,
		Local: func(ctx context.Context) []LocalVolume {
			var all []LocalVolume
			for _, v := range b.pools.List(ctx) {
				all = append(all, LocalVolume{ID: v.ID, Created: v.Created, Published: v.Published})
			}
			return all
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Provisioner.events = b.events
	return b
}

func metadataOf(claim *corev1.PersistentVolumeClaim) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}, ObjectMeta: *claim.ObjectMeta.DeepCopy()}
}

func newClaim(changes ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	name := "hostpath-csi"
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: "claim", Namespace: "default", UID: uid,
			Annotations: map[string]string{annProvisioner: driver.Name, annSelectedNode: node},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &name,
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("4Mi")}},
		},
	}
	for _, change := range changes {
		change(claim)
	}
	return claim
}

func newClass(changes ...func(*storagev1.StorageClass)) *storagev1.StorageClass {
	mode := storagev1.VolumeBindingWaitForFirstConsumer
	class := &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: "hostpath-csi"},
		Provisioner:       driver.Name,
		VolumeBindingMode: &mode,
		Parameters:        map[string]string{driver.ParameterPool: "local"},
	}
	for _, change := range changes {
		change(class)
	}
	return class
}

func immediate(class *storagev1.StorageClass) {
	mode := storagev1.VolumeBindingImmediate
	class.VolumeBindingMode = &mode
}

// seen returns the events so far, each as type, reason and message.
func (b *box) seen() []string {
	var all []string
	for {
		select {
		case e := <-b.events.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

func (b *box) volume(t *testing.T, name string) *corev1.PersistentVolume {
	t.Helper()
	v, err := b.client.CoreV1().PersistentVolumes().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (b *box) local(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, v := range b.pools.List(t.Context()) {
		ids = append(ids, v.ID)
	}
	return ids
}

// know puts a volume into the informer's store, as the watch would.
func (b *box) know(t *testing.T, v *corev1.PersistentVolume) {
	t.Helper()
	if err := b.volumes.GetStore().Add(v); err != nil {
		t.Fatal(err)
	}
}

func contains(all []string, part string) bool {
	return slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, part) })
}
