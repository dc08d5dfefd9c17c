package vmi

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

func TestVSOCKAddress(t *testing.T) {
	vmi := pending()
	vmi.Spec.Domain.Devices.AutoattachVSOCK = ptr.To(true)
	w := newWorld(t, vmi)
	first, err := w.r.address(t.Context(), vmi)
	if err != nil || first == nil || *first < firstCID || *first == 1<<32-1 {
		t.Fatalf("address %v, %v", first, err)
	}
	// Others have that one and the one after it.
	for i := range uint32(2) {
		other := pending()
		other.Name, other.UID, other.Status.VSOCKCID = fmt.Sprintf("other-%d", i), "", ptr.To(*first+i)
		if err := w.client.Create(t.Context(), other); err != nil {
			t.Fatal(err)
		}
	}
	w.reconcile()
	pod := w.pod()
	if _, asked := pod.Spec.Containers[0].Resources.Limits[machine.ResourceVhostVSOCK]; !asked {
		t.Errorf("the pod asks for no device: %v", pod.Spec.Containers[0].Resources.Limits)
	}
	w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
	w.reconcile()
	if got := w.vmi().Status.VSOCKCID; got == nil || *got != *first+2 {
		t.Errorf("address %v, want %d", got, *first+2)
	}
	w.reconcile()
	if got := w.vmi().Status.VSOCKCID; got == nil || *got != *first+2 {
		t.Errorf("the address has changed: %v", got)
	}
	if cid, err := w.r.address(t.Context(), &virtv1.VirtualMachineInstance{}); err != nil || cid != nil {
		t.Errorf("an instance that wants none gets %v, %v", cid, err)
	}
}
