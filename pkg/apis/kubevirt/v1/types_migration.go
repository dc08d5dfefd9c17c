package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceMigration is documented field by field below.
type VirtualMachineInstanceMigration struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Spec VirtualMachineInstanceMigrationSpec `json:"spec" protobuf:"bytes,2,opt,name=spec"`
	// +optional
	Status VirtualMachineInstanceMigrationStatus `json:"status,omitempty,omitzero" protobuf:"bytes,3,opt,name=status"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceMigrationList is documented field by field below.
type VirtualMachineInstanceMigrationList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Items []VirtualMachineInstanceMigration `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// VirtualMachineInstanceMigrationSpec is documented field by field below.
type VirtualMachineInstanceMigrationSpec struct {
	// +optional
	AddedNodeSelector map[string]string `json:"addedNodeSelector,omitempty" protobuf:"bytes,1,rep,name=addedNodeSelector"`
	// +optional
	Priority string `json:"priority,omitempty" protobuf:"bytes,2,opt,name=priority"`
	// +optional
	Receive *VirtualMachineInstanceMigrationTarget `json:"receive,omitempty" protobuf:"bytes,3,opt,name=receive"`
	// +optional
	SendTo *VirtualMachineInstanceMigrationSource `json:"sendTo,omitempty" protobuf:"bytes,4,opt,name=sendTo"`
	// +optional
	VMIName string `json:"vmiName,omitempty" protobuf:"bytes,5,opt,name=vmiName"`
}

// VirtualMachineInstanceMigrationStatus is documented field by field below.
type VirtualMachineInstanceMigrationStatus struct {
	// +optional
	Conditions []VirtualMachineInstanceMigrationCondition `json:"conditions,omitempty" protobuf:"bytes,1,rep,name=conditions"`
	// +optional
	MigrationState *VirtualMachineInstanceMigrationState `json:"migrationState,omitempty" protobuf:"bytes,2,opt,name=migrationState"`
	// +optional
	Phase VirtualMachineInstanceMigrationPhase `json:"phase,omitempty" protobuf:"bytes,3,opt,name=phase"`
	// +listType=atomic
	// +optional
	PhaseTransitionTimestamps []VirtualMachineInstanceMigrationPhaseTransitionTimestamp `json:"phaseTransitionTimestamps,omitempty" protobuf:"bytes,4,rep,name=phaseTransitionTimestamps"`
	// +listType=atomic
	// +optional
	SynchronizationAddresses []string `json:"synchronizationAddresses,omitempty" protobuf:"bytes,5,rep,name=synchronizationAddresses"`
}

