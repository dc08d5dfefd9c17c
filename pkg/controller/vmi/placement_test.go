package vmi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

func TestNodeSelector(t *testing.T) {
	features := func(pairs ...string) []virtv1.CPUFeature {
		var out []virtv1.CPUFeature
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, virtv1.CPUFeature{Name: pairs[i], Policy: pairs[i+1]})
		}
		return out
	}
	hyperv := &virtv1.Features{Hyperv: &virtv1.FeatureHyperv{
		Relaxed: &virtv1.FeatureState{}, Synic: &virtv1.FeatureState{}, Vpindex: &virtv1.FeatureState{Enabled: ptr.To(true)}, Runtime: &virtv1.FeatureState{Enabled: ptr.To(false)},
		Tlbflush: &virtv1.TLBFlush{}, EVMCS: &virtv1.FeatureState{},
	}}
	strict := []string{"HypervStrictCheck"}
	for _, tc := range []struct {
		name     string
		emulated bool
		gates    []string
		min      string
		change   func(*virtv1.VirtualMachineInstanceSpec)
		want     map[string]string
		refused  []string
		rows     []string
	}{
		{name: "nothing"},
		{name: "the user's and the architecture",
			change: func(s *virtv1.VirtualMachineInstanceSpec) {
				s.Architecture, s.NodeSelector = "amd64", map[string]string{"example-key-1": "example-value-1", "example-key-2": "example-value-2"}
			},
			want: map[string]string{"kubernetes.io/arch": "amd64", "example-key-1": "example-value-1", "example-key-2": "example-value-2"}},
		{name: "a model",
			change: func(s *virtv1.VirtualMachineInstanceSpec) { s.Domain.CPU = &virtv1.CPU{Model: "Conroe"} },
			want:   map[string]string{"cpu-model.node.kubevirt.io/Conroe": "true"},
			rows:   []string{"P2-CPU-01", "P2-CPU-05", "P4-CPU-01"}},
		{name: "the host's model", change: func(s *virtv1.VirtualMachineInstanceSpec) { s.Domain.CPU = &virtv1.CPU{Model: "host-model"} }},
		{name: "the host itself", change: func(s *virtv1.VirtualMachineInstanceSpec) { s.Domain.CPU = &virtv1.CPU{Model: "host-passthrough"} }},
		{name: "features by policy",
			change: func(s *virtv1.VirtualMachineInstanceSpec) {
				s.Domain.CPU = &virtv1.CPU{Features: features("apic", "require", "aes", "", "avx", "force", "avx2", "optional", "fma", "disable", "hle", "forbid", "lahf-lm", "require", "pclmulqdq", "require", "vmx-apicv-xapic", "require")}
			},
			// Every node has apic and lahf-lm, because the least model, Penryn, has them.
			want:    map[string]string{"cpu-feature.node.kubevirt.io/pclmuldq": "true", "cpu-feature.node.kubevirt.io/aes": "true", "cpu-feature.node.kubevirt.io/vmx": "true"},
			refused: []string{"cpu-feature.node.kubevirt.io/hle"}},
		{name: "an older least model", min: "Conroe",
			change: func(s *virtv1.VirtualMachineInstanceSpec) {
				s.Domain.CPU = &virtv1.CPU{Features: features("apic", "require", "sse4.1", "require")}
			},
			want: map[string]string{"cpu-feature.node.kubevirt.io/sse4.1": "true"}},
		{name: "emulation does without the node's CPU", emulated: true, gates: strict,
			change: func(s *virtv1.VirtualMachineInstanceSpec) {
				s.Domain.CPU = &virtv1.CPU{Model: "Conroe", Features: features("apic", "require", "hle", "forbid")}
				s.Domain.Features = hyperv
			}},
		{name: "dedicated CPUs, also under emulation", emulated: true,
			change: func(s *virtv1.VirtualMachineInstanceSpec) {
				s.Domain.CPU = &virtv1.CPU{DedicatedCPUPlacement: ptr.To(true)}
			},
			want: map[string]string{"cpumanager": "true"}},
		{name: "realtime",
			change: func(s *virtv1.VirtualMachineInstanceSpec) {
				s.Domain.CPU = &virtv1.CPU{DedicatedCPUPlacement: ptr.To(true), Realtime: &virtv1.Realtime{}}
			},
			want: map[string]string{"cpumanager": "true", "kubevirt.io/realtime": "true"}},
		{name: "Hyper-V is no matter of placement", change: func(s *virtv1.VirtualMachineInstanceSpec) { s.Domain.Features = hyperv }},
		{name: "unless it is to be", gates: strict,
			change: func(s *virtv1.VirtualMachineInstanceSpec) { s.Domain.Features = hyperv },
			want: map[string]string{"hyperv.node.kubevirt.io/synic": "true", "hyperv.node.kubevirt.io/vpindex": "true", "hyperv.node.kubevirt.io/tlbflush": "true",
				"cpu-vendor.node.kubevirt.io/Intel": "true"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := guest("64Mi")
			if tc.change != nil {
				tc.change(&vmi.Spec)
			}
			o := emulation(tc.emulated)
			o.Config.DeveloperConfiguration.FeatureGates, o.Config.MinCPUModel = tc.gates, tc.min
			pod := Pod(&vmi, 0, o)
			got := pod.Spec.NodeSelector
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("node selector (-want +got):\n%s", diff)
			}
			var refused []string
			if a := pod.Spec.Affinity; a != nil {
				for _, e := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchExpressions {
					if e.Operator == corev1.NodeSelectorOpDoesNotExist {
						refused = append(refused, e.Key)
					}
				}
			}
			if diff := cmp.Diff(tc.refused, refused); diff != "" {
				t.Errorf("labels that nodes must not have (-want +got):\n%s", diff)
			}
			if len(tc.rows) > 0 {
				spec.Covers(t, tc.rows...)
			}
		})
	}
	spec.Covers(t, "P2-CPU-04", "P2-CPU-06", "P2-CPU-07", "P2-CPU-08")
}

