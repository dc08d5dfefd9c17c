package validation

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// second adds a Multus network and the interface of it.
func second(change func(n *virtv1.Network, i *virtv1.Interface)) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		n := virtv1.Network{Name: "second", Multus: &virtv1.MultusNetwork{NetworkName: "ns/net"}}
		i := virtv1.Interface{Name: "second", Bridge: &virtv1.InterfaceBridge{}}
		change(&n, &i)
		s.Networks = append(s.Networks, n)
		s.Domain.Devices.Interfaces = append(s.Domain.Devices.Interfaces, i)
	})
}

func ofPort(port virtv1.Port) func() *report {
	return ofInterface(func(i *virtv1.Interface) { i.Ports = []virtv1.Port{port} })
}

func ofNodeAffinity(e corev1.NodeSelectorTerm) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{e}}}}
	})
}

func expression(key string, operator corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: operator, Values: values}}}
}

func nodeNamed(name string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{name}}}}
}

func ofToleration(t corev1.Toleration) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Tolerations = []corev1.Toleration{t} })
}

func ofDNS(policy corev1.DNSPolicy, c *corev1.PodDNSConfig) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.DNSPolicy, s.DNSConfig = policy, c })
}

var networkRows = []row{
	{RuleNetworkName, "twice", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Networks = append(s.Networks, virtv1.Network{Name: "default", Multus: &virtv1.MultusNetwork{NetworkName: "x"}})
	})},
	{RuleNetworkSource, "none", second(func(n *virtv1.Network, _ *virtv1.Interface) { n.Multus = nil })},
	{RuleNetworkMultus, "nameless", second(func(n *virtv1.Network, _ *virtv1.Interface) { n.Multus.NetworkName = "" })},
	{RuleNetworkMultus, "three parts", second(func(n *virtv1.Network, _ *virtv1.Interface) { n.Multus.NetworkName = "a/b/c" })},
	{RuleNetworkPod, "two", second(func(n *virtv1.Network, i *virtv1.Interface) {
		n.Multus, n.Pod = nil, &virtv1.PodNetwork{}
		i.Bridge, i.Masquerade = nil, &virtv1.InterfaceMasquerade{}
	})},
	{RuleNetworkPod, "two defaults", second(func(n *virtv1.Network, _ *virtv1.Interface) { n.Multus.Default = ptr.To(true) })},
	{RuleNetworkCIDR, "families", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Networks[0].Pod = &virtv1.PodNetwork{VMNetworkCIDR: "fd10::/64", VMIPv6NetworkCIDR: "10.0.0.0"}
	})},
	{RuleNetworkInterface, "missing", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Domain.Devices.Interfaces = nil })},
	{RuleInterfaceNetwork, "missing", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Networks = nil })},
	{RuleInterfaceName, "dot", second(func(n *virtv1.Network, i *virtv1.Interface) { n.Name, i.Name = "a.b", "a.b" })},
	{RuleInterfaceName, "twice", ofDevices(func(d *virtv1.Devices) { d.Interfaces = append(d.Interfaces, d.Interfaces[0]) })},
	{RuleInterfaceBinding, "two", second(func(_ *virtv1.Network, i *virtv1.Interface) { i.Binding = &virtv1.PluginBinding{Name: "p"} })},
	{RuleInterfaceBinding, "nameless plugin", second(func(_ *virtv1.Network, i *virtv1.Interface) {
		i.Bridge, i.Binding = nil, &virtv1.PluginBinding{}
	})},
	{RuleBindingRemoved, "slirp", ofInterface(func(i *virtv1.Interface) { i.Masquerade, i.Slirp = nil, &virtv1.DeprecatedInterfaceSlirp{} })},
	{RuleBindingNetwork, "masquerade on Multus", second(func(_ *virtv1.Network, i *virtv1.Interface) {
		i.Bridge, i.Masquerade = nil, &virtv1.InterfaceMasquerade{}
	})},
	{RuleBindingNetwork, "SR-IOV on the pod network", ofInterface(func(i *virtv1.Interface) { i.Masquerade, i.Sriov = nil, &virtv1.InterfaceSRIOV{} })},
	{RuleBindingNetwork, "bridge on the pod network, allowed", ofInterface(func(i *virtv1.Interface) { i.Masquerade, i.Bridge = nil, &virtv1.InterfaceBridge{} })},
	{RuleBindingNetwork, "bridge on the pod network, forbidden", func() *report {
		vmi := instance()
		vmi.Spec.Domain.Devices.Interfaces[0] = virtv1.Interface{Name: "default", Bridge: &virtv1.InterfaceBridge{}}
		return checkInstance(vmi, Options{ForbidBridgeOnPodNetwork: true})
	}},
	{RuleInterfaceModel, "unknown", ofInterface(func(i *virtv1.Interface) { i.Model = "wifi" })},
	{RuleInterfaceMAC, "five octets", ofInterface(func(i *virtv1.Interface) { i.MACAddress = "de:00:00:00:00" })},
	{RuleInterfaceMAC, "eight octets", ofInterface(func(i *virtv1.Interface) { i.MACAddress = "de:00:00:00:00:00:00:01" })},
	{RuleInterfaceMAC, "multicast", ofInterface(func(i *virtv1.Interface) { i.MACAddress = "01:00:5e:00:00:01" })},
	{RuleInterfaceMAC, "of the bridge", ofInterface(func(i *virtv1.Interface) { i.MACAddress = "02-00-00-00-00-00" })},
	{RuleInterfacePCI, "malformed", ofInterface(func(i *virtv1.Interface) { i.PCIAddress = "here" })},
	{RuleInterfacePCI, "another bus", ofInterface(func(i *virtv1.Interface) { i.PCIAddress = "0000:81:00.1" })},
	{RuleInterfacePCI, "root bus", ofInterface(func(i *virtv1.Interface) { i.PCIAddress = "0000:00:0a.0" })},
	{RuleInterfaceACPI, "zero", ofInterface(func(i *virtv1.Interface) { i.ACPIIndex = ptr.To(int32(0)) })},
	{RuleInterfaceState, "unknown", ofInterface(func(i *virtv1.Interface) { i.State = "dormant" })},
	{RuleInterfaceState, "absent from the pod network", ofInterface(func(i *virtv1.Interface) { i.State = "absent" })},
	{RuleInterfaceState, "absent bridge to the pod network", ofInterface(func(i *virtv1.Interface) {
		i.Masquerade, i.Bridge, i.State = nil, &virtv1.InterfaceBridge{}, "absent"
	})},
	{RuleInterfaceState, "absent with SR-IOV", second(func(_ *virtv1.Network, i *virtv1.Interface) {
		i.Bridge, i.Sriov, i.State = nil, &virtv1.InterfaceSRIOV{}, "absent"
	})},
	{RuleInterfaceState, "absent from the default of Multus", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Networks[0] = virtv1.Network{Name: "default", Multus: &virtv1.MultusNetwork{NetworkName: "net", Default: ptr.To(true)}}
		s.Domain.Devices.Interfaces[0] = virtv1.Interface{Name: "default", State: "absent"}
	})},
	{RuleInterfaceState, "absent bridge", second(func(_ *virtv1.Network, i *virtv1.Interface) { i.State = "absent" })},
	{RulePortNumber, "zero", ofPort(virtv1.Port{})},
	{RulePortNumber, "negative", ofPort(virtv1.Port{Port: -1})},
	{RulePortNumber, "65536", ofPort(virtv1.Port{Port: 65536})},
	{RulePortNumber, "70000", ofPort(virtv1.Port{Port: 70000})},
	{RulePortNumber, "1", ofPort(virtv1.Port{Port: 1})},
	{RulePortNumber, "65535", ofPort(virtv1.Port{Port: 65535})},
	{RulePortProtocol, "unknown", ofPort(virtv1.Port{Port: 1, Protocol: "ICMP"})},
	{RulePortName, "malformed", ofPort(virtv1.Port{Port: 1, Name: "Web Server"})},
	{RulePortName, "twice", ofInterface(func(i *virtv1.Interface) { i.Ports = []virtv1.Port{{Port: 1, Name: "a"}, {Port: 2, Name: "a"}} })},
	{RulePortRange, "of one port", ofInterface(func(i *virtv1.Interface) { i.PortRanges = []virtv1.PortRange{{Start: 2, End: 2, Protocol: "TCP"}} })},
	{RulePortRange, "reversed", ofInterface(func(i *virtv1.Interface) { i.PortRanges = []virtv1.PortRange{{Start: 2, End: 1, Protocol: "TCP"}} })},
	{RuleDHCPOptions, "all", ofInterface(func(i *virtv1.Interface) {
		i.DHCPOptions = &virtv1.DHCPOptions{BootFileName: strings.Repeat("x", 256), NTPServers: []string{"fd10::1", "clock"},
			PrivateOptions: []virtv1.DHCPPrivateOptions{{Option: 1, Value: "a"}, {Option: 240, Value: "a"}, {Option: 240}}}
	})},

	{RuleNodeSelector, "value", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.NodeSelector = map[string]string{"a": "b c"} })},
	{RuleToleration, "key", ofToleration(corev1.Toleration{Key: "a b"})},
	{RuleToleration, "no key", ofToleration(corev1.Toleration{Operator: corev1.TolerationOpEqual})},
	{RuleToleration, "value of Exists", ofToleration(corev1.Toleration{Key: "a", Operator: corev1.TolerationOpExists, Value: "b"})},
	{RuleToleration, "operator and effect", ofToleration(corev1.Toleration{Key: "a", Operator: "Like", Effect: "Explode"})},
	{RuleToleration, "seconds", ofToleration(corev1.Toleration{Key: "a", TolerationSeconds: ptr.To(int64(1))})},
	{RuleToleration, "value", ofToleration(corev1.Toleration{Key: "a", Value: "b c"})},
	{RuleNodeAffinity, "no terms", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{}}}
	})},
	{RuleNodeAffinity, "key", ofNodeAffinity(expression("a b", corev1.NodeSelectorOpExists))},
	{RuleNodeAffinity, "In without values", ofNodeAffinity(expression("a", corev1.NodeSelectorOpIn))},
	{RuleNodeAffinity, "Exists with values", ofNodeAffinity(expression("a", corev1.NodeSelectorOpExists, "b"))},
	{RuleNodeAffinity, "Gt of a word", ofNodeAffinity(expression("a", corev1.NodeSelectorOpGt, "b"))},
	{RuleNodeAffinity, "operator", ofNodeAffinity(expression("a", "Like"))},
	{RuleNodeAffinity, "field", ofNodeAffinity(corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{Key: "spec.x", Operator: corev1.NodeSelectorOpExists}}})},
	{RuleNodeAffinity, "node's name", ofNodeAffinity(nodeNamed("Node_1"))},
	{RuleNodeAffinity, "node", ofNodeAffinity(nodeNamed("node-1.example.com"))},
	{RulePodAffinity, "no key", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{Namespaces: []string{"A"}}}}}
	})},
	{RulePodAffinity, "malformed", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "a b",
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b c"}}}}}}
	})},
	{RuleAffinityWeight, "zero", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Affinity = &corev1.Affinity{
			NodeAffinity:    &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{}}},
			PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 101, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: "a"}}}},
		}
	})},
	{RuleTopologySpread, "empty, twice", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{}, {}}
	})},
	{RuleDNSPolicy, "unknown", ofDNS("Guess", nil)},
	{RuleDNSConfig, "None without servers", ofDNS(corev1.DNSNone, nil)},
	{RuleDNSConfig, "malformed", ofDNS("", &corev1.PodDNSConfig{Nameservers: []string{"1.1.1.1", "2.2.2.2", "3.3.3.3", "four"}, Searches: []string{"Upper"}, Options: []corev1.PodDNSConfigOption{{}}})},
	{RuleDNSConfig, "too many searches", ofDNS("", &corev1.PodDNSConfig{Searches: repeat(33, func(int) string { return "a" })})},
}