// VirtualMachineInstanceMigrationState is documented field by field below.
type VirtualMachineInstanceMigrationState struct {
	// +optional
	AbortRequested bool `json:"abortRequested,omitempty" protobuf:"varint,1,opt,name=abortRequested"`
	// +optional
	AbortStatus string `json:"abortStatus,omitempty" protobuf:"bytes,2,opt,name=abortStatus"`
	// +optional
	Completed bool `json:"completed,omitempty" protobuf:"varint,3,opt,name=completed"`
	// +optional
	EndTimestamp *metav1.Time `json:"endTimestamp,omitempty" protobuf:"bytes,4,opt,name=endTimestamp"`
	// +optional
	Failed bool `json:"failed,omitempty" protobuf:"varint,5,opt,name=failed"`
	// +optional
	FailureReason string `json:"failureReason,omitempty" protobuf:"bytes,6,opt,name=failureReason"`
	// +optional
	MigrationConfiguration *VMIMConfigurationOptions `json:"migrationConfiguration,omitempty" protobuf:"bytes,7,opt,name=migrationConfiguration"`
	// +optional
	MigrationNetworkType string `json:"migrationNetworkType,omitempty" protobuf:"bytes,8,opt,name=migrationNetworkType"`
	// +optional
	MigrationPolicyName string `json:"migrationPolicyName,omitempty" protobuf:"bytes,9,opt,name=migrationPolicyName"`
	// +optional
	MigrationUID types.UID `json:"migrationUid,omitempty" protobuf:"bytes,10,opt,name=migrationUid"`
	// +optional
	Mode MigrationMode `json:"mode,omitempty" protobuf:"bytes,11,opt,name=mode"`
	// +optional
	SourceNode string `json:"sourceNode,omitempty" protobuf:"bytes,12,opt,name=sourceNode"`
	// +optional
	SourcePersistentStatePVCName string `json:"sourcePersistentStatePVCName,omitempty" protobuf:"bytes,13,opt,name=sourcePersistentStatePVCName"`
	// +optional
	SourcePod string `json:"sourcePod,omitempty" protobuf:"bytes,14,opt,name=sourcePod"`
	// +optional
	SourceState *VirtualMachineInstanceMigrationSourceState `json:"sourceState,omitempty" protobuf:"bytes,15,opt,name=sourceState"`
	// +optional
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty" protobuf:"bytes,16,opt,name=startTimestamp"`
	// +optional
	TargetAttachmentPodUID types.UID `json:"targetAttachmentPodUID,omitempty" protobuf:"bytes,17,opt,name=targetAttachmentPodUID"`
	// +listType=atomic
	// +optional
	TargetCPUSet []int32 `json:"targetCPUSet,omitempty" protobuf:"varint,18,rep,name=targetCPUSet"`
	// +optional
	TargetDirectMigrationNodePorts map[string]int32 `json:"targetDirectMigrationNodePorts,omitempty" protobuf:"bytes,19,rep,name=targetDirectMigrationNodePorts"`
	// +optional
	TargetMemoryOverhead *resource.Quantity `json:"targetMemoryOverhead,omitempty" protobuf:"bytes,20,opt,name=targetMemoryOverhead"`
	// +optional
	TargetNode string `json:"targetNode,omitempty" protobuf:"bytes,21,opt,name=targetNode"`
	// +optional
	TargetNodeAddress string `json:"targetNodeAddress,omitempty" protobuf:"bytes,22,opt,name=targetNodeAddress"`
	// +optional
	TargetNodeDomainDetected bool `json:"targetNodeDomainDetected,omitempty" protobuf:"varint,23,opt,name=targetNodeDomainDetected"`
	// +optional
	TargetNodeDomainReadyTimestamp *metav1.Time `json:"targetNodeDomainReadyTimestamp,omitempty" protobuf:"bytes,24,opt,name=targetNodeDomainReadyTimestamp"`
	// +optional
	TargetNodeTopology string `json:"targetNodeTopology,omitempty" protobuf:"bytes,25,opt,name=targetNodeTopology"`
	// +optional
	TargetPersistentStatePVCName string `json:"targetPersistentStatePVCName,omitempty" protobuf:"bytes,26,opt,name=targetPersistentStatePVCName"`
	// +optional
	TargetPod string `json:"targetPod,omitempty" protobuf:"bytes,27,opt,name=targetPod"`
	// +optional
	TargetState *VirtualMachineInstanceMigrationTargetState `json:"targetState,omitempty" protobuf:"bytes,28,opt,name=targetState"`
}

// VirtualMachineInstanceMigrationTarget is documented field by field below.
type VirtualMachineInstanceMigrationTarget struct {
	// +required
	MigrationID string `json:"migrationID" protobuf:"bytes,1,opt,name=migrationID"`
}

// VirtualMachineInstanceMigrationSource is documented field by field below.
type VirtualMachineInstanceMigrationSource struct {
	// +required
	ConnectURL string `json:"connectURL" protobuf:"bytes,1,opt,name=connectURL"`
	// +required
	MigrationID string `json:"migrationID" protobuf:"bytes,2,opt,name=migrationID"`
}

// VirtualMachineInstanceMigrationCondition is documented field by field below.
type VirtualMachineInstanceMigrationCondition struct {
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
	Type VirtualMachineInstanceMigrationConditionType `json:"type" protobuf:"bytes,6,opt,name=type"`
}

// VirtualMachineInstanceMigrationPhaseTransitionTimestamp is documented field by field below.
type VirtualMachineInstanceMigrationPhaseTransitionTimestamp struct {
	// +optional
	Phase VirtualMachineInstanceMigrationPhase `json:"phase,omitempty" protobuf:"bytes,1,opt,name=phase"`
	// +optional
	PhaseTransitionTimestamp metav1.Time `json:"phaseTransitionTimestamp,omitempty,omitzero" protobuf:"bytes,2,opt,name=phaseTransitionTimestamp"`
}

