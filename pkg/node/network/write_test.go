package network

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apis/kubevirt/validation"
	"github.com/virtplane/virtplane/pkg/machine/support"
)

// TestRefusalsAreKnownAtWrite shows that no network is refused here that virt-api has let pass without a word.
func TestRefusalsAreKnownAtWrite(t *testing.T) {
	pod, multus := &virtv1.PodNetwork{}, &virtv1.MultusNetwork{NetworkName: "net"}
	cidr := func(v4, v6 string) virtv1.Network {
		return virtv1.Network{Name: "a", Pod: &virtv1.PodNetwork{VMNetworkCIDR: v4, VMIPv6NetworkCIDR: v6}}
	}
	of := func(n virtv1.Network, i ...virtv1.Interface) *virtv1.VirtualMachineInstance {
		vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
		vmi.Spec.Domain.Resources.Requests = corev1.ResourceList{"memory": resource.MustParse("1Gi")}
		vmi.Spec.Networks, vmi.Spec.Domain.Devices.Interfaces = []virtv1.Network{n}, i
		return vmi
	}
	masquerade := virtv1.Interface{Name: "a", Masquerade: &virtv1.InterfaceMasquerade{}}
	refused := 0
	for name, vmi := range map[string]*virtv1.VirtualMachineInstance{
		"masquerade":     of(virtv1.Network{Name: "a", Pod: pod}, masquerade),
		"no binding":     of(virtv1.Network{Name: "a", Pod: pod}, virtv1.Interface{Name: "a"}),
		"bridge":         of(virtv1.Network{Name: "a", Pod: pod}, virtv1.Interface{Name: "a", Bridge: &virtv1.InterfaceBridge{}}),
		"plugin":         of(virtv1.Network{Name: "a", Pod: pod}, virtv1.Interface{Name: "a", Binding: &virtv1.PluginBinding{Name: "p"}}),
		"passt":          of(virtv1.Network{Name: "a", Pod: pod}, virtv1.Interface{Name: "a", PasstBinding: &virtv1.InterfacePasstBinding{}}),
		"old passt":      of(virtv1.Network{Name: "a", Pod: pod}, virtv1.Interface{Name: "a", Passt: &virtv1.DeprecatedInterfacePasst{}}),
		"multus":         of(virtv1.Network{Name: "a", Multus: multus}, virtv1.Interface{Name: "a"}),
		"SR-IOV":         of(virtv1.Network{Name: "a", Multus: multus}, virtv1.Interface{Name: "a", Sriov: &virtv1.InterfaceSRIOV{}}),
		"resource claim": of(virtv1.Network{Name: "a", ResourceClaim: &virtv1.ClaimRequest{}}, virtv1.Interface{Name: "a"}),
		"no network":     of(virtv1.Network{Name: "b", Pod: pod}, masquerade),
		"no source":      of(virtv1.Network{Name: "a"}, masquerade),
		"leading zeros":  of(cidr("10.10.010.0/24", "FD10::/64"), masquerade),
		"two addresses":  of(cidr("10.0.0.0/31", ""), masquerade),
		"one address":    of(cidr("10.0.0.0/32", ""), masquerade),
		"two of IPv6":    of(cidr("", "fd10::/127"), masquerade),
		"other family":   of(cidr("fd10::/64", ""), masquerade),
		"no prefix":      of(cidr("10.0.0.0", ""), masquerade),
		"port":           of(virtv1.Network{Name: "a", Pod: pod}, virtv1.Interface{Name: "a", Ports: []virtv1.Port{{Port: 70000}}}),
		"protocol":       of(virtv1.Network{Name: "a", Pod: pod}, virtv1.Interface{Name: "a", Ports: []virtv1.Port{{Port: 7, Protocol: "SCTP"}}}),
		"reversed ports": of(virtv1.Network{Name: "a", Pod: pod}, virtv1.Interface{Name: "a", PortRanges: []virtv1.PortRange{{Start: 2, End: 1}}}),
		"two interfaces": of(virtv1.Network{Name: "a", Pod: pod}, masquerade, virtv1.Interface{Name: "b", Masquerade: &virtv1.InterfaceMasquerade{}}),
		"one port":       of(virtv1.Network{Name: "a", Pod: pod}, virtv1.Interface{Name: "a", Ports: []virtv1.Port{{Port: 7, Protocol: "TCP"}}}),
	} {
		virtv1.SetDefaults_VirtualMachineInstance(vmi)
		_, err := PlanFor(vmi)
		_, _, blocked := support.Synchronized(support.Instance(nil, &vmi.Spec, support.Installation{}))
		errs := validation.ValidateVirtualMachineInstance(vmi, validation.Options{})
		if err != nil && !blocked && len(errs) == 0 {
			t.Errorf("%s: is accepted and refused here: %v", name, err)
		}
		if err == nil && (blocked || len(errs) > 0) {
			t.Errorf("%s: is accepted here, and was not: %v", name, errs)
		}
		if err != nil {
			refused++
		}
	}
	if refused < 15 {
		t.Errorf("only %d are refused", refused)
	}
}
