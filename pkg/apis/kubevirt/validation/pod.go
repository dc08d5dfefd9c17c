package validation

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of what goes into the instance's pod as it is. They are those of pods: who has to do with a machine must not be told of
// fields of a pod that nobody wrote.
var (
	RuleResourceName  = rule("resource-name", "resources are cpu, memory, ephemeral-storage, huge pages, or named with a domain")
	RuleResourceWhole = rule("resource-whole", "devices and huge pages are whole, and limited to what is requested")
	RuleProbeHeader   = rule("probe-header", "headers of HTTP probes have a name that HTTP knows")

	downwardPath = regexp.MustCompile(`^metadata\.(name|namespace|uid|labels|annotations|(labels|annotations)\['[^']+'\])$`)
	downwardRef  = regexp.MustCompile(`^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$`)
)

// podResources checks names and amounts.
func (r *report) podResources(res *virtv1.ResourceRequirements, p *field.Path) {
	for _, list := range []named[corev1.ResourceList]{{"requests", res.Requests}, {"limits", res.Limits}} {
		for _, name := range slices.Sorted(maps.Keys(list.value)) {
			p := p.Child(list.name).Child(string(name))
			if why := resourceNameFault(string(name)); why != "" {
				r.invalid(RuleResourceName, p, string(name), "%s", why)
				continue
			}
			if !counted(name) {
				continue
			}
			q := list.value[name]
			if whole := q.DeepCopy(); !whole.RoundUp(resource.Scale(0)) {
				r.invalid(RuleResourceWhole, p, q.String(), "must be a whole number")
			}
			limit, limited := res.Limits[name]
			if request, requested := res.Requests[name]; list.name == "requests" && (!limited || requested && request.Cmp(limit) != 0) {
				r.invalid(RuleResourceWhole, p, q.String(), "must be in `limits` too, with the same amount")
			}
		}
	}
}

// counted says whether a resource is given out in pieces that cannot be shared.
func counted(name corev1.ResourceName) bool {
	return strings.Contains(string(name), "/") || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

func resourceNameFault(name string) string {
	if strings.HasPrefix(name, corev1.ResourceHugePagesPrefix) {
		if _, err := resource.ParseQuantity(strings.TrimPrefix(name, corev1.ResourceHugePagesPrefix)); err != nil {
			return "must end in a page size, such as hugepages-2Mi"
		}
		return ""
	}
	domain, _, qualified := strings.Cut(name, "/")
	if !qualified {
		if !slices.Contains([]string{"cpu", "memory", "ephemeral-storage"}, name) {
			return "must be cpu, memory, ephemeral-storage, hugepages-SIZE, or a name with a domain such as example.com/device"
		}
		return ""
	}
	if msgs := utilvalidation.IsQualifiedName(name); len(msgs) > 0 {
		return strings.Join(msgs, "; ")
	}
	if domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") || strings.HasPrefix(name, "requests.") {
		return "is a name that Kubernetes keeps for itself"
	}
	return ""
}

// downwardField checks one file of a downward API volume.
func (r *report) downwardField(f *corev1.DownwardAPIVolumeFile, p *field.Path) {
	switch {
	case (f.FieldRef == nil) == (f.ResourceFieldRef == nil):
		r.required(RuleDownwardAPI, p, "must have exactly one of `fieldRef` and `resourceFieldRef`")
	case f.FieldRef != nil && !downwardPath.MatchString(f.FieldRef.FieldPath):
		r.invalid(RuleDownwardAPI, p.Child("fieldRef", "fieldPath"), f.FieldRef.FieldPath, "must be metadata.name, metadata.namespace, metadata.uid, metadata.labels, metadata.annotations, or one of them such as metadata.labels['app']")
	case f.FieldRef != nil && f.FieldRef.APIVersion != "" && f.FieldRef.APIVersion != "v1":
		r.add(RuleDownwardAPI, field.NotSupported(p.Child("fieldRef", "apiVersion"), f.FieldRef.APIVersion, []string{"v1"}))
	case f.ResourceFieldRef != nil && !downwardRef.MatchString(f.ResourceFieldRef.Resource):
		r.invalid(RuleDownwardAPI, p.Child("resourceFieldRef", "resource"), f.ResourceFieldRef.Resource, "must be a request or limit such as limits.memory")
	}
	if m := f.Mode; m != nil && (*m < 0 || *m > 0o777) {
		r.invalid(RuleDownwardAPI, p.Child("mode"), *m, "must be from 0 to 0777")
	}
}

// spread checks what of a constraint depends on no other.
func (r *report) spread(c *corev1.TopologySpreadConstraint, p *field.Path) {
	if c.TopologyKey != "" {
		for _, msg := range utilvalidation.IsQualifiedName(c.TopologyKey) {
			r.invalid(RuleTopologySpread, p.Child("topologyKey"), c.TopologyKey, "%s", msg)
		}
	}
	if d := c.MinDomains; d != nil && (*d < 1 || c.WhenUnsatisfiable != corev1.DoNotSchedule) {
		r.invalid(RuleTopologySpread, p.Child("minDomains"), *d, "must be 1 or more, and needs `whenUnsatisfiable: DoNotSchedule`")
	}
	for _, policy := range []named[*corev1.NodeInclusionPolicy]{{"nodeAffinityPolicy", c.NodeAffinityPolicy}, {"nodeTaintsPolicy", c.NodeTaintsPolicy}} {
		if policy.value != nil {
			oneOf(r, RuleTopologySpread, p.Child(policy.name), *policy.value, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore)
		}
	}
	r.labelKeys(RuleTopologySpread, c.MatchLabelKeys, c.LabelSelector, p.Child("matchLabelKeys"))
}

// labelKeys checks keys whose values are those of the pod's labels.
func (r *report) labelKeys(rule *Rule, keys []string, selector *metav1.LabelSelector, p *field.Path) {
	if len(keys) > 0 && selector == nil {
		r.forbidden(rule, p, "needs `labelSelector`")
		return
	}
	for i, key := range keys {
		for _, msg := range utilvalidation.IsQualifiedName(key) {
			r.invalid(rule, p.Index(i), key, "%s", msg)
		}
		if _, selected := selector.MatchLabels[key]; selected || slices.ContainsFunc(selector.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool { return e.Key == key }) {
			r.invalid(rule, p.Index(i), key, "stands in `labelSelector` too")
		}
	}
}

// headers checks those of an HTTP probe.
func (r *report) headers(headers []corev1.HTTPHeader, p *field.Path) {
	for i, h := range headers {
		for _, msg := range utilvalidation.IsHTTPHeaderName(h.Name) {
			r.invalid(RuleProbeHeader, p.Index(i).Child("name"), h.Name, "%s", msg)
		}
	}
}
