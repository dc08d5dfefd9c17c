package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstance is one running virtual machine, from the wish for it to its end. It is made from a VirtualMachine, or created by itself.
type VirtualMachineInstance struct {
	metav1.TypeMeta `json:",inline"`
	// Name, namespace, labels and the like. Labels are passed on to the pod (row P2-VMI-18).
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// The hardware and how it is run. Users cannot change it once it exists (row P2-VMI-13).
	// +required
	Spec VirtualMachineInstanceSpec `json:"spec" protobuf:"bytes,2,opt,name=spec"`
	// What has been observed. Each part has one component that writes it.
	// +optional
	Status VirtualMachineInstanceStatus `json:"status,omitempty,omitzero" protobuf:"bytes,3,opt,name=status"`
}

// VirtualMachineInstanceSpec is the hardware of an instance, and how and where it is run.
type VirtualMachineInstanceSpec struct {
	// SSH keys and passwords that are put into the guest.
	// +listType=atomic
	// +optional
	AccessCredentials []AccessCredential `json:"accessCredentials,omitempty" protobuf:"bytes,1,rep,name=accessCredentials"`
	// Which nodes, and the neighbourhood of which pods, are wanted or avoided. As of pods.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty" protobuf:"bytes,2,opt,name=affinity"`
	// CPU architecture of the guest: amd64. Default: that of the cluster.
	// +optional
	Architecture string `json:"architecture,omitempty" protobuf:"bytes,3,opt,name=architecture"`
	// Name servers and search domains of the guest, beside or instead of those of dnsPolicy. As of pods.
	// +optional
	DNSConfig *corev1.PodDNSConfig `json:"dnsConfig,omitempty" protobuf:"bytes,4,opt,name=dnsConfig"`
	// Where the guest's name servers come from: ClusterFirst (the default), ClusterFirstWithHostNet, Default or None.
	// +optional
	DNSPolicy corev1.DNSPolicy `json:"dnsPolicy,omitempty" protobuf:"bytes,5,opt,name=dnsPolicy"`
	// The virtual hardware.
	// +required
	Domain DomainSpec `json:"domain" protobuf:"bytes,6,opt,name=domain"`
	// What happens when the node is drained: None, LiveMigrate, LiveMigrateIfPossible or External. Default: that of the cluster's configuration, else None.
	// +optional
	EvictionStrategy *EvictionStrategy `json:"evictionStrategy,omitempty" protobuf:"bytes,7,opt,name=evictionStrategy"`
	// Host name of the guest, a DNS label. Default: the name of the instance up to its first dot.
	// +optional
	Hostname string `json:"hostname,omitempty" protobuf:"bytes,8,opt,name=hostname"`
	// Check that ends the guest when it fails.
	// +optional
	LivenessProbe *Probe `json:"livenessProbe,omitempty" protobuf:"bytes,9,opt,name=livenessProbe"`
	// Networks that the interfaces of the same names connect to. Default: the pod network, unless autoattachPodInterface is false.
	// +optional
	Networks []Network `json:"networks,omitempty" protobuf:"bytes,10,rep,name=networks"`
	// Labels that a node must have to run the instance.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty" protobuf:"bytes,11,rep,name=nodeSelector"`
	// Priority class of the pod.
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty" protobuf:"bytes,12,opt,name=priorityClassName"`
	// Check that the guest must pass to be ready.
	// +optional
	ReadinessProbe *Probe `json:"readinessProbe,omitempty" protobuf:"bytes,13,opt,name=readinessProbe"`
	// Claims of dynamically allocated devices, which GPUs, host devices and networks refer to.
	// +listType=map
	// +listMapKey=name
	// +optional
	ResourceClaims []VirtualMachineInstanceResourceClaim `json:"resourceClaims,omitempty" protobuf:"bytes,14,rep,name=resourceClaims"`
	// Scheduler that places the pod. Default: that of the cluster.
	// +optional
	SchedulerName string `json:"schedulerName,omitempty" protobuf:"bytes,15,opt,name=schedulerName"`
	// Service account of the pod. Its token does not reach the guest by that.
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty" protobuf:"bytes,16,opt,name=serviceAccountName"`
	// Paused starts the guest with its CPUs stopped. Default: they run.
	// +optional
	StartStrategy *StartStrategy `json:"startStrategy,omitempty" protobuf:"bytes,17,opt,name=startStrategy"`
	// With hostname, the name under which a headless Service of that name makes the guest known. A DNS label.
	// +optional
	Subdomain string `json:"subdomain,omitempty" protobuf:"bytes,18,opt,name=subdomain"`
	// Seconds that the guest has to shut down before it is ended. Default: 30.
	// +optional
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty" protobuf:"varint,19,opt,name=terminationGracePeriodSeconds"`
	// Taints of nodes that do not keep the instance away. As of pods.
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty" protobuf:"bytes,20,rep,name=tolerations"`
	// How instances spread over nodes and zones. As of pods.
	// +listType=map
	// +listMapKey=topologyKey
	// +listMapKey=whenUnsatisfiable
	// +optional
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty" protobuf:"bytes,21,rep,name=topologySpreadConstraints"`
	// Claims that are mounted beside the guest for tasks such as dumps, and that the guest does not see.
	// +listType=map
	// +listMapKey=name
	// +optional
	UtilityVolumes []UtilityVolume `json:"utilityVolumes,omitempty" protobuf:"bytes,22,rep,name=utilityVolumes"`
	// What disks and file systems of the same names hold.
	// +optional
	Volumes []Volume `json:"volumes,omitempty" protobuf:"bytes,23,rep,name=volumes"`
}

