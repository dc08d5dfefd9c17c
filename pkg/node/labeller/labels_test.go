package labeller

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

// What the manual prints of two models (rows P4-CPU-07 and -08).
var (
	penryn  = strings.Fields("apic clflush cmov cx16 cx8 de fpu fxsr lahf_lm lm mca mce mmx msr mtrr nx pae pat pge pni pse pse36 sep sse sse2 sse4.1 ssse3 syscall tsc")
	haswell = strings.Fields(`aes apic avx avx2 bmi1 bmi2 clflush cmov cx16 cx8 de erms fma fpu fsgsbase fxsr hle invpcid lahf_lm lm mca mce mmx movbe msr mtrr nx pae pat pcid
		pclmuldq pge pni popcnt pse pse36 rdtscp rtm sep smep sse sse2 sse4.1 sse4.2 ssse3 syscall tsc tsc-deadline x2apic xsave`)
)

func example() *Facts {
	return &Facts{
		Host: Model{Name: "host", Vendor: "GenuineIntel", Features: append(slices.Clone(haswell), "vmx-apicv", "kvmclock", "kvm-pv-eoi", "arat", "vme")},
		Models: []Model{
			{Name: "486", Vendor: "GenuineIntel", Usable: true},
			{Name: "Conroe", Vendor: "GenuineIntel", Usable: true, Features: penryn[:20]},
			{Name: "EPYC", Vendor: "AuthenticAMD", Features: haswell},
			{Name: "Haswell", Vendor: "GenuineIntel", Usable: true, Features: haswell},
			{Name: "Icelake-Server", Vendor: "GenuineIntel", Features: append(slices.Clone(haswell), "avx512f")},
			{Name: "Penryn", Vendor: "GenuineIntel", Usable: true, Features: penryn},
			{Name: "no label/name", Vendor: "GenuineIntel", Usable: true},
		},
		Machines: []string{"pc", "pc-q35-7.2", "q35"},
		Hyperv:   []string{"synic"},
	}
}

// withPrefix are the ends of the labels of one kind.
func withPrefix(labels map[string]string, prefix string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if name, ok := strings.CutPrefix(key, prefix); ok && labels[key] == "true" {
			out = append(out, name)
		}
	}
	return out
}

func TestLabels(t *testing.T) {
	// The manual prints 20 of these; smep is missing there, against its own rule.
	beyondPenryn := strings.Fields("aes arat avx avx2 bmi1 bmi2 erms fma fsgsbase hle invpcid movbe pcid pclmuldq popcnt rdtscp rtm smep sse4.2 tsc-deadline vme x2apic xsave")
	for _, tc := range []struct {
		name             string
		config           virtv1.KubeVirtConfiguration
		models, features []string
	}{
		{"nothing configured", virtv1.KubeVirtConfiguration{}, []string{"Haswell", "Penryn"}, beyondPenryn},
		{"another obsolete model", virtv1.KubeVirtConfiguration{ObsoleteCPUModels: map[string]bool{"Penryn": true}}, []string{"Haswell"}, beyondPenryn},
		{"a model that is allowed again", virtv1.KubeVirtConfiguration{ObsoleteCPUModels: map[string]bool{"Conroe": false}}, []string{"Conroe", "Haswell", "Penryn"}, beyondPenryn},
		{"another least model", virtv1.KubeVirtConfiguration{MinCPUModel: "Haswell"}, []string{"Haswell", "Penryn"}, []string{"vme"}},
		{"a least model that nobody knows", virtv1.KubeVirtConfiguration{MinCPUModel: "Pentagon"}, []string{"Haswell", "Penryn"}, slices.Sorted(slices.Values(append(slices.Clone(haswell), "arat", "vme")))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Labels(example(), &tc.config, false)
			if diff := cmp.Diff(tc.models, withPrefix(got, "cpu-model.node.kubevirt.io/")); diff != "" {
				t.Errorf("models (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.features, withPrefix(got, "cpu-feature.node.kubevirt.io/")); diff != "" {
				t.Errorf("features (-want +got):\n%s", diff)
			}
			for key := range got {
				if !own(key) {
					t.Errorf("label %s is not ours", key)
				}
			}
		})
	}
	got := Labels(example(), &virtv1.KubeVirtConfiguration{}, true)
	for _, key := range []string{
		"host-model-cpu.node.kubevirt.io/Haswell", "host-model-required-features.node.kubevirt.io/arat", "cpu-vendor.node.kubevirt.io/Intel",
		"hyperv.node.kubevirt.io/synic", "machine-type.node.kubevirt.io/q35", "machine-type.node.kubevirt.io/pc-q35-7.2", "kubevirt.io/realtime",
	} {
		if got[key] != "true" {
			t.Errorf("no label %s", key)
		}
	}
	spec.Covers(t, "P4-CPU-05", "P4-CPU-06", "P4-CPU-09", "P4-CPU-12")
}

// TestObsoleteModels has a node that could offer every model: it hides those of the manual, and no other.
func TestObsoleteModels(t *testing.T) {
	spec.Covers(t, "P4-CPU-03")
	want := []string{"486", "Conroe", "athlon", "core2duo", "coreduo", "kvm32", "kvm64", "n270", "pentium", "pentium2", "pentium3", "pentiumpro", "phenom", "qemu32", "qemu64"}
	names := append(slices.Clone(want), "Broadwell-IBRS", "Cooperlake", "Dhyana", "EPYC", "EPYC-Rome", "Haswell", "Haswell-noTSX", "Icelake-Server", "IvyBridge", "KnightsMill",
		"Nehalem", "Opteron_G1", "Opteron_G5", "Penryn", "SandyBridge", "Skylake-Client", "Skylake-Server", "Snowridge", "Westmere", "base", "max")
	facts := example()
	facts.Models = nil
	for _, name := range names {
		facts.Models = append(facts.Models, Model{Name: name, Vendor: "GenuineIntel", Usable: true})
	}
	offered := withPrefix(Labels(facts, &virtv1.KubeVirtConfiguration{}, false), "cpu-model.node.kubevirt.io/")
	hidden := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(offered, name) })
	if diff := cmp.Diff(want, hidden); diff != "" {
		t.Errorf("hidden models (-want +got):\n%s", diff)
	}
}

func TestDifference(t *testing.T) {
	are := map[string]string{
		"kubernetes.io/os": "linux", "kubevirt.io/schedulable": "true", "cpu-model.node.kubevirt.io/Penryn": "true", "cpu-model.node.kubevirt.io/Haswell": "false",
		"cpu-feature.node.kubevirt.io/aes": "true",
	}
	want := map[string]string{"cpu-model.node.kubevirt.io/Haswell": "true", "cpu-feature.node.kubevirt.io/hle": "true"}
	for _, tc := range []struct {
		name   string
		relied map[string]bool
		want   map[string]any
	}{
		{"nobody relies on anything", nil, map[string]any{
			"cpu-model.node.kubevirt.io/Penryn": nil, "cpu-feature.node.kubevirt.io/aes": nil, "cpu-model.node.kubevirt.io/Haswell": "true", "cpu-feature.node.kubevirt.io/hle": "true"}},
		{"a guest has one and must not have another", map[string]bool{"cpu-model.node.kubevirt.io/Penryn": true, "cpu-feature.node.kubevirt.io/hle": true},
			map[string]any{"cpu-feature.node.kubevirt.io/aes": nil, "cpu-model.node.kubevirt.io/Haswell": "true"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, difference(are, want, tc.relied)); diff != "" {
				t.Errorf("difference (-want +got):\n%s", diff)
			}
		})
	}
}
