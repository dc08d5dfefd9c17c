// Package validation holds the rules that objects of kubevirt.io must keep, each with a name, and the functions that check
// them. It is pure: it reads nothing but the objects it is given and changes nothing. All that is wrong with an object is told at
// once.
package validation

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Rule is the name of one thing that is checked. Tests have a row for each.
type Rule struct {
	// Name identifies the rule.
	Name string
	// Asks says what it wants, in words for users.
	Asks string
}

var rules []*Rule

func rule(name, asks string) *Rule {
	r := &Rule{Name: name, Asks: asks}
	rules = append(rules, r)
	return r
}

// Rules lists all rules in the order in which they are declared.
func Rules() []Rule {
	out := make([]Rule, 0, len(rules))
	for _, r := range rules {
		out = append(out, *r)
	}
	return out
}

// Options are what the rules depend on beside the object.
type Options struct {
	// Trusted says that the writer is a component of the system: it may set what is reserved for components.
	Trusted bool
	// FeatureGates are the gates that the cluster's configuration enables.
	FeatureGates []string
	// EmulatedMachines are the patterns of allowed machine types; the built-in ones apply when it is empty.
	EmulatedMachines []string
	// ForbidBridgeOnPodNetwork refuses the bridge binding for the pod network.
	ForbidBridgeOnPodNetwork bool
}

// finding is one broken rule.
type finding struct {
	rule *Rule
	err  *field.Error
}

// report collects the findings of one object. Methods append, so that checks read as a list of what is wanted.
type report struct {
	options Options
	// template says that the object is only a template: what a later edit, an instance type or a default may still
	// supply is told as a warning there, and refused in an instance.
	template bool
	findings []finding
	warnings []string
}

func (r *report) add(rule *Rule, err *field.Error) {
	r.findings = append(r.findings, finding{rule, err})
}

func (r *report) invalid(rule *Rule, path *field.Path, value any, detail string, args ...any) {
	r.add(rule, field.Invalid(path, value, fmt.Sprintf(detail, args...)))
}

func (r *report) required(rule *Rule, path *field.Path, detail string, args ...any) {
	r.add(rule, field.Required(path, fmt.Sprintf(detail, args...)))
}

func (r *report) forbidden(rule *Rule, path *field.Path, detail string, args ...any) {
	r.add(rule, field.Forbidden(path, fmt.Sprintf(detail, args...)))
}

func (r *report) duplicate(rule *Rule, path *field.Path, value any) {
	r.add(rule, field.Duplicate(path, value))
}

// incomplete refuses an instance and warns of a template.
func (r *report) incomplete(rule *Rule, path *field.Path, detail string, args ...any) {
	if r.template {
		r.warn(path, detail, args...)
		return
	}
	r.required(rule, path, detail, args...)
}

// warn tells what is allowed and probably not meant.
func (r *report) warn(path *field.Path, detail string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf("%s: %s", path, fmt.Sprintf(detail, args...)))
}

// forgive drops what the object before the change has been found for, too: a rule that is younger than an object must not keep
// anybody from stopping, shrinking or mending it.
func (r *report) forgive(before func() *report) {
	if len(r.findings) == 0 {
		return
	}
	known := map[string]bool{}
	for _, f := range before().findings {
		known[f.err.Error()] = true
	}
	r.findings = slices.DeleteFunc(r.findings, func(f finding) bool { return known[f.err.Error()] })
}

// errors are the findings without the names of their rules.
func (r *report) errors() field.ErrorList {
	var list field.ErrorList
	for _, f := range r.findings {
		list = append(list, f.err)
	}
	return list
}

// oneOf checks that a value is one of those that are known; empty means that the default applies.
func oneOf[T ~string](r *report, rule *Rule, path *field.Path, value T, allowed ...T) {
	if value == "" {
		return
	}
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	r.add(rule, field.NotSupported(path, value, allowed))
}

// named is a value with the name of its field. Lists of them keep the order of errors, which maps would not.
type named[T any] struct {
	name  string
	value T
}

// count tells how many of the values are true.
func count(set ...bool) int {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	return n
}

func isTrue(b *bool) bool { return b != nil && *b }

// enabled reads a switch that is on unless it says otherwise.
func enabled(b *bool) bool { return b == nil || *b }

// gate refuses what needs a feature gate that is off, and says whether it is on.
func (r *report) gate(name string, path *field.Path, what string) bool {
	for _, g := range r.options.FeatureGates {
		if g == name {
			return true
		}
	}
	r.forbidden(RuleFeatureGate, path, "%s is off in this cluster: an administrator turns it on by adding %s to spec.configuration.developerConfiguration.featureGates of the KubeVirt object", what, name)
	return false
}

// RuleFeatureGate refuses what the cluster has not turned on.
var RuleFeatureGate = rule("feature-gate", "experimental or host-reaching features need their feature gate")
