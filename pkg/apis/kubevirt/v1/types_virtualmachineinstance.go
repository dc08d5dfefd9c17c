package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualMachineInstance is documented field by field below.
type VirtualMachineInstance struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero" protobuf:"bytes,1,opt,name=metadata"`
	// +required
	Spec VirtualMachineInstanceSpec `json:"spec" protobuf:"bytes,2,opt,name=spec"`
	// +optional
	Status VirtualMachineInstanceStatus `json:"status,omitempty,omitzero" protobuf:"bytes,3,opt,name=status"`
}

// VirtualMachineInstanceSpec is documented field by field below.
type VirtualMachineInstanceSpec struct {
	// +listType=atomic
	// +optional
	AccessCredentials []AccessCredential `json:"accessCredentials,omitempty" protobuf:"bytes,1,rep,name=accessCredentials"`
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty" protobuf:"bytes,2,opt,name=affinity"`
	// +optional
	Architecture string `json:"architecture,omitempty" protobuf:"bytes,3,opt,name=architecture"`
	// +optional
	DNSConfig *corev1.PodDNSConfig `json:"dnsConfig,omitempty" protobuf:"bytes,4,opt,name=dnsConfig"`
	// +optional
	DNSPolicy corev1.DNSPolicy `json:"dnsPolicy,omitempty" protobuf:"bytes,5,opt,name=dnsPolicy"`
	// +required
	Domain DomainSpec `json:"domain" protobuf:"bytes,6,opt,name=domain"`
	// +optional
	EvictionStrategy *EvictionStrategy `json:"evictionStrategy,omitempty" protobuf:"bytes,7,opt,name=evictionStrategy"`
	// +optional
	Hostname string `json:"hostname,omitempty" protobuf:"bytes,8,opt,name=hostname"`
	// +optional
	LivenessProbe *Probe `json:"livenessProbe,omitempty" protobuf:"bytes,9,opt,name=livenessProbe"`
	// +optional
	Networks []Network `json:"networks,omitempty" protobuf:"bytes,10,rep,name=networks"`
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty" protobuf:"bytes,11,rep,name=nodeSelector"`
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty" protobuf:"bytes,12,opt,name=priorityClassName"`
	// +optional
	ReadinessProbe *Probe `json:"readinessProbe,omitempty" protobuf:"bytes,13,opt,name=readinessProbe"`
	// +listType=map
	// +listMapKey=name
	// +optional
	ResourceClaims []VirtualMachineInstanceResourceClaim `json:"resourceClaims,omitempty" protobuf:"bytes,14,rep,name=resourceClaims"`
	// +optional
	SchedulerName string `json:"schedulerName,omitempty" protobuf:"bytes,15,opt,name=schedulerName"`
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty" protobuf:"bytes,16,opt,name=serviceAccountName"`
	// +optional
	StartStrategy *StartStrategy `json:"startStrategy,omitempty" protobuf:"bytes,17,opt,name=startStrategy"`
	// +optional
	Subdomain string `json:"subdomain,omitempty" protobuf:"bytes,18,opt,name=subdomain"`
	// +optional
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty" protobuf:"varint,19,opt,name=terminationGracePeriodSeconds"`
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty" protobuf:"bytes,20,rep,name=tolerations"`
	// +listType=map
	// +listMapKey=topologyKey
	// +listMapKey=whenUnsatisfiable
	// +optional
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty" protobuf:"bytes,21,rep,name=topologySpreadConstraints"`
	// +listType=map
	// +listMapKey=name
	// +optional
	UtilityVolumes []UtilityVolume `json:"utilityVolumes,omitempty" protobuf:"bytes,22,rep,name=utilityVolumes"`
	// +optional
	Volumes []Volume `json:"volumes,omitempty" protobuf:"bytes,23,rep,name=volumes"`
}

