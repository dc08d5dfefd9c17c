package validation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	cdiv1 "github.com/virtplane/virtplane/pkg/apis/cdi/v1beta1"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of VirtualMachines and of metadata.
var (
	RuleName                  = rule("name", "names are DNS subdomains of at most 253 characters")
	RuleMetadata              = rule("metadata", "labels, annotations, owners and finalizers are well formed")
	RuleReservedLabel         = rule("reserved-label", "labels that the system sets on instances are not set by users")
	RuleTemplateLabels        = rule("template-labels", "labels in templates are well formed")
	RuleTemplateAnnotations   = rule("template-annotations", "annotations in templates are well formed")
	RuleRunStrategyExclusive  = rule("run-strategy-exclusive", "running and runStrategy exclude one another")
	RuleRunStrategyKnown      = rule("run-strategy-known", "runStrategy is one of the known strategies")
	RuleTemplateRequired      = rule("template-required", "a template is given")
	RuleDataVolumeName        = rule("data-volume-template-name", "each data volume template has a name of its own")
	RuleDataVolumeNamespace   = rule("data-volume-template-namespace", "data volume templates are in the machine's namespace")
	RuleDataVolumeUsed        = rule("data-volume-template-used", "each data volume template is used by a volume")
	RuleDataVolumeTarget      = rule("data-volume-template-target", "a data volume template has either pvc or storage")
	RuleDataVolumeSource      = rule("data-volume-template-source", "a data volume template has at most one source")
	RuleMatcherName           = rule("matcher-name", "an instance type or preference is given by name or inferred from a volume, not both")
	RuleMatcherKind           = rule("matcher-kind", "instance types and preferences are of a known kind")
	RuleMatcherVolume         = rule("matcher-volume", "the volume that an instance type or preference is inferred from exists")
	RuleMatcherFailurePolicy  = rule("matcher-failure-policy", "inferFromVolumeFailurePolicy is Reject or Ignore")
	RuleMatcherFound          = rule("matcher-found", "the instance type or preference exists, which none does until their kinds are served")
	RuleUpdateVolumesStrategy = rule("update-volumes-strategy", "updateVolumesStrategy is Replacement or Migration")
	RuleSnapshotInProgress    = rule("snapshot-in-progress", "the spec rests while a snapshot is taken")
	RuleRestoreInProgress     = rule("restore-in-progress", "a machine is not started while it is restored")
	RuleStateChangeRequest    = rule("state-change-request", "requests in the status are Start or Stop")
	RuleMemoryRequired        = rule("memory-required", "an instance says how much memory it has")
	RuleCredentialVolume      = rule("access-credential-volume", "credentials that go through cloud-init have a cloud-init volume of that kind")
	errMutuallyExclusive      = "Running and RunStrategy are mutually exclusive: remove spec.running, or remove spec.runStrategy"
	runStrategies             = []virtv1.VirtualMachineRunStrategy{virtv1.RunStrategyAlways, virtv1.RunStrategyHalted, virtv1.RunStrategyManual, virtv1.RunStrategyRerunOnFailure, virtv1.RunStrategyOnce}
	instancetypeKinds         = []string{"VirtualMachineInstancetype", "VirtualMachineClusterInstancetype"} // the last is the default
	preferenceKinds           = []string{"VirtualMachinePreference", "VirtualMachineClusterPreference"}
	reservedLabels            = []string{virtv1.CreatedByLabel, virtv1.NodeNameLabel, virtv1.MigrationTargetNodeNameLabel, virtv1.NodeSchedulable, "kubevirt.io/migrationJobUID", "kubevirt.io/install-strategy"}
)

// ValidateVirtualMachine checks a new machine.
func ValidateVirtualMachine(vm *virtv1.VirtualMachine, options Options) field.ErrorList {
	return checkVirtualMachine(vm, options).errors()
}

// platformNamespaces is how the names of namespaces begin in which users make no machines.
const platformNamespaces = "openshift-"

