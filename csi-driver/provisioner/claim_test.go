package provisioner

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/virtplane/virtplane/csi-driver/driver"
	"github.com/virtplane/virtplane/test/spec"
)

func TestProvision(t *testing.T) {
	b := newBox(t, newClass(), newClaim())
	if after, err := b.syncClaim(t.Context(), "default/claim"); err != nil || after != 0 {
		t.Fatal(after, err)
	}
	mode := corev1.PersistentVolumeFilesystem
	want := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "hostpath-" + uid,
			Labels:      map[string]string{driver.TopologyKey: node},
			Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": driver.Name},
			Finalizers:  []string{"external-provisioner.volume.kubernetes.io/finalizer"},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("4Mi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              "hostpath-csi",
			VolumeMode:                    &mode,
			ClaimRef:                      &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: "default", Name: "claim", UID: uid},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: driver.TopologyKey, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
			}}}},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: driver.Name, VolumeHandle: "hostpath-" + uid, VolumeAttributes: map[string]string{driver.ParameterPool: "local"},
			}},
		},
	}
	got := b.volume(t, "hostpath-"+uid)
	got.ManagedFields, got.TypeMeta, got.Spec.ClaimRef.ResourceVersion = nil, metav1.TypeMeta{}, ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("volume (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		`Normal Provisioning Making a volume on node "node-1"`,
		`Normal ProvisioningSucceeded Made volume hostpath-` + uid + ` on node "node-1"`,
	}, b.seen()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	// Kubernetes is about to bind it: whatever wakes us in between changes nothing.
	if _, err := b.syncClaim(t.Context(), "default/claim"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"hostpath-" + uid}, b.local(t)); diff != "" || len(b.seen()) != 0 {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
}

// TestLostAnswers has the API server lose the write of the volume, or its answer: the next attempt must end in the same one volume.
func TestLostAnswers(t *testing.T) {
	for _, written := range []bool{false, true} {
		b := newBox(t, newClass(), newClaim())
		failed := false
		b.client.PrependReactor("create", "persistentvolumes", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if failed {
				return false, nil, nil
			}
			failed = true
			if written {
				if err := b.client.Tracker().Add(action.(clienttesting.CreateAction).GetObject()); err != nil {
					return true, nil, err
				}
			}
			return true, nil, errors.New("connection reset")
		})
		if _, err := b.syncClaim(t.Context(), "default/claim"); err == nil {
			t.Fatal("no error")
		}
		if _, err := b.syncClaim(t.Context(), "default/claim"); err != nil {
			t.Fatal(err)
		}
		b.volume(t, "hostpath-"+uid)
		if diff := cmp.Diff([]string{"hostpath-" + uid}, b.local(t)); diff != "" {
			t.Errorf("volumes (-want +got):\n%s", diff)
		}
	}
}

// TestPrintedName accepts the provisioner's name as the manual prints it, in a StorageClass as the manual has it.
func TestPrintedName(t *testing.T) {
	spec.Covers(t, "P3-SC-02")
	const printed = "kubevirt.io/hostpath-provisioner"
	b := newBox(t, newClass(func(c *storagev1.StorageClass) { c.Provisioner = printed }),
		newClaim(func(c *corev1.PersistentVolumeClaim) { c.Annotations[annProvisioner] = printed }))
	if _, err := b.syncClaim(t.Context(), "default/claim"); err != nil {
		t.Fatal(err)
	}
	if v := b.volume(t, "hostpath-"+uid); v.Spec.CSI.Driver != "kubevirt.io.hostpath-provisioner" {
		t.Errorf("driver %q", v.Spec.CSI.Driver)
	}
}

func TestNotOurs(t *testing.T) {
	for name, change := range map[string]func(*corev1.PersistentVolumeClaim){
		"another node":        func(c *corev1.PersistentVolumeClaim) { c.Annotations[annSelectedNode] = "node-2" },
		"another provisioner": func(c *corev1.PersistentVolumeClaim) { c.Annotations[annProvisioner] = "other" },
		"bound":               func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "pv" },
		"not scheduled":       func(c *corev1.PersistentVolumeClaim) { delete(c.Annotations, annSelectedNode) },
		"being deleted": func(c *corev1.PersistentVolumeClaim) {
			c.DeletionTimestamp, c.Finalizers = &metav1.Time{Time: time.Now()}, []string{"x"}
		},
		"gone":    func(c *corev1.PersistentVolumeClaim) { c.Name = "other" },
		"no name": func(c *corev1.PersistentVolumeClaim) { c.Namespace = "elsewhere" },
	} {
		b := newBox(t, newClass(), newClaim(change))
		after, err := b.syncClaim(t.Context(), "default/claim")
		if err != nil || after != 0 || len(b.local(t)) != 0 || len(b.seen()) != 0 {
			t.Errorf("%s: %v, %v, volumes %v", name, after, err, b.local(t))
		}
	}
}