// AccessCredential is documented field by field below.
type AccessCredential struct {
	// +optional
	SSHPublicKey *SSHPublicKeyAccessCredential `json:"sshPublicKey,omitempty" protobuf:"bytes,1,opt,name=sshPublicKey"`
	// +optional
	UserPassword *UserPasswordAccessCredential `json:"userPassword,omitempty" protobuf:"bytes,2,opt,name=userPassword"`
}

// Probe is documented field by field below.
type Probe struct {
	// +optional
	Exec *corev1.ExecAction `json:"exec,omitempty" protobuf:"bytes,1,opt,name=exec"`
	// +optional
	FailureThreshold *int32 `json:"failureThreshold,omitempty" protobuf:"varint,2,opt,name=failureThreshold"`
	// +optional
	GuestAgentPing *GuestAgentPing `json:"guestAgentPing,omitempty" protobuf:"bytes,3,opt,name=guestAgentPing"`
	// +optional
	HTTPGet *corev1.HTTPGetAction `json:"httpGet,omitempty" protobuf:"bytes,4,opt,name=httpGet"`
	// +optional
	InitialDelaySeconds *int32 `json:"initialDelaySeconds,omitempty" protobuf:"varint,5,opt,name=initialDelaySeconds"`
	// +optional
	PeriodSeconds *int32 `json:"periodSeconds,omitempty" protobuf:"varint,6,opt,name=periodSeconds"`
	// +optional
	SuccessThreshold *int32 `json:"successThreshold,omitempty" protobuf:"varint,7,opt,name=successThreshold"`
	// +optional
	TCPSocket *corev1.TCPSocketAction `json:"tcpSocket,omitempty" protobuf:"bytes,8,opt,name=tcpSocket"`
	// +optional
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty" protobuf:"varint,9,opt,name=timeoutSeconds"`
}

// Network is documented field by field below.
type Network struct {
	// +optional
	Multus *MultusNetwork `json:"multus,omitempty" protobuf:"bytes,1,opt,name=multus"`
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
	// +optional
	Pod *PodNetwork `json:"pod,omitempty" protobuf:"bytes,3,opt,name=pod"`
	// +optional
	ResourceClaim *ClaimRequest `json:"resourceClaim,omitempty" protobuf:"bytes,4,opt,name=resourceClaim"`
}

// VirtualMachineInstanceResourceClaim is documented field by field below.
type VirtualMachineInstanceResourceClaim struct {
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// +optional
	ResourceClaimName string `json:"resourceClaimName,omitempty" protobuf:"bytes,2,opt,name=resourceClaimName"`
	// +optional
	ResourceClaimTemplateName string `json:"resourceClaimTemplateName,omitempty" protobuf:"bytes,3,opt,name=resourceClaimTemplateName"`
}

// UtilityVolume is documented field by field below.
type UtilityVolume struct {
	// +required
	ClaimName string `json:"claimName" protobuf:"bytes,1,opt,name=claimName"`
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
	// +optional
	ReadOnly *bool `json:"readOnly,omitempty" protobuf:"varint,3,opt,name=readOnly"`
	// +optional
	Type string `json:"type,omitempty" protobuf:"bytes,4,opt,name=type"`
}

// SSHPublicKeyAccessCredential is documented field by field below.
type SSHPublicKeyAccessCredential struct {
	// +required
	PropagationMethod SSHPublicKeyAccessCredentialPropagationMethod `json:"propagationMethod" protobuf:"bytes,1,opt,name=propagationMethod"`
	// +required
	Source SSHPublicKeyAccessCredentialSource `json:"source" protobuf:"bytes,2,opt,name=source"`
}

// UserPasswordAccessCredential is documented field by field below.
type UserPasswordAccessCredential struct {
	// +required
	PropagationMethod UserPasswordAccessCredentialPropagationMethod `json:"propagationMethod" protobuf:"bytes,1,opt,name=propagationMethod"`
	// +required
	Source UserPasswordAccessCredentialSource `json:"source" protobuf:"bytes,2,opt,name=source"`
}

