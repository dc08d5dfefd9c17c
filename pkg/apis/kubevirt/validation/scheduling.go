package validation

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of placement and name resolution. They are those of pods, checked here so that a mistake shows when the machine is
// written and not when its pod is refused.
var (
	RuleNodeSelector   = rule("node-selector", "node selectors are well-formed labels")
	RuleToleration     = rule("toleration", "tolerations are well formed")
	RuleNodeAffinity   = rule("node-affinity", "node affinity terms are well formed")
	RulePodAffinity    = rule("pod-affinity", "pod affinity terms have a topology key and well-formed selectors")
	RuleAffinityWeight = rule("affinity-weight", "weights of preferences are from 1 to 100")
	RuleTopologySpread = rule("topology-spread", "topology spread constraints are well formed")
	RuleDNSPolicy      = rule("dns-policy", "dnsPolicy is one of the known policies")
	RuleDNSConfig      = rule("dns-config", "dnsConfig is well formed, and present when dnsPolicy is None")
)

func (r *report) scheduling(spec *virtv1.VirtualMachineInstanceSpec, p *field.Path) {
	for _, err := range metav1validation.ValidateLabels(spec.NodeSelector, p.Child("nodeSelector")) {
		r.add(RuleNodeSelector, err)
	}
	for i, t := range spec.Tolerations {
		r.toleration(&t, p.Child("tolerations").Index(i))
	}
	seen := map[string]bool{}
	for i, c := range spec.TopologySpreadConstraints {
		p := p.Child("topologySpreadConstraints").Index(i)
		if c.MaxSkew < 1 {
			r.invalid(RuleTopologySpread, p.Child("maxSkew"), c.MaxSkew, "must be 1 or more")
		}
		if c.TopologyKey == "" {
			r.required(RuleTopologySpread, p.Child("topologyKey"), "must be the name of a node label")
		}
		if c.WhenUnsatisfiable != corev1.DoNotSchedule && c.WhenUnsatisfiable != corev1.ScheduleAnyway {
			r.add(RuleTopologySpread, field.NotSupported(p.Child("whenUnsatisfiable"), c.WhenUnsatisfiable, []corev1.UnsatisfiableConstraintAction{corev1.DoNotSchedule, corev1.ScheduleAnyway}))
		}
		r.spread(&spec.TopologySpreadConstraints[i], p)
		if key := c.TopologyKey + " " + string(c.WhenUnsatisfiable); seen[key] {
			r.duplicate(RuleTopologySpread, p, key)
		} else {
			seen[key] = true
		}
		r.selector(RuleTopologySpread, c.LabelSelector, p.Child("labelSelector"))
	}
	if a := spec.Affinity; a != nil {
		r.affinity(a, p.Child("affinity"))
	}
}

func (r *report) selector(rule *Rule, s *metav1.LabelSelector, p *field.Path) {
	for _, err := range metav1validation.ValidateLabelSelector(s, metav1validation.LabelSelectorValidationOptions{}, p) {
		r.add(rule, err)
	}
}

func (r *report) toleration(t *corev1.Toleration, p *field.Path) {
	if t.Key != "" {
		for _, msg := range utilvalidation.IsQualifiedName(t.Key) {
			r.invalid(RuleToleration, p.Child("key"), t.Key, "%s", msg)
		}
	} else if t.Operator != corev1.TolerationOpExists {
		r.invalid(RuleToleration, p.Child("operator"), t.Operator, "must be Exists when `key` is empty, which means to match all values and all keys")
	}
	switch t.Operator {
	case corev1.TolerationOpEqual, "":
		for _, msg := range utilvalidation.IsValidLabelValue(t.Value) {
			r.invalid(RuleToleration, p.Child("value"), t.Value, "%s", msg)
		}
	case corev1.TolerationOpExists:
		if t.Value != "" {
			r.invalid(RuleToleration, p.Child("value"), t.Value, "must be empty when `operator` is Exists")
		}
	default:
		r.add(RuleToleration, field.NotSupported(p.Child("operator"), t.Operator, []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists}))
	}
	oneOf(r, RuleToleration, p.Child("effect"), t.Effect, corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)
	if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
		r.invalid(RuleToleration, p.Child("effect"), t.Effect, "must be NoExecute when `tolerationSeconds` is set")
	}
}

