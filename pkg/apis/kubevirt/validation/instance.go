package validation

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of instances.
var (
	RuleListLength        = rule("list-length", "lists stay within what one machine can hold")
	RuleHostname          = rule("hostname", "hostname is a DNS label")
	RuleSubdomain         = rule("subdomain", "subdomain is a DNS label")
	RuleGracePeriod       = rule("grace-period", "the grace period is not negative, and at most ten years")
	RuleEvictionStrategy  = rule("eviction-strategy", "evictionStrategy is one of the known strategies")
	RuleStartStrategy     = rule("start-strategy", "startStrategy is Paused or left out, and not combined with a liveness probe")
	RuleArchitecture      = rule("architecture", "the architecture is one that is known")
	RuleReferenceName     = rule("reference-name", "scheduler, priority class and service account are named by DNS subdomains")
	RuleProbeHandler      = rule("probe-handler", "a probe has exactly one way of asking")
	RuleProbeNumbers      = rule("probe-numbers", "delays, periods, timeouts and thresholds of probes are not negative")
	RuleProbePort         = rule("probe-port", "probes ask a port from 1 to 65535")
	RuleProbeCommand      = rule("probe-command", "an exec probe has a command")
	RuleProbeNetwork      = rule("probe-network", "network probes need the pod network")
	RuleProbeSuccess      = rule("probe-success", "a liveness probe has a success threshold of 1")
	RuleCredentialType    = rule("access-credential-type", "an access credential is either an SSH key or a password")
	RuleCredentialSource  = rule("access-credential-source", "an access credential comes from a Secret")
	RuleCredentialMethod  = rule("access-credential-method", "an access credential has exactly one propagation method")
	RuleCredentialUsers   = rule("access-credential-users", "keys that the guest agent sets name the users they are for")
	RuleResourceClaim     = rule("resource-claim", "resource claims have a name of their own and exactly one source")
	RuleInstanceImmutable = rule("instance-immutable", "the spec of an instance is not edited by users")
	RuleInstanceLabels    = rule("instance-labels", "users do not change labels that the system sets")
	RulePhase             = rule("phase", "the phase of an instance never goes back")
	errInstanceRestricted = "update of VMI object is restricted: change the VirtualMachine that owns it, or delete and create it anew"
	maxDevices            = 512
	maxInterfaces         = 64
	maxPorts              = 1024
	maxGrace              = int64(10 * 365 * 24 * 60 * 60)
	phaseOrder            = map[virtv1.VirtualMachineInstancePhase]int{virtv1.VmPhaseUnset: 0, virtv1.Pending: 1, virtv1.Scheduling: 2, virtv1.WaitingForSync: 3, virtv1.Scheduled: 4, virtv1.Running: 5, virtv1.Succeeded: 6, virtv1.Failed: 6}
	knownArchitectures    = []string{"amd64", "arm64", "s390x"}
	evictionStrategies    = []virtv1.EvictionStrategy{virtv1.EvictionStrategyNone, virtv1.EvictionStrategyLiveMigrate, virtv1.EvictionStrategyLiveMigrateIfPossible, virtv1.EvictionStrategyExternal}
)

// ValidateVirtualMachineInstance checks a new instance, after its defaults were filled in.
func ValidateVirtualMachineInstance(vmi *virtv1.VirtualMachineInstance, options Options) field.ErrorList {
	return checkInstance(vmi, options).errors()
}

func checkInstance(vmi *virtv1.VirtualMachineInstance, options Options) *report {
	r := &report{options: options}
	r.name(&vmi.ObjectMeta)
	r.instanceMetadata(&vmi.ObjectMeta, field.NewPath("metadata"))
	r.instanceSpec(&vmi.Spec, field.NewPath("spec"))
	return r
}

// VirtualMachineInstanceWarnings tells what is allowed in a new instance and probably not meant. The system's own components
// are told nothing: whoever made the machine was.
func VirtualMachineInstanceWarnings(vmi *virtv1.VirtualMachineInstance, options Options) []string {
	if options.Trusted {
		return nil
	}
	return checkInstance(vmi, options).warnings
}

// ValidateVirtualMachineInstanceUpdate checks a changed instance. Components may change the spec, which must stay valid.
func ValidateVirtualMachineInstanceUpdate(vmi, old *virtv1.VirtualMachineInstance, options Options) field.ErrorList {
	return checkInstanceUpdate(vmi, old, options).errors()
}

