package validation

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	cdiv1 "github.com/virtplane/virtplane/pkg/apis/cdi/v1beta1"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func dataVolume(name string) virtv1.DataVolumeTemplateSpec {
	return virtv1.DataVolumeTemplateSpec{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: cdiv1.DataVolumeSpec{Storage: &cdiv1.StorageSpec{}}}
}

// withDataVolume is a machine with a volume that uses the data volume "d".
func withDataVolume(change func(vm *virtv1.VirtualMachine)) func() *report {
	return ofVM(func(vm *virtv1.VirtualMachine) {
		vm.Spec.Template.Spec.Volumes[0] = virtv1.Volume{Name: "root", DataVolume: &virtv1.DataVolumeSource{Name: "d"}}
		vm.Spec.DataVolumeTemplates = []virtv1.DataVolumeTemplateSpec{dataVolume("d")}
		change(vm)
	})
}

func ofCredential(c virtv1.AccessCredential) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.AccessCredentials = []virtv1.AccessCredential{c} })
}

var (
	secret    = &virtv1.AccessCredentialSecretSource{SecretName: "s"}
	guestPass = virtv1.UserPasswordAccessCredentialPropagationMethod{QemuGuestAgent: &virtv1.QemuGuestAgentUserPasswordAccessCredentialPropagation{}}
)

func sshKey(source *virtv1.AccessCredentialSecretSource, method virtv1.SSHPublicKeyAccessCredentialPropagationMethod) virtv1.AccessCredential {
	return virtv1.AccessCredential{SSHPublicKey: &virtv1.SSHPublicKeyAccessCredential{Source: virtv1.SSHPublicKeyAccessCredentialSource{Secret: source}, PropagationMethod: method}}
}