// TestRefusals wants an event that names the field, and no volume.
func TestRefusals(t *testing.T) {
	group, block := "snapshot.storage.k8s.io", corev1.PersistentVolumeBlock
	for _, tc := range []struct {
		name  string
		claim func(*corev1.PersistentVolumeClaim)
		class func(*storagev1.StorageClass)
		want  string
	}{
		{name: "shared", claim: func(c *corev1.PersistentVolumeClaim) {
			c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
		}, want: "spec.accessModes: ReadWriteMany is not possible, a volume is on one node only; use ReadWriteOnce or ReadWriteOncePod"},
		{name: "block", claim: func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeMode = &block },
			want: "spec.volumeMode: Block is not offered by this provisioner; use Filesystem"},
		{name: "selector", claim: func(c *corev1.PersistentVolumeClaim) { c.Spec.Selector = &metav1.LabelSelector{} },
			want: "spec.selector: cannot be used with a storage class that makes volumes; remove it"},
		{name: "snapshot", claim: func(c *corev1.PersistentVolumeClaim) {
			c.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: &group, Kind: "VolumeSnapshot", Name: "s"}
		}, want: "spec.dataSourceRef: this provisioner makes empty volumes only; use a DataVolume to fill one"},
		{name: "no size", claim: func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources.Requests = nil },
			want: "spec.resources.requests.storage: must be greater than 0"},
		{name: "mount options", class: func(c *storagev1.StorageClass) { c.MountOptions = []string{"noatime"} },
			want: `making the volume: volume_capability.mount.mount_flags: ["noatime"] cannot be applied to a directory of a pool; remove mountOptions`},
		{name: "unknown parameter", class: func(c *storagev1.StorageClass) { c.Parameters["pool"] = "x" },
			want: `making the volume: parameters: "pool" is not known, the only one is "storagePool"`},
		{name: "topology", class: func(c *storagev1.StorageClass) {
			c.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: driver.TopologyKey, Values: []string{"node-2"}}}}}
		}, want: `storage class "hostpath-csi" does not allow volumes on node "node-1": its allowedTopologies name others`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			claim, class := newClaim(), newClass()
			if tc.claim != nil {
				tc.claim(claim)
			}
			if tc.class != nil {
				tc.class(class)
			}
			b := newBox(t, class, claim)
			after, err := b.syncClaim(t.Context(), "default/claim")
			if err != nil || after != retryMost {
				t.Errorf("after %v, %v", after, err)
			}
			if events := b.seen(); !contains(events, "Warning ProvisioningFailed "+tc.want) {
				t.Errorf("events %q", events)
			}
			if left := b.local(t); len(left) != 0 {
				t.Errorf("volumes %v", left)
			}
		})
	}
}

// TestUnknownPool wants a claim whose class names no pool to fail with an event, however it was given to the node.
func TestUnknownPool(t *testing.T) {
	spec.Covers(t, "P3-SC-06")
	nowhere := func(c *storagev1.StorageClass) { c.Parameters[driver.ParameterPool] = "nowhere" }
	b := newBox(t, newClass(nowhere), newClaim())
	if _, err := b.syncClaim(t.Context(), "default/claim"); err != nil {
		t.Fatal(err)
	}
	if events := b.seen(); !contains(events, `Warning ProvisioningFailed making the volume: invalid request: there is no storage pool "nowhere" on this node`) {
		t.Errorf("events %q", events)
	}
	b = newBox(t, newClass(nowhere, immediate), newClaim(func(c *corev1.PersistentVolumeClaim) { delete(c.Annotations, annSelectedNode) }))
	if _, err := b.syncClaim(t.Context(), "default/claim"); err != nil {
		t.Fatal(err)
	}
	if events := b.seen(); !contains(events, `Warning ProvisioningFailed Node "node-1" cannot make the volume: invalid request: there is no storage pool "nowhere" on this node`) {
		t.Errorf("events %q", events)
	}
}

func TestClassProblems(t *testing.T) {
	for _, tc := range []struct {
		name    string
		objects []runtime.Object
		want    string
	}{
		{"no class", nil, `storage class "hostpath-csi" does not exist`},
		{"class of another", []runtime.Object{newClass(func(c *storagev1.StorageClass) { c.Provisioner = "other" })},
			`storage class "hostpath-csi" has provisioner "other", not "kubevirt.io.hostpath-provisioner"`},
	} {
		b := newBox(t, append(tc.objects, newClaim())...)
		if _, err := b.syncClaim(t.Context(), "default/claim"); err == nil || err.Error() != tc.want {
			t.Errorf("%s: %v", tc.name, err)
		}
		if events := b.seen(); !contains(events, "Warning ProvisioningFailed "+tc.want) {
			t.Errorf("%s: events %q", tc.name, events)
		}
	}
}