func checkInstanceUpdate(vmi, old *virtv1.VirtualMachineInstance, options Options) *report {
	r := &report{options: options}
	if !apiequality.Semantic.DeepEqual(vmi.Spec, old.Spec) {
		if options.Trusted {
			r.instanceSpec(&vmi.Spec, field.NewPath("spec"))
		} else {
			r.forbidden(RuleInstanceImmutable, field.NewPath("spec"), "%s", errInstanceRestricted)
		}
	}
	if !options.Trusted {
		for _, label := range reservedLabels {
			if vmi.Labels[label] != old.Labels[label] {
				r.forbidden(RuleInstanceLabels, field.NewPath("metadata", "labels").Key(label), "modification of the reserved label %s on a VMI object is restricted: the system sets it", label)
			}
		}
	}
	return r
}

// ValidateVirtualMachineInstanceStatusUpdate checks a changed status.
func ValidateVirtualMachineInstanceStatusUpdate(vmi, old *virtv1.VirtualMachineInstance) field.ErrorList {
	return checkInstanceStatus(vmi, old).errors()
}

func checkInstanceStatus(vmi, old *virtv1.VirtualMachineInstance) *report {
	r := &report{}
	path, to, from := field.NewPath("status", "phase"), vmi.Status.Phase, old.Status.Phase
	rank, known := phaseOrder[to]
	switch {
	case to == from:
	case from == virtv1.Succeeded || from == virtv1.Failed:
		r.invalid(RulePhase, path, to, "must stay %s: the instance has ended", from)
	case to == virtv1.Unknown:
	case !known:
		r.add(RulePhase, field.NotSupported(path, to, []virtv1.VirtualMachineInstancePhase{virtv1.Pending, virtv1.Scheduling, virtv1.Scheduled, virtv1.Running, virtv1.Succeeded, virtv1.Failed, virtv1.WaitingForSync, virtv1.Unknown}))
	case from == virtv1.Unknown && rank < phaseOrder[virtv1.Running], from != virtv1.Unknown && rank < phaseOrder[from]:
		r.invalid(RulePhase, path, to, "must not go back from %s", from)
	}
	return r
}

// instanceSpec checks the spec of an instance or of a template of one.
func (r *report) instanceSpec(spec *virtv1.VirtualMachineInstanceSpec, path *field.Path) {
	r.domain(spec, path.Child("domain"))
	r.disks(spec, path.Child("domain", "devices", "disks"))
	r.bootOrder(spec, path.Child("domain", "devices"))
	r.room(spec, path.Child("domain", "devices"))
	r.devices(&spec.Domain.Devices, path.Child("domain", "devices"))
	r.volumes(spec.Volumes, path.Child("volumes"))
	r.sharing(spec, path)
	r.networks(spec, path)
	r.scheduling(spec, path)
	r.dns(spec, path)
	r.probes(spec, path)
	r.credentials(spec, path.Child("accessCredentials"))
	r.resourceClaims(spec.ResourceClaims, path.Child("resourceClaims"))
	r.lengths(spec, path)

	label := func(rule *Rule, p *field.Path, value string) {
		if value == "" {
			return
		}
		if msgs := utilvalidation.IsDNS1123Label(value); len(msgs) > 0 {
			r.invalid(rule, p, value, "%s", strings.Join(msgs, "; "))
		}
	}
	label(RuleHostname, path.Child("hostname"), spec.Hostname)
	label(RuleSubdomain, path.Child("subdomain"), spec.Subdomain)
	if g := spec.TerminationGracePeriodSeconds; g != nil && (*g < 0 || *g > maxGrace) {
		r.invalid(RuleGracePeriod, path.Child("terminationGracePeriodSeconds"), *g, "must be from 0 to %d seconds", maxGrace)
	}
	if spec.EvictionStrategy != nil {
		oneOf(r, RuleEvictionStrategy, path.Child("evictionStrategy"), *spec.EvictionStrategy, evictionStrategies...)
	}
	if spec.StartStrategy != nil {
		oneOf(r, RuleStartStrategy, path.Child("startStrategy"), *spec.StartStrategy, virtv1.StartStrategyPaused)
		if spec.LivenessProbe != nil {
			r.forbidden(RuleStartStrategy, path.Child("startStrategy"), "may not be set together with `livenessProbe`: the probe would end the paused guest")
		}
	}
	oneOf(r, RuleArchitecture, path.Child("architecture"), spec.Architecture, knownArchitectures...)
	if spec.Architecture == "arm64" || spec.Architecture == "s390x" {
		r.gate("MultiArchitecture", path.Child("architecture"), "running guests of other architectures")
	}
	if w := spec.Domain.Devices.Watchdog; w != nil && w.Diag288 != nil && spec.Architecture != "s390x" {
		r.forbidden(RuleWatchdog, path.Child("domain", "devices", "watchdog"), "amd64 only supports I6300ESB watchdog device: set `i6300esb` in place of `diag288`")
	}
	for _, n := range []named[string]{{"schedulerName", spec.SchedulerName}, {"priorityClassName", spec.PriorityClassName}, {"serviceAccountName", spec.ServiceAccountName}} {
		if n.value == "" {
			continue
		}
		if msgs := apivalidation.NameIsDNSSubdomain(n.value, false); len(msgs) > 0 {
			r.invalid(RuleReferenceName, path.Child(n.name), n.value, "%s", strings.Join(msgs, "; "))
		}
	}
}