var objectRows = []row{
	{RuleName, "upper case", ofVM(func(vm *virtv1.VirtualMachine) { vm.Name = "Upper" })},
	{RuleName, "too long", ofVMI(func(vmi *virtv1.VirtualMachineInstance) { vmi.Name = strings.Repeat("a", 254) })},
	{RuleReservedLabel, "instance", ofVMI(func(vmi *virtv1.VirtualMachineInstance) { vmi.Labels = map[string]string{"kubevirt.io/nodeName": "n"} })},
	{RuleReservedLabel, "template", ofVM(func(vm *virtv1.VirtualMachine) {
		vm.Spec.Template.Labels = map[string]string{"kubevirt.io/created-by": "x"}
	})},
	{RuleTemplateLabels, "value", ofVM(func(vm *virtv1.VirtualMachine) { vm.Spec.Template.Labels = map[string]string{"a": "b c"} })},
	{RuleTemplateAnnotations, "key", ofVM(func(vm *virtv1.VirtualMachine) { vm.Spec.Template.Annotations = map[string]string{"a b": "c"} })},
	{RuleFeatureGate, "ignition", ofVMI(func(vmi *virtv1.VirtualMachineInstance) {
		vmi.Annotations = map[string]string{"kubevirt.io/ignitiondata": "{}"}
	})},
	{RuleFeatureGate, "sidecar", ofVMI(func(vmi *virtv1.VirtualMachineInstance) {
		vmi.Annotations = map[string]string{"hooks.kubevirt.io/hookSidecars": "[]"}
	})},
	{RuleRunStrategyExclusive, "both", ofVM(func(vm *virtv1.VirtualMachine) { vm.Spec.Running = ptr.To(true) })},
	{RuleRunStrategyKnown, "lower case", ofVM(func(vm *virtv1.VirtualMachine) { vm.Spec.RunStrategy = "always" })},
	{RuleFeatureGate, "receiver", ofVM(func(vm *virtv1.VirtualMachine) { vm.Spec.RunStrategy = virtv1.RunStrategyWaitAsReceiver })},
	{RuleRunStrategyKnown, "receiver, with its gate", func() *report {
		vm := machine()
		vm.Spec.RunStrategy = virtv1.RunStrategyWaitAsReceiver
		return checkVirtualMachine(vm, Options{FeatureGates: []string{"DecentralizedLiveMigration"}})
	}},
	{RuleTemplateRequired, "machine", ofVM(func(vm *virtv1.VirtualMachine) { vm.Spec.Template = nil })},
	{RuleTemplateRequired, "replica set", ofReplicaSet(func(s *virtv1.VirtualMachineInstanceReplicaSet) { s.Spec.Template = nil })},
	{RuleDataVolumeName, "missing", withDataVolume(func(vm *virtv1.VirtualMachine) { vm.Spec.DataVolumeTemplates[0].Name = "" })},
	{RuleDataVolumeName, "twice", withDataVolume(func(vm *virtv1.VirtualMachine) {
		vm.Spec.DataVolumeTemplates = append(vm.Spec.DataVolumeTemplates, dataVolume("d"))
	})},
	{RuleDataVolumeNamespace, "other", withDataVolume(func(vm *virtv1.VirtualMachine) { vm.Spec.DataVolumeTemplates[0].Namespace = "other" })},
	{RuleDataVolumeUsed, "unused", withDataVolume(func(vm *virtv1.VirtualMachine) {
		vm.Spec.Template.Spec.Volumes[0].DataVolume.Name = "other"
	})},
	{RuleDataVolumeTarget, "both", withDataVolume(func(vm *virtv1.VirtualMachine) {
		vm.Spec.DataVolumeTemplates[0].Spec.PVC = &corev1.PersistentVolumeClaimSpec{}
	})},
	{RuleDataVolumeSource, "two", withDataVolume(func(vm *virtv1.VirtualMachine) {
		vm.Spec.DataVolumeTemplates[0].Spec.Source = &cdiv1.DataVolumeSource{Blank: &cdiv1.DataVolumeBlankImage{}, Upload: &cdiv1.DataVolumeSourceUpload{}}
	})},
	{RuleMatcherName, "none", ofVM(func(vm *virtv1.VirtualMachine) { vm.Spec.Instancetype = &virtv1.InstancetypeMatcher{} })},
	{RuleMatcherName, "both", ofVM(func(vm *virtv1.VirtualMachine) {
		vm.Spec.Preference = &virtv1.PreferenceMatcher{Name: "p", InferFromVolume: "root"}
	})},
	{RuleMatcherKind, "unknown", ofVM(func(vm *virtv1.VirtualMachine) {
		vm.Spec.Instancetype = &virtv1.InstancetypeMatcher{Name: "i", Kind: "Flavor"}
	})},
	{RuleMatcherVolume, "unknown", ofVM(func(vm *virtv1.VirtualMachine) {
		vm.Spec.Instancetype = &virtv1.InstancetypeMatcher{InferFromVolume: "nope"}
	})},
	{RuleMatcherFailurePolicy, "unknown", ofVM(func(vm *virtv1.VirtualMachine) {
		vm.Spec.Instancetype = &virtv1.InstancetypeMatcher{Name: "i", InferFromVolumeFailurePolicy: "Retry"}
	})},
	{RuleMatcherFound, "both, where the template is not complete", ofVM(func(vm *virtv1.VirtualMachine) {
		vm.Spec.Instancetype = &virtv1.InstancetypeMatcher{Name: "u1.small"}
		vm.Spec.Preference = &virtv1.PreferenceMatcher{Name: "fedora", Kind: "VirtualMachinePreference"}
		vm.Spec.Template.Spec.Domain.Memory = nil
		vm.Spec.Template.Spec.Domain.CPU = &virtv1.CPU{IsolateEmulatorThread: ptr.To(true)}
	})},
	{RuleMatcherFound, "inferred", ofVM(func(vm *virtv1.VirtualMachine) {
		vm.Spec.Instancetype = &virtv1.InstancetypeMatcher{InferFromVolume: "root", InferFromVolumeFailurePolicy: "Reject"}
	})},
	{RuleMatcherFound, "inferred where there is one", ofVM(func(vm *virtv1.VirtualMachine) {
		vm.Spec.Instancetype = &virtv1.InstancetypeMatcher{InferFromVolume: "root", InferFromVolumeFailurePolicy: "Ignore"}
		vm.Spec.Preference = &virtv1.PreferenceMatcher{InferFromVolume: "root", InferFromVolumeFailurePolicy: "Ignore"}
	})},
	{RuleMatcherFound, "of a machine that is there, unchanged", ofVMUpdate(func(vm, old *virtv1.VirtualMachine) {
		vm.Spec.Instancetype = &virtv1.InstancetypeMatcher{Name: "u1.small"}
		old.Spec.Instancetype = &virtv1.InstancetypeMatcher{Name: "u1.small"}
		old.Finalizers = []string{virtv1.VirtualMachineControllerFinalizer}
	})},
	{RuleMatcherFound, "of a machine on its way out", ofVMUpdate(func(vm, _ *virtv1.VirtualMachine) {
		vm.Spec.Preference = &virtv1.PreferenceMatcher{Name: "fedora"}
		vm.DeletionTimestamp = ptr.To(metav1.Now())
	})},
	{RuleUpdateVolumesStrategy, "unknown", ofVM(func(vm *virtv1.VirtualMachine) { vm.Spec.UpdateVolumesStrategy = "Copy" })},
	{RuleSnapshotInProgress, "update", ofVMUpdate(func(vm, old *virtv1.VirtualMachine) {
		old.Status.SnapshotInProgress = "snap"
		vm.Spec.RunStrategy = virtv1.RunStrategyManual
	})},
	{RuleRestoreInProgress, "start", ofVMUpdate(func(vm, old *virtv1.VirtualMachine) {
		old.Status.RestoreInProgress = "restore"
		vm.Spec.RunStrategy = virtv1.RunStrategyAlways
	})},
	{RuleStateChangeRequest, "unknown", func() *report {
		vm := machine()
		vm.Status.StateChangeRequests = []virtv1.VirtualMachineStateChangeRequest{{Action: "Rename"}, {}}
		return checkVirtualMachineStatus(vm)
	}},
	{RuleMemoryRequired, "none", ofDomain(func(d *virtv1.DomainSpec) { d.Memory = nil })},

	{RuleHostname, "dots", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Hostname = "a.b" })},
	{RuleSubdomain, "dots", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Subdomain = "a.b" })},
	{RuleGracePeriod, "negative", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.TerminationGracePeriodSeconds = ptr.To(int64(-1)) })},
	{RuleEvictionStrategy, "unknown", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.EvictionStrategy = ptr.To(virtv1.EvictionStrategy("Fantasy"))
	})},
	{RuleStartStrategy, "unknown", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.StartStrategy = ptr.To(virtv1.StartStrategy("Asleep")) })},
	{RuleStartStrategy, "with liveness probe", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.StartStrategy = ptr.To(virtv1.StartStrategyPaused)
		s.LivenessProbe = &virtv1.Probe{GuestAgentPing: &virtv1.GuestAgentPing{}}
	})},
	{RuleArchitecture, "unknown", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Architecture = "sparc" })},
	{RuleFeatureGate, "other architecture", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Architecture = "arm64" })},
	{RuleReferenceName, "priority class", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.PriorityClassName = "Very High" })},
	{RuleListLength, "claims", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.ResourceClaims = repeat(513, func(i int) virtv1.VirtualMachineInstanceResourceClaim {
			return virtv1.VirtualMachineInstanceResourceClaim{Name: string(rune('a'+i/26)) + string(rune('a'+i%26)), ResourceClaimName: "c"}
		})
	})},
	{RuleListLength, "ports", ofInterface(func(i *virtv1.Interface) {
		i.Ports = repeat(1025, func(i int) virtv1.Port { return virtv1.Port{Port: int32(i + 1)} })
	})},
	{RuleProbeHandler, "none", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.ReadinessProbe = &virtv1.Probe{} })},
	{RuleProbeHandler, "scheme", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.ReadinessProbe = &virtv1.Probe{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(80), Scheme: "GOPHER"}}
	})},
	{RuleProbeNumbers, "negative", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.ReadinessProbe = &virtv1.Probe{GuestAgentPing: &virtv1.GuestAgentPing{}, PeriodSeconds: ptr.To(int32(-1))}
	})},
	{RuleProbePort, "named", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.ReadinessProbe = &virtv1.Probe{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("http")}}
	})},
	{RuleProbeCommand, "none", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.LivenessProbe = &virtv1.Probe{Exec: &corev1.ExecAction{}}
	})},
	{RuleProbeNetwork, "without pod network", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.ReadinessProbe = &virtv1.Probe{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}}
		s.Networks, s.Domain.Devices.Interfaces = nil, nil
		s.Domain.Devices.AutoattachPodInterface = ptr.To(false)
	})},
	{RuleProbeSuccess, "liveness", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.LivenessProbe = &virtv1.Probe{GuestAgentPing: &virtv1.GuestAgentPing{}, SuccessThreshold: ptr.To(int32(2))}
	})},
	{RuleCredentialType, "none", ofCredential(virtv1.AccessCredential{})},
	{RuleCredentialSource, "none", ofCredential(virtv1.AccessCredential{UserPassword: &virtv1.UserPasswordAccessCredential{PropagationMethod: guestPass}})},
	{RuleCredentialMethod, "none", ofCredential(sshKey(secret, virtv1.SSHPublicKeyAccessCredentialPropagationMethod{}))},
	{RuleCredentialMethod, "password", ofCredential(virtv1.AccessCredential{UserPassword: &virtv1.UserPasswordAccessCredential{Source: virtv1.UserPasswordAccessCredentialSource{Secret: secret}}})},
	{RuleCredentialUsers, "none", ofCredential(sshKey(secret, virtv1.SSHPublicKeyAccessCredentialPropagationMethod{QemuGuestAgent: &virtv1.QemuGuestAgentSSHPublicKeyAccessCredentialPropagation{}}))},
	{RuleCredentialVolume, "config drive", ofCredential(sshKey(secret, virtv1.SSHPublicKeyAccessCredentialPropagationMethod{ConfigDrive: &virtv1.ConfigDriveSSHPublicKeyAccessCredentialPropagation{}}))},
	{RuleCredentialVolume, "no cloud", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Volumes[1] = virtv1.Volume{Name: "init", CloudInitConfigDrive: &virtv1.CloudInitConfigDriveSource{UserData: "x"}}
		s.AccessCredentials = []virtv1.AccessCredential{sshKey(secret, virtv1.SSHPublicKeyAccessCredentialPropagationMethod{NoCloud: &virtv1.NoCloudSSHPublicKeyAccessCredentialPropagation{}})}
	})},
	{RuleResourceClaim, "no source", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.ResourceClaims = []virtv1.VirtualMachineInstanceResourceClaim{{Name: "a"}}
	})},
	{RuleResourceClaim, "names", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.ResourceClaims = []virtv1.VirtualMachineInstanceResourceClaim{{Name: "a", ResourceClaimName: "c"}, {Name: "a", ResourceClaimName: "c"}, {ResourceClaimName: "c"}}
	})},
	{RuleInstanceImmutable, "user", ofVMIUpdate(func(vmi, _ *virtv1.VirtualMachineInstance) { vmi.Spec.Hostname = "other" })},
	{RuleInstanceImmutable, "component", ofTrustedUpdate(func(vmi *virtv1.VirtualMachineInstance) { vmi.Spec.Hostname = "other" })},
	{RuleGracePeriod, "negative, of a component", ofTrustedUpdate(func(vmi *virtv1.VirtualMachineInstance) {
		vmi.Spec.TerminationGracePeriodSeconds = ptr.To(int64(-1))
	})},
	{RuleInstanceLabels, "user", ofVMIUpdate(func(vmi, _ *virtv1.VirtualMachineInstance) {
		vmi.Labels = map[string]string{"kubevirt.io/migrationTargetNodeName": "n"}
	})},
	{RulePhase, "back", ofPhase(virtv1.Running, virtv1.Scheduling)},
	{RulePhase, "ended", ofPhase(virtv1.Succeeded, virtv1.Failed)},
	{RulePhase, "failed", ofPhase(virtv1.Failed, virtv1.Succeeded)},
	{RulePhase, "failed, then unknown", ofPhase(virtv1.Failed, virtv1.Unknown)},
	{RulePhase, "ended, then unknown", ofPhase(virtv1.Succeeded, virtv1.Unknown)},
	{RulePhase, "unknown word", ofPhase(virtv1.Running, "Sleeping")},
	{RulePhase, "back from unknown", ofPhase(virtv1.Unknown, virtv1.Pending)},
}

