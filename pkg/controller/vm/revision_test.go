package vm

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestStartRevision sees that the spec which an instance was made from is kept as long as there is that instance.
func TestStartRevision(t *testing.T) {
	// A revision of somebody else that bears our label stays.
	foreign := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: "foreign", Labels: map[string]string{revisionLabel: "vm"}}}
	w := newWorld(t, machine(virtv1.RunStrategyAlways), foreign)
	kept := func() map[string]virtv1.VirtualMachineSpec {
		t.Helper()
		var all appsv1.ControllerRevisionList
		if err := w.server.List(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		out := map[string]virtv1.VirtualMachineSpec{}
		for _, r := range all.Items {
			if r.Name == foreign.Name {
				out[r.Name] = virtv1.VirtualMachineSpec{}
				continue
			}
			var data struct{ Spec virtv1.VirtualMachineSpec }
			if err := json.Unmarshal(r.Data.Raw, &data); err != nil {
				t.Fatal(err)
			}
			if owner := metav1.GetControllerOf(&r); owner == nil || owner.UID != "vm" {
				t.Errorf("revision %s belongs to %+v", r.Name, owner)
			}
			out[r.Name] = data.Spec
		}
		return out
	}
	w.reconcile()
	first := w.vm()
	if diff := cmp.Diff(map[string]virtv1.VirtualMachineSpec{"foreign": {}, "revision-start-vm-vm-1": first.Spec}, kept()); diff != "" {
		t.Errorf("after the first start (-want +got):\n%s", diff)
	}
	first.Generation, first.Spec.Template.Spec.Hostname = 5, "other"
	if err := w.server.Update(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if _, ok := kept()["revision-start-vm-vm-1"]; !ok {
		t.Error("an edit has forgotten what the instance was made from")
	}
	if err := w.server.Delete(t.Context(), w.vmi()); err != nil {
		t.Fatal(err)
	}
	w.letGo()
	w.reconcile()
	if diff := cmp.Diff(map[string]virtv1.VirtualMachineSpec{"foreign": {}, "revision-start-vm-vm-5": w.vm().Spec}, kept()); diff != "" {
		t.Errorf("after the second start (-want +got):\n%s", diff)
	}
}
