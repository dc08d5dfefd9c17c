package preset

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

const (
	// ExcludeAnnotation keeps presets away from an instance that has it with the value "true".
	ExcludeAnnotation = "virtualmachineinstancepresets.admission.kubevirt.io/exclude"
	// appliedPrefix is that of the annotation that names a preset which was applied.
	appliedPrefix = "virtualmachinepreset.kubevirt.io/"
	// MaxPresets is how many presets may select one instance.
	MaxPresets = 100
	// maxContradictions is how many of them an error names.
	maxContradictions = 10
)

// section is a part of a domain that a preset gives as a whole, or not at all.
type section struct {
	name string
	// of gives what a domain says there; nil for nothing.
	of func(*virtv1.DomainSpec) any
	// put copies it from one domain to another, or takes it away.
	put func(to, from *virtv1.DomainSpec)
}

// something is a value, unless the pointer to it is nil.
func something[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// Names of the sections that are lists of quantities.
const (
	requests = "resources.requests"
	limits   = "resources.limits"
)

var sections = []section{
	{requests, func(d *virtv1.DomainSpec) any {
		if len(d.Resources.Requests) == 0 {
			return nil
		}
		return d.Resources.Requests
	}, func(to, from *virtv1.DomainSpec) { to.Resources.Requests = maps.Clone(from.Resources.Requests) }},
	{limits, func(d *virtv1.DomainSpec) any {
		if len(d.Resources.Limits) == 0 {
			return nil
		}
		return d.Resources.Limits
	}, func(to, from *virtv1.DomainSpec) { to.Resources.Limits = maps.Clone(from.Resources.Limits) }},
	{"cpu", func(d *virtv1.DomainSpec) any { return something(d.CPU) }, func(to, from *virtv1.DomainSpec) { to.CPU = from.CPU.DeepCopy() }},
	{"firmware", func(d *virtv1.DomainSpec) any { return something(d.Firmware) }, func(to, from *virtv1.DomainSpec) { to.Firmware = from.Firmware.DeepCopy() }},
	{"clock", func(d *virtv1.DomainSpec) any {
		if offset := offsetOf(d.Clock); offset != (virtv1.Clock{}) {
			return offset
		}
		return nil
	}, func(to, from *virtv1.DomainSpec) {
		c := offsetOf(from.Clock.DeepCopy())
		if to.Clock != nil {
			c.Timer = to.Clock.Timer
		}
		to.Clock = &c
	}},
	{"clock.timer", func(d *virtv1.DomainSpec) any {
		if d.Clock == nil {
			return nil
		}
		return something(d.Clock.Timer)
	}, func(to, from *virtv1.DomainSpec) {
		c := offsetOf(to.Clock)
		c.Timer = from.Clock.Timer.DeepCopy()
		to.Clock = &c
	}},
	{"features", func(d *virtv1.DomainSpec) any { return something(d.Features) }, func(to, from *virtv1.DomainSpec) { to.Features = from.Features.DeepCopy() }},
	{"devices.watchdog", func(d *virtv1.DomainSpec) any { return something(d.Devices.Watchdog) }, func(to, from *virtv1.DomainSpec) { to.Devices.Watchdog = from.Devices.Watchdog.DeepCopy() }},
	{"ioThreadsPolicy", func(d *virtv1.DomainSpec) any {
		if d.IOThreadsPolicy == "" {
			return nil
		}
		return d.IOThreadsPolicy
	}, func(to, from *virtv1.DomainSpec) { to.IOThreadsPolicy = from.IOThreadsPolicy }},
}

// offsetOf is a clock without its timers.
func offsetOf(c *virtv1.Clock) virtv1.Clock {
	if c == nil {
		return virtv1.Clock{}
	}
	out := *c
	out.Timer = nil
	return out
}

// Apply adds to an instance what the presets of its namespace that select it have, as far as the instance says nothing
// itself, and names them in its annotations. It gives warnings for what was not added. Presets that contradict each other are
// an error, and the instance is then as it was.
//
// An instance comes with its static defaults: a section that says just what these say counts as one that says nothing.
func Apply(vmi *virtv1.VirtualMachineInstance, all []*virtv1.VirtualMachineInstancePreset) ([]string, error) {
	if vmi.Annotations[ExcludeAnnotation] == "true" {
		return nil, nil
	}
	presets, err := selecting(vmi, all)
	if err != nil || len(presets) == 0 {
		return nil, err
	}
	if err := contradictions(presets, vmi.Spec.Domain.Resources); err != nil {
		return nil, err
	}
	bare(&vmi.Spec.Domain)
	var warnings []string
	for _, p := range presets {
		applied, refused := merge(&vmi.Spec.Domain, p.Spec.Domain)
		if key := appliedPrefix + p.Name; applied && len(validation.IsQualifiedName(key)) == 0 {
			annotations := maps.Clone(vmi.Annotations)
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations[key] = virtv1.SchemeGroupVersion.String()
			vmi.Annotations = annotations
		}
		if len(refused) > 0 {
			what := "Unable to apply VirtualMachineInstancePreset '%s': the instance has its own %s"
			if applied {
				what = "Some settings were not applied for VirtualMachineInstancePreset '%s': the instance has its own %s"
			}
			warnings = append(warnings, fmt.Sprintf(what, p.Name, strings.Join(refused, ", ")))
		}
		if rest := beyond(p.Spec.Domain); len(rest) > 0 {
			warnings = append(warnings, fmt.Sprintf("Some settings were not applied for VirtualMachineInstancePreset '%s': presets do not give %s", p.Name, strings.Join(rest, ", ")))
		}
	}
	return warnings, nil
}

// selecting are the presets that select an instance and have something to give, by name.
func selecting(vmi *virtv1.VirtualMachineInstance, all []*virtv1.VirtualMachineInstancePreset) ([]*virtv1.VirtualMachineInstancePreset, error) {
	var out []*virtv1.VirtualMachineInstancePreset
	for _, p := range all {
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.Selector)
		if err != nil {
			return nil, fmt.Errorf("reading spec.selector of VirtualMachineInstancePreset %s: %w", p.Name, err)
		}
		if p.Spec.Domain != nil && selector.Matches(labels.Set(vmi.Labels)) {
			out = append(out, p)
		}
	}
	if len(out) > MaxPresets {
		return nil, fmt.Errorf("%d VirtualMachineInstancePresets select the instance, and at most %d may: narrow their spec.selector, or keep presets away by the annotation %s=true", len(out), MaxPresets, ExcludeAnnotation)
	}
	slices.SortFunc(out, func(a, b *virtv1.VirtualMachineInstancePreset) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// contradictions names presets that say different things in one section. Each is compared with the first that says anything
// there, so that the work grows with the number of presets and not with its square.
func contradictions(presets []*virtv1.VirtualMachineInstancePreset, resources virtv1.ResourceRequirements) error {
	var found []string
	said := firsts{sections: map[string]statement{}, quantities: map[string]amount{}}
	for _, p := range presets {
		found = append(found, said.add(p, resources)...)
		if len(found) >= maxContradictions {
			break // whoever reads these finds the others
		}
	}
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("VirtualMachinePresets cannot be applied due to conflicts: %s; change the selector of one, or keep presets away by the annotation %s=true", strings.Join(found, "; "), ExcludeAnnotation)
}

// firsts is what was said first in each section, and of each resource.
type firsts struct {
	sections   map[string]statement
	quantities map[string]amount
}

type statement struct {
	by    string
	value any
}

type amount struct {
	by       string
	quantity resource.Quantity
}

// add takes in a preset, and gives a text for each earlier one that it contradicts. Requests and limits contradict each other only
// where both name the same resource.
func (f firsts) add(p *virtv1.VirtualMachineInstancePreset, resources virtv1.ResourceRequirements) []string {
	full := defaulted(p.Spec.Domain, resources)
	differ := map[string][]string{}
	contradict := func(first, section string) {
		if what := "domain." + section; !slices.Contains(differ[first], what) {
			differ[first] = append(differ[first], what)
		}
	}
	for section, list := range map[string]corev1.ResourceList{requests: p.Spec.Domain.Resources.Requests, limits: p.Spec.Domain.Resources.Limits} {
		for name, quantity := range list {
			key := section + "/" + string(name)
			if first, ok := f.quantities[key]; !ok {
				f.quantities[key] = amount{p.Name, quantity}
			} else if first.quantity.Cmp(quantity) != 0 {
				contradict(first.by, section)
			}
		}
	}
	for _, s := range sections {
		if s.name == requests || s.name == limits || s.of(p.Spec.Domain) == nil {
			continue
		}
		if first, ok := f.sections[s.name]; !ok {
			f.sections[s.name] = statement{p.Name, s.of(full)}
		} else if !apiequality.Semantic.DeepEqual(first.value, s.of(full)) {
			contradict(first.by, s.name)
		}
	}
	var out []string
	for _, other := range slices.Sorted(maps.Keys(differ)) {
		slices.Sort(differ[other])
		out = append(out, fmt.Sprintf("presets '%s' and '%s' conflict: %s", p.Name, other, strings.Join(differ[other], ", ")))
	}
	return out
}

// beyond names what a preset's domain has outside of the sections.
func beyond(preset *virtv1.DomainSpec) []string {
	rest := preset.DeepCopy()
	rest.Resources.Requests, rest.Resources.Limits, rest.CPU, rest.Firmware, rest.Clock, rest.Features = nil, nil, nil, nil, nil, nil
	rest.Devices.Watchdog, rest.IOThreadsPolicy = nil, ""
	var out []string
	v := reflect.ValueOf(*rest)
	for i := range v.NumField() {
		if !v.Field(i).IsZero() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			out = append(out, "domain."+name)
		}
	}
	return out
}

// exceeded says whether more is requested than limits allow.
func exceeded(requests, limits corev1.ResourceList) bool {
	for name, limit := range limits {
		if q, asked := requests[name]; asked && q.Cmp(limit) > 0 {
			return true
		}
	}
	return false
}

// merge gives a domain what a preset has and the domain lacks. It says whether any of it is there then, and in which sections
// the domain says otherwise.
func merge(domain, preset *virtv1.DomainSpec) (applied bool, refused []string) {
	full := defaulted(preset, domain.Resources)
	for _, s := range sections {
		if s.of(preset) == nil {
			continue
		}
		if s.name == limits && exceeded(domain.Resources.Requests, preset.Resources.Limits) {
			refused = append(refused, "domain."+requests)
			continue
		}
		if s.of(domain) == nil {
			s.put(domain, preset)
			applied = true
			continue
		}
		same := apiequality.Semantic.DeepEqual(s.of(defaulted(domain, domain.Resources)), s.of(full)) || apiequality.Semantic.DeepEqual(s.of(domain), s.of(preset))
		applied = applied || same
		if !same {
			refused = append(refused, "domain."+s.name)
		}
	}
	return applied, refused
}

// defaulted is a domain with the static defaults that an instance with these resources has.
func defaulted(domain *virtv1.DomainSpec, resources virtv1.ResourceRequirements) *virtv1.DomainSpec {
	vmi := virtv1.VirtualMachineInstance{Spec: virtv1.VirtualMachineInstanceSpec{Domain: *domain.DeepCopy()}}
	own, given := &vmi.Spec.Domain.Resources, resources.DeepCopy()
	if len(own.Requests) == 0 {
		limits := own.Limits
		*own = *given
		if len(limits) > 0 {
			own.Limits = limits
		}
	}
	virtv1.SetDefaults_VirtualMachineInstance(&vmi)
	return &vmi.Spec.Domain
}

// bare takes away what a domain has by default. What is not given by a preset is given again afterwards.
func bare(domain *virtv1.DomainSpec) {
	limited := virtv1.DomainSpec{Resources: virtv1.ResourceRequirements{Limits: domain.Resources.Limits}}
	if apiequality.Semantic.DeepEqual(domain.Resources.Requests, defaulted(&limited, limited.Resources).Resources.Requests) {
		domain.Resources.Requests = nil
	}
	blank := defaulted(&virtv1.DomainSpec{}, domain.Resources)
	// Some of the CPU's features follow from those of the machine.
	featured := defaulted(&virtv1.DomainSpec{Features: domain.Features.DeepCopy()}, domain.Resources)
	if apiequality.Semantic.DeepEqual(domain.CPU, featured.CPU) {
		domain.CPU = nil
	}
	if apiequality.Semantic.DeepEqual(domain.Features, blank.Features) {
		domain.Features = nil
	}
	if apiequality.Semantic.DeepEqual(domain.Firmware, blank.Firmware) {
		domain.Firmware = nil
	}
}