// TestNoRoom wants the claim to go back to the scheduler.
func TestNoRoom(t *testing.T) {
	b := newBox(t, newClass(), newClaim(func(c *corev1.PersistentVolumeClaim) {
		c.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("1Ei")
	}))
	if _, err := b.syncClaim(t.Context(), "default/claim"); err != nil {
		t.Fatal(err)
	}
	claim, err := b.client.CoreV1().PersistentVolumeClaims("default").Get(t.Context(), "claim", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n, found := claim.Annotations[annSelectedNode]; found {
		t.Errorf("the claim is still given to %q", n)
	}
	if events := b.seen(); !contains(events, "giving the claim back so that another node can be chosen") {
		t.Errorf("events %q", events)
	}
}

// TestPopulator leaves claims alone whose volume somebody else fills.
func TestPopulator(t *testing.T) {
	group := "cdi.kubevirt.io"
	b := newBox(t, newClass(), newClaim(func(c *corev1.PersistentVolumeClaim) {
		c.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: &group, Kind: "VolumeImportSource", Name: "source"}
	}))
	if after, err := b.syncClaim(t.Context(), "default/claim"); err != nil || after != 0 || len(b.local(t)) != 0 {
		t.Errorf("%v, %v, volumes %v", after, err, b.local(t))
	}
	if events := b.seen(); !contains(events, `Normal WaitingForPopulator The claim's content comes from VolumeImportSource "source", whose populator makes the volume`) {
		t.Errorf("events %q", events)
	}
}

func TestVolumeOfAnother(t *testing.T) {
	b := newBox(t, newClass(), newClaim(), &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "hostpath-" + uid}})
	if after, err := b.syncClaim(t.Context(), "default/claim"); err != nil || after != retryMost {
		t.Errorf("%v, %v", after, err)
	}
	if events := b.seen(); !contains(events, `volume "hostpath-`+uid+`" exists and does not belong to this claim; delete it`) {
		t.Errorf("events %q", events)
	}
}

// TestImmediate has a class that does not wait for a pod.
func TestImmediate(t *testing.T) {
	anywhere := func(c *corev1.PersistentVolumeClaim) { delete(c.Annotations, annSelectedNode) }
	fresh := func(c *corev1.PersistentVolumeClaim) { c.CreationTimestamp = metav1.Now() }
	selected := func(b *box) string {
		claim, err := b.client.CoreV1().PersistentVolumeClaims("default").Get(t.Context(), "claim", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return claim.Annotations[annSelectedNode]
	}
	t.Run("not yet our turn", func(t *testing.T) {
		b := newBox(t, newClass(immediate), newClaim(anywhere, fresh))
		after, err := b.syncClaim(t.Context(), "default/claim")
		if err != nil || after <= 0 || after > claimSpread || selected(b) != "" {
			t.Errorf("%v, %v, given to %q", after, err, selected(b))
		}
	})
	t.Run("taken", func(t *testing.T) {
		b := newBox(t, newClass(immediate), newClaim(anywhere))
		if after, err := b.syncClaim(t.Context(), "default/claim"); err != nil || after != 0 || selected(b) != node {
			t.Errorf("%v, %v, given to %q", after, err, selected(b))
		}
	})
	t.Run("another node was faster", func(t *testing.T) {
		b := newBox(t, newClass(immediate), newClaim(anywhere))
		b.client.PrependReactor("patch", "persistentvolumeclaims", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "persistentvolumeclaims"}, "claim", errors.New("changed"))
		})
		if after, err := b.syncClaim(t.Context(), "default/claim"); err != nil || after != 0 {
			t.Errorf("%v, %v", after, err)
		}
	})
	t.Run("no room", func(t *testing.T) {
		b := newBox(t, newClass(immediate), newClaim(anywhere, func(c *corev1.PersistentVolumeClaim) {
			c.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("1Ei")
		}))
		if after, err := b.syncClaim(t.Context(), "default/claim"); err != nil || after != claimAgain || selected(b) != "" {
			t.Errorf("%v, %v, given to %q", after, err, selected(b))
		}
		if events := b.seen(); !contains(events, "1Ei were asked for") {
			t.Errorf("events %q", events)
		}
	})
	t.Run("not allowed here", func(t *testing.T) {
		b := newBox(t, newClass(immediate, func(c *storagev1.StorageClass) {
			c.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: driver.TopologyKey, Values: []string{"node-2"}}}}}
		}), newClaim(anywhere))
		if after, err := b.syncClaim(t.Context(), "default/claim"); err != nil || after != 0 || selected(b) != "" {
			t.Errorf("%v, %v, given to %q", after, err, selected(b))
		}
	})
}

// TestTransientErrors are tried again and shown without gRPC's words.
func TestTransientErrors(t *testing.T) {
	b := newBox(t, newClass(), newClaim())
	b.Provisioner.Volumes = failingVolumes{b.Provisioner.Volumes, status.Error(codes.Unavailable, "storage pool is not usable: disk is gone")}
	_, err := b.syncClaim(t.Context(), "default/claim")
	if err == nil || err.Error() != "making the volume: storage pool is not usable: disk is gone" {
		t.Errorf("error %v", err)
	}
	if events := b.seen(); !contains(events, "Warning ProvisioningFailed making the volume: storage pool is not usable: disk is gone") {
		t.Errorf("events %q", events)
	}
}

type failingVolumes struct {
	Volumes
	err error
}

func (f failingVolumes) CreateVolume(context.Context, *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	return nil, f.err
}

func (f failingVolumes) DeleteVolume(context.Context, *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	return nil, f.err
}
