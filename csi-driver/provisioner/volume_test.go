package provisioner

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/csi-driver/driver"
	"github.com/virtplane/virtplane/csi-driver/pool"
	"github.com/virtplane/virtplane/test/spec"
)

func newVolume(changes ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: "hostpath-" + uid, UID: "pv-uid", Labels: map[string]string{driver.TopologyKey: node},
			Annotations: map[string]string{annProvisionedBy: driver.Name}, Finalizers: []string{finalizer, protection},
		},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver.Name, VolumeHandle: "hostpath-" + uid}},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
	}
	for _, change := range changes {
		change(v)
	}
	return v
}

type changeVolume = func(*corev1.PersistentVolume)

func in(phase corev1.PersistentVolumePhase) changeVolume {
	return func(v *corev1.PersistentVolume) { v.Status.Phase = phase }
}

func finalizers(f ...string) changeVolume {
	return func(v *corev1.PersistentVolume) { v.Finalizers = f }
}

func going(v *corev1.PersistentVolume) { v.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }

func kept(v *corev1.PersistentVolume) {
	v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
}

func TestPlanFor(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes []changeVolume
		want    plan
	}{
		{"bound", nil, planNothing},
		{"bound without our finalizer", []changeVolume{finalizers(protection)}, planAddFinalizer},
		{"released", []changeVolume{in(corev1.VolumeReleased)}, planDelete},
		{"failed", []changeVolume{in(corev1.VolumeFailed)}, planDelete},
		{"released, finalizer already gone", []changeVolume{in(corev1.VolumeReleased), finalizers(protection)}, planDelete},
		{"released, object going", []changeVolume{in(corev1.VolumeReleased), going}, planDelete},
		{"released, object going, nothing left to do", []changeVolume{in(corev1.VolumeReleased), going, finalizers(protection)}, planNothing},
		{"deleted by hand while bound", []changeVolume{going}, planNothing},
		{"deleted by hand while bound, without protection", []changeVolume{going, finalizers(finalizer)}, planNothing},
		{"deleted by hand, protected", []changeVolume{going, in(corev1.VolumeAvailable)}, planNothing},
		{"deleted by hand, unused", []changeVolume{going, in(corev1.VolumeAvailable), finalizers(finalizer)}, planDelete},
		{"kept", []changeVolume{kept, finalizers(protection)}, planNothing},
		{"kept, released", []changeVolume{kept, in(corev1.VolumeReleased), finalizers()}, planNothing},
		{"made to be kept", []changeVolume{kept}, planRemoveFinalizer},
		{"made to be kept, going", []changeVolume{kept, going, in(corev1.VolumeReleased)}, planRemoveFinalizer},
		{"made by somebody else", []changeVolume{in(corev1.VolumeReleased), func(v *corev1.PersistentVolume) { v.Annotations = nil }}, planNothing},
		{"of another driver", []changeVolume{in(corev1.VolumeReleased), func(v *corev1.PersistentVolume) { v.Spec.CSI.Driver = "other" }}, planNothing},
		{"not CSI", []changeVolume{in(corev1.VolumeReleased), func(v *corev1.PersistentVolume) { v.Spec.CSI = nil }}, planNothing},
	} {
		if got := planFor(newVolume(tc.changes...)); got != tc.want {
			t.Errorf("%s: plan %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestReclaim deletes the claims of two classes.
func TestReclaim(t *testing.T) {
	spec.Covers(t, "P3-SC-03")
	for _, tc := range []struct {
		name      string
		policy    corev1.PersistentVolumeReclaimPolicy
		wantLocal []string
	}{
		{"Delete", corev1.PersistentVolumeReclaimDelete, nil},
		{"Retain", corev1.PersistentVolumeReclaimRetain, []string{"hostpath-" + uid}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			class := newClass()
			class.ReclaimPolicy = &tc.policy
			b := newBox(t, class, newClaim())
			if _, err := b.syncClaim(t.Context(), "default/claim"); err != nil {
				t.Fatal(err)
			}
			v := b.volume(t, "hostpath-"+uid)
			if got := v.Spec.PersistentVolumeReclaimPolicy; got != tc.policy {
				t.Errorf("policy %s", got)
			}
			v.Status.Phase = corev1.VolumeReleased
			if err := b.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("persistentvolumes"), v, ""); err != nil {
				t.Fatal(err)
			}
			b.know(t, v)
			for range 2 {
				if err := b.syncVolume(t.Context(), v.Name); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tc.wantLocal, b.local(t)); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
			_, err := b.client.CoreV1().PersistentVolumes().Get(t.Context(), v.Name, metav1.GetOptions{})
			if gone := apierrors.IsNotFound(err); gone != (tc.wantLocal == nil) {
				t.Errorf("the object: %v", err)
			}
		})
	}
}

// TestStaleWatch has a volume that was released for the watch, but belongs to a claim again for the API server.
func TestStaleWatch(t *testing.T) {
	b := newBox(t, newVolume())
	if _, err := b.pools.Create(t.Context(), pool.CreateRequest{Name: "hostpath-" + uid}); err != nil {
		t.Fatal(err)
	}
	b.know(t, newVolume(in(corev1.VolumeReleased)))
	if err := b.syncVolume(t.Context(), "hostpath-"+uid); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"hostpath-" + uid}, b.local(t)); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
}

