package support

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// ordinary is an instance that asks for nothing out of the ordinary.
const ordinary = `{"domain":{"cpu":{"sockets":2,"cores":1,"threads":1,"model":"host-model"},"machine":{"type":"q35"},"memory":{"guest":"1Gi"},
	"devices":{"disks":[{"name":"root","disk":{"bus":"virtio"}}],"interfaces":[{"name":"default","masquerade":{}}]}},
	"networks":[{"name":"default","pod":{}}],"volumes":[{"name":"root","containerDisk":{"image":"i"}}]}`

func spec(t *testing.T, patch string) *virtv1.VirtualMachineInstanceSpec {
	t.Helper()
	s := &virtv1.VirtualMachineInstanceSpec{}
	for _, text := range []string{ordinary, patch} {
		if err := json.Unmarshal([]byte(text), s); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
	}
	return s
}

func texts(reasons []Reason) []string {
	var out []string
	for _, r := range reasons {
		out = append(out, string(r.Kind)+" "+r.String())
	}
	return out
}

// TestRows has an instance for each line of the table.
func TestRows(t *testing.T) {
	met := map[int]bool{}
	for _, tc := range []struct {
		name, patch string
		in          Installation
		want        []string
	}{
		{"ordinary", `{}`, Installation{Emulation: true}, nil},
		{"architecture", `{"architecture":"arm64"}`, Installation{}, []string{"NotServed spec.architecture: only amd64 is supported"}},
		{"machine type", `{"domain":{"machine":{"type":"pc-q35-rhel9.2.0"}}}`, Installation{},
			[]string{`NotServed spec.domain.machine.type: QEMU 7.2 has no machine type "pc-q35-rhel9.2.0": take q35, or a version of it up to pc-q35-7.2`}},
		{"a type that is there", `{"domain":{"machine":{"type":"pc-q35-7.2"}}}`, Installation{}, nil},
		{"many CPUs", `{"domain":{"cpu":{"sockets":300}}}`, Installation{}, []string{"NotServed spec.domain.cpu: a machine has at most 288 virtual CPUs (sockets times cores times threads)"}},
		{"as many as may be", `{"domain":{"cpu":{"sockets":288}}}`, Installation{}, nil},
		{"CPUs that need KVM", `{"domain":{"cpu":{"sockets":256}}}`, Installation{Emulation: true}, []string{"NotHere spec.domain.cpu: more than 255 virtual CPUs need KVM and the machine type q35"}},
		{"CPUs that need q35", `{"domain":{"cpu":{"sockets":256},"machine":{"type":"pc"}}}`, Installation{}, []string{"NotHere spec.domain.cpu: more than 255 virtual CPUs need KVM and the machine type q35"}},
		{"CPU model", `{"domain":{"cpu":{"model":"Skylark"}}}`, Installation{}, []string{`NotServed spec.domain.cpu.model: QEMU 7.2 has no CPU model "Skylark": take host-model, or one of those that it has`}},
		{"CPU features", `{"domain":{"cpu":{"features":[{"name":"pcid"},{"name":"warp"},{"name":"sse4_1"}]}}}`, Installation{}, []string{`NotServed spec.domain.cpu.features[1].name: QEMU 7.2 has no CPU feature "warp": remove it`}},
		{"realtime", `{"domain":{"cpu":{"realtime":{}}}}`, Installation{}, []string{"NotServed spec.domain.cpu.realtime: needs rights on the node that a machine's pod does not have; dedicatedCpuPlacement works without it"}},
		{"memory", `{"domain":{"memory":{"guest":"5Ti"}}}`, Installation{}, []string{"NotServed spec.domain.memory.guest: a guest has at most 4Ti of memory"}},
		{"memLock", `{"domain":{"memory":{"reservedOverhead":{"memLock":"Required"}}}}`, Installation{},
			[]string{"NotServed spec.domain.memory.reservedOverhead.memLock: a machine's pod has no right to keep memory resident, must be NotRequired; memory.hugepages is always resident"}},
		{"no memLock", `{"domain":{"memory":{"reservedOverhead":{"memLock":"NotRequired"}}}}`, Installation{}, nil},
		{"launch security", `{"domain":{"launchSecurity":{"sev":{}}}}`, Installation{}, []string{"NotServed spec.domain.launchSecurity: encryption of a guest's memory is not supported"}},
		{"devices", `{"domain":{"devices":{"gpus":[{"name":"a"},{"name":"b"}],"hostDevices":[{"name":"c"}],"watchdog":{"diag288":{}}}}}`, Installation{}, []string{
			"NotServed spec.domain.devices.gpus[0]: " + noDevices, "NotServed spec.domain.devices.gpus[1]: " + noDevices, "NotServed spec.domain.devices.hostDevices[0]: " + noDevices,
			"NotServed spec.domain.devices.watchdog.diag288: is the watchdog of s390x; a PC has i6300esb",
		}},
		{"disks", `{"domain":{"devices":{"disks":[{"name":"root"},{"name":"a","changedBlockTracking":true,"tag":"x","lun":{"reservation":true}},{"name":"b","changedBlockTracking":false,"lun":{"reservation":false}}]}}}`, Installation{}, []string{
			"NotServed spec.domain.devices.disks[1].changedBlockTracking: changed blocks are not tracked; a backup reads the whole disk",
			"NotServed spec.domain.devices.disks[1].lun.reservation: persistent reservations need a privileged helper on the node, which there is none of",
			"NotServed spec.domain.devices.disks[1].tag: the guest cannot be told of tags; it finds a disk by its serial",
		}},
		{"bridge on the pod network", `{"domain":{"devices":{"interfaces":[{"name":"default","bridge":{}}]}}}`, Installation{},
			[]string{"NotServed spec.domain.devices.interfaces[0].bridge: " + otherBinding}},
		{"a second network", `{"domain":{"devices":{"interfaces":[{"name":"default","masquerade":{}},{"name":"n","tag":"t","bridge":{}}]}},"networks":[{"name":"default","pod":{}},{"name":"n","multus":{"networkName":"x"}}]}`, Installation{}, []string{
			"NotServed spec.domain.devices.interfaces[1].tag: the guest cannot be told of tags; it finds an interface by its macAddress",
			"NotServed spec.domain.devices.interfaces[1]: a second interface is not supported yet; leave one interface on the pod network",
			"NotServed spec.networks[1].multus: networks beside the pod's own are not supported yet; use `pod: {}`",
		}},
		{"bindings", `{"domain":{"devices":{"interfaces":[{"name":"default","sriov":{},"binding":{"name":"x"},"passtBinding":{},"slirp":{},"macvtap":{},"passt":{}}]}},"networks":[{"name":"default","resourceClaim":{}}]}`, Installation{}, []string{
			"NotServed spec.domain.devices.interfaces[0].sriov: " + otherBinding, "NotServed spec.domain.devices.interfaces[0].binding: " + otherBinding,
			"NotServed spec.domain.devices.interfaces[0].passtBinding: " + otherBinding, "NotServed spec.domain.devices.interfaces[0].slirp: is no longer supported by the API; use masquerade",
			"NotServed spec.domain.devices.interfaces[0].macvtap: is no longer supported by the API; use masquerade", "NotServed spec.domain.devices.interfaces[0].passt: is no longer supported by the API; use masquerade",
			"NotServed spec.networks[0].resourceClaim: networks of resource claims are not supported; use `pod: {}`",
		}},
		{"claims and volumes", `{"resourceClaims":[{"name":"c"}],"utilityVolumes":[{"name":"u"}],"volumes":[{"name":"a","containerPath":{"path":"/a"}},{"name":"b","memoryDump":{"claimName":"c"}},{"name":"c","persistentVolumeClaim":{"claimName":"c","hotpluggable":true}},{"name":"d","dataVolume":{"name":"d","hotpluggable":true}}]}`, Installation{}, []string{
			"NotServed spec.resourceClaims[0]: resource claims are not passed to a guest's pod: remove it", "NotServed spec.utilityVolumes[0]: volumes are not added for helpers of a guest: remove it",
			"NotServed spec.volumes[0].containerPath: a path of the launcher's container is not shared with a guest: use a claim, configMap or secret",
			"NotServed spec.volumes[1].memoryDump: the memory of a guest is not dumped into a claim: remove the volume",
			"NoEffect spec.volumes[2].persistentVolumeClaim.hotpluggable: volumes are not added or removed while the guest runs",
			"NoEffect spec.volumes[3].dataVolume.hotpluggable: volumes are not added or removed while the guest runs",
		}},
		{"eviction", `{"evictionStrategy":"LiveMigrateIfPossible"}`, Installation{}, []string{"NoEffect spec.evictionStrategy: " + noMigrates}},
		{"no eviction strategy", `{"evictionStrategy":"None"}`, Installation{}, nil},
		{"room", `{"domain":{"memory":{"maxGuest":"2Gi"},"cpu":{"maxSockets":512,"cores":4}}}`, Installation{}, []string{
			"NoEffect spec.domain.memory.maxGuest: memory is not added while the guest runs; more is there when it starts anew",
			"NoEffect spec.domain.cpu.maxSockets: 63 sockets are the most that this machine can have",
		}},
		{"no more room", `{"domain":{"memory":{"maxGuest":"1Gi"},"cpu":{"maxSockets":255}}}`, Installation{}, nil},
		{"what a disk has no room for", `{"domain":{"devices":{"disks":[{"name":"root","cdrom":{"readonly":false},"serial":"0123456789012345678901"},{"name":"b","disk":{"bus":"scsi"},"serial":"0123456789012345678901"}]}}}`, Installation{}, []string{
			"NoEffect spec.domain.devices.disks[0].cdrom.readonly: a guest never writes to a CD-ROM",
			"NoEffect spec.domain.devices.disks[0].serial: the guest sees the first 20 characters only, a disk on sata has no room for more",
		}},
		{"KVM's own", `{"domain":{"clock":{"timer":{"kvm":{"present":true},"hyperv":{}}},"features":{"apic":{"endOfInterrupt":true},"pvspinlock":{},"kvm":{"hidden":true},"hypervPassthrough":{},"hyperv":{"vapic":{}}},"devices":{"panicDevices":[{"model":"isa"},{"model":"hyperv"}]}}}`, Installation{Emulation: true}, []string{
			"NoEffect spec.domain.clock.timer.kvm: " + noKVM, "NoEffect spec.domain.clock.timer.hyperv: " + noKVM, "NoEffect spec.domain.features.apic.endOfInterrupt: " + noKVM,
			"NoEffect spec.domain.features.pvspinlock: " + noKVM, "NoEffect spec.domain.features.kvm.hidden: " + noKVM, "NoEffect spec.domain.features.hypervPassthrough: " + noKVM,
			"NoEffect spec.domain.features.hyperv: " + noKVM, "NoEffect spec.domain.devices.panicDevices[1].model: " + noKVM,
		}},
		{"KVM's own with KVM", `{"domain":{"clock":{"timer":{"kvm":{"present":true}}},"features":{"hyperv":{"vapic":{}}}}}`, Installation{}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := spec(t, tc.patch)
			if diff := cmp.Diff(tc.want, texts(Instance(nil, s, tc.in))); diff != "" {
				t.Error(diff)
			}
			for i := range rows {
				met[i] = met[i] || len(rows[i].ask(&query{spec: s, in: tc.in})) > 0
			}
		})
	}
	for i, r := range rows {
		if !met[i] && !strings.HasPrefix(r.Field, "metadata.") {
			t.Errorf("no instance here asks for %s %s", r.Field, r.When)
		}
	}
}

