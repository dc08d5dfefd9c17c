package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstancePreset adds hardware to the instances that it selects when they are created. Instance types replace it.
type VirtualMachineInstancePreset struct {
	metav1.TypeMeta `json:",inline"`
	// Name, namespace, labels and the like.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// What is added, and to which instances.
	// +optional
	Spec VirtualMachineInstancePresetSpec `json:"spec,omitempty,omitzero" protobuf:"bytes,2,opt,name=spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstancePresetList is a list of presets.
type VirtualMachineInstancePresetList struct {
	metav1.TypeMeta `json:",inline"`
	// Version of the list, and where to go on.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// The presets.
	// +required
	Items []VirtualMachineInstancePreset `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// VirtualMachineInstancePresetSpec says what is added, and to which instances.
type VirtualMachineInstancePresetSpec struct {
	// Hardware that is added where it does not contradict the instance.
	// +optional
	Domain *DomainSpec `json:"domain,omitempty" protobuf:"bytes,1,opt,name=domain"`
	// Selects the instances by labels.
	// +required
	Selector metav1.LabelSelector `json:"selector" protobuf:"bytes,2,opt,name=selector"`
}
