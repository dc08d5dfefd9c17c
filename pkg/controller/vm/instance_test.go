package vm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func TestInputIsAttached(t *testing.T) {
	for _, tc := range []struct {
		name       string
		autoattach *bool
		inputs     []virtv1.Input
		want       []virtv1.Input
	}{
		{name: "asked for", autoattach: ptr.To(true), want: []virtv1.Input{{Name: "default-0", Bus: "usb", Type: "tablet"}}},
		{name: "there already", autoattach: ptr.To(true), inputs: []virtv1.Input{{Name: "own"}}, want: []virtv1.Input{{Name: "own"}}},
		{name: "not wanted", autoattach: ptr.To(false)},
		{name: "not said"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm := &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{Template: &virtv1.VirtualMachineInstanceTemplateSpec{}}}
			devices := &vm.Spec.Template.Spec.Domain.Devices
			devices.AutoattachInputDevice, devices.Inputs = tc.autoattach, tc.inputs
			before := vm.DeepCopy()
			vmi, err := instance(vm, false)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, vmi.Spec.Domain.Devices.Inputs); diff != "" {
				t.Errorf("inputs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, vm); diff != "" {
				t.Errorf("the machine was changed:\n%s", diff)
			}
		})
	}
}
