package vmi

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// needs are the labels of nodes that the guest depends on.
func needs(spec *virtv1.VirtualMachineInstanceSpec, o RenderOptions) machine.NodeNeeds {
	return machine.Needs(spec, machine.NeedsOptions{Emulation: o.emulation(), MinCPUModel: o.Config.MinCPUModel, Hyperv: o.gate(machine.HypervStrictCheckGate)})
}

// gate says whether a feature gate is on.
func (o RenderOptions) gate(name string) bool {
	d := o.Config.DeveloperConfiguration
	return d != nil && slices.Contains(d.FeatureGates, name) && !slices.Contains(d.DisabledFeatureGates, name)
}

// nodeSelector adds to the user's selector the machine's architecture and what its CPU needs of the node's.
//
// A kubelet that starts anew admits its pods again, with the labels that its Node has then, and ends those that do not
// select it any more: so only labels that stay as long as such guests run may stand here (docs/decisions/0005). That the
// node's agent is alive and willing is therefore asked by the devices that only it offers, and not by its label.
func nodeSelector(spec *virtv1.VirtualMachineInstanceSpec, o RenderOptions) map[string]string {
	out := map[string]string{}
	if d := o.Config.DeveloperConfiguration; d != nil {
		maps.Copy(out, d.NodeSelectors)
	}
	if spec.Architecture != "" {
		out[corev1.LabelArchStable] = spec.Architecture
	}
	maps.Copy(out, spec.NodeSelector)
	maps.Copy(out, needs(spec, o).Required)
	return out
}

// affinity adds the CPU features that a node must not have. Terms are alternatives, so that each of them gets it.
func affinity(spec *virtv1.VirtualMachineInstanceSpec, o RenderOptions) *corev1.Affinity {
	forbidden := needs(spec, o).Forbidden
	if len(forbidden) == 0 {
		return spec.Affinity
	}
	out := spec.Affinity.DeepCopy()
	if out == nil {
		out = &corev1.Affinity{}
	}
	if out.NodeAffinity == nil {
		out.NodeAffinity = &corev1.NodeAffinity{}
	}
	n := out.NodeAffinity
	if n.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		n.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: make([]corev1.NodeSelectorTerm, 1)}
	}
	terms := n.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	for i := range terms {
		for _, label := range forbidden {
			terms[i].MatchExpressions = append(terms[i].MatchExpressions, corev1.NodeSelectorRequirement{Key: label, Operator: corev1.NodeSelectorOpDoesNotExist})
		}
	}
	return out
}