func (r *report) affinity(a *corev1.Affinity, p *field.Path) {
	const required, preferred = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
	if n := a.NodeAffinity; n != nil {
		p := p.Child("nodeAffinity")
		if s := n.RequiredDuringSchedulingIgnoredDuringExecution; s != nil {
			terms := p.Child(required, "nodeSelectorTerms")
			if len(s.NodeSelectorTerms) == 0 {
				r.required(RuleNodeAffinity, terms, "must have at least one node selector term")
			}
			for i := range s.NodeSelectorTerms {
				r.nodeTerm(&s.NodeSelectorTerms[i], terms.Index(i))
			}
		}
		for i := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			t, p := &n.PreferredDuringSchedulingIgnoredDuringExecution[i], p.Child(preferred).Index(i)
			r.weight(t.Weight, p)
			r.nodeTerm(&t.Preference, p.Child("preference"))
		}
	}
	if n := a.PodAffinity; n != nil {
		r.podTerms(n.RequiredDuringSchedulingIgnoredDuringExecution, n.PreferredDuringSchedulingIgnoredDuringExecution, p.Child("podAffinity"), required, preferred)
	}
	if n := a.PodAntiAffinity; n != nil {
		r.podTerms(n.RequiredDuringSchedulingIgnoredDuringExecution, n.PreferredDuringSchedulingIgnoredDuringExecution, p.Child("podAntiAffinity"), required, preferred)
	}
}

func (r *report) weight(weight int32, p *field.Path) {
	if weight < 1 || weight > 100 {
		r.invalid(RuleAffinityWeight, p.Child("weight"), weight, "must be in the range 1-100")
	}
}

func (r *report) podTerms(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm, p *field.Path, requiredName, preferredName string) {
	for i := range required {
		r.podTerm(&required[i], p.Child(requiredName).Index(i))
	}
	for i := range preferred {
		p := p.Child(preferredName).Index(i)
		r.weight(preferred[i].Weight, p)
		r.podTerm(&preferred[i].PodAffinityTerm, p.Child("podAffinityTerm"))
	}
}

func (r *report) podTerm(t *corev1.PodAffinityTerm, p *field.Path) {
	if t.TopologyKey == "" {
		r.required(RulePodAffinity, p.Child("topologyKey"), "can not be empty: name a node label such as kubernetes.io/hostname")
	} else {
		for _, msg := range utilvalidation.IsQualifiedName(t.TopologyKey) {
			r.invalid(RulePodAffinity, p.Child("topologyKey"), t.TopologyKey, "%s", msg)
		}
	}
	r.selector(RulePodAffinity, t.LabelSelector, p.Child("labelSelector"))
	r.labelKeys(RulePodAffinity, t.MatchLabelKeys, t.LabelSelector, p.Child("matchLabelKeys"))
	r.labelKeys(RulePodAffinity, t.MismatchLabelKeys, t.LabelSelector, p.Child("mismatchLabelKeys"))
	r.selector(RulePodAffinity, t.NamespaceSelector, p.Child("namespaceSelector"))
	for i, n := range t.Namespaces {
		for _, msg := range utilvalidation.IsDNS1123Label(n) {
			r.invalid(RulePodAffinity, p.Child("namespaces").Index(i), n, "%s", msg)
		}
	}
}