func TestMachine(t *testing.T) {
	vm := &virtv1.VirtualMachine{}
	if err := json.Unmarshal([]byte(`{"spec":{"updateVolumesStrategy":"Migration","dataVolumeTemplates":[{"metadata":{"name":"dv"}}],"template":{
		"metadata":{"annotations":{"kubevirt.io/ignitiondata":"{}","hooks.kubevirt.io/hookSidecars":"[]"}},"spec":{"domain":{"devices":{"gpus":[{"name":"g"}]}}}}}}`), vm); err != nil {
		t.Fatal(err)
	}
	reasons := Machine(vm, Installation{})
	want := []string{
		"NotServed spec.template.spec.domain.devices.gpus[0]: " + noDevices,
		"NoEffect spec.template.metadata.annotations[hooks.kubevirt.io/hookSidecars]: hooks are not called: the guest starts without them",
		"NoEffect spec.template.metadata.annotations[kubevirt.io/ignitiondata]: ignition data does not reach the guest: use a cloud-init volume",
		"NoEffect spec.dataVolumeTemplates[0]: DataVolumes are not made by this version: create the PersistentVolumeClaim dv yourself, and the machine starts from it",
		"NoEffect spec.updateVolumesStrategy: volumes are not migrated by this version: changed volumes are those of the next start, and their data is not copied",
	}
	if diff := cmp.Diff(want, texts(reasons)); diff != "" {
		t.Error(diff)
	}
	if reason, message, blocked := Synchronized(reasons); !blocked || reason != ReasonField || message != strings.TrimPrefix(want[0], "NotServed ") {
		t.Errorf("Synchronized = %s, %s, %v", reason, message, blocked)
	}
	if _, _, blocked := Synchronized(reasons[1:]); blocked {
		t.Error("what has no effect keeps a machine from starting")
	}
	if r, ok := Find(reasons, DataVolumeTemplates); !ok || r.Field != "spec.dataVolumeTemplates[0]" {
		t.Errorf("Find = %v, %v", r, ok)
	}
	if r, ok := Find(reasons, "spec.dataVolume"); ok {
		t.Errorf("half a name finds %v", r)
	}
	warnings := Warnings(reasons)
	if len(warnings) != len(want) || !strings.HasSuffix(warnings[0], "(it does not start with this)") || strings.HasSuffix(warnings[1], "(it does not start with this)") {
		t.Errorf("warnings: %q", warnings)
	}
	if got := Machine(&virtv1.VirtualMachine{}, Installation{}); len(got) > 0 {
		t.Errorf("an empty machine: %v", got)
	}
}
