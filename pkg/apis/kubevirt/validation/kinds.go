package validation

import (
	"maps"
	"path"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of migrations, replica sets and presets.
var (
	RuleMigrationInstance  = rule("migration-instance", "a migration names the instance that moves")
	RuleMigrationPriority  = rule("migration-priority", "the priority of a migration is system-critical, user-triggered or system-maintenance")
	RuleMigrationEnds      = rule("migration-ends", "a decentralized migration sends or receives, and has an id")
	RuleMigrationImmutable = rule("migration-immutable", "the spec of a migration is not edited")
	RuleMigrationSelector  = rule("migration-selector", "the added node selector is well formed")
	RuleReplicas           = rule("replicas", "the number of replicas is not negative")
	RuleSelector           = rule("selector", "the selector is well formed and not empty")
	RuleSelectorTemplate   = rule("selector-template", "the selector selects what the template makes")
	RuleSelectorImmutable  = rule("selector-immutable", "the selector of a replica set is not edited")
	RulePresetSelector     = rule("preset-selector", "the selector of a preset is well formed")
	RulePresetDomain       = rule("preset-domain", "the domain of a preset keeps the rules of instances")
)

// ValidateMigration checks a new migration.
func ValidateMigration(m *virtv1.VirtualMachineInstanceMigration) field.ErrorList {
	return checkMigration(m).errors()
}

func checkMigration(m *virtv1.VirtualMachineInstanceMigration) *report {
	r := &report{}
	p := field.NewPath("spec")
	r.name(&m.ObjectMeta)
	if m.Spec.VMIName == "" {
		r.required(RuleMigrationInstance, p.Child("vmiName"), "VMIName is missing: name the VirtualMachineInstance to migrate")
	}
	oneOf(r, RuleMigrationPriority, p.Child("priority"), m.Spec.Priority, "system-critical", "user-triggered", "system-maintenance")
	if m.Spec.SendTo != nil && m.Spec.SendTo.MigrationID == "" || m.Spec.Receive != nil && m.Spec.Receive.MigrationID == "" {
		r.required(RuleMigrationEnds, p, "`migrationID` must be set in `sendTo` and `receive`")
	}
	if m.Spec.SendTo != nil && m.Spec.Receive != nil && m.Spec.SendTo.MigrationID != m.Spec.Receive.MigrationID {
		r.forbidden(RuleMigrationEnds, p.Child("receive", "migrationID"), "must be the `migrationID` of `sendTo`")
	}
	for _, err := range metav1validation.ValidateLabels(m.Spec.AddedNodeSelector, p.Child("addedNodeSelector")) {
		r.add(RuleMigrationSelector, err)
	}
	return r
}

// ValidateMigrationUpdate checks a changed migration.
func ValidateMigrationUpdate(m, old *virtv1.VirtualMachineInstanceMigration) field.ErrorList {
	return checkMigrationUpdate(m, old).errors()
}

func checkMigrationUpdate(m, old *virtv1.VirtualMachineInstanceMigration) *report {
	r := &report{}
	if !apiequality.Semantic.DeepEqual(m.Spec, old.Spec) {
		r.forbidden(RuleMigrationImmutable, field.NewPath("spec"), "update of Migration object's spec is restricted: delete it and create another")
	}
	return r
}

// ValidateReplicaSet checks a replica set.
func ValidateReplicaSet(s *virtv1.VirtualMachineInstanceReplicaSet, options Options) field.ErrorList {
	return checkReplicaSet(s, options).errors()
}

// ReplicaSetWarnings tells what the instances of a replica set still lack to start.
func ReplicaSetWarnings(s *virtv1.VirtualMachineInstanceReplicaSet, options Options) []string {
	return checkReplicaSet(s, options).warnings
}

func checkReplicaSet(s *virtv1.VirtualMachineInstanceReplicaSet, options Options) *report {
	r := &report{options: options, template: true}
	p := field.NewPath("spec")
	r.name(&s.ObjectMeta)
	if s.Spec.Replicas != nil && *s.Spec.Replicas < 0 {
		r.invalid(RuleReplicas, p.Child("replicas"), *s.Spec.Replicas, "must be 0 or more")
	}
	if s.Spec.Template == nil {
		r.required(RuleTemplateRequired, p.Child("template"), "missing virtual machine template: describe the instances under spec.template.spec")
	} else {
		r.instanceTemplate(s.Spec.Template, p.Child("template"))
	}
	if s.Spec.Selector == nil || len(s.Spec.Selector.MatchLabels)+len(s.Spec.Selector.MatchExpressions) == 0 {
		r.required(RuleSelector, p.Child("selector"), "empty selector is invalid: select labels of spec.template.metadata.labels")
		return r // all else has been looked at
	}
	r.selector(RuleSelector, s.Spec.Selector, p.Child("selector"))
	selector, err := metav1.LabelSelectorAsSelector(s.Spec.Selector)
	if err == nil && s.Spec.Template != nil && !selector.Matches(labels.Set(s.Spec.Template.Labels)) {
		r.invalid(RuleSelectorTemplate, p.Child("selector"), selector.String(), "selector does not match labels in spec.template.metadata.labels")
	}
	return r
}

// ValidateReplicaSetUpdate checks a changed replica set.
func ValidateReplicaSetUpdate(s, old *virtv1.VirtualMachineInstanceReplicaSet, options Options) field.ErrorList {
	return checkReplicaSetUpdate(s, old, options).errors()
}

func checkReplicaSetUpdate(s, old *virtv1.VirtualMachineInstanceReplicaSet, options Options) *report {
	r := &report{}
	if s.DeletionTimestamp == nil {
		r = checkReplicaSet(s, options)
		r.forgive(func() *report { return checkReplicaSet(old, options) })
	}
	if !apiequality.Semantic.DeepEqual(s.Spec.Selector, old.Spec.Selector) {
		r.forbidden(RuleSelectorImmutable, field.NewPath("spec", "selector"), "may not be changed: instances of the old selector would be left alone")
	}
	return r
}

// halves are rules of which a preset may have one half and the instance the other. What comes of both is checked when the
// instance is made.
var halves = []*Rule{RuleSecureBoot, RuleACPITable, RuleNUMA}

// ValidatePreset checks a preset.
func ValidatePreset(s *virtv1.VirtualMachineInstancePreset, options Options) field.ErrorList {
	return checkPreset(s, options).errors()
}

// ValidatePresetUpdate checks a changed preset.
func ValidatePresetUpdate(s, old *virtv1.VirtualMachineInstancePreset, options Options) field.ErrorList {
	return checkPresetUpdate(s, old, options).errors()
}

func checkPresetUpdate(s, old *virtv1.VirtualMachineInstancePreset, options Options) *report {
	if s.DeletionTimestamp != nil {
		return &report{}
	}
	r := checkPreset(s, options)
	r.forgive(func() *report { return checkPreset(old, options) })
	return r
}

func checkPreset(s *virtv1.VirtualMachineInstancePreset, options Options) *report {
	r := &report{options: options, template: true}
	p := field.NewPath("spec")
	r.name(&s.ObjectMeta)
	r.selector(RulePresetSelector, &s.Spec.Selector, p.Child("selector"))
	if s.Spec.Domain != nil {
		// A preset names devices whose volumes and networks are in the instance: only what stands alone is checked.
		inner := &report{options: options, template: true}
		inner.domain(&virtv1.VirtualMachineInstanceSpec{Domain: *s.Spec.Domain}, p.Child("domain"))
		inner.devices(&s.Spec.Domain.Devices, p.Child("domain", "devices"))
		for _, f := range inner.findings {
			if !slices.Contains(halves, f.rule) {
				r.add(RulePresetDomain, f.err)
			}
		}
	}
	return r
}

// Rules of the cluster's configuration.
var (
	RuleConfigChoice   = rule("config-choice", "choices of the configuration are among those that are known")
	RuleConfigNumber   = rule("config-number", "numbers of the configuration are within their range")
	RuleConfigRatio    = rule("config-ratio", "additionalGuestMemoryOverheadRatio is a number of 1 or more")
	RuleConfigPattern  = rule("config-pattern", "patterns of machine types are well formed")
	RuleConfigDuration = rule("config-duration", "certificates do not live shorter than the time before their renewal")
	RuleConfigReplicas = rule("config-replicas", "components have at least one replica")
	RuleConfigSelector = rule("config-selector", "selectors of the configuration are well formed")
	RuleConfigDevice   = rule("config-device", "permitted devices have a resource name and a selector")
	RuleConfigOnly     = rule("config-only", "a cluster has one KubeVirt object")
)

// ValidateKubeVirt checks the cluster's configuration.
func ValidateKubeVirt(k *virtv1.KubeVirt) field.ErrorList { return checkKubeVirt(k).errors() }

// OnlyKubeVirt is the error for a second object of a kind of which there is one.
func OnlyKubeVirt(namespace, name string) *field.Error {
	return field.Forbidden(field.NewPath("metadata", "name"), "KubeVirt is already created: a cluster has one, "+namespace+"/"+name+"; change that")
}

func checkKubeVirt(k *virtv1.KubeVirt) *report {
	r := &report{}
	p := field.NewPath("spec")
	r.name(&k.ObjectMeta)
	s := &k.Spec
	oneOf(r, RuleConfigChoice, p.Child("imagePullPolicy"), s.ImagePullPolicy, corev1.PullAlways, corev1.PullNever, corev1.PullIfNotPresent)
	oneOf(r, RuleConfigChoice, p.Child("uninstallStrategy"), s.UninstallStrategy, "RemoveWorkloads", "BlockUninstallIfWorkloadsExist")
	for i, m := range s.WorkloadUpdateStrategy.WorkloadUpdateMethods {
		oneOf(r, RuleConfigChoice, p.Child("workloadUpdateStrategy", "workloadUpdateMethods").Index(i), m, "LiveMigrate", "Evict")
	}
	if n := s.WorkloadUpdateStrategy.BatchEvictionSize; n != nil && *n < 1 {
		r.invalid(RuleConfigNumber, p.Child("workloadUpdateStrategy", "batchEvictionSize"), *n, "must be 1 or more")
	}
	for _, c := range []named[*virtv1.ComponentConfig]{{"infra", s.Infra}, {"workloads", s.Workloads}} {
		if c.value != nil && c.value.Replicas != nil && *c.value.Replicas < 1 {
			r.invalid(RuleConfigReplicas, p.Child(c.name, "replicas"), *c.value.Replicas, "must be 1 or more")
		}
	}
	if c := s.CertificateRotateStrategy.SelfSigned; c != nil {
		p := p.Child("certificateRotateStrategy", "selfSigned")
		for _, cert := range []named[*virtv1.CertConfig]{{"ca", c.CA}, {"server", c.Server}} {
			if cert.value != nil && cert.value.Duration != nil && cert.value.RenewBefore != nil && cert.value.Duration.Duration < cert.value.RenewBefore.Duration {
				r.invalid(RuleConfigDuration, p.Child(cert.name, "duration"), cert.value.Duration.Duration.String(), "must not be shorter than `renewBefore`")
			}
		}
		if c.CA != nil && c.Server != nil && c.CA.Duration != nil && c.Server.Duration != nil && c.CA.Duration.Duration < c.Server.Duration.Duration {
			r.invalid(RuleConfigDuration, p.Child("ca", "duration"), c.CA.Duration.Duration.String(), "must not be shorter than `server.duration`")
		}
	}
	r.configuration(&s.Configuration, p.Child("configuration"))
	return r
}

func (r *report) configuration(c *virtv1.KubeVirtConfiguration, p *field.Path) {
	if c.EvictionStrategy != nil {
		oneOf(r, RuleConfigChoice, p.Child("evictionStrategy"), *c.EvictionStrategy, evictionStrategies...)
	}
	oneOf(r, RuleConfigChoice, p.Child("vmRolloutStrategy"), c.VMRolloutStrategy, "Stage", "LiveUpdate")
	oneOf(r, RuleConfigChoice, p.Child("imagePullPolicy"), c.ImagePullPolicy, corev1.PullAlways, corev1.PullNever, corev1.PullIfNotPresent)
	if c.Network != nil {
		oneOf(r, RuleConfigChoice, p.Child("network", "defaultNetworkInterface"), c.Network.DefaultNetworkInterface, "bridge", "masquerade")
	}
	if c.TLSConfiguration != nil {
		oneOf(r, RuleConfigChoice, p.Child("tlsConfiguration", "minTLSVersion"), c.TLSConfiguration.MinTLSVersion, "VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13")
	}
	if c.AdditionalGuestMemoryOverheadRatio != "" {
		if ratio, err := strconv.ParseFloat(c.AdditionalGuestMemoryOverheadRatio, 64); err != nil || !(ratio >= 1) || ratio > 1000 {
			r.invalid(RuleConfigRatio, p.Child("additionalGuestMemoryOverheadRatio"), c.AdditionalGuestMemoryOverheadRatio, "must be a number from 1 to 1000")
		}
	}
	r.machinePattern(c.MachineType, p.Child("machineType"))
	for i, m := range c.EmulatedMachines {
		r.machinePattern(m, p.Child("emulatedMachines").Index(i))
	}
	if c.CPURequest != nil && c.CPURequest.Sign() < 0 {
		r.invalid(RuleConfigNumber, p.Child("cpuRequest"), c.CPURequest.String(), "must be greater than or equal to 0")
	}
	if d := c.DeveloperConfiguration; d != nil {
		p := p.Child("developerConfiguration")
		for _, n := range []named[*int32]{{"cpuAllocationRatio", d.CPUAllocationRatio}, {"memoryOvercommit", d.MemoryOvercommit}} {
			if n.value != nil && *n.value < 1 {
				r.invalid(RuleConfigNumber, p.Child(n.name), *n.value, "must be 1 or more")
			}
		}
	}
	if n := c.VirtualMachineInstancesPerNode; n != nil && *n < 1 {
		r.invalid(RuleConfigNumber, p.Child("virtualMachineInstancesPerNode"), *n, "must be 1 or more")
	}
	if m := c.Migrations; m != nil {
		p := p.Child("migrations")
		for _, n := range []named[*int64]{{"completionTimeoutPerGiB", m.CompletionTimeoutPerGiB}, {"maxDowntimeMs", m.MaxDowntimeMs}, {"parallelMigrationsPerCluster", m.ParallelMigrationsPerCluster},
			{"parallelOutboundMigrationsPerNode", m.ParallelOutboundMigrationsPerNode}, {"progressTimeout", m.ProgressTimeout}, {"utilityVolumesTimeout", m.UtilityVolumesTimeout}} {
			if n.value != nil && *n.value < 0 {
				r.invalid(RuleConfigNumber, p.Child(n.name), *n.value, "must be 0 or more")
			}
		}
		if m.BandwidthPerMigration != nil && m.BandwidthPerMigration.Sign() < 0 {
			r.invalid(RuleConfigNumber, p.Child("bandwidthPerMigration"), m.BandwidthPerMigration.String(), "must be 0, for unlimited, or more")
		}
	}
	for _, s := range []named[*metav1.LabelSelector]{{"autoCPULimitNamespaceLabelSelector", c.AutoCPULimitNamespaceLabelSelector}} {
		r.selector(RuleConfigSelector, s.value, p.Child(s.name))
	}
	if h := c.PermittedHostDevices; h != nil {
		p := p.Child("permittedHostDevices")
		for i, d := range h.PCIHostDevices {
			r.permitted(d.ResourceName, d.PCIVendorSelector, p.Child("pciHostDevices").Index(i), "pciVendorSelector")
		}
		for i, d := range h.MediatedDevices {
			r.permitted(d.ResourceName, d.MdevNameSelector, p.Child("mediatedDevices").Index(i), "mdevNameSelector")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(networkBindings(c))) {
		b := c.Network.Binding[name]
		oneOf(r, RuleConfigChoice, p.Child("network", "binding").Key(name).Child("domainAttachmentType"), b.DomainAttachmentType, "tap", "managedTap")
	}
}

func networkBindings(c *virtv1.KubeVirtConfiguration) map[string]virtv1.InterfaceBindingPlugin {
	if c.Network == nil {
		return nil
	}
	return c.Network.Binding
}

func (r *report) machinePattern(pattern string, p *field.Path) {
	if _, err := path.Match(pattern, ""); err != nil {
		r.invalid(RuleConfigPattern, p, pattern, "must be a machine type, in which * stands for any characters")
	}
}

func (r *report) permitted(resource, selector string, p *field.Path, selectorName string) {
	if resource == "" {
		r.required(RuleConfigDevice, p.Child("resourceName"), "must be the name of the resource that instances ask for, such as nvidia.com/GP102GL_Tesla_P40")
	}
	if selector == "" {
		r.required(RuleConfigDevice, p.Child(selectorName), "must be set")
	}
}
