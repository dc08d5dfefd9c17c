package machine

import (
	"strings"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Labels of nodes that say what guests can have there; the name of a model or feature follows the slash, the value is "true".
// virt-handler writes them (package labeller), launcher pods select by them.
const (
	CPUModelLabel          = "cpu-model.node.kubevirt.io/"
	CPUFeatureLabel        = "cpu-feature.node.kubevirt.io/"
	CPUVendorLabel         = "cpu-vendor.node.kubevirt.io/"
	HostModelLabel         = "host-model-cpu.node.kubevirt.io/"
	HostModelFeaturesLabel = "host-model-required-features.node.kubevirt.io/"
	HypervLabel            = "hyperv.node.kubevirt.io/"
	MachineTypeLabel       = "machine-type.node.kubevirt.io/"
	RealtimeLabel          = "kubevirt.io/realtime"
	SkipLabellerAnnotation = "node-labeller.kubevirt.io/skip-node"
	// CPUManagerLabel is set by whoever has given the node's kubelet the static CPU manager (row P2-DEDI-02).
	CPUManagerLabel = "cpumanager"

	// HypervStrictCheckGate makes Hyper-V's features a matter of placement.
	HypervStrictCheckGate = "HypervStrictCheck"

	// IntelVendor is the only vendor whose processors have Hyper-V's enlightened VMCS.
	IntelVendor = "Intel"
)

// CPU models that mean what the host has.
const (
	HostModel       = "host-model"
	HostPassthrough = "host-passthrough"
)

// NodeNeeds are labels that a node must have, and must not have, for a guest.
type NodeNeeds struct {
	Required  map[string]string
	Forbidden []string
}

// NeedsOptions are the facts outside a VMI's spec on which its needs depend.
type NeedsOptions struct {
	// Emulation says that the guest runs under software emulation, which does without what the node's CPU lacks.
	Emulation bool
	// MinCPUModel is that of the cluster's configuration.
	MinCPUModel string
	// Hyperv says that the features of Hyper-V are needed too, which the feature gate HypervStrictCheck asks for.
	Hyperv bool
}

// Needs says which labels of nodes a guest depends on. A machine type is none of them: QEMU comes with the launcher's image,
// not with the node.
func Needs(spec *virtv1.VirtualMachineInstanceSpec, o NeedsOptions) NodeNeeds {
	n := NodeNeeds{Required: map[string]string{}}
	cpu := spec.Domain.CPU
	if IsTrue(dedicated(cpu)) {
		n.need(CPUManagerLabel)
	}
	if o.Emulation {
		return n
	}
	if cpu != nil {
		if cpu.Model != "" && cpu.Model != HostModel && cpu.Model != HostPassthrough {
			n.need(CPUModelLabel + cpu.Model)
		}
		base := BaseFeatures(o.MinCPUModel)
		for _, f := range cpu.Features {
			switch f.Policy {
			case "", "require":
				if !base[CPUFeature(f.Name)] {
					n.need(FeatureLabel(f.Name))
				}
			case "forbid":
				n.Forbidden = append(n.Forbidden, FeatureLabel(f.Name))
			}
		}
		if cpu.Realtime != nil {
			n.need(RealtimeLabel)
		}
	}
	if f := spec.Domain.Features; o.Hyperv && f != nil && f.Hyperv != nil {
		n.hyperv(f.Hyperv)
	}
	return n
}

func (n *NodeNeeds) need(label string) { n.Required[label] = "true" }

// hyperv asks for the features that the node's kernel must have; QEMU has the others by itself.
func (n *NodeNeeds) hyperv(h *virtv1.FeatureHyperv) {
	on := func(s *virtv1.FeatureState) bool { return s != nil && (s.Enabled == nil || *s.Enabled) }
	for name, is := range map[string]bool{
		"vpindex": on(h.Vpindex), "runtime": on(h.Runtime), "reset": on(h.HypervReset), "synic": on(h.Synic),
		"frequencies": on(h.Frequencies), "reenlightenment": on(h.Reenlightenment), "ipi": on(h.IPI),
		"synictimer": h.Synictimer != nil && !isFalse(h.Synictimer.Enabled),
		"tlbflush":   h.Tlbflush != nil && !isFalse(h.Tlbflush.Enabled),
	} {
		if is {
			n.need(HypervLabel + name)
		}
	}
	if on(h.EVMCS) {
		n.need(CPUVendorLabel + IntelVendor)
	}
}

// featureNames are features that QEMU spells in another way than users' machines and labels do.
var featureNames = map[string]string{"pclmulqdq": "pclmuldq", "sse4-1": "sse4.1", "sse4-2": "sse4.2", "sse4_1": "sse4.1", "sse4_2": "sse4.2"}

// underscored are features whose name in labels has an underscore where QEMU writes a hyphen.
var underscored = map[string]bool{
	"ds-cpl": true, "lahf-lm": true, "cmp-legacy": true, "nodeid-msr": true, "fxsr-opt": true, "tsc-adjust": true,
	"perfctr-core": true, "perfctr-nb": true,
}

// CPUFeature is the name of a CPU feature in labels, whichever of its spellings is given.
func CPUFeature(name string) string {
	if n, ok := featureNames[name]; ok {
		return n
	}
	if underscored[name] {
		return strings.ReplaceAll(name, "-", "_")
	}
	return name
}

// FeatureLabel is the label of nodes that have a CPU feature. The many parts of VMX have none of their own: nodes that have VMX
// are taken for nodes that have them, which keeps sixty labels off each node.
func FeatureLabel(name string) string {
	if strings.HasPrefix(name, "vmx-") {
		name = "vmx"
	}
	return CPUFeatureLabel + CPUFeature(name)
}

func dedicated(cpu *virtv1.CPU) *bool {
	if cpu == nil {
		return nil
	}
	return cpu.DedicatedCPUPlacement
}

// DedicatedCPUs is how many CPUs of the node a guest has for itself: one for each of its own, one for the emulator where that is
// isolated, one for each disk thread of a pool; 0 if it shares them.
func DedicatedCPUs(d *virtv1.DomainSpec) uint32 {
	if !IsTrue(dedicated(d.CPU)) {
		return 0
	}
	n := VCPUs(d.CPU) + PoolThreads(d)
	if IsTrue(d.CPU.IsolateEmulatorThread) {
		n++
	}
	return n
}

// MaxPoolThreads bounds the pool of threads that serve disks.
const MaxPoolThreads = 64

// PoolThreads is the size of the pool of threads that serve disks, 0 without one.
func PoolThreads(d *virtv1.DomainSpec) uint32 {
	if d.IOThreadsPolicy != "supplementalPool" || d.IOThreads == nil || d.IOThreads.SupplementalPoolThreadCount == nil {
		return 0
	}
	return uint32(min(max(*d.IOThreads.SupplementalPoolThreadCount, 0), MaxPoolThreads))
}

// IsTrue says whether a switch is there and on.
func IsTrue(b *bool) bool { return b != nil && *b }

func isFalse(b *bool) bool { return b != nil && !*b }
