package validation

import (
	"encoding/json"
	"io/fs"
	"testing"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

// seeds are the manual's manifests, as JSON.
func seeds(f *testing.F) {
	names, err := fs.Glob(spec.Manifests(), "*-vm*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		data, err := spec.Manifest(name)
		if err != nil {
			f.Fatal(err)
		}
		if text, err := yaml.YAMLToJSON(data); err == nil {
			f.Add(text)
		}
	}
}

// FuzzVirtualMachine checks whatever decodes as a machine. Nothing may panic, and what is accepted is accepted again.
func FuzzVirtualMachine(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		vm := &virtv1.VirtualMachine{}
		if json.Unmarshal(data, vm) != nil {
			return
		}
		errs := ValidateVirtualMachine(vm, Options{})
		if len(ValidateVirtualMachine(vm, Options{})) != len(errs) {
			t.Errorf("Two checks of one machine differ")
		}
		VirtualMachineWarnings(vm, Options{})
		ValidateVirtualMachineUpdate(vm, &virtv1.VirtualMachine{}, Options{Trusted: true})
		if vm.Spec.Template == nil {
			return
		}
		// What comes of the machine: its instance, defaulted and checked.
		vmi := &virtv1.VirtualMachineInstance{ObjectMeta: vm.Spec.Template.ObjectMeta, Spec: *vm.Spec.Template.Spec.DeepCopy()}
		virtv1.SetDefaults_VirtualMachineInstance(vmi)
		ValidateVirtualMachineInstance(vmi, Options{FeatureGates: []string{"HostDisk", "DownwardMetrics", "ContainerPathVolumes"}})
		ValidateVirtualMachineInstanceUpdate(vmi, &virtv1.VirtualMachineInstance{}, Options{Trusted: true})
	})
}

// FuzzConfiguration checks whatever decodes as the cluster's configuration. A check changes nothing, and comes out the same
// again.
func FuzzConfiguration(f *testing.F) {
	f.Add([]byte(`{"spec":{"configuration":{"emulatedMachines":["q35*"],"additionalGuestMemoryOverheadRatio":"1.5","network":{"binding":{"a":{}}}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k := &virtv1.KubeVirt{}
		if json.Unmarshal(data, k) != nil {
			return
		}
		before := k.DeepCopy()
		errs := ValidateKubeVirt(k)
		if !apiequality.Semantic.DeepEqual(before, k) {
			t.Error("the check has changed the configuration")
		}
		if again := ValidateKubeVirt(k); len(again) != len(errs) {
			t.Errorf("two checks of one configuration differ: %v and %v", errs, again)
		}
	})
}