func (r *report) nodeTerm(t *corev1.NodeSelectorTerm, p *field.Path) {
	for i, e := range t.MatchExpressions {
		p := p.Child("matchExpressions").Index(i)
		r.nodeRequirement(&e, p)
		for _, msg := range utilvalidation.IsQualifiedName(e.Key) {
			r.invalid(RuleNodeAffinity, p.Child("key"), e.Key, "%s", msg)
		}
	}
	for i, e := range t.MatchFields {
		p := p.Child("matchFields").Index(i)
		if e.Key != metav1.ObjectNameField {
			r.add(RuleNodeAffinity, field.NotSupported(p.Child("key"), e.Key, []string{metav1.ObjectNameField}))
		}
		if len(e.Values) != 1 || e.Operator != corev1.NodeSelectorOpIn && e.Operator != corev1.NodeSelectorOpNotIn {
			r.required(RuleNodeAffinity, p.Child("values"), "must be one value, with the operator In or NotIn")
		} else if e.Key == metav1.ObjectNameField {
			for _, msg := range apivalidation.NameIsDNSSubdomain(e.Values[0], false) {
				r.invalid(RuleNodeAffinity, p.Child("values").Index(0), e.Values[0], "%s", msg)
			}
		}
	}
}

func (r *report) nodeRequirement(e *corev1.NodeSelectorRequirement, p *field.Path) {
	switch e.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(e.Values) == 0 {
			r.required(RuleNodeAffinity, p.Child("values"), "must be specified when `operator` is 'In' or 'NotIn'")
		}
	case corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist:
		if len(e.Values) > 0 {
			r.forbidden(RuleNodeAffinity, p.Child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
		}
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		number := len(e.Values) == 1
		if number {
			_, err := strconv.ParseInt(e.Values[0], 10, 64)
			number = err == nil
		}
		if !number {
			r.required(RuleNodeAffinity, p.Child("values"), "must be one number, in quotes, when `operator` is 'Lt' or 'Gt'")
		}
	default:
		r.add(RuleNodeAffinity, field.NotSupported(p.Child("operator"), e.Operator, []corev1.NodeSelectorOperator{corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist, corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt}))
	}
}

const (
	maxNameservers = 3
	maxSearches    = 32
	maxSearchChars = 2048
)

func (r *report) dns(spec *virtv1.VirtualMachineInstanceSpec, p *field.Path) {
	oneOf(r, RuleDNSPolicy, p.Child("dnsPolicy"), spec.DNSPolicy, corev1.DNSClusterFirst, corev1.DNSClusterFirstWithHostNet, corev1.DNSDefault, corev1.DNSNone)
	c, p := spec.DNSConfig, p.Child("dnsConfig")
	if spec.DNSPolicy == corev1.DNSNone && (c == nil || len(c.Nameservers) == 0) {
		r.required(RuleDNSConfig, p.Child("nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None")
	}
	if c == nil {
		return
	}
	if len(c.Nameservers) > maxNameservers {
		r.add(RuleDNSConfig, field.TooMany(p.Child("nameservers"), len(c.Nameservers), maxNameservers))
	}
	for i, ns := range c.Nameservers {
		if _, err := virtv1.ParseIP(ns); err != nil {
			r.invalid(RuleDNSConfig, p.Child("nameservers").Index(i), ns, "must be valid IP address")
		}
	}
	if len(c.Searches) > maxSearches || len(strings.Join(c.Searches, " ")) > maxSearchChars {
		r.invalid(RuleDNSConfig, p.Child("searches"), len(c.Searches), "must not have more than %d search paths or %d characters", maxSearches, maxSearchChars)
	}
	for i, s := range c.Searches {
		if s == "." {
			continue // the root: names are looked up as they are
		}
		// Pods take underscores here, as names of services have them.
		for _, msg := range utilvalidation.IsDNS1123SubdomainWithUnderscore(strings.TrimSuffix(s, ".")) {
			r.invalid(RuleDNSConfig, p.Child("searches").Index(i), s, "%s", msg)
		}
	}
	for i, o := range c.Options {
		if o.Name == "" {
			r.required(RuleDNSConfig, p.Child("options").Index(i).Child("name"), "must not be empty")
		}
	}
}
