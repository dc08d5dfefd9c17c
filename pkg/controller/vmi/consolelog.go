package vmi

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// consoleLogSocket is where the pod's first process gives the guest's console.
var consoleLogSocket = path.Join(machine.PrivateDir, machine.ConsoleLogSocket)

// consoleLogLimits bound the container that logs the console. It copies bytes and rests otherwise; a guest that writes much
// is not to take its node's CPU by that.
var consoleLogLimits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("20m"), corev1.ResourceMemory: resource.MustParse("20Mi")}

var consoleLogRequests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m"), corev1.ResourceMemory: resource.MustParse("6Mi")}

// logsConsole says whether what the guest writes on its serial console goes to the pod's log: if there is a console, as the
// instance says, or else unless the cluster's configuration is against it.
func logsConsole(spec *virtv1.VirtualMachineInstanceSpec, config virtv1.KubeVirtConfiguration) bool {
	d := &spec.Domain.Devices
	if d.AutoattachSerialConsole != nil && !*d.AutoattachSerialConsole {
		return false
	}
	if d.LogSerialConsole != nil {
		return *d.LogSerialConsole
	}
	return config.VirtualMachineOptions == nil || config.VirtualMachineOptions.DisableSerialConsoleLog == nil
}

// logConsole adds the container that logs the console. It stands after the guest's, which so does not wait for it, and ends
// when that does.
func logConsole(pod *corev1.Pod) {
	compute := &pod.Spec.Containers[0]
	limits, requests := consoleLogLimits, consoleLogRequests
	if guaranteed(compute.Resources) {
		requests = limits // so that the pod's quality of service is still that of its guest
	}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
		Name:                     machine.ConsoleLogContainer,
		Image:                    compute.Image,
		ImagePullPolicy:          compute.ImagePullPolicy,
		Command:                  []string{"/usr/bin/virt-launcher", "console-log", "--socket=" + consoleLogSocket},
		SecurityContext:          compute.SecurityContext.DeepCopy(),
		Resources:                corev1.ResourceRequirements{Requests: requests.DeepCopy(), Limits: limits.DeepCopy()},
		VolumeMounts:             []corev1.VolumeMount{{Name: machine.PrivateVolume, MountPath: machine.PrivateDir, ReadOnly: true}},
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	})
}

// guaranteed says whether a container is given all that it may use.
func guaranteed(r corev1.ResourceRequirements) bool {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		limit, ok := r.Limits[name]
		if request, asked := r.Requests[name]; !ok || asked && request.Cmp(limit) != 0 {
			return false
		}
	}
	return true
}
