package vmi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func TestPorts(t *testing.T) {
	type list = []virtv1.Port
	port := func(name string, number int32, protocol corev1.Protocol) corev1.ContainerPort {
		return corev1.ContainerPort{Name: name, ContainerPort: number, Protocol: protocol}
	}
	for _, tc := range []struct {
		name       string
		interfaces []list
		want       []corev1.ContainerPort
	}{
		{"no interface", nil, nil},
		{"no port", []list{nil}, nil},
		{"a name, TCP by default", []list{{{Name: "http", Port: 80}}}, []corev1.ContainerPort{port("http", 80, "TCP")}},
		{"UDP", []list{{{Name: "dns", Port: 53, Protocol: "UDP"}}}, []corev1.ContainerPort{port("dns", 53, "UDP")}},
		{"no name", []list{{{Port: 22, Protocol: "TCP"}}}, []corev1.ContainerPort{port("", 22, "TCP")}},
		{"one number by both protocols", []list{{{Name: "dns", Port: 53, Protocol: "UDP"}, {Name: "dns-tcp", Port: 53}}},
			[]corev1.ContainerPort{port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP")}},
		{"two names for one number", []list{{{Name: "http", Port: 80}, {Name: "metrics", Port: 80}}},
			[]corev1.ContainerPort{port("http", 80, "TCP"), port("metrics", 80, "TCP")}},
		{"two interfaces", []list{{{Name: "http", Port: 80}}, {{Name: "ssh", Port: 22}}}, []corev1.ContainerPort{port("http", 80, "TCP"), port("ssh", 22, "TCP")}},
		{"the same on two interfaces", []list{{{Name: "http", Port: 80}, {Port: 22}}, {{Name: "http", Port: 80}, {Port: 22}}},
			[]corev1.ContainerPort{port("http", 80, "TCP"), port("", 22, "TCP")}},
		{"with a name and without", []list{{{Port: 80}, {Name: "http", Port: 80}}}, []corev1.ContainerPort{port("http", 80, "TCP")}},
		{"one name for two numbers", []list{{{Name: "http", Port: 80}, {Name: "http", Port: 8080}}}, []corev1.ContainerPort{port("http", 80, "TCP")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := guest("64Mi")
			for _, ports := range tc.interfaces {
				vmi.Spec.Domain.Devices.Interfaces = append(vmi.Spec.Domain.Devices.Interfaces, virtv1.Interface{Ports: ports})
			}
			pod := Pod(&vmi, 0, emulation(true))
			if diff := cmp.Diff(tc.want, pod.Spec.Containers[0].Ports); diff != "" {
				t.Errorf("ports (-want +got):\n%s", diff)
			}
			for _, c := range pod.Spec.Containers[1:] {
				if len(c.Ports) > 0 {
					t.Errorf("container %s has ports too", c.Name)
				}
			}
		})
	}
}