// VirtualMachineWarnings tells what was read into a manifest that leaves it out, and what the machine still lacks to start.
func VirtualMachineWarnings(vm *virtv1.VirtualMachine, options Options) []string {
	r := checkVirtualMachine(vm, options)
	spec := field.NewPath("spec")
	var warnings []string
	if strings.HasPrefix(vm.Namespace, platformNamespaces) {
		warnings = append(warnings, "metadata.namespace: namespaces whose names begin with "+platformNamespaces+" are the platform's own: make machines in another")
	}
	if vm.Spec.Running == nil && vm.Spec.RunStrategy == "" {
		warnings = append(warnings, spec.Child("runStrategy").String()+": neither runStrategy nor running is set: the machine stays halted until it is started")
	}
	if t := vm.Spec.Template; t != nil && apiequality.Semantic.DeepEqual(t.Spec.Domain, virtv1.DomainSpec{}) {
		warnings = append(warnings, spec.Child("template", "spec", "domain").String()+": is missing and read as empty")
	}
	return append(warnings, r.warnings...)
}

// ValidateVirtualMachineUpdate checks a changed machine. One that is on its way out is let go whatever its spec.
func ValidateVirtualMachineUpdate(vm, old *virtv1.VirtualMachine, options Options) field.ErrorList {
	return checkVirtualMachineUpdate(vm, old, options).errors()
}

func checkVirtualMachineUpdate(vm, old *virtv1.VirtualMachine, options Options) *report {
	r := &report{options: options, template: true}
	if vm.DeletionTimestamp != nil || apiequality.Semantic.DeepEqual(vm.Spec, old.Spec) {
		return r
	}
	spec := field.NewPath("spec")
	r.vmSpec(&vm.Spec, vm.Namespace, spec)
	r.forgive(func() *report {
		was := &report{options: options, template: true}
		was.vmSpec(&old.Spec, old.Namespace, spec)
		return was
	})
	if name := old.Status.SnapshotInProgress; name != "" {
		r.forbidden(RuleSnapshotInProgress, spec, "cannot update VM spec until snapshot %q completes", name)
	}
	if name := old.Status.RestoreInProgress; name != "" && starts(&vm.Spec) {
		r.forbidden(RuleRestoreInProgress, spec, "cannot start VM until restore %q completes", name)
	}
	return r
}

func starts(spec *virtv1.VirtualMachineSpec) bool {
	return isTrue(spec.Running) || spec.RunStrategy != "" && spec.RunStrategy != virtv1.RunStrategyHalted
}

// ValidateVirtualMachineStatusUpdate checks a changed status.
func ValidateVirtualMachineStatusUpdate(vm, _ *virtv1.VirtualMachine) field.ErrorList {
	return checkVirtualMachineStatus(vm).errors()
}

func checkVirtualMachineStatus(vm *virtv1.VirtualMachine) *report {
	r := &report{}
	requests := field.NewPath("status", "stateChangeRequests")
	for i, request := range vm.Status.StateChangeRequests {
		path := requests.Index(i).Child("action")
		if request.Action == "" {
			r.required(RuleStateChangeRequest, path, "must be Start or Stop")
		}
		oneOf(r, RuleStateChangeRequest, path, request.Action, virtv1.StartRequest, virtv1.StopRequest)
	}
	return r
}

func checkVirtualMachine(vm *virtv1.VirtualMachine, options Options) *report {
	r := &report{options: options, template: true}
	r.name(&vm.ObjectMeta)
	r.vmSpec(&vm.Spec, vm.Namespace, field.NewPath("spec"))
	return r
}

// name checks the name and the rest of the metadata. The server does so too, but only once all else is right: somebody with two
// mistakes would learn of one. A name that is to be generated is there by now.
func (r *report) name(m *metav1.ObjectMeta) {
	path := field.NewPath("metadata")
	for _, errs := range []field.ErrorList{
		metav1validation.ValidateLabels(m.Labels, path.Child("labels")), apivalidation.ValidateAnnotations(m.Annotations, path.Child("annotations")),
		apivalidation.ValidateOwnerReferences(m.OwnerReferences, path.Child("ownerReferences")), apivalidation.ValidateFinalizers(m.Finalizers, path.Child("finalizers")),
	} {
		for _, err := range errs {
			r.add(RuleMetadata, err)
		}
	}
	if m.Name == "" {
		r.required(RuleName, path.Child("name"), "name or generateName is required")
		return
	}
	if msgs := apivalidation.NameIsDNSSubdomain(m.Name, false); len(msgs) > 0 {
		r.invalid(RuleName, path.Child("name"), m.Name, "%s", strings.Join(msgs, "; "))
	}
}