// GuestAgentPing is documented field by field below.
type GuestAgentPing struct {
}

// MultusNetwork is documented field by field below.
type MultusNetwork struct {
	// +optional
	Default *bool `json:"default,omitempty" protobuf:"varint,1,opt,name=default"`
	// +required
	NetworkName string `json:"networkName" protobuf:"bytes,2,opt,name=networkName"`
}

// PodNetwork is documented field by field below.
type PodNetwork struct {
	// +optional
	VMIPv6NetworkCIDR string `json:"vmIPv6NetworkCIDR,omitempty" protobuf:"bytes,1,opt,name=vmIPv6NetworkCIDR"`
	// +optional
	VMNetworkCIDR string `json:"vmNetworkCIDR,omitempty" protobuf:"bytes,2,opt,name=vmNetworkCIDR"`
}

// ClaimRequest is documented field by field below.
type ClaimRequest struct {
	// +optional
	ClaimName string `json:"claimName,omitempty" protobuf:"bytes,1,opt,name=claimName"`
	// +optional
	RequestName string `json:"requestName,omitempty" protobuf:"bytes,2,opt,name=requestName"`
}

// SSHPublicKeyAccessCredentialPropagationMethod is documented field by field below.
type SSHPublicKeyAccessCredentialPropagationMethod struct {
	// +optional
	ConfigDrive *ConfigDriveSSHPublicKeyAccessCredentialPropagation `json:"configDrive,omitempty" protobuf:"bytes,1,opt,name=configDrive"`
	// +optional
	NoCloud *NoCloudSSHPublicKeyAccessCredentialPropagation `json:"noCloud,omitempty" protobuf:"bytes,2,opt,name=noCloud"`
	// +optional
	QemuGuestAgent *QemuGuestAgentSSHPublicKeyAccessCredentialPropagation `json:"qemuGuestAgent,omitempty" protobuf:"bytes,3,opt,name=qemuGuestAgent"`
}

// SSHPublicKeyAccessCredentialSource is documented field by field below.
type SSHPublicKeyAccessCredentialSource struct {
	// +optional
	Secret *AccessCredentialSecretSource `json:"secret,omitempty" protobuf:"bytes,1,opt,name=secret"`
}

// UserPasswordAccessCredentialPropagationMethod is documented field by field below.
type UserPasswordAccessCredentialPropagationMethod struct {
	// +optional
	QemuGuestAgent *QemuGuestAgentUserPasswordAccessCredentialPropagation `json:"qemuGuestAgent,omitempty" protobuf:"bytes,1,opt,name=qemuGuestAgent"`
}

// UserPasswordAccessCredentialSource is documented field by field below.
type UserPasswordAccessCredentialSource struct {
	// +optional
	Secret *AccessCredentialSecretSource `json:"secret,omitempty" protobuf:"bytes,1,opt,name=secret"`
}

// ConfigDriveSSHPublicKeyAccessCredentialPropagation is documented field by field below.
type ConfigDriveSSHPublicKeyAccessCredentialPropagation struct {
}

// NoCloudSSHPublicKeyAccessCredentialPropagation is documented field by field below.
type NoCloudSSHPublicKeyAccessCredentialPropagation struct {
}

// QemuGuestAgentSSHPublicKeyAccessCredentialPropagation is documented field by field below.
type QemuGuestAgentSSHPublicKeyAccessCredentialPropagation struct {
	// +listType=set
	// +required
	Users []string `json:"users" protobuf:"bytes,1,rep,name=users"`
}

// AccessCredentialSecretSource is documented field by field below.
type AccessCredentialSecretSource struct {
	// +required
	SecretName string `json:"secretName" protobuf:"bytes,1,opt,name=secretName"`
}

// QemuGuestAgentUserPasswordAccessCredentialPropagation is documented field by field below.
type QemuGuestAgentUserPasswordAccessCredentialPropagation struct {
}