// AccessCredential is an SSH key or a password for the guest. It has one of its fields.
type AccessCredential struct {
	// SSH public keys.
	// +optional
	SSHPublicKey *SSHPublicKeyAccessCredential `json:"sshPublicKey,omitempty" protobuf:"bytes,1,opt,name=sshPublicKey"`
	// Passwords of users.
	// +optional
	UserPassword *UserPasswordAccessCredential `json:"userPassword,omitempty" protobuf:"bytes,2,opt,name=userPassword"`
}

// Probe is a check of the guest. It has one of exec, guestAgentPing, httpGet and tcpSocket.
type Probe struct {
	// Command that the guest agent runs; it passes with exit code 0.
	// +optional
	Exec *corev1.ExecAction `json:"exec,omitempty" protobuf:"bytes,1,opt,name=exec"`
	// Failures in a row that make a passed check failed. Default: 3.
	// +optional
	FailureThreshold *int32 `json:"failureThreshold,omitempty" protobuf:"varint,2,opt,name=failureThreshold"`
	// Passes when the guest agent answers.
	// +optional
	GuestAgentPing *GuestAgentPing `json:"guestAgentPing,omitempty" protobuf:"bytes,3,opt,name=guestAgentPing"`
	// Request to the guest; it passes with a code of 200 to 399. Needs the pod network.
	// +optional
	HTTPGet *corev1.HTTPGetAction `json:"httpGet,omitempty" protobuf:"bytes,4,opt,name=httpGet"`
	// Seconds from the start of the guest to the first check.
	// +optional
	InitialDelaySeconds *int32 `json:"initialDelaySeconds,omitempty" protobuf:"varint,5,opt,name=initialDelaySeconds"`
	// Seconds between checks. Default: 10.
	// +optional
	PeriodSeconds *int32 `json:"periodSeconds,omitempty" protobuf:"varint,6,opt,name=periodSeconds"`
	// Successes in a row that make a failed check passed. Default: 1, which is all that a liveness probe may have.
	// +optional
	SuccessThreshold *int32 `json:"successThreshold,omitempty" protobuf:"varint,7,opt,name=successThreshold"`
	// Connection to the guest; it passes when it is accepted. Needs the pod network.
	// +optional
	TCPSocket *corev1.TCPSocketAction `json:"tcpSocket,omitempty" protobuf:"bytes,8,opt,name=tcpSocket"`
	// Seconds after which a check has failed. Default: 1.
	// +optional
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty" protobuf:"varint,9,opt,name=timeoutSeconds"`
}

