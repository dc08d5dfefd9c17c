package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstancePreset is documented field by field below.
type VirtualMachineInstancePreset struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// +optional
	Spec VirtualMachineInstancePresetSpec `json:"spec,omitempty,omitzero" protobuf:"bytes,2,opt,name=spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstancePresetList is documented field by field below.
type VirtualMachineInstancePresetList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Items []VirtualMachineInstancePreset `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// VirtualMachineInstancePresetSpec is documented field by field below.
type VirtualMachineInstancePresetSpec struct {
	// +optional
	Domain *DomainSpec `json:"domain,omitempty" protobuf:"bytes,1,opt,name=domain"`
	// +required
	Selector metav1.LabelSelector `json:"selector" protobuf:"bytes,2,opt,name=selector"`
}