// VirtualMachineInstanceMigrationSourceState is documented field by field below.
type VirtualMachineInstanceMigrationSourceState struct {
	// +optional
	DomainName string `json:"domainName,omitempty" protobuf:"bytes,1,opt,name=domainName"`
	// +optional
	DomainNamespace string `json:"domainNamespace,omitempty" protobuf:"bytes,2,opt,name=domainNamespace"`
	// +optional
	MigrationUID types.UID `json:"migrationUID,omitempty" protobuf:"bytes,3,opt,name=migrationUID"`
	// +optional
	Node string `json:"node,omitempty" protobuf:"bytes,4,opt,name=node"`
	// +optional
	NodeSelectors map[string]string `json:"nodeSelectors,omitempty" protobuf:"bytes,5,rep,name=nodeSelectors"`
	// +optional
	PersistentStatePVCName string `json:"persistentStatePVCName,omitempty" protobuf:"bytes,6,opt,name=persistentStatePVCName"`
	// +optional
	Pod string `json:"pod,omitempty" protobuf:"bytes,7,opt,name=pod"`
	// +optional
	SelinuxContext string `json:"selinuxContext,omitempty" protobuf:"bytes,8,opt,name=selinuxContext"`
	// +optional
	SyncAddress string `json:"syncAddress,omitempty" protobuf:"bytes,9,opt,name=syncAddress"`
	// +optional
	VirtualMachineInstanceUID types.UID `json:"virtualMachineInstanceUID,omitempty" protobuf:"bytes,10,opt,name=virtualMachineInstanceUID"`
}

// VirtualMachineInstanceMigrationTargetState is documented field by field below.
type VirtualMachineInstanceMigrationTargetState struct {
	// +optional
	AttachmentPodUID types.UID `json:"attachmentPodUID,omitempty" protobuf:"bytes,1,opt,name=attachmentPodUID"`
	// +listType=atomic
	// +optional
	CPUSet []int32 `json:"cpuSet,omitempty" protobuf:"varint,2,rep,name=cpuSet"`
	// +optional
	DirectMigrationNodePorts map[string]int32 `json:"directMigrationNodePorts,omitempty" protobuf:"bytes,3,rep,name=directMigrationNodePorts"`
	// +optional
	DomainDetected bool `json:"domainDetected,omitempty" protobuf:"varint,4,opt,name=domainDetected"`
	// +optional
	DomainName string `json:"domainName,omitempty" protobuf:"bytes,5,opt,name=domainName"`
	// +optional
	DomainNamespace string `json:"domainNamespace,omitempty" protobuf:"bytes,6,opt,name=domainNamespace"`
	// +optional
	DomainReadyTimestamp *metav1.Time `json:"domainReadyTimestamp,omitempty" protobuf:"bytes,7,opt,name=domainReadyTimestamp"`
	// +optional
	MigrationUID types.UID `json:"migrationUID,omitempty" protobuf:"bytes,8,opt,name=migrationUID"`
	// +optional
	Node string `json:"node,omitempty" protobuf:"bytes,9,opt,name=node"`
	// +optional
	NodeAddress string `json:"nodeAddress,omitempty" protobuf:"bytes,10,opt,name=nodeAddress"`
	// +optional
	NodeTopology string `json:"nodeTopology,omitempty" protobuf:"bytes,11,opt,name=nodeTopology"`
	// +optional
	PersistentStatePVCName string `json:"persistentStatePVCName,omitempty" protobuf:"bytes,12,opt,name=persistentStatePVCName"`
	// +optional
	Pod string `json:"pod,omitempty" protobuf:"bytes,13,opt,name=pod"`
	// +optional
	SelinuxContext string `json:"selinuxContext,omitempty" protobuf:"bytes,14,opt,name=selinuxContext"`
	// +optional
	SyncAddress string `json:"syncAddress,omitempty" protobuf:"bytes,15,opt,name=syncAddress"`
	// +optional
	VirtualMachineInstanceUID types.UID `json:"virtualMachineInstanceUID,omitempty" protobuf:"bytes,16,opt,name=virtualMachineInstanceUID"`
}
