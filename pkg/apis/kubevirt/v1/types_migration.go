package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceMigration moves a running instance to another node.
type VirtualMachineInstanceMigration struct {
	metav1.TypeMeta `json:",inline"`
	// Name, namespace, labels and the like.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// What is wanted. It does not change.
	// +required
	Spec VirtualMachineInstanceMigrationSpec `json:"spec" protobuf:"bytes,2,opt,name=spec"`
	// What has been observed. Only controllers write it.
	// +optional
	Status VirtualMachineInstanceMigrationStatus `json:"status,omitempty,omitzero" protobuf:"bytes,3,opt,name=status"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstanceMigrationList is a list of migrations.
type VirtualMachineInstanceMigrationList struct {
	metav1.TypeMeta `json:",inline"`
	// Version of the list, and where to go on.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	// The migrations.
	// +required
	Items []VirtualMachineInstanceMigration `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// VirtualMachineInstanceMigrationSpec says what is moved, and where.
type VirtualMachineInstanceMigrationSpec struct {
	// Labels that the target must have besides those that the instance asks for.
	// +optional
	AddedNodeSelector map[string]string `json:"addedNodeSelector,omitempty" protobuf:"bytes,1,rep,name=addedNodeSelector"`
	// Which migrations come first: system-critical, user-triggered or system-maintenance.
	// +optional
	Priority string `json:"priority,omitempty" protobuf:"bytes,2,opt,name=priority"`
	// Makes this the target of a migration from another cluster.
	// +optional
	Receive *VirtualMachineInstanceMigrationTarget `json:"receive,omitempty" protobuf:"bytes,3,opt,name=receive"`
	// Makes this the source of a migration to another cluster.
	// +optional
	SendTo *VirtualMachineInstanceMigrationSource `json:"sendTo,omitempty" protobuf:"bytes,4,opt,name=sendTo"`
	// The instance, in the namespace of the migration.
	// +optional
	VMIName string `json:"vmiName,omitempty" protobuf:"bytes,5,opt,name=vmiName"`
}

// VirtualMachineInstanceMigrationStatus is what has been observed of a migration.
type VirtualMachineInstanceMigrationStatus struct {
	// Conditions of the migration.
	// +optional
	Conditions []VirtualMachineInstanceMigrationCondition `json:"conditions,omitempty" protobuf:"bytes,1,rep,name=conditions"`
	// How far it is; the same as that of the instance.
	// +optional
	MigrationState *VirtualMachineInstanceMigrationState `json:"migrationState,omitempty" protobuf:"bytes,2,opt,name=migrationState"`
	// Pending, Scheduling, Scheduled, PreparingTarget, TargetReady, Running, Succeeded or Failed, and the like.
	// +optional
	Phase VirtualMachineInstanceMigrationPhase `json:"phase,omitempty" protobuf:"bytes,3,opt,name=phase"`
	// When each phase was entered.
	// +listType=atomic
	// +optional
	PhaseTransitionTimestamps []VirtualMachineInstanceMigrationPhaseTransitionTimestamp `json:"phaseTransitionTimestamps,omitempty" protobuf:"bytes,4,rep,name=phaseTransitionTimestamps"`
	// Addresses of the traffic between clusters.
	// +listType=atomic
	// +optional
	SynchronizationAddresses []string `json:"synchronizationAddresses,omitempty" protobuf:"bytes,5,rep,name=synchronizationAddresses"`
}

// VirtualMachineInstanceMigrationState is how far a migration is.
type VirtualMachineInstanceMigrationState struct {
	// Whether somebody asked to end it.
	// +optional
	AbortRequested bool `json:"abortRequested,omitempty" protobuf:"varint,1,opt,name=abortRequested"`
	// What became of that: Succeeded, Failed or Aborting.
	// +optional
	AbortStatus string `json:"abortStatus,omitempty" protobuf:"bytes,2,opt,name=abortStatus"`
	// Whether it has ended, well or not.
	// +optional
	Completed bool `json:"completed,omitempty" protobuf:"varint,3,opt,name=completed"`
	// When it ended.
	// +optional
	EndTimestamp *metav1.Time `json:"endTimestamp,omitempty" protobuf:"bytes,4,opt,name=endTimestamp"`
	// Whether it failed. The guest then runs on at the source.
	// +optional
	Failed bool `json:"failed,omitempty" protobuf:"varint,5,opt,name=failed"`
	// Why it failed.
	// +optional
	FailureReason string `json:"failureReason,omitempty" protobuf:"bytes,6,opt,name=failureReason"`
	// Settings that it runs with.
	// +optional
	MigrationConfiguration *VMIMConfigurationOptions `json:"migrationConfiguration,omitempty" protobuf:"bytes,7,opt,name=migrationConfiguration"`
	// Network that carries it.
	// +optional
	MigrationNetworkType string `json:"migrationNetworkType,omitempty" protobuf:"bytes,8,opt,name=migrationNetworkType"`
	// Migration policy that applies to it.
	// +optional
	MigrationPolicyName string `json:"migrationPolicyName,omitempty" protobuf:"bytes,9,opt,name=migrationPolicyName"`
	// UID of the migration.
	// +optional
	MigrationUID types.UID `json:"migrationUid,omitempty" protobuf:"bytes,10,opt,name=migrationUid"`
	// PreCopy copies memory while the guest runs at the source, PostCopy while it runs at the target, Paused while it stands still.
	// +optional
	Mode MigrationMode `json:"mode,omitempty" protobuf:"bytes,11,opt,name=mode"`
	// Node that the guest leaves.
	// +optional
	SourceNode string `json:"sourceNode,omitempty" protobuf:"bytes,12,opt,name=sourceNode"`
	// Claim that holds the state of TPM and firmware at the source.
	// +optional
	SourcePersistentStatePVCName string `json:"sourcePersistentStatePVCName,omitempty" protobuf:"bytes,13,opt,name=sourcePersistentStatePVCName"`
	// Pod that the guest leaves.
	// +optional
	SourcePod string `json:"sourcePod,omitempty" protobuf:"bytes,14,opt,name=sourcePod"`
	// More about the source.
	// +optional
	SourceState *VirtualMachineInstanceMigrationSourceState `json:"sourceState,omitempty" protobuf:"bytes,15,opt,name=sourceState"`
	// When it began.
	// +optional
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty" protobuf:"bytes,16,opt,name=startTimestamp"`
	// UID of the pod that attaches added volumes at the target.
	// +optional
	TargetAttachmentPodUID types.UID `json:"targetAttachmentPodUID,omitempty" protobuf:"bytes,17,opt,name=targetAttachmentPodUID"`
	// CPUs of the target that the guest has for itself.
	// +listType=atomic
	// +optional
	TargetCPUSet []int32 `json:"targetCPUSet,omitempty" protobuf:"varint,18,rep,name=targetCPUSet"`
	// Ports of the target, by what they are for.
	// +optional
	TargetDirectMigrationNodePorts map[string]int32 `json:"targetDirectMigrationNodePorts,omitempty" protobuf:"bytes,19,rep,name=targetDirectMigrationNodePorts"`
	// Memory that the emulator itself needs at the target.
	// +optional
	TargetMemoryOverhead *resource.Quantity `json:"targetMemoryOverhead,omitempty" protobuf:"bytes,20,opt,name=targetMemoryOverhead"`
	// Node that the guest goes to.
	// +optional
	TargetNode string `json:"targetNode,omitempty" protobuf:"bytes,21,opt,name=targetNode"`
	// Address of the target.
	// +optional
	TargetNodeAddress string `json:"targetNodeAddress,omitempty" protobuf:"bytes,22,opt,name=targetNodeAddress"`
	// Whether the guest has been seen at the target.
	// +optional
	TargetNodeDomainDetected bool `json:"targetNodeDomainDetected,omitempty" protobuf:"varint,23,opt,name=targetNodeDomainDetected"`
	// When the guest was ready at the target.
	// +optional
	TargetNodeDomainReadyTimestamp *metav1.Time `json:"targetNodeDomainReadyTimestamp,omitempty" protobuf:"bytes,24,opt,name=targetNodeDomainReadyTimestamp"`
	// CPUs and memory of the target, in JSON.
	// +optional
	TargetNodeTopology string `json:"targetNodeTopology,omitempty" protobuf:"bytes,25,opt,name=targetNodeTopology"`
	// Claim that holds the state of TPM and firmware at the target.
	// +optional
	TargetPersistentStatePVCName string `json:"targetPersistentStatePVCName,omitempty" protobuf:"bytes,26,opt,name=targetPersistentStatePVCName"`
	// Pod that the guest goes to.
	// +optional
	TargetPod string `json:"targetPod,omitempty" protobuf:"bytes,27,opt,name=targetPod"`
	// More about the target.
	// +optional
	TargetState *VirtualMachineInstanceMigrationTargetState `json:"targetState,omitempty" protobuf:"bytes,28,opt,name=targetState"`
}

// VirtualMachineInstanceMigrationTarget makes a migration the target of one from another cluster.
type VirtualMachineInstanceMigrationTarget struct {
	// Name that both ends have in common.
	// +required
	MigrationID string `json:"migrationID" protobuf:"bytes,1,opt,name=migrationID"`
}

// VirtualMachineInstanceMigrationSource makes a migration the source of one to another cluster.
type VirtualMachineInstanceMigrationSource struct {
	// Address of the other cluster.
	// +required
	ConnectURL string `json:"connectURL" protobuf:"bytes,1,opt,name=connectURL"`
	// Name that both ends have in common.
	// +required
	MigrationID string `json:"migrationID" protobuf:"bytes,2,opt,name=migrationID"`
}

// VirtualMachineInstanceMigrationCondition is a condition of a migration.
type VirtualMachineInstanceMigrationCondition struct {
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
	Type VirtualMachineInstanceMigrationConditionType `json:"type" protobuf:"bytes,6,opt,name=type"`
}

// VirtualMachineInstanceMigrationPhaseTransitionTimestamp is when a phase was entered.
type VirtualMachineInstanceMigrationPhaseTransitionTimestamp struct {
	// The phase.
	// +optional
	Phase VirtualMachineInstanceMigrationPhase `json:"phase,omitempty" protobuf:"bytes,1,opt,name=phase"`
	// When it was entered.
	// +optional
	PhaseTransitionTimestamp metav1.Time `json:"phaseTransitionTimestamp,omitempty,omitzero" protobuf:"bytes,2,opt,name=phaseTransitionTimestamp"`
}

// VirtualMachineInstanceMigrationSourceState is more about the source of a migration.
type VirtualMachineInstanceMigrationSourceState struct {
	// Name of the machine in the launcher.
	// +optional
	DomainName string `json:"domainName,omitempty" protobuf:"bytes,1,opt,name=domainName"`
	// Namespace of the machine in the launcher.
	// +optional
	DomainNamespace string `json:"domainNamespace,omitempty" protobuf:"bytes,2,opt,name=domainNamespace"`
	// UID of the migration at the source.
	// +optional
	MigrationUID types.UID `json:"migrationUID,omitempty" protobuf:"bytes,3,opt,name=migrationUID"`
	// Node of the source.
	// +optional
	Node string `json:"node,omitempty" protobuf:"bytes,4,opt,name=node"`
	// Labels that the instance asks of nodes.
	// +optional
	NodeSelectors map[string]string `json:"nodeSelectors,omitempty" protobuf:"bytes,5,rep,name=nodeSelectors"`
	// Claim that holds the state of TPM and firmware.
	// +optional
	PersistentStatePVCName string `json:"persistentStatePVCName,omitempty" protobuf:"bytes,6,opt,name=persistentStatePVCName"`
	// Pod of the source.
	// +optional
	Pod string `json:"pod,omitempty" protobuf:"bytes,7,opt,name=pod"`
	// SELinux context of the source.
	// +optional
	SelinuxContext string `json:"selinuxContext,omitempty" protobuf:"bytes,8,opt,name=selinuxContext"`
	// Address of the traffic between clusters.
	// +optional
	SyncAddress string `json:"syncAddress,omitempty" protobuf:"bytes,9,opt,name=syncAddress"`
	// UID of the instance at the source.
	// +optional
	VirtualMachineInstanceUID types.UID `json:"virtualMachineInstanceUID,omitempty" protobuf:"bytes,10,opt,name=virtualMachineInstanceUID"`
}

// VirtualMachineInstanceMigrationTargetState is more about the target of a migration.
type VirtualMachineInstanceMigrationTargetState struct {
	// UID of the pod that attaches added volumes.
	// +optional
	AttachmentPodUID types.UID `json:"attachmentPodUID,omitempty" protobuf:"bytes,1,opt,name=attachmentPodUID"`
	// CPUs that the guest has for itself.
	// +listType=atomic
	// +optional
	CPUSet []int32 `json:"cpuSet,omitempty" protobuf:"varint,2,rep,name=cpuSet"`
	// Ports, by what they are for.
	// +optional
	DirectMigrationNodePorts map[string]int32 `json:"directMigrationNodePorts,omitempty" protobuf:"bytes,3,rep,name=directMigrationNodePorts"`
	// Whether the guest has been seen.
	// +optional
	DomainDetected bool `json:"domainDetected,omitempty" protobuf:"varint,4,opt,name=domainDetected"`
	// Name of the machine in the launcher.
	// +optional
	DomainName string `json:"domainName,omitempty" protobuf:"bytes,5,opt,name=domainName"`
	// Namespace of the machine in the launcher.
	// +optional
	DomainNamespace string `json:"domainNamespace,omitempty" protobuf:"bytes,6,opt,name=domainNamespace"`
	// When the guest was ready.
	// +optional
	DomainReadyTimestamp *metav1.Time `json:"domainReadyTimestamp,omitempty" protobuf:"bytes,7,opt,name=domainReadyTimestamp"`
	// UID of the migration at the target.
	// +optional
	MigrationUID types.UID `json:"migrationUID,omitempty" protobuf:"bytes,8,opt,name=migrationUID"`
	// Node of the target.
	// +optional
	Node string `json:"node,omitempty" protobuf:"bytes,9,opt,name=node"`
	// Address of the target.
	// +optional
	NodeAddress string `json:"nodeAddress,omitempty" protobuf:"bytes,10,opt,name=nodeAddress"`
	// CPUs and memory, in JSON.
	// +optional
	NodeTopology string `json:"nodeTopology,omitempty" protobuf:"bytes,11,opt,name=nodeTopology"`
	// Claim that holds the state of TPM and firmware.
	// +optional
	PersistentStatePVCName string `json:"persistentStatePVCName,omitempty" protobuf:"bytes,12,opt,name=persistentStatePVCName"`
	// Pod of the target.
	// +optional
	Pod string `json:"pod,omitempty" protobuf:"bytes,13,opt,name=pod"`
	// SELinux context of the target.
	// +optional
	SelinuxContext string `json:"selinuxContext,omitempty" protobuf:"bytes,14,opt,name=selinuxContext"`
	// Address of the traffic between clusters.
	// +optional
	SyncAddress string `json:"syncAddress,omitempty" protobuf:"bytes,15,opt,name=syncAddress"`
	// UID of the instance at the target.
	// +optional
	VirtualMachineInstanceUID types.UID `json:"virtualMachineInstanceUID,omitempty" protobuf:"bytes,16,opt,name=virtualMachineInstanceUID"`
}