// Network is what an interface connects to. It has one of multus, pod and resourceClaim.
type Network struct {
	// Network of a NetworkAttachmentDefinition.
	// +optional
	Multus *MultusNetwork `json:"multus,omitempty" protobuf:"bytes,1,opt,name=multus"`
	// Name, which the interface shares.
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
	// The pod's own network.
	// +optional
	Pod *PodNetwork `json:"pod,omitempty" protobuf:"bytes,3,opt,name=pod"`
	// Network device that is allocated dynamically.
	// +optional
	ResourceClaim *ClaimRequest `json:"resourceClaim,omitempty" protobuf:"bytes,4,opt,name=resourceClaim"`
}

// VirtualMachineInstanceResourceClaim names a ResourceClaim, or the template of one. It has one of the two.
type VirtualMachineInstanceResourceClaim struct {
	// Name by which devices refer to it.
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// ResourceClaim in the namespace of the instance.
	// +optional
	ResourceClaimName string `json:"resourceClaimName,omitempty" protobuf:"bytes,2,opt,name=resourceClaimName"`
	// Template from which a claim is made for the instance.
	// +optional
	ResourceClaimTemplateName string `json:"resourceClaimTemplateName,omitempty" protobuf:"bytes,3,opt,name=resourceClaimTemplateName"`
}

// UtilityVolume is a claim that is mounted beside the guest.
type UtilityVolume struct {
	// Claim in the namespace of the instance.
	// +required
	ClaimName string `json:"claimName" protobuf:"bytes,1,opt,name=claimName"`
	// Name of the volume.
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
	// Whether it is mounted read-only. Default: false.
	// +optional
	ReadOnly *bool `json:"readOnly,omitempty" protobuf:"varint,3,opt,name=readOnly"`
	// What it is used for.
	// +optional
	Type string `json:"type,omitempty" protobuf:"bytes,4,opt,name=type"`
}

// SSHPublicKeyAccessCredential puts SSH public keys into the guest.
type SSHPublicKeyAccessCredential struct {
	// How they get there.
	// +required
	PropagationMethod SSHPublicKeyAccessCredentialPropagationMethod `json:"propagationMethod" protobuf:"bytes,1,opt,name=propagationMethod"`
	// Where they come from.
	// +required
	Source SSHPublicKeyAccessCredentialSource `json:"source" protobuf:"bytes,2,opt,name=source"`
}

// UserPasswordAccessCredential sets passwords in the guest.
type UserPasswordAccessCredential struct {
	// How they get there.
	// +required
	PropagationMethod UserPasswordAccessCredentialPropagationMethod `json:"propagationMethod" protobuf:"bytes,1,opt,name=propagationMethod"`
	// Where they come from: a Secret whose keys are users and whose values are their passwords.
	// +required
	Source UserPasswordAccessCredentialSource `json:"source" protobuf:"bytes,2,opt,name=source"`
}

// GuestAgentPing asks the guest agent for a sign of life.
type GuestAgentPing struct {
}

// MultusNetwork is the network of a NetworkAttachmentDefinition.
type MultusNetwork struct {
	// Whether it takes the place of the pod network.
	// +optional
	Default *bool `json:"default,omitempty" protobuf:"varint,1,opt,name=default"`
	// The NetworkAttachmentDefinition, as NAME in the namespace of the instance or NAMESPACE/NAME.
	// +required
	NetworkName string `json:"networkName" protobuf:"bytes,2,opt,name=networkName"`
}