// lengths bounds what could otherwise make an object too big for everybody who reads it.
func (r *report) lengths(spec *virtv1.VirtualMachineInstanceSpec, path *field.Path) {
	devices := path.Child("domain", "devices")
	for _, l := range []struct {
		path     *field.Path
		len, max int
	}{
		{devices.Child("disks"), len(spec.Domain.Devices.Disks), maxDevices},
		{devices.Child("filesystems"), len(spec.Domain.Devices.Filesystems), maxDevices},
		{devices.Child("gpus"), len(spec.Domain.Devices.GPUs), maxDevices},
		{devices.Child("hostDevices"), len(spec.Domain.Devices.HostDevices), maxDevices},
		{devices.Child("inputs"), len(spec.Domain.Devices.Inputs), maxDevices},
		{devices.Child("interfaces"), len(spec.Domain.Devices.Interfaces), maxInterfaces},
		{path.Child("networks"), len(spec.Networks), maxInterfaces},
		{path.Child("volumes"), len(spec.Volumes), maxDevices},
		{path.Child("accessCredentials"), len(spec.AccessCredentials), maxDevices},
		{path.Child("resourceClaims"), len(spec.ResourceClaims), maxDevices},
	} {
		if l.len > l.max {
			r.add(RuleListLength, field.TooMany(l.path, l.len, l.max))
		}
	}
	for i := range spec.Domain.Devices.Interfaces {
		if n := len(spec.Domain.Devices.Interfaces[i].Ports); n > maxPorts {
			r.add(RuleListLength, field.TooMany(devices.Child("interfaces").Index(i).Child("ports"), n, maxPorts))
		}
	}
}

func (r *report) probes(spec *virtv1.VirtualMachineInstanceSpec, path *field.Path) {
	podNetwork := len(spec.Networks) == 0 && enabled(spec.Domain.Devices.AutoattachPodInterface)
	for _, n := range spec.Networks {
		podNetwork = podNetwork || n.Pod != nil
	}
	r.probe(spec.ReadinessProbe, podNetwork, path.Child("readinessProbe"))
	r.probe(spec.LivenessProbe, podNetwork, path.Child("livenessProbe"))
	if p := spec.LivenessProbe; p != nil && p.SuccessThreshold != nil && *p.SuccessThreshold != 1 {
		r.invalid(RuleProbeSuccess, path.Child("livenessProbe", "successThreshold"), *p.SuccessThreshold, "must be 1")
	}
}

func (r *report) probe(p *virtv1.Probe, podNetwork bool, path *field.Path) {
	if p == nil {
		return
	}
	if n := count(p.HTTPGet != nil, p.TCPSocket != nil, p.Exec != nil, p.GuestAgentPing != nil); n != 1 {
		r.required(RuleProbeHandler, path, "%s must have exactly one probe type set: `httpGet`, `tcpSocket`, `exec` or `guestAgentPing`", path)
	}
	port := func(port intstr.IntOrString, p *field.Path) {
		if port.Type == intstr.String || port.IntVal < 1 || port.IntVal > 65535 {
			r.invalid(RuleProbePort, p.Child("port"), port.String(), "must be a number from 1 to 65535")
		}
		if !podNetwork {
			r.forbidden(RuleProbeNetwork, p, "%s is only allowed if the pod network is attached", p)
		}
	}
	if p.HTTPGet != nil {
		port(p.HTTPGet.Port, path.Child("httpGet"))
		r.headers(p.HTTPGet.HTTPHeaders, path.Child("httpGet", "httpHeaders"))
		oneOf(r, RuleProbeHandler, path.Child("httpGet", "scheme"), p.HTTPGet.Scheme, corev1.URISchemeHTTP, corev1.URISchemeHTTPS)
	}
	if p.TCPSocket != nil {
		port(p.TCPSocket.Port, path.Child("tcpSocket"))
	}
	if p.Exec != nil && len(p.Exec.Command) == 0 {
		r.required(RuleProbeCommand, path.Child("exec", "command"), "must be the command to run in the guest")
	}
	for _, n := range []named[*int32]{{"initialDelaySeconds", p.InitialDelaySeconds}, {"periodSeconds", p.PeriodSeconds}, {"timeoutSeconds", p.TimeoutSeconds}, {"successThreshold", p.SuccessThreshold}, {"failureThreshold", p.FailureThreshold}} {
		if n.value != nil && *n.value < 0 {
			r.invalid(RuleProbeNumbers, path.Child(n.name), *n.value, "must be 0 or more")
		}
	}
	// Zero and what is missing take the kubelet's defaults (rows P4-PROBE-11 and P4-PROBE-12).
	const defaultPeriod, defaultTimeout = 10, 1
	period, timeout := cmp.Or(ptr.Deref(p.PeriodSeconds, 0), defaultPeriod), cmp.Or(ptr.Deref(p.TimeoutSeconds, 0), defaultTimeout)
	if timeout >= period {
		r.warn(path.Child("timeoutSeconds"), "is %d and should be less than periodSeconds, which is %d: a guest that hangs is noticed late", timeout, period)
	}
}

