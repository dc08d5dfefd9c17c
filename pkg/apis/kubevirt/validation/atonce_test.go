package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestAllAtOnce has a fault in each part of a machine: all of them are told, so that nobody learns of them one by one.
func TestAllAtOnce(t *testing.T) {
	vm := machine()
	vm.Name, vm.Labels = "Upper", map[string]string{"a": "b c"}
	vm.Spec.Running = ptr.To(true)
	vm.Spec.UpdateVolumesStrategy = "Hope"
	vm.Spec.Instancetype = &virtv1.InstancetypeMatcher{Name: "u1.small"}
	vm.Spec.Preference = &virtv1.PreferenceMatcher{Name: "fedora", Kind: "Hat"}
	vm.Spec.Template.Labels = map[string]string{"a": "b c"}
	s := &vm.Spec.Template.Spec
	s.Hostname, s.DNSPolicy, s.Architecture = "a.b", "Guess", "arm64"
	s.NodeSelector = map[string]string{"a": "b c"}
	s.Tolerations = []corev1.Toleration{{Key: "a b"}}
	s.LivenessProbe = &virtv1.Probe{}
	s.AccessCredentials = []virtv1.AccessCredential{{}}
	s.Domain.CPU.Model = "a b"
	s.Domain.Memory.Hugepages = &virtv1.Hugepages{PageSize: "3Mi"}
	s.Domain.Machine = &virtv1.Machine{Type: "vax"}
	s.Domain.LaunchSecurity = &virtv1.LaunchSecurity{SEV: &virtv1.SEV{}, TDX: &virtv1.TDX{}}
	s.Domain.Firmware = &virtv1.Firmware{UUID: "1"}
	s.Domain.Clock = &virtv1.Clock{Timezone: "Mars/Olympus", Timer: &virtv1.Timer{RTC: &virtv1.RTCTimer{Present: ptr.To(false), TickPolicy: "x"}}}
	s.Domain.Devices.Disks[0].BlockSize = &virtv1.BlockSize{Custom: &virtv1.CustomBlockSize{}, MatchVolume: &virtv1.FeatureState{}}
	s.Domain.Devices.Disks[0].BootOrder, s.Domain.Devices.Disks[1].BootOrder = ptr.To(int32(1)), ptr.To(int32(1))
	s.Domain.Devices.Interfaces[0].MACAddress = "mac"
	s.Networks[0].Pod.VMNetworkCIDR = "net"
	s.Volumes[0].ContainerDisk.Image = "http://x"
	s.Volumes[1].CloudInitNoCloud.UserDataBase64 = "%"
	vm.Spec.DataVolumeTemplates = []virtv1.DataVolumeTemplateSpec{{}}
	var got []string
	for _, err := range ValidateVirtualMachine(vm, Options{}) {
		got = append(got, err.Field)
	}
	const spec = "spec.template.spec."
	want := []string{
		"metadata.labels", "metadata.name", "spec.running", "spec.updateVolumesStrategy", "spec.instancetype", "spec.preference.kind", "spec.template.metadata.labels",
		spec + "domain.cpu.model", spec + "domain.memory.hugepages.pageSize", spec + "domain.firmware.uuid", spec + "domain.clock.timezone", spec + "domain.clock.timer.rtc.present",
		spec + "domain.clock.timer.rtc.tickPolicy", spec + "domain.launchSecurity", spec + "domain.launchSecurity.tdx", spec + "domain.launchSecurity.tdx", spec + "domain.machine.type",
		spec + "domain.devices.disks[0].blockSize.matchVolume", spec + "domain.devices.disks[0].blockSize.custom.logical", spec + "domain.devices.disks[0].blockSize.custom.physical",
		spec + "domain.devices.disks[1].bootOrder", spec + "volumes[0].containerDisk.image", spec + "volumes[1].cloudInitNoCloud.userDataBase64", spec + "volumes[1].cloudInitNoCloud.userData",
		spec + "networks[0].pod.vmNetworkCIDR", spec + "domain.devices.interfaces[0].macAddress", spec + "nodeSelector", spec + "tolerations[0].key", spec + "dnsPolicy", spec + "livenessProbe",
		spec + "accessCredentials[0]", spec + "hostname", spec + "architecture", "spec.dataVolumeTemplates[0].metadata.name", "spec.dataVolumeTemplates[0].spec",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
