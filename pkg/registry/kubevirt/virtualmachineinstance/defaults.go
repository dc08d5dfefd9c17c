package virtualmachineinstance

import (
	"maps"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/environment"
)

const (
	defaultMachineType = "q35"
	defaultCPUModel    = "host-model"
	defaultNetwork     = "default"
	bridge             = "bridge"
)

// firmwareNamespace makes the UUIDs of instances of virtual machines from their names, so that a machine keeps its identity
// over stop and start, over deletion of the instance, and over a restore of the machine: licences of guests hang on it.
var firmwareNamespace = uuid.MustParse("a1f2d0c4-7f6e-5d0e-9c1b-0d5f3e2b6a77")

// setDefaults fills in what depends on the cluster's configuration, from these fields of spec.configuration of the KubeVirt
// object:
//
//	architecture        architectureConfiguration.defaultArchitecture, else status.defaultArchitecture, else amd64
//	domain.machine      architectureConfiguration.ARCH.machineType, else machineType, else q35
//	domain.cpu.model    cpuModel, else host-model
//	requests.cpu        cpuRequest, unless CPUs are dedicated
//	requests.memory     guest memory over developerConfiguration.memoryOvercommit in percent (100)
//	evictionStrategy    evictionStrategy
//	networks            network.defaultNetworkInterface, else masquerade, unless there are networks or
//	                    autoattachPodInterface is false
//	firmware.uuid       from the name of the owning machine, else random
func setDefaults(vmi *virtv1.VirtualMachineInstance, env environment.Environment) {
	config := env.Configuration()
	spec := &vmi.Spec
	if spec.Architecture == "" {
		spec.Architecture = env.Architecture()
	}
	if spec.Domain.Machine == nil {
		spec.Domain.Machine = &virtv1.Machine{}
	}
	if m := spec.Domain.Machine; m.Type == "" {
		m.Type = firstOf(env.ArchitectureConfiguration(spec.Architecture).MachineType, config.MachineType, defaultMachineType)
	}
	setNetworkDefaults(spec, config.Network)
	if spec.EvictionStrategy == nil {
		spec.EvictionStrategy = config.EvictionStrategy
	}
	// What was added above has static defaults of its own, and what follows reads them.
	virtv1.SetDefaults_VirtualMachineInstance(vmi)
	if spec.Domain.CPU.Model == "" {
		spec.Domain.CPU.Model = firstOf(config.CPUModel, defaultCPUModel)
	}
	setRequests(&spec.Domain, config)
	if f := spec.Domain.Firmware; f.UUID == "" {
		f.UUID = firmwareUUID(vmi)
	}
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// setNetworkDefaults attaches the pod network to an instance that says nothing of networks.
func setNetworkDefaults(spec *virtv1.VirtualMachineInstanceSpec, config *virtv1.NetworkConfiguration) {
	devices := &spec.Domain.Devices
	if devices.AutoattachPodInterface != nil && !*devices.AutoattachPodInterface || len(spec.Networks) > 0 || len(devices.Interfaces) > 0 {
		return
	}
	spec.Networks = []virtv1.Network{{Name: defaultNetwork, Pod: &virtv1.PodNetwork{}}}
	i := virtv1.Interface{Name: defaultNetwork}
	if config != nil && config.DefaultNetworkInterface == bridge {
		i.Bridge = &virtv1.InterfaceBridge{}
	} else {
		i.Masquerade = &virtv1.InterfaceMasquerade{}
	}
	devices.Interfaces = []virtv1.Interface{i}
}

func setRequests(d *virtv1.DomainSpec, config *virtv1.KubeVirtConfiguration) {
	dedicated := d.CPU.DedicatedCPUPlacement != nil && *d.CPU.DedicatedCPUPlacement
	if config.CPURequest != nil && !dedicated {
		request(d, corev1.ResourceCPU, *config.CPURequest)
	}
	if guest := d.Memory.Guest; guest != nil {
		q := guest.DeepCopy()
		if dev := config.DeveloperConfiguration; dev != nil && dev.MemoryOvercommit != nil && *dev.MemoryOvercommit > 0 && *dev.MemoryOvercommit != 100 {
			q = *resource.NewQuantity(int64(float64(guest.Value())*100/float64(*dev.MemoryOvercommit)), guest.Format)
		}
		request(d, corev1.ResourceMemory, q)
	}
}

func request(d *virtv1.DomainSpec, name corev1.ResourceName, q resource.Quantity) {
	if _, ok := d.Resources.Requests[name]; ok {
		return
	}
	requests := maps.Clone(d.Resources.Requests)
	if requests == nil {
		requests = corev1.ResourceList{}
	}
	requests[name] = q
	d.Resources.Requests = requests
}

func firmwareUUID(vmi *virtv1.VirtualMachineInstance) string {
	if owner := metav1.GetControllerOf(vmi); owner != nil && owner.Kind == "VirtualMachine" {
		return uuid.NewSHA1(firmwareNamespace, []byte(vmi.Namespace+"/"+owner.Name)).String()
	}
	return uuid.NewString()
}