func (r *report) credentials(spec *virtv1.VirtualMachineInstanceSpec, path *field.Path) {
	var noCloud, configDrive bool
	for _, v := range spec.Volumes {
		noCloud = noCloud || v.CloudInitNoCloud != nil
		configDrive = configDrive || v.CloudInitConfigDrive != nil
	}
	for i := range spec.AccessCredentials {
		c, p := &spec.AccessCredentials[i], path.Index(i)
		if count(c.SSHPublicKey != nil, c.UserPassword != nil) != 1 {
			r.required(RuleCredentialType, p, "%s must have exactly one access credential type set: `sshPublicKey` or `userPassword`", p)
		}
		source := func(s *virtv1.AccessCredentialSecretSource, p *field.Path) {
			if s == nil || s.SecretName == "" {
				r.required(RuleCredentialSource, p.Child("source", "secret", "secretName"), "must be the name of a Secret in the namespace of the machine")
				return
			}
			r.objectName(s.SecretName, p.Child("source", "secret", "secretName"))
		}
		if key := c.SSHPublicKey; key != nil {
			p := p.Child("sshPublicKey")
			source(key.Source.Secret, p)
			method, m := p.Child("propagationMethod"), key.PropagationMethod
			if count(m.ConfigDrive != nil, m.NoCloud != nil, m.QemuGuestAgent != nil) != 1 {
				r.required(RuleCredentialMethod, method, "%s must have exactly one propagationMethod set: `configDrive`, `noCloud` or `qemuGuestAgent`", p)
			}
			if m.NoCloud != nil && !noCloud {
				r.incomplete(RuleCredentialVolume, method.Child("noCloud"), "requires a volume of kind cloudInitNoCloud: add one to `volumes`")
			}
			if m.ConfigDrive != nil && !configDrive {
				r.incomplete(RuleCredentialVolume, method.Child("configDrive"), "requires a volume of kind cloudInitConfigDrive: add one to `volumes`")
			}
			if m.QemuGuestAgent != nil && len(m.QemuGuestAgent.Users) == 0 {
				r.required(RuleCredentialUsers, method.Child("qemuGuestAgent", "users"), "must name at least one user of the guest")
			}
		}
		if password := c.UserPassword; password != nil {
			p := p.Child("userPassword")
			source(password.Source.Secret, p)
			if password.PropagationMethod.QemuGuestAgent == nil {
				r.required(RuleCredentialMethod, p.Child("propagationMethod"), "%s must have exactly one propagationMethod set: `qemuGuestAgent`", p)
			}
		}
	}
}

func (r *report) resourceClaims(claims []virtv1.VirtualMachineInstanceResourceClaim, path *field.Path) {
	seen := map[string]bool{}
	for i, c := range claims {
		p := path.Index(i)
		switch {
		case c.Name == "":
			r.required(RuleResourceClaim, p.Child("name"), "must be set")
		case seen[c.Name]:
			r.duplicate(RuleResourceClaim, p.Child("name"), c.Name)
		}
		seen[c.Name] = true
		if count(c.ResourceClaimName != "", c.ResourceClaimTemplateName != "") != 1 {
			r.required(RuleResourceClaim, p, "must have exactly one of `resourceClaimName` and `resourceClaimTemplateName`")
		}
	}
}
