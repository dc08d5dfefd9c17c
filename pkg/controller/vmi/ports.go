package vmi

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// ports are those of the guest's interfaces, as the compute container's: Services, network policies and monitors find them
// there by their names. A port stands there once by each name, and without one only if it has none; a pod's names are unique.
func ports(interfaces []virtv1.Interface) []corev1.ContainerPort {
	type number struct {
		port     int32
		protocol corev1.Protocol
	}
	var out []corev1.ContainerPort
	names, numbers := map[string]bool{}, map[number]bool{}
	add := func(named bool) {
		for i := range interfaces {
			for _, p := range interfaces[i].Ports {
				n := number{p.Port, corev1.Protocol(cmp.Or(p.Protocol, virtv1.DefaultPortProtocol))}
				if (p.Name != "") != named || named && names[p.Name] || !named && numbers[n] {
					continue
				}
				names[p.Name], numbers[n] = true, true
				out = append(out, corev1.ContainerPort{Name: p.Name, ContainerPort: n.port, Protocol: n.protocol})
			}
		}
	}
	add(true)
	add(false)
	return out
}
