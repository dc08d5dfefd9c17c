package vmi

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// remembers is an instance of machine "web" whose TPM outlives it.
func remembers() *virtv1.VirtualMachineInstance {
	vmi := pending()
	vmi.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(&virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "machine-uid"}}, virtv1.SchemeGroupVersion.WithKind("VirtualMachine"))}
	vmi.Spec.Domain.Devices.TPM = &virtv1.TPMDevice{Persistent: ptr.To(true)}
	return vmi
}

func (w *world) stateClaim() *corev1.PersistentVolumeClaim {
	w.t.Helper()
	var claim corev1.PersistentVolumeClaim
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: "ns", Name: "persistent-state-for-web"}, &claim); err != nil {
		w.t.Fatal(err)
	}
	return &claim
}

func TestStateClaimIsMadeOnce(t *testing.T) {
	w := newWorld(t, remembers())
	config := emulation(true).Config
	config.VMStateStorageClass = "fast"
	w.r.Configuration = fixedConfiguration(config)
	w.reconcile()
	claim := w.stateClaim()
	owner := metav1.GetControllerOf(claim)
	if owner == nil || owner.UID != "machine-uid" || owner.Kind != "VirtualMachine" || owner.BlockOwnerDeletion != nil {
		t.Errorf("the claim belongs to %+v", owner)
	}
	if ptr.Deref(claim.Spec.StorageClassName, "") != "fast" || claim.Labels["persistent-state-for"] != "web" || claim.Spec.Resources.Requests.Storage().String() != "10Mi" {
		t.Errorf("claim %+v, labels %v", claim.Spec, claim.Labels)
	}
	pod := w.pod()
	if pod == nil {
		t.Fatal("no pod")
	}
	mounted := false
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		mounted = mounted || m.Name == machine.StateVolume && m.MountPath == machine.StateDir && !m.ReadOnly
	}
	if !mounted {
		t.Errorf("the pod does not mount its state: %+v", pod.Spec.Containers[0].VolumeMounts)
	}
	w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
	w.reconcile()
	if s := w.vmi().Status.VolumeStatus; len(s) != 1 || s[0].Name != claim.Name || s[0].PersistentVolumeClaimInfo == nil {
		t.Errorf("volumeStatus %+v", s)
	}
}

func TestStateClaimOfAnother(t *testing.T) {
	for _, tc := range []struct {
		name   string
		claim  func(*corev1.PersistentVolumeClaim)
		reason string
	}{
		{"of this machine", func(*corev1.PersistentVolumeClaim) {}, ""},
		{"of nobody, as one from a backup", func(c *corev1.PersistentVolumeClaim) { c.OwnerReferences = nil }, ""},
		{"of another machine", func(c *corev1.PersistentVolumeClaim) { c.OwnerReferences[0].UID = "another-uid" }, ReasonStateClaimNotOwned},
		{"of one that goes", func(c *corev1.PersistentVolumeClaim) {
			c.DeletionTimestamp, c.Finalizers = &metav1.Time{Time: noon}, []string{"kubernetes.io/pvc-protection"}
		}, ReasonStateClaimNotOwned},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := remembers()
			claim := renderStateClaim(vmi, "")
			tc.claim(claim)
			w := newWorld(t, vmi, claim)
			w.reconcile()
			c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning)
			if tc.reason == "" {
				if w.pod() == nil || c != nil {
					t.Errorf("pod %v, condition %+v", w.pod(), c)
				}
				return
			}
			if w.pod() != nil || c == nil || c.Reason != tc.reason || !strings.Contains(c.Message, claim.Name) {
				t.Errorf("pod %v, condition %+v", w.pod(), c)
			}
		})
	}
}

func TestStateClaimOfBareInstance(t *testing.T) {
	vmi := remembers()
	vmi.OwnerReferences, vmi.Spec.Domain.Devices.TPM = nil, nil
	vmi.Spec.Domain.Firmware = &virtv1.Firmware{Bootloader: &virtv1.Bootloader{EFI: &virtv1.EFI{Persistent: ptr.To(true)}}}
	w := newWorld(t, vmi)
	w.reconcile()
	if owner := metav1.GetControllerOf(w.stateClaim()); owner == nil || owner.Kind != "VirtualMachineInstance" || owner.UID != vmi.UID {
		t.Errorf("the claim belongs to %+v", owner)
	}
}
