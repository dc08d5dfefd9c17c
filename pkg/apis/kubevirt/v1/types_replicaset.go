package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +genclient:method=GetScale,verb=get,subresource=scale,result=k8s.io/api/autoscaling/v1.Scale
// +genclient:method=UpdateScale,verb=update,subresource=scale,input=k8s.io/api/autoscaling/v1.Scale,result=k8s.io/api/autoscaling/v1.Scale
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceReplicaSet keeps a number of equal instances running.
type VirtualMachineInstanceReplicaSet struct {
	metav1.TypeMeta `json:",inline"`
	// Name, namespace, labels and the like.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// What is wanted.
	// +required
	Spec VirtualMachineInstanceReplicaSetSpec `json:"spec" protobuf:"bytes,2,opt,name=spec"`
	// What has been observed. Only controllers write it.
	// +optional
	Status VirtualMachineInstanceReplicaSetStatus `json:"status,omitempty,omitzero" protobuf:"bytes,3,opt,name=status"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceReplicaSetList is a list of replica sets.
type VirtualMachineInstanceReplicaSetList struct {
	metav1.TypeMeta `json:",inline"`
	// Version of the list, and where to go on.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// The replica sets.
	// +required
	Items []VirtualMachineInstanceReplicaSet `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// VirtualMachineInstanceReplicaSetSpec says how many instances there are, and what they are made from.
type VirtualMachineInstanceReplicaSetSpec struct {
	// Whether instances are neither created nor deleted. Default: false.
	// +optional
	Paused *bool `json:"paused,omitempty" protobuf:"varint,1,opt,name=paused"`
	// How many instances there are, 0 or more. Default: 1.
	// +optional
	Replicas *int32 `json:"replicas,omitempty" protobuf:"varint,2,opt,name=replicas"`
	// Selects the instances by labels, which the template has. It does not change.
	// +required
	Selector *metav1.LabelSelector `json:"selector" protobuf:"bytes,3,opt,name=selector"`
	// What instances are made from.
	// +required
	Template *VirtualMachineInstanceTemplateSpec `json:"template" protobuf:"bytes,4,opt,name=template"`
}

// VirtualMachineInstanceReplicaSetStatus is what has been observed of a replica set.
type VirtualMachineInstanceReplicaSetStatus struct {
	// Conditions of the replica set.
	// +optional
	Conditions []VirtualMachineInstanceReplicaSetCondition `json:"conditions,omitempty" protobuf:"bytes,1,rep,name=conditions"`
	// The selector as text, for the scale subresource.
	// +optional
	LabelSelector string `json:"labelSelector,omitempty" protobuf:"bytes,2,opt,name=labelSelector"`
	// Instances that are ready.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas,omitempty" protobuf:"varint,3,opt,name=readyReplicas"`
	// Instances that are there and have not ended.
	// +optional
	Replicas int32 `json:"replicas,omitempty" protobuf:"varint,4,opt,name=replicas"`
}

// VirtualMachineInstanceReplicaSetCondition is a condition of a replica set.
type VirtualMachineInstanceReplicaSetCondition struct {
	// When it was last looked at.
	// +nullable
	// +optional
	LastProbeTime metav1.Time `json:"lastProbeTime,omitempty,omitzero" protobuf:"bytes,1,opt,name=lastProbeTime"`
	// When its status last changed.
	// +nullable
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitempty,omitzero" protobuf:"bytes,2,opt,name=lastTransitionTime"`
	// Details for people.
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,3,opt,name=message"`
	// One word for the cause.
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,4,opt,name=reason"`
	// True, False or Unknown.
	// +required
	Status corev1.ConditionStatus `json:"status" protobuf:"bytes,5,opt,name=status"`
	// Name of the condition.
	// +required
	Type VirtualMachineInstanceReplicaSetConditionType `json:"type" protobuf:"bytes,6,opt,name=type"`
}