// PodNetwork is the pod's own network, behind which the guest hides with masquerade.
type PodNetwork struct {
	// IPv6 addresses between pod and guest. Default: fd10:0:2::/120.
	// +optional
	VMIPv6NetworkCIDR string `json:"vmIPv6NetworkCIDR,omitempty" protobuf:"bytes,1,opt,name=vmIPv6NetworkCIDR"`
	// IPv4 addresses between pod and guest. Default: 10.0.2.0/24.
	// +optional
	VMNetworkCIDR string `json:"vmNetworkCIDR,omitempty" protobuf:"bytes,2,opt,name=vmNetworkCIDR"`
}

// ClaimRequest names one request of a resource claim.
type ClaimRequest struct {
	// Name of the claim in spec.resourceClaims.
	// +optional
	ClaimName string `json:"claimName,omitempty" protobuf:"bytes,1,opt,name=claimName"`
	// Request within the claim.
	// +optional
	RequestName string `json:"requestName,omitempty" protobuf:"bytes,2,opt,name=requestName"`
}

// SSHPublicKeyAccessCredentialPropagationMethod is how SSH keys get into the guest. It has one of its fields.
type SSHPublicKeyAccessCredentialPropagationMethod struct {
	// By cloud-init, which needs a volume of kind cloudInitConfigDrive.
	// +optional
	ConfigDrive *ConfigDriveSSHPublicKeyAccessCredentialPropagation `json:"configDrive,omitempty" protobuf:"bytes,1,opt,name=configDrive"`
	// By cloud-init, which needs a volume of kind cloudInitNoCloud.
	// +optional
	NoCloud *NoCloudSSHPublicKeyAccessCredentialPropagation `json:"noCloud,omitempty" protobuf:"bytes,2,opt,name=noCloud"`
	// By the guest agent while the guest runs, so that changes of the Secret arrive.
	// +optional
	QemuGuestAgent *QemuGuestAgentSSHPublicKeyAccessCredentialPropagation `json:"qemuGuestAgent,omitempty" protobuf:"bytes,3,opt,name=qemuGuestAgent"`
}

// SSHPublicKeyAccessCredentialSource is where SSH keys come from.
type SSHPublicKeyAccessCredentialSource struct {
	// Secret each of whose values is a list of public keys.
	// +optional
	Secret *AccessCredentialSecretSource `json:"secret,omitempty" protobuf:"bytes,1,opt,name=secret"`
}

// UserPasswordAccessCredentialPropagationMethod is how passwords get into the guest.
type UserPasswordAccessCredentialPropagationMethod struct {
	// By the guest agent while the guest runs.
	// +optional
	QemuGuestAgent *QemuGuestAgentUserPasswordAccessCredentialPropagation `json:"qemuGuestAgent,omitempty" protobuf:"bytes,1,opt,name=qemuGuestAgent"`
}

// UserPasswordAccessCredentialSource is where passwords come from.
type UserPasswordAccessCredentialSource struct {
	// Secret with a key for each user.
	// +optional
	Secret *AccessCredentialSecretSource `json:"secret,omitempty" protobuf:"bytes,1,opt,name=secret"`
}

// ConfigDriveSSHPublicKeyAccessCredentialPropagation puts keys into the meta-data of the config drive.
type ConfigDriveSSHPublicKeyAccessCredentialPropagation struct {
}

// NoCloudSSHPublicKeyAccessCredentialPropagation puts keys into the meta-data of the NoCloud disk.
type NoCloudSSHPublicKeyAccessCredentialPropagation struct {
}

// QemuGuestAgentSSHPublicKeyAccessCredentialPropagation names the users whose keys the guest agent sets.
type QemuGuestAgentSSHPublicKeyAccessCredentialPropagation struct {
	// Users of the guest.
	// +listType=set
	// +required
	Users []string `json:"users" protobuf:"bytes,1,rep,name=users"`
}

// AccessCredentialSecretSource names a Secret in the namespace of the instance.
type AccessCredentialSecretSource struct {
	// Its name.
	// +required
	SecretName string `json:"secretName" protobuf:"bytes,1,opt,name=secretName"`
}

// QemuGuestAgentUserPasswordAccessCredentialPropagation has the guest agent set passwords.
type QemuGuestAgentUserPasswordAccessCredentialPropagation struct {
}
