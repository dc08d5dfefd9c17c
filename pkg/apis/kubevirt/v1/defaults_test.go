package v1_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestEVMCSRequiresVMX wants the feature whatever was said of it, in a list of the instance's own.
func TestEVMCSRequiresVMX(t *testing.T) {
	apic, require := virtv1.CPUFeature{Name: "apic"}, virtv1.CPUFeature{Name: "vmx", Policy: "require"}
	for _, tc := range []struct {
		name       string
		evmcs      *virtv1.FeatureState
		sent, want []virtv1.CPUFeature
	}{
		{"without features", &virtv1.FeatureState{}, nil, []virtv1.CPUFeature{require}},
		{"with others", &virtv1.FeatureState{Enabled: ptr.To(true)}, []virtv1.CPUFeature{apic}, []virtv1.CPUFeature{apic, require}},
		{"disabled", &virtv1.FeatureState{}, []virtv1.CPUFeature{{Name: "vmx", Policy: "disable"}, apic}, []virtv1.CPUFeature{require, apic}},
		{"off", &virtv1.FeatureState{Enabled: ptr.To(false)}, []virtv1.CPUFeature{{Name: "vmx", Policy: "disable"}}, []virtv1.CPUFeature{{Name: "vmx", Policy: "disable"}}},
		{"not named", nil, []virtv1.CPUFeature{apic}, []virtv1.CPUFeature{apic}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := append([]virtv1.CPUFeature(nil), tc.sent...)
			vmi := &virtv1.VirtualMachineInstance{}
			vmi.Spec.Domain.CPU = &virtv1.CPU{Features: tc.sent}
			vmi.Spec.Domain.Features = &virtv1.Features{Hyperv: &virtv1.FeatureHyperv{EVMCS: tc.evmcs}}
			virtv1.SetDefaults_VirtualMachineInstance(vmi)
			if diff := cmp.Diff(tc.want, vmi.Spec.Domain.CPU.Features); diff != "" {
				t.Errorf("features (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tc.sent); diff != "" {
				t.Errorf("the list that was sent changed:\n%s", diff)
			}
		})
	}
}