// TestStillMounted wants the object to stay and an event to say why.
func TestStillMounted(t *testing.T) {
	released := newVolume(in(corev1.VolumeReleased))
	b := newBox(t, released)
	b.Provisioner.Volumes = failingVolumes{b.Provisioner.Volumes, status.Error(codes.FailedPrecondition, "volume is still mounted")}
	b.know(t, released)
	if err := b.syncVolume(t.Context(), released.Name); err == nil {
		t.Error("no error")
	}
	b.volume(t, released.Name)
	if events := b.seen(); !contains(events, "Warning VolumeFailedDelete") || !contains(events, "volume is still mounted") {
		t.Errorf("events %q", events)
	}
}

func TestFinalizerFollowsPolicy(t *testing.T) {
	for _, tc := range []struct {
		name   string
		volume *corev1.PersistentVolume
		want   []string
	}{
		{"added", newVolume(finalizers(protection)), []string{protection, finalizer}},
		{"removed", newVolume(kept), []string{protection}},
	} {
		b := newBox(t, tc.volume)
		b.know(t, tc.volume)
		if err := b.syncVolume(t.Context(), tc.volume.Name); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, b.volume(t, tc.volume.Name).Finalizers); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestOrphans wants only those volumes to go that certainly nobody needs.
func TestOrphans(t *testing.T) {
	old, young := time.Now().Add(-time.Hour), time.Now()
	b := newBox(t, newVolume())
	for _, name := range []string{"hostpath-" + uid, "hostpath-waiting", "hostpath-orphan", "hostpath-used", "hostpath-young", "by-hand"} {
		if _, err := b.pools.Create(t.Context(), pool.CreateRequest{Name: name, MinSize: mib}); err != nil {
			t.Fatal(err)
		}
	}
	waiting := metadataOf(newClaim(func(c *corev1.PersistentVolumeClaim) { c.UID = "waiting" }))
	if err := b.claims.Add(waiting); err != nil {
		t.Fatal(err)
	}
	list := b.Local
	ages := map[string]time.Time{"hostpath-young": young}
	b.Provisioner.Local = func(ctx context.Context) []LocalVolume {
		all := list(ctx)
		for i := range all {
			all[i].Created = old
			if at, found := ages[all[i].ID]; found {
				all[i].Created = at
			}
			all[i].Published = all[i].ID == "hostpath-used"
		}
		return all
	}
	b.sweepOnce(t.Context())
	if diff := cmp.Diff([]string{"by-hand", "hostpath-" + uid, "hostpath-used", "hostpath-waiting", "hostpath-young"}, b.local(t)); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
}