func (r *report) vmSpec(spec *virtv1.VirtualMachineSpec, namespace string, path *field.Path) {
	if spec.Running != nil && spec.RunStrategy != "" {
		r.forbidden(RuleRunStrategyExclusive, path.Child("running"), "%s", errMutuallyExclusive)
	}
	// The gate alone does not help yet: no controller receives an instance.
	if p := path.Child("runStrategy"); spec.RunStrategy != virtv1.RunStrategyWaitAsReceiver || r.gate("DecentralizedLiveMigration", p, "receiving an instance from another cluster") {
		oneOf(r, RuleRunStrategyKnown, p, spec.RunStrategy, runStrategies...)
	}
	oneOf(r, RuleUpdateVolumesStrategy, path.Child("updateVolumesStrategy"), spec.UpdateVolumesStrategy, "Replacement", "Migration")
	if spec.Template == nil {
		r.required(RuleTemplateRequired, path.Child("template"), "missing virtual machine template: describe the instance under spec.template.spec")
		return
	}
	before := len(r.findings)
	if m := spec.Instancetype; m != nil {
		r.matcher("instancetype", path, m.Name, m.InferFromVolume, m.InferFromVolumeFailurePolicy, m.Kind, instancetypeKinds, spec.Template)
	}
	if m := spec.Preference; m != nil {
		r.matcher("preference", path, m.Name, m.InferFromVolume, m.InferFromVolumeFailurePolicy, m.Kind, preferenceKinds, spec.Template)
	}
	refused := len(r.findings)
	r.instanceTemplate(spec.Template, path.Child("template"))
	if refused > before {
		r.findings = slices.DeleteFunc(r.findings, func(f finding) bool { return slices.Contains(completed, f.rule) })
	}
	r.dataVolumeTemplates(spec, namespace, path.Child("dataVolumeTemplates"))
}

// completed are rules of which an instance type or a preference may have one half and the template the other.
var completed = append([]*Rule{RuleIsolateEmulator, RuleRealtime, RuleDedicatedMemory, RuleDedicatedCPU}, halves...)

// instanceTemplate checks the template of an instance inside another object.
func (r *report) instanceTemplate(t *virtv1.VirtualMachineInstanceTemplateSpec, path *field.Path) {
	meta := path.Child("metadata")
	for _, err := range metav1validation.ValidateLabels(t.Labels, meta.Child("labels")) {
		r.add(RuleTemplateLabels, err)
	}
	for _, err := range apivalidation.ValidateAnnotations(t.Annotations, meta.Child("annotations")) {
		r.add(RuleTemplateAnnotations, err)
	}
	r.instanceMetadata(&t.ObjectMeta, meta)
	r.instanceSpec(&t.Spec, path.Child("spec"))
}

// instanceMetadata checks what instances may carry.
func (r *report) instanceMetadata(m *metav1.ObjectMeta, path *field.Path) {
	if !r.options.Trusted {
		for _, label := range reservedLabels {
			if _, ok := m.Labels[label]; ok {
				r.forbidden(RuleReservedLabel, path.Child("labels").Key(label), "creation of the reserved label %s on a VMI object is prohibited: the system sets it", label)
			}
		}
	}
	if m.Annotations["kubevirt.io/ignitiondata"] != "" {
		r.gate("ExperimentalIgnitionSupport", path.Child("annotations").Key("kubevirt.io/ignitiondata"), "ignition data")
	}
	if m.Annotations["hooks.kubevirt.io/hookSidecars"] != "" {
		r.gate("Sidecar", path.Child("annotations").Key("hooks.kubevirt.io/hookSidecars"), "the hook sidecar")
	}
}

