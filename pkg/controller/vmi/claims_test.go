package vmi

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// claim makes a claim of the test's namespace that Kubernetes protects.
func claim(name string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: "claim-uid", Finalizers: []string{"kubernetes.io/pvc-protection"}},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
}

// TestEndedPodHoldsNoDeletedClaim: the pod of an instance that has ended stays for its log, but not against somebody who
// deletes a claim.
func TestEndedPodHoldsNoDeletedClaim(t *testing.T) {
	onClaim := func(v virtv1.Volume) func(*virtv1.VirtualMachineInstance) {
		return func(vmi *virtv1.VirtualMachineInstance) { vmi.Spec.Volumes = []virtv1.Volume{v} }
	}
	source := corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}
	plain := onClaim(virtv1.Volume{Name: "v", PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}})
	for _, tc := range []struct {
		name  string
		vmi   func(*virtv1.VirtualMachineInstance)
		claim string
		// kept says that the claim is not deleted.
		kept  bool
		phase virtv1.VirtualMachineInstancePhase
		pod   corev1.PodPhase
		want  bool
	}{
		{"shut down", plain, "data", false, virtv1.Succeeded, corev1.PodSucceeded, true},
		{"failed", plain, "data", false, virtv1.Failed, corev1.PodFailed, true},
		{"a data volume", onClaim(virtv1.Volume{Name: "v", DataVolume: &virtv1.DataVolumeSource{Name: "data"}}), "data", false, virtv1.Succeeded, corev1.PodSucceeded, true},
		{"an ephemeral volume", onClaim(virtv1.Volume{Name: "v", Ephemeral: &virtv1.EphemeralVolumeSource{PersistentVolumeClaim: &source}}), "data", false, virtv1.Succeeded, corev1.PodSucceeded, true},
		{"its pod is to be kept after a failure", func(vmi *virtv1.VirtualMachineInstance) {
			plain(vmi)
			vmi.Annotations = map[string]string{virtv1.KeepLauncherAnnotation: "true"}
		}, "data", false, virtv1.Failed, corev1.PodFailed, true},
		{"the claim stays", plain, "data", true, virtv1.Succeeded, corev1.PodSucceeded, false},
		{"another claim", plain, "other", false, virtv1.Succeeded, corev1.PodSucceeded, false},
		{"it runs", plain, "data", false, virtv1.Running, corev1.PodRunning, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := pending()
			tc.vmi(vmi)
			w := newWorld(t, vmi, claim("data"))
			if tc.claim != "data" {
				if err := w.client.Create(t.Context(), claim(tc.claim)); err != nil {
					t.Fatal(err)
				}
			}
			w.reconcile()
			w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName, p.Finalizers = "node-1", []string{"test/stays"} })
			w.reconcile()
			vmi = w.vmi()
			enter(&vmi.Status, tc.phase, metav1.NewTime(noon))
			if err := w.client.Status().Update(t.Context(), vmi); err != nil {
				t.Fatal(err)
			}
			w.updatePod(func(p *corev1.Pod) { p.Status.Phase = tc.pod })
			w.told()
			w.reconcile()
			if w.pod().DeletionTimestamp != nil {
				t.Fatal("the pod does not stay for its log")
			}
			if !tc.kept {
				if err := w.client.Delete(t.Context(), claim(tc.claim)); err != nil {
					t.Fatal(err)
				}
			}
			if got := len(w.r.usersOfClaim(t.Context(), w.claim(tc.claim))) > 0; got != tc.want {
				t.Errorf("looked at again %v, want %v", got, tc.want)
			}
			w.reconcile()
			w.reconcile()
			if got := w.pod().DeletionTimestamp != nil; got != tc.want {
				t.Errorf("pod deleted %v, want %v", got, tc.want)
			}
			if got := strings.Count(w.told(), "held the deleted PersistentVolumeClaim data"); got != 1 && tc.want || got != 0 && !tc.want {
				t.Errorf("told %d times", got)
			}
		})
	}
}