// TestForbiddenFeature adds a feature that nodes must not have to each of the alternatives that the user gives.
func TestForbiddenFeature(t *testing.T) {
	term := func(key string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpExists}}}
	}
	vmi := guest("64Mi")
	vmi.Spec.Affinity = &corev1.Affinity{
		NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term("a"), term("b")}}},
		PodAffinity:  &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "kubernetes.io/hostname"}}},
	}
	vmi.Spec.Domain.CPU = &virtv1.CPU{Features: []virtv1.CPUFeature{{Name: "hle", Policy: "forbid"}}}
	before := vmi.DeepCopy()
	want := vmi.Spec.Affinity.DeepCopy()
	not := corev1.NodeSelectorRequirement{Key: "cpu-feature.node.kubevirt.io/hle", Operator: corev1.NodeSelectorOpDoesNotExist}
	terms := want.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	for i := range terms {
		terms[i].MatchExpressions = append(terms[i].MatchExpressions, not)
	}
	if diff := cmp.Diff(want, Pod(&vmi, 0, emulation(false)).Spec.Affinity); diff != "" {
		t.Errorf("affinity (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, &vmi); diff != "" {
		t.Errorf("the instance was changed:\n%s", diff)
	}
}

// TestAnnotations passes an instance's annotations on, but for those that concern its own object.
func TestAnnotations(t *testing.T) {
	vmi := guest("64Mi")
	vmi.Annotations = map[string]string{
		"example.com/team": "a", "kubevirt.io/domain": "forged", "kubectl.kubernetes.io/last-applied-configuration": "{}",
		"virtplane.io/template-hash": "x", "kubevirt.io/vm-generation": "3",
	}
	got := Pod(&vmi, 0, emulation(true)).Annotations
	want := map[string]string{
		"example.com/team": "a", "kubevirt.io/domain": "web", "kubectl.kubernetes.io/default-container": "compute",
		"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "kubevirt.io/memory-overhead-bytes": got["kubevirt.io/memory-overhead-bytes"],
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}
