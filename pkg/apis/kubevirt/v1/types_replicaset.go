package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +genclient:method=GetScale,verb=get,subresource=scale,result=k8s.io/api/autoscaling/v1.Scale
// +genclient:method=UpdateScale,verb=update,subresource=scale,input=k8s.io/api/autoscaling/v1.Scale,result=k8s.io/api/autoscaling/v1.Scale
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceReplicaSet is documented field by field below.
type VirtualMachineInstanceReplicaSet struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Spec VirtualMachineInstanceReplicaSetSpec `json:"spec" protobuf:"bytes,2,opt,name=spec"`
	// +optional
	Status VirtualMachineInstanceReplicaSetStatus `json:"status,omitempty,omitzero" protobuf:"bytes,3,opt,name=status"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceReplicaSetList is documented field by field below.
type VirtualMachineInstanceReplicaSetList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Items []VirtualMachineInstanceReplicaSet `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// VirtualMachineInstanceReplicaSetSpec is documented field by field below.
type VirtualMachineInstanceReplicaSetSpec struct {
	// +optional
	Paused *bool `json:"paused,omitempty" protobuf:"varint,1,opt,name=paused"`
	// +optional
	Replicas *int32 `json:"replicas,omitempty" protobuf:"varint,2,opt,name=replicas"`
	// +required
	Selector *metav1.LabelSelector `json:"selector" protobuf:"bytes,3,opt,name=selector"`
	// +required
	Template *VirtualMachineInstanceTemplateSpec `json:"template" protobuf:"bytes,4,opt,name=template"`
}

// VirtualMachineInstanceReplicaSetStatus is documented field by field below.
type VirtualMachineInstanceReplicaSetStatus struct {
	// +optional
	Conditions []VirtualMachineInstanceReplicaSetCondition `json:"conditions,omitempty" protobuf:"bytes,1,rep,name=conditions"`
	// +optional
	LabelSelector string `json:"labelSelector,omitempty" protobuf:"bytes,2,opt,name=labelSelector"`
	// +optional
	ReadyReplicas int32 `json:"readyReplicas,omitempty" protobuf:"varint,3,opt,name=readyReplicas"`
	// +optional
	Replicas int32 `json:"replicas,omitempty" protobuf:"varint,4,opt,name=replicas"`
}

// VirtualMachineInstanceReplicaSetCondition is documented field by field below.
type VirtualMachineInstanceReplicaSetCondition struct {
	// +nullable
	// +optional
	LastProbeTime metav1.Time `json:"lastProbeTime,omitempty,omitzero" protobuf:"bytes,1,opt,name=lastProbeTime"`
	// +nullable
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitempty,omitzero" protobuf:"bytes,2,opt,name=lastTransitionTime"`
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,3,opt,name=message"`
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,4,opt,name=reason"`
	// +required
	Status corev1.ConditionStatus `json:"status" protobuf:"bytes,5,opt,name=status"`
	// +required
	Type VirtualMachineInstanceReplicaSetConditionType `json:"type" protobuf:"bytes,6,opt,name=type"`
}