var otherRows = []row{
	{RuleMigrationInstance, "missing", ofMigration(func(m *virtv1.VirtualMachineInstanceMigration) { m.Spec.VMIName = "" })},
	{RuleMigrationPriority, "unknown", ofMigration(func(m *virtv1.VirtualMachineInstanceMigration) { m.Spec.Priority = "high" })},
	{RuleMigrationEnds, "no id", ofMigration(func(m *virtv1.VirtualMachineInstanceMigration) {
		m.Spec.Receive = &virtv1.VirtualMachineInstanceMigrationTarget{}
	})},
	{RuleMigrationEnds, "different ids", ofMigration(func(m *virtv1.VirtualMachineInstanceMigration) {
		m.Spec.Receive = &virtv1.VirtualMachineInstanceMigrationTarget{MigrationID: "a"}
		m.Spec.SendTo = &virtv1.VirtualMachineInstanceMigrationSource{MigrationID: "b"}
	})},
	{RuleMigrationImmutable, "instance", func() *report {
		m := migration()
		m.Spec.VMIName = "other"
		return checkMigrationUpdate(m, migration())
	}},
	{RuleMigrationSelector, "key", ofMigration(func(m *virtv1.VirtualMachineInstanceMigration) {
		m.Spec.AddedNodeSelector = map[string]string{"a b": "c"}
	})},
	{RuleReplicas, "negative", ofReplicaSet(func(s *virtv1.VirtualMachineInstanceReplicaSet) { s.Spec.Replicas = ptr.To(int32(-1)) })},
	{RuleSelector, "empty", ofReplicaSet(func(s *virtv1.VirtualMachineInstanceReplicaSet) { s.Spec.Selector = &metav1.LabelSelector{} })},
	{RuleSelectorTemplate, "other labels", ofReplicaSet(func(s *virtv1.VirtualMachineInstanceReplicaSet) {
		s.Spec.Template.Labels = map[string]string{"a": "c"}
	})},
	{RuleSelectorImmutable, "update", func() *report {
		s := replicaSet()
		s.Spec.Template.Labels["c"] = "d"
		s.Spec.Selector.MatchLabels["c"] = "d"
		return checkReplicaSetUpdate(s, replicaSet(), Options{})
	}},
	{RulePresetSelector, "operator", func() *report {
		return checkPreset(&virtv1.VirtualMachineInstancePreset{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: virtv1.VirtualMachineInstancePresetSpec{
			Selector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}}}, Options{})
	}},
	{RulePresetDomain, "machine type", ofPreset(virtv1.DomainSpec{Machine: &virtv1.Machine{Type: "pc-i440fx"}})},
	{RulePresetDomain, "halves of what an instance completes", ofPreset(virtv1.DomainSpec{
		CPU:      &virtv1.CPU{DedicatedCPUPlacement: ptr.To(true), NUMA: &virtv1.NUMA{GuestMappingPassthrough: &virtv1.NUMAGuestMappingPassthrough{}}},
		Firmware: &virtv1.Firmware{Bootloader: &virtv1.Bootloader{EFI: &virtv1.EFI{}}, ACPI: &virtv1.ACPI{SlicNameRef: "slic"}},
	})},
	{RuleConfigChoice, "eviction strategy", ofKubeVirt(func(s *virtv1.KubeVirtSpec) {
		s.Configuration.EvictionStrategy = ptr.To(virtv1.EvictionStrategy("Maybe"))
	})},
	{RuleConfigChoice, "several", ofKubeVirt(func(s *virtv1.KubeVirtSpec) {
		s.ImagePullPolicy, s.UninstallStrategy = "Sometimes", "Explode"
		s.WorkloadUpdateStrategy.WorkloadUpdateMethods = []string{"Pray"}
		s.Configuration.VMRolloutStrategy, s.Configuration.ImagePullPolicy = "Slow", "Sometimes"
		s.Configuration.Network = &virtv1.NetworkConfiguration{DefaultNetworkInterface: "slirp", Binding: map[string]virtv1.InterfaceBindingPlugin{"p": {DomainAttachmentType: "wire"}}}
		s.Configuration.TLSConfiguration = &virtv1.TLSConfiguration{MinTLSVersion: "SSL3"}
	})},
	{RuleConfigNumber, "several", ofKubeVirt(func(s *virtv1.KubeVirtSpec) {
		s.WorkloadUpdateStrategy.BatchEvictionSize = ptr.To(int32(0))
		s.Configuration.CPURequest = ptr.To(quantity("-1"))
		s.Configuration.DeveloperConfiguration = &virtv1.DeveloperConfiguration{MemoryOvercommit: ptr.To(int32(0)), CPUAllocationRatio: ptr.To(int32(-1))}
		s.Configuration.VirtualMachineInstancesPerNode = ptr.To(int32(0))
		s.Configuration.Migrations = &virtv1.MigrationConfiguration{ProgressTimeout: ptr.To(int64(-1)), BandwidthPerMigration: ptr.To(quantity("-1"))}
	})},
	{RuleConfigRatio, "not a number", ofKubeVirt(func(s *virtv1.KubeVirtSpec) { s.Configuration.AdditionalGuestMemoryOverheadRatio = "NaN" })},
	{RuleConfigRatio, "below one", ofKubeVirt(func(s *virtv1.KubeVirtSpec) { s.Configuration.AdditionalGuestMemoryOverheadRatio = "0.5" })},
	{RuleConfigPattern, "brackets", ofKubeVirt(func(s *virtv1.KubeVirtSpec) { s.Configuration.EmulatedMachines = []string{"q35*", "[a"} })},
	{RuleConfigDuration, "renewal", ofKubeVirt(func(s *virtv1.KubeVirtSpec) {
		s.CertificateRotateStrategy.SelfSigned = &virtv1.KubeVirtSelfSignConfiguration{CA: &virtv1.CertConfig{Duration: hours(1), RenewBefore: hours(2)}}
	})},
	{RuleConfigDuration, "renewal at once", ofKubeVirt(func(s *virtv1.KubeVirtSpec) {
		s.CertificateRotateStrategy.SelfSigned = &virtv1.KubeVirtSelfSignConfiguration{Server: &virtv1.CertConfig{Duration: hours(1), RenewBefore: hours(1)}}
	})},
	{RuleConfigDuration, "server outlives authority", ofKubeVirt(func(s *virtv1.KubeVirtSpec) {
		s.CertificateRotateStrategy.SelfSigned = &virtv1.KubeVirtSelfSignConfiguration{CA: &virtv1.CertConfig{Duration: hours(1)}, Server: &virtv1.CertConfig{Duration: hours(2)}}
	})},
	{RuleConfigReplicas, "none", ofKubeVirt(func(s *virtv1.KubeVirtSpec) { s.Infra = &virtv1.ComponentConfig{Replicas: ptr.To(int32(0))} })},
	{RuleConfigSelector, "operator", ofKubeVirt(func(s *virtv1.KubeVirtSpec) {
		s.Configuration.AutoCPULimitNamespaceLabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}
	})},
	{RuleConfigDevice, "empty", ofKubeVirt(func(s *virtv1.KubeVirtSpec) {
		s.Configuration.PermittedHostDevices = &virtv1.PermittedHostDevices{PCIHostDevices: []virtv1.PciHostDevice{{}}, MediatedDevices: []virtv1.MediatedHostDevice{{ResourceName: "a/b"}}}
	})},
	{RuleConfigOnly, "second", func() *report {
		r := &report{}
		r.add(RuleConfigOnly, OnlyKubeVirt("kubevirt", "kubevirt"))
		return r
	}},
}
