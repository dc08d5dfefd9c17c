package validation

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // names of time zones are those of the release, whatever files the server has

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of the virtual hardware.
var (
	RuleCPUCount          = rule("cpu-count", "a machine has at most 512 virtual CPUs")
	RuleMaxSockets        = rule("cpu-max-sockets", "sockets stay within maxSockets")
	RuleCPUModel          = rule("cpu-model", "CPU models are plain words")
	RuleCPUFeature        = rule("cpu-feature", "CPU features are plain words, each given once")
	RuleCPUPolicy         = rule("cpu-feature-policy", "the policy of a CPU feature is force, require, optional, disable or forbid")
	RuleIsolateEmulator   = rule("cpu-isolate-emulator", "isolateEmulatorThread needs dedicated CPUs")
	RuleNUMA              = rule("cpu-numa", "NUMA passthrough needs dedicated CPUs and huge pages")
	RuleRealtime          = rule("cpu-realtime", "realtime needs dedicated CPUs and NUMA passthrough")
	RuleRealtimeMask      = rule("cpu-realtime-mask", "the realtime mask lists virtual CPUs")
	RuleDedicatedMemory   = rule("dedicated-memory", "dedicated CPUs need a memory request that equals the limit")
	RuleDedicatedCPU      = rule("dedicated-cpu", "dedicated CPUs need whole CPUs that agree with the topology")
	RuleDedicatedThreads  = rule("dedicated-threads", "dedicated CPUs have at most two threads for each core")
	RuleMemoryMinimum     = rule("memory-minimum", "memory is at least 1Mi")
	RuleMemoryGuestLimit  = rule("memory-guest-limit", "guest memory fits the memory limit")
	RuleMemoryMaxGuest    = rule("memory-max-guest", "maxGuest is not below the memory that the guest starts with")
	RuleHugepagesSize     = rule("hugepages-size", "the page size of huge pages is one that the processor has: 2Mi or 1Gi (row P2-HUGE-04)")
	RuleHugepagesMultiple = rule("hugepages-multiple", "memory on huge pages is a multiple of their size")
	RuleMemLock           = rule("memory-lock", "memLock is Required or NotRequired")
	RuleResourceNegative  = rule("resource-negative", "requests and limits are not negative")
	RuleRequestsLimits    = rule("requests-limits", "requests stay within limits")
	RuleMachineType       = rule("machine-type", "the machine type is one that the cluster allows")
	RuleFirmwareUUID      = rule("firmware-uuid", "the firmware's UUID is a UUID")
	RuleFirmwareSerial    = rule("firmware-serial", "the firmware's serial number is at most 256 plain characters")
	RuleBootloader        = rule("bootloader-exclusive", "bios and efi exclude one another")
	RuleSecureBoot        = rule("secure-boot-smm", "secure boot needs system management mode")
	RuleKernelBoot        = rule("kernel-boot", "direct kernel boot names an image and a kernel or initrd in it")
	RuleKernelBootPath    = rule("kernel-boot-path", "paths of kernel and initrd are absolute and plain")
	RuleACPITable         = rule("acpi-table", "ACPI tables come from volumes of kind secret")
	RuleHypervExclusive   = rule("hyperv-exclusive", "hyperv and hypervPassthrough exclude one another")
	RuleHypervVendor      = rule("hyperv-vendor", "the Hyper-V vendor id is at most 12 plain characters")
	RuleHypervSpinlocks   = rule("hyperv-spinlocks", "Hyper-V spinlock retries are at least 4096")
	RuleHypervDependency  = rule("hyperv-dependency", "what a Hyper-V feature builds on is not disabled")
	RuleClock             = rule("clock-exclusive", "the clock runs in UTC or in a time zone")
	RuleTimezone          = rule("clock-timezone", "the time zone is one that there is")
	RuleTickPolicy        = rule("clock-tick-policy", "timers have a tick policy that they know")
	RuleClockRTC          = rule("clock-rtc", "a machine has a clock")
	RuleAPIC              = rule("features-apic", "a machine has an APIC")
	RuleCommandLine       = rule("kernel-command-line", "a kernel's command line is at most 2047 printable characters")
	RuleIOThreads         = rule("io-threads", "ioThreadsPolicy is known, and a supplemental pool has 1 to 64 threads")
	RuleLaunchSecurity    = rule("launch-security", "launch security is of exactly one kind, with what it needs")
	RuleRebootPolicy      = rule("reboot-policy", "rebootPolicy is Reboot or Terminate")
	RuleChassis           = rule("chassis-text", "texts of the chassis are at most 256 printable characters")

	maxCPUs         = uint64(512)
	minMemory       = resource.MustParse("1Mi")
	word            = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.+-]*$`)
	serialText      = regexp.MustCompile(`^[A-Za-z0-9_.+-]+$`)
	realtimeMask    = regexp.MustCompile(`^\^?[0-9]+(-[0-9]+)?(,\^?[0-9]+(-[0-9]+)?)*$`)
	uuidText        = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	printable       = regexp.MustCompile(`^[ -~]*$`)
	machinePatterns = []string{"q35*", "pc-q35*"}
)

const (
	maxText = 256
	// maxCommandLine is what a kernel takes.
	maxCommandLine = 2047
	// maxPoolThreads bounds the threads that serve disks.
	maxPoolThreads = 64
)

func (r *report) domain(spec *virtv1.VirtualMachineInstanceSpec, p *field.Path) {
	d := &spec.Domain
	r.cpu(d, p.Child("cpu"))
	r.memory(d, p)
	r.resources(&d.Resources, p.Child("resources"))
	r.podResources(&d.Resources, p.Child("resources"))
	if isTrue(dedicated(d)) {
		r.dedicated(d, p)
	}
	r.firmware(spec, p)
	r.features(d.Features, p.Child("features"))
	r.clock(d, p.Child("clock"))
	r.launchSecurity(spec, p.Child("launchSecurity"))
	if d.Machine != nil && d.Machine.Type != "" {
		r.machineType(d.Machine.Type, p.Child("machine", "type"))
	}
	oneOf(r, RuleIOThreads, p.Child("ioThreadsPolicy"), d.IOThreadsPolicy, "shared", "auto", "supplementalPool")
	if threads := p.Child("ioThreads", "supplementalPoolThreadCount"); d.IOThreadsPolicy == "supplementalPool" {
		if d.IOThreads == nil || d.IOThreads.SupplementalPoolThreadCount == nil {
			r.required(RuleIOThreads, threads, "must be 1 or more when `ioThreadsPolicy` is supplementalPool")
		} else if n := *d.IOThreads.SupplementalPoolThreadCount; n < 1 || n > maxPoolThreads {
			r.invalid(RuleIOThreads, threads, n, "must be from 1 to %d", maxPoolThreads)
		}
	}
	oneOf(r, RuleRebootPolicy, p.Child("rebootPolicy"), d.RebootPolicy, "Reboot", "Terminate")
	if c := d.Chassis; c != nil {
		for _, n := range []named[string]{{"asset", c.Asset}, {"manufacturer", c.Manufacturer}, {"serial", c.Serial}, {"sku", c.SKU}, {"version", c.Version}} {
			if len(n.value) > maxText || !printable.MatchString(n.value) {
				r.invalid(RuleChassis, p.Child("chassis", n.name), n.value, "must be at most %d printable ASCII characters", maxText)
			}
		}
	}
}

func dedicated(d *virtv1.DomainSpec) *bool {
	if d.CPU == nil {
		return nil
	}
	return d.CPU.DedicatedCPUPlacement
}

// vcpus counts virtual CPUs; a part of the topology that is left out counts as one, none at all as zero. The parts are
// bounded one by one first, so that the product cannot overflow.
func vcpus(c *virtv1.CPU) uint64 {
	if c == nil || c.Sockets == 0 && c.Cores == 0 && c.Threads == 0 {
		return 0
	}
	n := uint64(1)
	for _, part := range []uint32{c.Sockets, c.Cores, c.Threads} {
		n *= min(max(uint64(part), 1), maxCPUs+1)
	}
	return n
}

func (r *report) cpu(d *virtv1.DomainSpec, p *field.Path) {
	c := d.CPU
	if c == nil {
		return
	}
	if n := vcpus(c); n > maxCPUs {
		r.invalid(RuleCPUCount, p, n, "must be at most %d virtual CPUs (sockets times cores times threads)", maxCPUs)
	}
	if c.MaxSockets != 0 && c.Sockets > c.MaxSockets {
		r.invalid(RuleMaxSockets, p.Child("sockets"), c.Sockets, "Number of sockets in CPU topology is greater than the maximum sockets allowed (`maxSockets`, %d)", c.MaxSockets)
	}
	if c.Model != "" && (!word.MatchString(c.Model) || len(c.Model) > maxText) {
		r.invalid(RuleCPUModel, p.Child("model"), c.Model, "must be host-model, host-passthrough or a model's name of letters, digits, '.', '_', '+' and '-'")
	}
	seen := map[string]bool{}
	for i, f := range c.Features {
		fp := p.Child("features").Index(i)
		switch {
		case !word.MatchString(f.Name) || len(f.Name) > maxText:
			r.invalid(RuleCPUFeature, fp.Child("name"), f.Name, "must be a CPU feature's name of letters, digits, '.', '_', '+' and '-'")
		case seen[f.Name]:
			r.duplicate(RuleCPUFeature, fp.Child("name"), f.Name)
		}
		seen[f.Name] = true
		oneOf(r, RuleCPUPolicy, fp.Child("policy"), f.Policy, "force", "require", "optional", "disable", "forbid")
	}
	pinned := isTrue(c.DedicatedCPUPlacement)
	if isTrue(c.IsolateEmulatorThread) && !pinned {
		r.forbidden(RuleIsolateEmulator, p.Child("isolateEmulatorThread"), "IsolateEmulatorThread should be only set in combination with DedicatedCPUPlacement: set `dedicatedCpuPlacement`")
	}
	numa := c.NUMA != nil && c.NUMA.GuestMappingPassthrough != nil
	if numa && (!pinned || d.Memory == nil || d.Memory.Hugepages == nil) {
		r.forbidden(RuleNUMA, p.Child("numa", "guestMappingPassthrough"), "needs `dedicatedCpuPlacement` and domain.memory.hugepages")
	}
	if c.Realtime != nil {
		if !pinned || !numa {
			r.forbidden(RuleRealtime, p.Child("realtime"), "needs `dedicatedCpuPlacement` and `numa.guestMappingPassthrough`")
		}
		if c.Realtime.Mask != "" && !realtimeMask.MatchString(c.Realtime.Mask) {
			r.invalid(RuleRealtimeMask, p.Child("realtime", "mask"), c.Realtime.Mask, "must list virtual CPUs such as 0-3,^1")
		}
	}
}

func (r *report) memory(d *virtv1.DomainSpec, p *field.Path) {
	requested := d.Resources.Requests[corev1.ResourceMemory]
	limit := d.Resources.Limits[corev1.ResourceMemory]
	guest := resource.Quantity{}
	guestPath := p.Child("memory", "guest")
	if d.Memory != nil && d.Memory.Guest != nil {
		guest = *d.Memory.Guest
		if guest.Cmp(minMemory) < 0 {
			r.invalid(RuleMemoryMinimum, guestPath, guest.String(), "must be greater than or equal to 1Mi")
		}
		if !limit.IsZero() && guest.Cmp(limit) > 0 {
			r.invalid(RuleMemoryGuestLimit, guestPath, guest.String(), "must be equal to or less than the memory limit domain.resources.limits.memory %s: raise the limit or leave it out", limit.String())
		}
	}
	if !requested.IsZero() && requested.Sign() > 0 && requested.Cmp(minMemory) < 0 {
		r.invalid(RuleMemoryMinimum, p.Child("resources", "requests", "memory"), requested.String(), "must be greater than or equal to 1Mi")
	}
	if d.Memory == nil || d.Memory.Guest == nil && d.Memory.Hugepages == nil {
		if requested.IsZero() && limit.IsZero() {
			r.incomplete(RuleMemoryRequired, p.Child("memory", "guest"), "no memory requested, at least one of `memory.guest`, `memory.hugepages.pageSize` or `resources.requests.memory` must be set")
		}
	}
	if d.Memory == nil {
		return
	}
	if m := d.Memory.MaxGuest; m != nil {
		for _, size := range []named[resource.Quantity]{{"memory.guest", guest}, {"resources.requests.memory", requested}, {"resources.limits.memory", limit}} {
			if size.value.Sign() <= 0 {
				continue
			}
			if m.Cmp(size.value) < 0 {
				r.invalid(RuleMemoryMaxGuest, p.Child("memory", "maxGuest"), m.String(), "must be equal to or more than the guest's memory domain.%s %s: raise it or leave it out", size.name, size.value.String())
			}
			break // the first that is set is what the guest starts with
		}
	}
	if o := d.Memory.ReservedOverhead; o != nil {
		oneOf(r, RuleMemLock, p.Child("memory", "reservedOverhead", "memLock"), o.MemLock, "Required", "NotRequired")
		if o.AddedOverhead != nil && o.AddedOverhead.Sign() < 0 {
			r.invalid(RuleResourceNegative, p.Child("memory", "reservedOverhead", "addedOverhead"), o.AddedOverhead.String(), "must be greater than or equal to 0")
		}
	}
	if h := d.Memory.Hugepages; h != nil {
		sizePath := p.Child("memory", "hugepages", "pageSize")
		size, err := resource.ParseQuantity(h.PageSize)
		if err != nil || size.Value() != 2<<20 && size.Value() != 1<<30 {
			r.invalid(RuleHugepagesSize, sizePath, h.PageSize, "must be a size of huge pages that the processor has: 2Mi or 1Gi")
			return
		}
		backed, backedPath := guest, guestPath
		switch {
		case !backed.IsZero():
		case !requested.IsZero():
			backed, backedPath = requested, p.Child("resources", "requests", "memory")
		case !limit.IsZero():
			backed, backedPath = limit, p.Child("resources", "limits", "memory")
		default:
			r.warn(guestPath, "is not set: the guest has one page of memory, %s", size.String())
		}
		if backed.Sign() > 0 && backed.Value()%size.Value() != 0 {
			r.invalid(RuleHugepagesMultiple, backedPath, backed.String(), "is not a multiple of the page size memory.hugepages.pageSize %s", h.PageSize)
		}
	}
}

func (r *report) resources(res *virtv1.ResourceRequirements, p *field.Path) {
	for _, list := range []named[corev1.ResourceList]{{"requests", res.Requests}, {"limits", res.Limits}} {
		for _, name := range slices.Sorted(maps.Keys(list.value)) {
			q := list.value[name]
			if q.Sign() < 0 {
				r.invalid(RuleResourceNegative, p.Child(list.name).Child(string(name)), q.String(), "must be greater than or equal to 0")
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(res.Limits)) {
		limit := res.Limits[name]
		if request, ok := res.Requests[name]; ok && limit.Sign() > 0 && request.Cmp(limit) > 0 {
			r.invalid(RuleRequestsLimits, p.Child("requests").Child(string(name)), request.String(), "is greater than domain.resources.limits.%s %s", name, limit.String())
		}
	}
}

// dedicated checks what the kubelet's static CPU manager asks of a pod: guaranteed quality of service and whole CPUs.
func (r *report) dedicated(d *virtv1.DomainSpec, p *field.Path) {
	requests, limits := d.Resources.Requests, d.Resources.Limits
	memRequest, memLimit := requests[corev1.ResourceMemory], limits[corev1.ResourceMemory]
	switch {
	case memRequest.IsZero() && memLimit.IsZero():
		if d.Memory == nil || d.Memory.Guest == nil {
			r.incomplete(RuleDedicatedMemory, p.Child("resources", "limits", "memory"), "must be provided, or `requests.memory`, when `dedicatedCpuPlacement` is true")
		}
	case !memRequest.IsZero() && !memLimit.IsZero() && memRequest.Cmp(memLimit) != 0:
		r.invalid(RuleDedicatedMemory, p.Child("resources", "requests", "memory"), memRequest.String(), "must be equal to `limits.memory` when `dedicatedCpuPlacement` is true")
	}
	cpuRequest, cpuLimit := requests[corev1.ResourceCPU], limits[corev1.ResourceCPU]
	n := vcpus(d.CPU)
	for _, c := range []named[resource.Quantity]{{"requests", cpuRequest}, {"limits", cpuLimit}} {
		name, q := c.name, c.value
		if q.Sign() <= 0 {
			continue
		}
		whole := q.DeepCopy()
		whole.RoundUp(resource.Scale(0))
		if whole.Cmp(q) != 0 {
			r.invalid(RuleDedicatedCPU, p.Child("resources", name, "cpu"), q.String(), "must be a whole number of CPUs when `dedicatedCpuPlacement` is true")
		} else if n > 0 && uint64(q.Value()) != n {
			r.invalid(RuleDedicatedCPU, p.Child("resources", name, "cpu"), q.String(), "must be the %d virtual CPUs of `cpu`, or be left out, when `dedicatedCpuPlacement` is true", n)
		}
	}
	if d.CPU.Threads > 2 {
		r.invalid(RuleDedicatedThreads, p.Child("cpu", "threads"), d.CPU.Threads, "must be 1 or 2 when `dedicatedCpuPlacement` is true")
	}
}

func (r *report) machineType(t string, p *field.Path) {
	patterns := r.options.EmulatedMachines
	if len(patterns) == 0 {
		patterns = machinePatterns
	}
	if word.MatchString(t) {
		for _, pattern := range patterns {
			if ok, err := path.Match(pattern, t); err == nil && ok {
				return
			}
		}
	}
	r.add(RuleMachineType, field.NotSupported(p, t, patterns))
}

func (r *report) firmware(spec *virtv1.VirtualMachineInstanceSpec, p *field.Path) {
	d := &spec.Domain
	f := d.Firmware
	if f == nil {
		return
	}
	p = p.Child("firmware")
	if f.UUID != "" {
		if !uuidText.MatchString(f.UUID) {
			r.invalid(RuleFirmwareUUID, p.Child("uuid"), f.UUID, "must be a UUID such as 5d307ca9-b3ef-428c-8861-06e72d69f223, or be left out to have one made")
		}
	}
	if f.Serial != "" && (len(f.Serial) > maxText || !serialText.MatchString(f.Serial)) {
		r.invalid(RuleFirmwareSerial, p.Child("serial"), f.Serial, "must be at most %d of the characters [A-Za-z0-9_.+-]", maxText)
	}
	if b := f.Bootloader; b != nil {
		if b.BIOS != nil && b.EFI != nil {
			r.forbidden(RuleBootloader, p.Child("bootloader"), "has both EFI and BIOS configured, but they are mutually exclusive: remove one")
		}
		if secureBoot(f) && !(d.Features != nil && d.Features.SMM != nil && enabled(d.Features.SMM.Enabled)) {
			r.forbidden(RuleSecureBoot, p.Child("bootloader", "efi", "secureBoot"), "SecureBoot requires SMM, which is currently disabled: set domain.features.smm.enabled to true, or `secureBoot` to false")
		}
		if secureBoot(f) && !virtv1.IsQ35(d) {
			r.forbidden(RuleSecureBoot, p.Child("bootloader", "efi", "secureBoot"), "SecureBoot needs the machine type q35: set domain.machine.type, or `secureBoot` to false")
		}
	}
	if k := f.KernelBoot; k != nil {
		r.kernelBoot(k, p.Child("kernelBoot"))
	}
	if a := f.ACPI; a != nil {
		if a.SlicNameRef == "" && a.MsdmNameRef == "" {
			r.required(RuleACPITable, p.Child("acpi"), "ACPI was set but neither `slicNameRef` nor `msdmNameRef`")
		}
		if d.Features != nil && !enabled(d.Features.ACPI.Enabled) {
			r.forbidden(RuleACPITable, p.Child("acpi"), "needs ACPI: remove it, or the false of domain.features.acpi.enabled")
		}
		for _, n := range []named[string]{{"slicNameRef", a.SlicNameRef}, {"msdmNameRef", a.MsdmNameRef}} {
			if n.value != "" && !secretVolume(spec.Volumes, n.value) {
				r.invalid(RuleACPITable, p.Child("acpi", n.name), n.value, "must be the name of a volume of kind secret in `volumes`")
			}
		}
	}
}

func secretVolume(volumes []virtv1.Volume, name string) bool {
	for _, v := range volumes {
		if v.Name == name {
			return v.Secret != nil
		}
	}
	return false
}

// secureBoot is on with EFI unless it is turned off.
func secureBoot(f *virtv1.Firmware) bool {
	return f != nil && f.Bootloader != nil && f.Bootloader.EFI != nil && enabled(f.Bootloader.EFI.SecureBoot)
}

func (r *report) kernelBoot(k *virtv1.KernelBoot, p *field.Path) {
	if len(k.KernelArgs) > maxCommandLine || !printable.MatchString(k.KernelArgs) {
		r.invalid(RuleCommandLine, p.Child("kernelArgs"), field.OmitValueType{}, "must be at most %d printable ASCII characters", maxCommandLine)
	}
	if k.Container == nil {
		if k.KernelArgs != "" {
			r.forbidden(RuleKernelBoot, p.Child("kernelArgs"), "kernel arguments cannot be provided without an external kernel: set `container`")
		}
		return
	}
	c, p := k.Container, p.Child("container")
	if c.Image == "" {
		r.required(RuleKernelBoot, p.Child("image"), "must be the image that holds the kernel")
	} else {
		r.image(c.Image, p.Child("image"))
	}
	r.objectName(c.ImagePullSecret, p.Child("imagePullSecret"))
	switch {
	case c.KernelPath == "" && c.InitrdPath == "":
		r.required(RuleKernelBoot, p, "must be defined with at least one of the following: kernelPath, initrdPath")
	case c.KernelPath == "":
		r.required(RuleKernelBoot, p.Child("kernelPath"), "must be the kernel that `initrdPath` is for: an initrd does not start by itself")
	}
	r.pullPolicy(c.ImagePullPolicy, p.Child("imagePullPolicy"))
	for _, n := range []named[string]{{"kernelPath", c.KernelPath}, {"initrdPath", c.InitrdPath}} {
		if n.value != "" {
			r.plainPath(RuleKernelBootPath, n.value, p.Child(n.name))
		}
	}
}

// plainPath checks a path inside an image: it must not climb out of it.
func (r *report) plainPath(rule *Rule, value string, p *field.Path) {
	if value == "/" || path.Join("/", value) != strings.TrimSuffix(value, "/") {
		r.invalid(rule, p, value, "must be an absolute path to a file, without . and .. in it")
	}
}

func (r *report) features(f *virtv1.Features, p *field.Path) {
	if f == nil {
		return
	}
	if f.APIC != nil && !enabled(f.APIC.Enabled) {
		r.forbidden(RuleAPIC, p.Child("apic", "enabled"), "must not be false: there are no machines without an APIC")
	}
	if f.Hyperv == nil {
		return
	}
	h, hp := f.Hyperv, p.Child("hyperv")
	if f.HypervPassthrough != nil && enabled(f.HypervPassthrough.Enabled) {
		r.forbidden(RuleHypervExclusive, p.Child("hypervPassthrough"), "may not be enabled together with `hyperv`")
	}
	if v := h.Vendorid; v != nil && enabled(v.Enabled) && (len(v.Vendorid) > 12 || !serialText.MatchString(v.Vendorid)) {
		r.invalid(RuleHypervVendor, hp.Child("vendorid", "vendorid"), v.Vendorid, "must be 1 to 12 of the characters [A-Za-z0-9_.+-]")
	}
	if s := h.Spinlocks; s != nil && enabled(s.Enabled) && s.Spinlocks != nil && *s.Spinlocks < 4096 {
		r.invalid(RuleHypervSpinlocks, hp.Child("spinlocks", "spinlocks"), *s.Spinlocks, "must be 4096 or more")
	}
	on := func(f *virtv1.FeatureState) bool { return f != nil && enabled(f.Enabled) }
	off := func(f *virtv1.FeatureState) bool { return f != nil && !enabled(f.Enabled) }
	stimer := h.Synictimer != nil && enabled(h.Synictimer.Enabled)
	tlbflush := h.Tlbflush != nil && enabled(h.Tlbflush.Enabled)
	for _, d := range []struct {
		wants   bool
		feature string
		missing bool
		needs   string
	}{
		{stimer, "synictimer", off(h.Synic), "synic"},
		{stimer, "synictimer", off(h.Vpindex), "vpindex"},
		{on(h.Synic), "synic", off(h.Vpindex), "vpindex"},
		{on(h.IPI), "ipi", off(h.Vpindex), "vpindex"},
		{tlbflush, "tlbflush", off(h.Vpindex), "vpindex"},
		{on(h.EVMCS), "evmcs", off(h.VAPIC), "vapic"},
		{tlbflush && on(h.Tlbflush.Direct), "tlbflush.direct", off(h.VAPIC), "vapic"},
	} {
		if d.wants && d.missing {
			r.forbidden(RuleHypervDependency, hp.Child(d.needs, "enabled"), "may not be false when `%s` is enabled", d.feature)
		}
	}
}

// knownZone says whether there is a time zone of that name. The names come with the program (time/tzdata).
func knownZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil && name != "Local"
}

func (r *report) clock(d *virtv1.DomainSpec, p *field.Path) {
	c := d.Clock
	if c == nil {
		return
	}
	if c.UTC != nil && c.Timezone != "" {
		r.forbidden(RuleClock, p.Child("timezone"), "may not be set together with `utc`")
	}
	if c.Timezone != "" && !knownZone(string(c.Timezone)) {
		r.invalid(RuleTimezone, p.Child("timezone"), c.Timezone, "must be the name of a time zone such as Europe/Prague")
	}
	t := c.Timer
	if t == nil {
		return
	}
	p = p.Child("timer")
	if f := d.Features; t.Hyperv != nil && !enabled(t.Hyperv.Present) && f != nil && f.Hyperv != nil && f.Hyperv.Synictimer != nil && enabled(f.Hyperv.Synictimer.Enabled) {
		r.forbidden(RuleHypervDependency, p.Child("hyperv", "present"), "may not be false when `features.hyperv.synictimer` is enabled: its timers count in this time")
	}
	if t.HPET != nil {
		oneOf(r, RuleTickPolicy, p.Child("hpet", "tickPolicy"), t.HPET.TickPolicy, "delay")
	}
	if t.PIT != nil {
		oneOf(r, RuleTickPolicy, p.Child("pit", "tickPolicy"), t.PIT.TickPolicy, "delay", "discard")
	}
	if t.RTC != nil {
		if !enabled(t.RTC.Present) {
			r.forbidden(RuleClockRTC, p.Child("rtc", "present"), "must not be false: there are no machines without a clock")
		}
		oneOf(r, RuleTickPolicy, p.Child("rtc", "tickPolicy"), t.RTC.TickPolicy, "delay", "catchup")
		oneOf(r, RuleTickPolicy, p.Child("rtc", "track"), t.RTC.Track, "guest", "wall")
	}
}

func (r *report) launchSecurity(spec *virtv1.VirtualMachineInstanceSpec, p *field.Path) {
	l := spec.Domain.LaunchSecurity
	if l == nil {
		return
	}
	if n := count(l.SEV != nil, l.SNP != nil, l.TDX != nil); n != 1 {
		r.forbidden(RuleLaunchSecurity, p, "One and only one launchSecurity type can be set: `sev`, `snp` or `tdx`")
		if n == 0 {
			return
		}
	}
	name, kind, gate := "sev", "SEV", "WorkloadEncryptionSEV"
	switch {
	case l.SNP != nil:
		name, kind = "snp", "SNP"
	case l.TDX != nil:
		name, kind, gate = "tdx", "TDX", "WorkloadEncryptionTDX"
	}
	p = p.Child(name)
	r.gate(gate, p, kind)
	f := spec.Domain.Firmware
	switch {
	case f == nil || f.Bootloader == nil || f.Bootloader.EFI == nil:
		r.forbidden(RuleLaunchSecurity, p, "%s requires OVMF (UEFI): set domain.firmware.bootloader.efi", kind)
	case l.TDX == nil && secureBoot(f):
		r.forbidden(RuleLaunchSecurity, p, "%s does not work along with SecureBoot: set domain.firmware.bootloader.efi.secureBoot to false", kind)
	}
	if l.SEV != nil && l.SEV.Attestation != nil && (spec.StartStrategy == nil || *spec.StartStrategy != virtv1.StartStrategyPaused) {
		r.forbidden(RuleLaunchSecurity, p.Child("attestation"), "SEV attestation requires VMI StartStrategy '%s'", virtv1.StartStrategyPaused)
	}
	for _, i := range spec.Domain.Devices.Interfaces {
		if i.BootOrder != nil {
			r.forbidden(RuleLaunchSecurity, p, "%s does not work with bootable NICs: remove the boot order of interface %s", kind, i.Name)
		}
	}
}
