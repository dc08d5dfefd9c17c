package vmi

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestUnsupportedGetsNoPod: an instance whose pod could not start gets none and is told why.
func TestUnsupportedGetsNoPod(t *testing.T) {
	for _, tc := range []struct {
		name    string
		vmi     func(*virtv1.VirtualMachineInstanceSpec)
		reason  string
		message string
	}{
		{"nothing", func(*virtv1.VirtualMachineInstanceSpec) {}, "", ""},
		{"a device of the node", func(s *virtv1.VirtualMachineInstanceSpec) {
			s.Domain.Devices.GPUs = []virtv1.GPU{{Name: "a", DeviceName: "example.com/gpu"}}
		}, "UnsupportedField", "spec.domain.devices.gpus[0]: "},
		{"another network", func(s *virtv1.VirtualMachineInstanceSpec) {
			s.Networks = []virtv1.Network{{Name: "n", Multus: &virtv1.MultusNetwork{NetworkName: "other"}}}
		}, "UnsupportedNetwork", "spec.networks[0].multus: "},
		{"more CPUs than emulation has", func(s *virtv1.VirtualMachineInstanceSpec) { s.Domain.CPU = &virtv1.CPU{Cores: 256} }, "UnsupportedField", "spec.domain.cpu: "},
		{"a claim that is missing too", func(s *virtv1.VirtualMachineInstanceSpec) {
			s.Domain.Devices.GPUs = []virtv1.GPU{{Name: "a", DeviceName: "example.com/gpu"}}
			s.Volumes = []virtv1.Volume{{Name: "v", DataVolume: &virtv1.DataVolumeSource{Name: "none"}}}
		}, "UnsupportedField", "spec.domain.devices.gpus[0]: "},
		{"something that only has no effect", func(s *virtv1.VirtualMachineInstanceSpec) {
			s.EvictionStrategy = ptr.To(virtv1.EvictionStrategyLiveMigrate)
		}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := pending()
			tc.vmi(&vmi.Spec)
			w := newWorld(t, vmi)
			w.reconcile()
			w.reconcile()
			c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceSynchronized)
			if tc.reason == "" {
				if c != nil || w.pod() == nil {
					t.Fatalf("condition %+v", c)
				}
				return
			}
			if w.pod() != nil || c == nil || c.Status != corev1.ConditionFalse || c.Reason != tc.reason || !strings.Contains(c.Message, tc.message) {
				t.Fatalf("condition %+v", c)
			}
			if p := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning); p != nil {
				t.Errorf("it waits for %+v", p)
			}
			if told := w.told(); strings.Count(told, "Warning SyncFailed") != 1 || w.writes != 1 {
				t.Errorf("%d writes, events:\n%s", w.writes, told)
			}
		})
	}
}

// TestConfigurationLetsItStart: what one configuration cannot do another may, and its change is seen.
func TestConfigurationLetsItStart(t *testing.T) {
	vmi := pending()
	vmi.Spec.Domain.CPU = &virtv1.CPU{Cores: 256}
	w := newWorld(t, vmi)
	w.reconcile()
	if got := w.r.refused(t.Context(), &virtv1.KubeVirt{}); len(got) != 1 {
		t.Errorf("a new configuration brings %v", got)
	}
	w.r.Configuration = fixedConfiguration(emulation(false).Config)
	w.reconcile()
	if c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceSynchronized); c != nil || w.pod() == nil {
		t.Errorf("condition %+v", c)
	}
	if got := w.r.refused(t.Context(), &virtv1.KubeVirt{}); len(got) != 0 {
		t.Errorf("a new configuration brings %v", got)
	}
}
