package labeller

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// obsolete are models that no node offers unless the cluster's configuration allows one (row P4-CPU-03).
var obsolete = []string{
	"486", "Conroe", "athlon", "core2duo", "coreduo", "kvm32", "kvm64", "n270", "pentium", "pentium2", "pentium3", "pentiumpro", "phenom", "qemu32", "qemu64",
}

// prefixes are those of the labels that are ours.
var prefixes = []string{
	machine.CPUModelLabel, machine.CPUFeatureLabel, machine.CPUVendorLabel, machine.HostModelLabel, machine.HostModelFeaturesLabel, machine.HypervLabel, machine.MachineTypeLabel,
}

// own says whether a label of the node is ours to write and to take away.
func own(key string) bool {
	return key == machine.RealtimeLabel || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// Labels are the labels that follow from what QEMU says, the cluster's configuration, and whether the node's kernel lets
// guests take all of a CPU's time. It is a pure function.
func Labels(f *Facts, config *virtv1.KubeVirtConfiguration, realtime bool) map[string]string {
	out := map[string]string{}
	add := func(prefix, name string) {
		if len(validation.IsQualifiedName(prefix+name)) == 0 {
			out[prefix+name] = "true"
		}
	}
	for _, m := range f.Models {
		if m.Usable && !isObsolete(m.Name, config) {
			add(machine.CPUModelLabel, m.Name)
		}
	}
	base := machine.BaseFeatures(config.MinCPUModel)
	for _, feature := range f.Host.Features {
		if name := machine.CPUFeature(feature); !base[name] && labelled(feature) {
			add(machine.CPUFeatureLabel, name)
		}
	}
	if best := hostModel(f); best != nil {
		add(machine.HostModelLabel, best.Name)
		has := map[string]bool{}
		for _, feature := range best.Features {
			has[feature] = true
		}
		for _, feature := range f.Host.Features {
			if !has[feature] && labelled(feature) {
				add(machine.HostModelFeaturesLabel, machine.CPUFeature(feature))
			}
		}
	}
	if vendor := vendors[f.Host.Vendor]; vendor != "" {
		add(machine.CPUVendorLabel, vendor)
	}
	for _, name := range f.Hyperv {
		add(machine.HypervLabel, name)
	}
	for _, name := range f.Machines {
		add(machine.MachineTypeLabel, name)
	}
	if realtime {
		out[machine.RealtimeLabel] = "true"
	}
	return out
}

// vendors are the names of vendors in labels, by what their CPUs say.
var vendors = map[string]string{"GenuineIntel": machine.IntelVendor, "AuthenticAMD": "AMD", "HygonGenuine": "Hygon"}

func isObsolete(model string, config *virtv1.KubeVirtConfiguration) bool {
	if hidden, said := config.ObsoleteCPUModels[model]; said {
		return hidden
	}
	return slices.Contains(obsolete, model)
}

// labelled says whether a feature has a label at all: not the parts of VMX, and not what KVM offers of itself, whatever the CPU.
func labelled(feature string) bool {
	return !strings.HasPrefix(feature, "vmx-") && !strings.HasPrefix(feature, "kvm")
}

// hostModel is the named model that comes nearest to the host: of its vendor, usable, with the most features; the later name
// of two that have as many.
func hostModel(f *Facts) *Model {
	var best *Model
	for i := range f.Models {
		m := &f.Models[i]
		if m.Usable && m.Vendor == f.Host.Vendor && (best == nil || len(m.Features) >= len(best.Features)) {
			best = m
		}
	}
	return best
}