func (r *report) dataVolumeTemplates(spec *virtv1.VirtualMachineSpec, namespace string, path *field.Path) {
	used := map[string]bool{}
	for _, v := range spec.Template.Spec.Volumes {
		if v.DataVolume != nil {
			used[v.DataVolume.Name] = true
		}
		if v.PersistentVolumeClaim != nil {
			used[v.PersistentVolumeClaim.ClaimName] = true
		}
	}
	seen := map[string]bool{}
	for i := range spec.DataVolumeTemplates {
		t, p := &spec.DataVolumeTemplates[i], path.Index(i)
		name := p.Child("metadata", "name")
		switch {
		case t.Name == "":
			r.required(RuleDataVolumeName, name, "must be the name of the DataVolume to create")
		case seen[t.Name]:
			r.duplicate(RuleDataVolumeName, name, t.Name)
		case !used[t.Name]:
			r.required(RuleDataVolumeUsed, name, "DataVolumeTemplate %q must be referenced in spec.template.spec.volumes by dataVolume.name", t.Name)
		}
		seen[t.Name] = true
		if t.Namespace != "" && namespace != "" && t.Namespace != namespace {
			r.invalid(RuleDataVolumeNamespace, p.Child("metadata", "namespace"), t.Namespace, "must be the namespace of the VirtualMachine, %q, or be left out", namespace)
		}
		if count(t.Spec.PVC != nil, t.Spec.Storage != nil) != 1 {
			r.required(RuleDataVolumeTarget, p.Child("spec"), "must have exactly one of `storage` and `pvc`")
		}
		if n := dataVolumeSources(&t.Spec); n > 1 || t.Spec.Source != nil && t.Spec.SourceRef != nil {
			r.forbidden(RuleDataVolumeSource, p.Child("spec", "source"), "must have at most one source, in `source` or in `sourceRef`")
		}
	}
}

func dataVolumeSources(spec *cdiv1.DataVolumeSpec) int {
	s := spec.Source
	if s == nil {
		return 0
	}
	return count(s.Blank != nil, s.GCS != nil, s.HTTP != nil, s.ImageIO != nil, s.PVC != nil, s.Registry != nil, s.S3 != nil, s.Snapshot != nil, s.Upload != nil, s.VDDK != nil)
}

// matcher checks the reference to an instance type or a preference.
func (r *report) matcher(what string, path *field.Path, name, volume, failurePolicy, kind string, kinds []string, t *virtv1.VirtualMachineInstanceTemplateSpec) {
	before := len(r.findings)
	path = path.Child(what)
	switch {
	case name == "" && volume == "":
		r.required(RuleMatcherName, path.Child("name"), "must be set unless `inferFromVolume` is")
	case name != "" && volume != "":
		r.forbidden(RuleMatcherName, path.Child("name"), "may not be set together with `inferFromVolume`")
	}
	// Kinds are matched without regard to case, as clients write them either way.
	if kind != "" && !containsFold(kinds, kind) {
		r.add(RuleMatcherKind, field.NotSupported(path.Child("kind"), kind, kinds))
	}
	oneOf(r, RuleMatcherFailurePolicy, path.Child("inferFromVolumeFailurePolicy"), failurePolicy, "Reject", "Ignore")
	if volume != "" && !slices.ContainsFunc(t.Spec.Volumes, func(v virtv1.Volume) bool { return v.Name == volume }) {
		r.invalid(RuleMatcherVolume, path.Child("inferFromVolume"), volume, "must be the name of a volume in spec.template.spec.volumes")
	}
	if len(r.findings) > before {
		return
	}
	// Their kinds are not served yet, so that none is there and no volume has one to infer.
	if volume != "" && failurePolicy == "Ignore" {
		r.warn(path, "none is inferred from volume %q, this version has no %ss: the machine is what its template says", volume, what)
		return
	}
	missing := field.NotFound(path, cmp.Or(name, volume))
	reason := fmt.Sprintf("%ss.instancetype.kubevirt.io %q not found", strings.ToLower(cmp.Or(kind, kinds[len(kinds)-1])), name)
	if volume != "" {
		reason = fmt.Sprintf("nothing is inferred from volume %q", volume)
	}
	missing.Detail = fmt.Sprintf("Failure to find %s: %s: this version has none, remove spec.%s and describe the machine in spec.template.spec", what, reason, what)
	r.add(RuleMatcherFound, missing)
}

func containsFold(list []string, s string) bool {
	for _, e := range list {
		if strings.EqualFold(e, s) {
			return true
		}
	}
	return false
}
