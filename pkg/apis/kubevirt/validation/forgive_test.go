package validation

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestOlderThanTheRules changes objects that break a rule which is younger than they are.
func TestOlderThanTheRules(t *testing.T) {
	broken := virtv1.VirtualMachineInstanceSpec{}
	broken.Domain.Devices.Watchdog = &virtv1.Watchdog{Name: "w", Diag288: &virtv1.Diag288Watchdog{Action: "dump"}}
	two, none, less := int32(2), int32(0), int32(-1)
	set := func() *virtv1.VirtualMachineInstanceReplicaSet {
		s := replicaSet()
		s.Spec.Template.Spec, s.Spec.Replicas = *broken.DeepCopy(), &two
		return s
	}
	preset := func() *virtv1.VirtualMachineInstancePreset {
		return &virtv1.VirtualMachineInstancePreset{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: virtv1.VirtualMachineInstancePresetSpec{Domain: broken.Domain.DeepCopy()}}
	}
	machine := func() *virtv1.VirtualMachine {
		return &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: "vm"}, Spec: virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyAlways,
			Instancetype: &virtv1.InstancetypeMatcher{Name: "u1.small"}, Template: &virtv1.VirtualMachineInstanceTemplateSpec{Spec: *broken.DeepCopy()}}}
	}
	if len(checkReplicaSet(set(), Options{}).findings) == 0 || len(checkPreset(preset(), Options{}).findings) == 0 || len(checkVirtualMachine(machine(), Options{}).findings) == 0 {
		t.Fatal("a new object like these is accepted, so that this test shows nothing")
	}

	s := set()
	s.Spec.Replicas = &none
	if got := ValidateReplicaSetUpdate(s, set(), Options{}); len(got) > 0 {
		t.Errorf("a set cannot be scaled down: %v", got)
	}
	s.Spec.Replicas = &less
	if got := ValidateReplicaSetUpdate(s, set(), Options{}); len(got) == 0 {
		t.Error("a set may break another rule")
	}
	s.DeletionTimestamp = &metav1.Time{}
	if got := ValidateReplicaSetUpdate(s, set(), Options{}); len(got) > 0 {
		t.Errorf("a deleted set is not let go: %v", got)
	}
	p := preset()
	p.Spec.Selector.MatchLabels = map[string]string{"a": "b"}
	if got := ValidatePresetUpdate(p, preset(), Options{}); len(got) > 0 {
		t.Errorf("a preset cannot be changed: %v", got)
	}
	p.Spec.Selector.MatchLabels = map[string]string{"a": "not a value"}
	if got := ValidatePresetUpdate(p, preset(), Options{}); len(got) == 0 {
		t.Error("a preset may break another rule")
	}
	vm := machine()
	vm.Spec.RunStrategy = virtv1.RunStrategyHalted
	if got := ValidateVirtualMachineUpdate(vm, machine(), Options{}); len(got) > 0 {
		t.Errorf("a machine cannot be halted: %v", got)
	}
	vm.Spec.Instancetype.Name = "u1.large"
	if got := ValidateVirtualMachineUpdate(vm, machine(), Options{}); len(got) == 0 {
		t.Error("a machine may name another instance type that is not there")
	}
}
