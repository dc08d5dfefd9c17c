package vmi

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func TestLogConsole(t *testing.T) {
	off := virtv1.KubeVirtConfiguration{VirtualMachineOptions: &virtv1.VirtualMachineOptions{DisableSerialConsoleLog: &virtv1.DisableSerialConsoleLog{}}}
	for _, tc := range []struct {
		name         string
		console, log *bool
		config       virtv1.KubeVirtConfiguration
		want         bool
	}{
		{name: "by default", want: true},
		{name: "no console", console: ptr.To(false)},
		{name: "no console but asked for", console: ptr.To(false), log: ptr.To(true)},
		{name: "refused by the instance", log: ptr.To(false)},
		{name: "refused by the cluster", config: off},
		{name: "asked for against the cluster", log: ptr.To(true), config: off, want: true},
		{name: "other options of the cluster", config: virtv1.KubeVirtConfiguration{VirtualMachineOptions: &virtv1.VirtualMachineOptions{}}, want: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := guest("128Mi")
			vmi.Spec.Domain.Devices.AutoattachSerialConsole, vmi.Spec.Domain.Devices.LogSerialConsole = tc.console, tc.log
			pod := Pod(&vmi, 0, RenderOptions{LauncherImage: "launcher:1", Config: tc.config})
			there := slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == "guest-console-log" })
			served := slices.Contains(pod.Spec.Containers[0].Command, "--console-log")
			if there != tc.want || served != tc.want {
				t.Errorf("container %v, served %v, want %v", there, served, tc.want)
			}
		})
	}
}

// TestLogConsoleKeepsQualityOfService: a pod is Guaranteed only if each of its containers is.
func TestLogConsoleKeepsQualityOfService(t *testing.T) {
	vmi := guest("128Mi")
	all := corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("128Mi")}
	vmi.Spec.Domain.Resources.Requests, vmi.Spec.Domain.Resources.Limits = all, all
	for _, c := range Pod(&vmi, 0, emulation(true)).Spec.Containers {
		if !guaranteed(c.Resources) {
			t.Errorf("container %s: %+v", c.Name, c.Resources)
		}
	}
	delete(all, "cpu")
	if c := Pod(&vmi, 0, emulation(true)).Spec.Containers[1]; guaranteed(c.Resources) {
		t.Errorf("the log takes more than it needs: %+v", c.Resources)
	}
}
