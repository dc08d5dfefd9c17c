package convert

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

var update = flag.Bool("update", false, "write the golden files anew")

func load(t testing.TB, name string) ([]byte, *virtv1.VirtualMachineInstance) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var vmi virtv1.VirtualMachineInstance
	if err := json.Unmarshal(raw, &vmi); err != nil {
		t.Fatal(err)
	}
	return raw, &vmi
}

var fixtures = []string{
	"tiny", "typical", "every-volume", "windows-like", "kernel-boot", "config-volumes", "windows-full", "dedicated", "disks", "timers", "devices",
}

// input prepares each volume of the plan as the node would.
func input(t testing.TB, vmi *virtv1.VirtualMachineInstance, emulation bool) Input {
	t.Helper()
	volumes, err := Volumes(vmi, DefaultPaths())
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]Image{}
	for _, v := range volumes {
		image := Image{Direct: true}
		switch {
		case v.ContainerDisk != nil && v.ContainerDisk.ReadOnly:
			image.Image = qemu.Image{Path: v.ContainerDisk.Root + v.ContainerDisk.Path, Format: qemu.FormatRaw}
		case v.ContainerDisk != nil:
			image.Image = qemu.Image{Path: v.ContainerDisk.Overlay, Format: qemu.FormatQcow2, Backing: &qemu.Image{Path: v.ContainerDisk.Root + "/disk/disk.img", Format: qemu.FormatQcow2}}
		case v.Empty != nil:
			image.Image = qemu.Image{Path: v.Empty.File, Format: qemu.FormatQcow2}
		case v.CloudInit != nil:
			image.Image, image.Direct = qemu.Image{Path: v.CloudInit.File, Format: qemu.FormatRaw}, false
		case v.Config != nil:
			image.Image, image.Direct = qemu.Image{Path: v.Config.File, Format: qemu.FormatRaw}, false
		case v.Overlay != nil:
			image.Image = qemu.Image{Path: v.Overlay.File, Format: qemu.FormatQcow2, Backing: &qemu.Image{Path: v.Overlay.Claim.Dir + "/disk.img", Format: qemu.FormatRaw}}
		case v.HostDisk != nil:
			image.Image, image.Shared = qemu.Image{Path: v.HostDisk.File, Format: qemu.FormatRaw}, v.HostDisk.Shared
		case v.Metrics != nil:
			image.Image, image.Direct, image.ReadOnly = qemu.Image{Path: v.Metrics.File, Format: qemu.FormatRaw}, false, true
		case v.Claim.Block:
			image.Image = qemu.Image{Path: v.Claim.Device, Format: qemu.FormatRaw, Block: true}
		default:
			image.Image = qemu.Image{Path: v.Claim.Dir + "/disk.img", Format: qemu.FormatRaw}
		}
		image.LogicalBlock, image.PhysicalBlock = 4096, 4096
		images[v.Name] = image
	}
	in := Input{
		VMI: vmi, Emulation: emulation, Images: images, Paths: DefaultPaths(), Now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC),
		UEFICode: "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", UEFIVars: "/var/run/kubevirt-private/vars.fd",
		Interfaces: map[string]Interface{"default": {Tap: "tap0", MTU: 1400, Vhost: true}, "net1": {Tap: "tap1", Queues: 2, Vhost: true}},
	}
	for i := range int(machine.DedicatedCPUs(&vmi.Spec.Domain)) {
		// Two chips with two cores of two threads each; the number is that of Linux: threads come last.
		in.CPUs = append(in.CPUs, HostCPU{ID: i, Node: i / 2 % 2, Package: i / 2 % 2, Core: i % 2})
	}
	if len(in.CPUs) > 4 && emulation {
		in.CPUs = in.CPUs[:4]
	}
	if f := vmi.Spec.Domain.Firmware; f != nil && f.KernelBoot != nil && f.KernelBoot.Container != nil {
		in.Kernel, in.Initrd = DefaultPaths().KernelBoot+f.KernelBoot.Container.KernelPath, DefaultPaths().KernelBoot+f.KernelBoot.Container.InitrdPath
	}
	return in
}

func TestGolden(t *testing.T) {
	for _, name := range fixtures {
		for _, emulation := range []bool{true, false} {
			full := name + map[bool]string{true: ".tcg", false: ".kvm"}[emulation]
			t.Run(full, func(t *testing.T) {
				raw, vmi := load(t, name)
				if err := CheckFields(raw); err != nil {
					t.Fatal(err)
				}
				volumes, err := Volumes(vmi, DefaultPaths())
				if err != nil {
					t.Fatal(err)
				}
				r, err := Machine(input(t, vmi, emulation))
				if err != nil {
					t.Fatal(err)
				}
				args, err := r.Machine.Args()
				if err != nil {
					t.Fatal(err)
				}
				var b strings.Builder
				for _, v := range volumes {
					plan, err := json.Marshal(v)
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&b, "volume %s\n", plan)
				}
				fmt.Fprintf(&b, "paused %v, links down %v, open trays %v, host name %s, grace period %s\n", r.Paused, r.LinksDown, r.OpenTrays, Hostname(vmi), GracePeriod(vmi))
				if r.Pins != nil {
					fmt.Fprintf(&b, "pins %+v\n", *r.Pins)
				}
				for _, w := range r.Warnings {
					fmt.Fprintf(&b, "warning %s\n", w)
				}
				b.WriteString(strings.Join(args, "\n") + "\n")
				compare(t, full+".golden", b.String())
			})
		}
	}
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	golden := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("differs from %s (run: go test ./launcher/convert -update):\n%s", golden, diff)
	}
}

// TestRefusals changes the typical VMI by a piece of JSON laid over it and wants the error that names the field.
func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, patch, want string
		unsupported       bool
	}{
		{"architecture", `{"spec":{"architecture":"arm64"}}`, `spec.architecture: "arm64" is not supported, must be amd64`, true},
		{"unknown field", `{"spec":{"domain":{"fromTheFuture":{"a":[{"b":1}]}}}}`, "spec.domain.fromTheFuture.a[0].b: is not supported", true},
		{"empty unknown field", `{"spec":{"domain":{"devices":{"fromTheFuture":{}}}}}`, "spec.domain.devices.fromTheFuture: is not supported", true},
		{"gpu", `{"spec":{"domain":{"devices":{"gpus":[{"name":"g","deviceName":"nvidia.com/x"}]}}}}`, "spec.domain.devices.gpus[0]: devices of the node cannot be passed to a guest", true},
		{"host device", `{"spec":{"domain":{"devices":{"hostDevices":[{"name":"h","deviceName":"acme.com/x"}]}}}}`, "spec.domain.devices.hostDevices[0]: devices of the node cannot be passed to a guest", true},
		{"encrypted memory", `{"spec":{"domain":{"launchSecurity":{"sev":{}}}}}`, "spec.domain.launchSecurity: encryption of a guest's memory is not supported", true},
		{"realtime", `{"spec":{"domain":{"cpu":{"realtime":{}}}}}`, "spec.domain.cpu.realtime: needs rights on the node that a machine's pod does not have; dedicatedCpuPlacement works without it", true},
		{"watchdog of another machine", `{"spec":{"domain":{"devices":{"watchdog":{"name":"w","diag288":{"action":"reset"}}}}}}`, "spec.domain.devices.watchdog.diag288: is the watchdog of s390x; a PC has i6300esb", true},
		{"changed blocks", disk(`"disk":{},"changedBlockTracking":true`), "spec.domain.devices.disks[0].changedBlockTracking: changed blocks are not tracked; a backup reads the whole disk", true},
		{"tag", disk(`"disk":{},"tag":"db"`), "spec.domain.devices.disks[0].tag: the guest cannot be told of tags; it finds a disk by its serial", true},
		{"huge pages of another processor", `{"spec":{"domain":{"memory":{"hugepages":{"pageSize":"64Ki"}}}}}`, `spec.domain.memory.hugepages.pageSize: "64Ki" is not supported, must be 2Mi or 1Gi, the sizes that the processor has`, true},
		{"locked memory", `{"spec":{"domain":{"memory":{"reservedOverhead":{"memLock":"Required"}}}}}`,
			"spec.domain.memory.reservedOverhead.memLock: a machine's pod has no right to keep memory resident, must be NotRequired; memory.hugepages is always resident", true},
		{"part of a huge page", `{"spec":{"domain":{"memory":{"guest":"1500Mi","hugepages":{"pageSize":"1Gi"}}}}}`, "spec.domain.memory.hugepages.pageSize: the guest's memory 1500Mi must be a multiple of 1Gi", false},
		{"too few dedicated CPUs", `{"spec":{"domain":{"cpu":{"cores":8,"dedicatedCpuPlacement":true}}}}`, "spec.domain.cpu.dedicatedCpuPlacement: needs 8 CPUs of the node and the pod has 4", false},
		{"NUMA without huge pages", `{"spec":{"domain":{"cpu":{"cores":4,"dedicatedCpuPlacement":true,"numa":{"guestMappingPassthrough":{}}}}}}`, "spec.domain.cpu.numa.guestMappingPassthrough: needs memory.hugepages", false},
		{"more NUMA nodes than pages", `{"spec":{"domain":{"memory":{"hugepages":{"pageSize":"1Gi"}},"cpu":{"cores":4,"dedicatedCpuPlacement":true,"numa":{"guestMappingPassthrough":{}}}}}}`,
			"spec.domain.memory.hugepages.pageSize: the guest's memory must be a page for each of 2 NUMA nodes, or more", false},
		{"many CPUs", `{"spec":{"domain":{"cpu":{"sockets":256}}}}`, "spec.domain: cpu: sockets times cores times threads must be at most 288, not 512", false},
		{"CPUs that need KVM", `{"spec":{"domain":{"cpu":{"sockets":128}}}}`, "spec.domain: cpu: more than 255 virtual processors need kvm and machine type q35", false},
		{"thread policy", `{"spec":{"domain":{"ioThreadsPolicy":"many"}}}`, `spec.domain.ioThreadsPolicy: "many" is not supported, must be shared, auto or supplementalPool`, true},
		{"thread pool without size", `{"spec":{"domain":{"ioThreadsPolicy":"supplementalPool"}}}`, "spec.domain.ioThreads.supplementalPoolThreadCount: must be from 1 to 64", false},
		{"thread of a disk on sata", disk(`"disk":{"bus":"sata"},"dedicatedIOThread":true`), "spec.domain.devices.disks[0].dedicatedIOThread: needs bus virtio, not sata", false},
		{"ACPI table of no Secret", `{"spec":{"domain":{"firmware":{"acpi":{"slicNameRef":"containerdisk"}}}}}`, `spec.domain.firmware.acpi.slicNameRef: there is no volume "containerdisk" of kind secret`, false},
		{"vsock without address", `{"spec":{"domain":{"devices":{"autoattachVSOCK":true}}}}`, "spec.domain.devices.autoattachVSOCK: the instance was given no address (status.VSOCKCID)", true},
		{"sound", `{"spec":{"domain":{"devices":{"sound":{"name":"s","model":"sb16"}}}}}`, `spec.domain: sound card: model "sb16" must be ich9 or ac97`, false},
		{"cached shared disk", disk(`"disk":{},"shareable":true,"cache":"writeback"`), "spec.domain.devices.disks[0].cache: must be none for a disk that several guests write to", false},
		{"block size of a drive", disk(`"cdrom":{},"blockSize":{"matchVolume":{}}`), "spec.domain.devices.disks[0].blockSize: only a disk has one, not a CD-ROM or LUN", false},
		{"two block sizes", disk(`"disk":{},"blockSize":{"custom":{"logical":512,"physical":512},"matchVolume":{}}`), "spec.domain.devices.disks[0].blockSize: custom and matchVolume exclude one another", false},
		{"large blocks on sata", disk(`"disk":{"bus":"sata"},"blockSize":{"custom":{"logical":4096,"physical":4096}}`), "spec.domain: disk containerdisk: a disk on bus sata has logical blocks of 512 bytes, not 4096", false},
		{"feature that another needs", `{"spec":{"domain":{"features":{"hyperv":{"ipi":{},"vpindex":{"enabled":false}}}}}}`, "spec.domain.features.hyperv.vpindex.enabled: must not be false, ipi needs it", false},
		{"time that a timer needs", `{"spec":{"domain":{"features":{"hyperv":{"synictimer":{}}},"clock":{"timer":{"hyperv":{"present":false}}}}}}`, "spec.domain.clock.timer.hyperv.present: must not be false, features.hyperv.synictimer needs it", false},
		{"sriov", `{"spec":{"domain":{"devices":{"interfaces":[{"name":"default","sriov":{}}]}}}}`, "spec.domain.devices.interfaces[0].sriov: is not supported", true},
		{"volume kind", `{"spec":{"volumes":[{"name":"containerdisk","containerPath":{"path":"/x"}}]}}`, "spec.volumes[0].containerPath.path: is not supported", true},
		{"memory dump", `{"spec":{"volumes":[{"name":"containerdisk","memoryDump":{"claimName":"c"}}]}}`, "spec.volumes[0].memoryDump.claimName: is not supported", true},
		{"empty sysprep", volume(`"sysprep":{}`), `spec.volumes[0]: volume "v" is of a kind that is not supported`, true},
		{"file system without volume", `{"spec":{"domain":{"devices":{"filesystems":[{"name":"f","virtiofs":{}}]}}}}`, `spec.domain.devices.filesystems[0].name: there is no volume "f"`, false},
		{"file system of an image", `{"spec":{"domain":{"devices":{"filesystems":[{"name":"containerdisk","virtiofs":{}}]}}}}`,
			`spec.domain.devices.filesystems[0].name: volume "containerdisk" is of a kind that cannot be a file system, must be persistentVolumeClaim, dataVolume, configMap, secret, serviceAccount, downwardAPI or sysprep`, true},
		{"disk without volume", `{"spec":{"domain":{"devices":{"disks":[{"name":"nobody","disk":{}}]}}}}`, `spec.domain.devices.disks[0].name: there is no volume "nobody"`, false},
		{"no memory", `{"spec":{"domain":{"memory":null}}}`, "spec.domain.memory.guest: must be at least 1Mi where resources.requests.memory is not set", false},
		{"feature policy", `{"spec":{"domain":{"cpu":{"features":[{"name":"a","policy":"always"}]}}}}`, `spec.domain.cpu.features[0].policy: "always" must be force, require, optional, disable or forbid`, false},
		{"no apic", `{"spec":{"domain":{"features":{"apic":{"enabled":false}}}}}`, "spec.domain.features.apic.enabled: a machine without APIC is not supported", true},
		{"spinlocks", `{"spec":{"domain":{"features":{"hyperv":{"spinlocks":{"spinlocks":12}}}}}}`, "spec.domain.features.hyperv.spinlocks.spinlocks: must be at least 4096", false},
		{"vendor id", `{"spec":{"domain":{"features":{"hyperv":{"vendorid":{"vendorid":"more than twelve"}}}}}}`, "spec.domain.features.hyperv.vendorid.vendorid: must be no longer than 12 characters", false},
		{"time zone", `{"spec":{"domain":{"clock":{"timezone":"Mars/Olympus"}}}}`, `spec.domain.clock.timezone: "Mars/Olympus" is no time zone`, false},
		{"two clocks", `{"spec":{"domain":{"clock":{"timezone":"UTC","utc":{}}}}}`, "spec.domain.clock: utc and timezone exclude one another", false},
		{"pit policy", `{"spec":{"domain":{"clock":{"timer":{"pit":{"tickPolicy":"catchup"}}}}}}`, `spec.domain.clock.timer.pit.tickPolicy: "catchup" is not supported, must be delay or discard`, true},
		{"rtc policy", `{"spec":{"domain":{"clock":{"timer":{"rtc":{"tickPolicy":"merge"}}}}}}`, `spec.domain.clock.timer.rtc.tickPolicy: "merge" is not supported, must be delay or catchup`, true},
		{"rtc track", `{"spec":{"domain":{"clock":{"timer":{"rtc":{"track":"moon"}}}}}}`, `spec.domain.clock.timer.rtc.track: "moon" must be guest or wall`, false},
		{"hpet policy", `{"spec":{"domain":{"clock":{"timer":{"hpet":{"tickPolicy":"merge"}}}}}}`, `spec.domain.clock.timer.hpet.tickPolicy: "merge" is not supported, must be delay`, true},
		{"no rtc", `{"spec":{"domain":{"clock":{"timer":{"rtc":{"present":false}}}}}}`, "spec.domain.clock.timer.rtc.present: a machine without clock is not supported", true},
		{"two boot loaders", `{"spec":{"domain":{"firmware":{"bootloader":{"bios":{},"efi":{}}}}}}`, "spec.domain.firmware.bootloader: bios and efi exclude one another", false},
		{"secure boot without smm", `{"spec":{"domain":{"features":{"smm":{"enabled":false}},"firmware":{"bootloader":{"efi":{"secureBoot":true}}}}}}`, "spec.domain.features.smm.enabled: must be true for Secure Boot", false},
		{"kernel arguments alone", `{"spec":{"domain":{"firmware":{"kernelBoot":{"kernelArgs":"x"}}}}}`, "spec.domain.firmware.kernelBoot.kernelArgs: needs a container with a kernel", false},
		{"initrd alone", `{"spec":{"domain":{"firmware":{"kernelBoot":{"container":{"image":"i","initrdPath":"/i"}}}}}}`, "spec.domain.firmware.kernelBoot.container.kernelPath: must be set, an initrd alone is not supported", true},
		{"reboot policy", `{"spec":{"domain":{"rebootPolicy":"Never"}}}`, `spec.domain.rebootPolicy: "Never" is not supported, must be Reboot or Terminate`, true},
		{"start strategy", `{"spec":{"startStrategy":"Later"}}`, `spec.startStrategy: "Later" is not supported, must be Paused`, true},
		{"watchdog action", `{"spec":{"domain":{"devices":{"watchdog":{"name":"w","i6300esb":{"action":"explode"}}}}}}`, `spec.domain: watchdog w: action "explode" must be reset, poweroff or shutdown`, false},
		{"panic device", `{"spec":{"domain":{"devices":{"panicDevices":[{"model":"s390"}]}}}}`, `spec.domain.devices.panicDevices[0].model: "s390" is not supported, must be hyperv, isa or pvpanic`, true},
		{"input type", `{"spec":{"domain":{"devices":{"inputs":[{"name":"k","type":"keyboard"}]}}}}`, `spec.domain.devices.inputs[0].type: "keyboard" is not supported, must be tablet`, true},
		{"input bus", `{"spec":{"domain":{"devices":{"inputs":[{"name":"k","type":"tablet","bus":"ps2"}]}}}}`, `spec.domain.devices.inputs[0].bus: "ps2" must be usb or virtio`, false},
		{"video without display", `{"spec":{"domain":{"devices":{"autoattachGraphicsDevice":false,"video":{"type":"virtio"}}}}}`, "spec.domain.devices.video.type: needs autoattachGraphicsDevice", false},
		{"two targets", disk(`"disk":{},"cdrom":{}`), "spec.domain.devices.disks[0]: disk, cdrom and lun exclude one another", false},
		{"tray of a disk", disk(`"cdrom":{"bus":"virtio","tray":"open"}`), "spec.domain.devices.disks[0].cdrom.tray: a disk on bus virtio has none, must be sata, scsi or usb", false},
		{"empty disk", `{"spec":{"domain":{"devices":{"disks":[{"name":"e","cdrom":{"bus":"virtio"}}]}},"volumes":[]}}`, `spec.domain.devices.disks[0].cdrom.bus: "virtio" is not possible for an empty drive, must be sata, scsi or usb`, false},
		{"tray", disk(`"cdrom":{"tray":"ajar"}`), `spec.domain.devices.disks[0].cdrom.tray: "ajar" must be open or closed`, false},
		{"lun of an image", disk(`"lun":{}`), "spec.domain: disk containerdisk: a LUN must be a block volume", false},
		{"reservation", disk(`"lun":{"reservation":true}`), "spec.domain.devices.disks[0].lun.reservation: persistent reservations need a privileged helper on the node, which there is none of", true},
		{"PCI address", disk(`"disk":{"bus":"virtio","pciAddress":"0000:81:01.10"}`), `spec.domain.devices.disks[0].disk.pciAddress: PCI address "0000:81:01.10" must be on bus 0000:00`, false},
		{"block size", disk(`"disk":{},"blockSize":{"custom":{"logical":513,"physical":4096}}`), "spec.domain.devices.disks[0].blockSize.custom.logical: must be a power of two from 512 to 2097152", false},
		{"block sizes", disk(`"disk":{},"blockSize":{"custom":{"logical":4096,"physical":512}}`), "spec.domain.devices.disks[0].blockSize.custom.logical: must not be greater than physical", false},
		{"bus", disk(`"disk":{"bus":"ide"}`), `spec.domain: disk containerdisk: bus "ide" must be virtio, scsi, sata or usb`, false},
		{"interface without network", `{"spec":{"networks":[]}}`, `spec.domain.devices.interfaces[0].name: there is no network "default"`, false},
		{"interface without tap", `{"spec":{"domain":{"devices":{"interfaces":[{"name":"other","masquerade":{}}]}},"networks":[{"name":"other","pod":{}}]}}`, `spec.domain.devices.interfaces[0]: the node has no tap device for interface "other"`, false},
		{"interface state", `{"spec":{"domain":{"devices":{"interfaces":[{"name":"default","masquerade":{},"state":"sideways"}]}}}}`, `spec.domain.devices.interfaces[0].state: "sideways" is not supported, must be up, down or absent`, true},
		{"empty disk without size", volume(`"emptyDisk":{"capacity":"0"}`), "spec.volumes[0].emptyDisk.capacity: must be positive", false},
		{"cloud-init without data", volume(`"cloudInitNoCloud":{}`), "spec.volumes[0].cloudInitNoCloud: must have userData, userDataBase64, secretRef or network data", false},
		{"cloud-init twice", volume(`"cloudInitNoCloud":{"userData":"x","secretRef":{"name":"s"}}`), "spec.volumes[0].cloudInitNoCloud: userData, its Base64 form and its Secret exclude one another", false},
		{"corrupt cloud-init", volume(`"cloudInitConfigDrive":{"userDataBase64":"%%"}`), "spec.volumes[0].cloudInitConfigDrive.userDataBase64: is not Base64: illegal base64 data at input byte 0", false},
		{"two problems", `{"spec":{"architecture":"arm64","domain":{"rebootPolicy":"Never","memory":null}}}`,
			`spec.architecture: "arm64" is not supported, must be amd64; spec.domain.memory.guest: must be at least 1Mi where resources.requests.memory is not set; spec.domain.rebootPolicy: "Never" is not supported, must be Reboot or Terminate`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw, _ := load(t, "typical")
			raw = merge(t, raw, tc.patch)
			err := convertAll(t, raw)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if OnlyUnsupported(err) != tc.unsupported {
				t.Errorf("OnlyUnsupported = %v, want %v", !tc.unsupported, tc.unsupported)
			}
		})
	}
}

func disk(target string) string {
	return `{"spec":{"domain":{"devices":{"disks":[{"name":"containerdisk",` + target + `}]}},"volumes":[{"name":"containerdisk","containerDisk":{"image":"i"}}]}}`
}

func volume(source string) string {
	return `{"spec":{"domain":{"devices":{"disks":[{"name":"v","disk":{}}]}},"volumes":[{"name":"v",` + source + `}]}}`
}

// merge lays a JSON merge patch over a document.
func merge(t testing.TB, doc []byte, patch string) []byte {
	t.Helper()
	var d, p any
	if err := json.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(patch), &p); err != nil {
		t.Fatalf("%v in %s", err, patch)
	}
	out, err := json.Marshal(mergeValue(d, p))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mergeValue(d, p any) any {
	pm, ok := p.(map[string]any)
	if !ok {
		return p
	}
	dm, ok := d.(map[string]any)
	if !ok {
		dm = map[string]any{}
	}
	for k, v := range pm {
		if v == nil {
			delete(dm, k)
			continue
		}
		dm[k] = mergeValue(dm[k], v)
	}
	return dm
}

// convertAll goes the launcher's way: fields, volumes, machine.
func convertAll(t testing.TB, raw []byte) error {
	t.Helper()
	if err := CheckFields(raw); err != nil {
		return err
	}
	var vmi virtv1.VirtualMachineInstance
	if err := json.Unmarshal(raw, &vmi); err != nil {
		t.Fatal(err)
	}
	if _, err := Volumes(&vmi, DefaultPaths()); err != nil {
		return err
	}
	_, err := Machine(input(t, &vmi, true))
	return err
}

// TestEveryFieldIsDecided walks the API types: a field that was added there must be put on one of the lists here.
func TestEveryFieldIsDecided(t *testing.T) {
	var refused []string
	walkTypes(reflect.TypeFor[virtv1.VirtualMachineInstanceSpec](), "", map[reflect.Type]int{}, &refused)
	sort.Strings(refused)
	compare(t, "refused-fields.txt", strings.Join(refused, "\n")+"\n")
	// And the other way: a name on a list that no field has is a mistake of writing.
	reasons := map[string]bool{}
	for w := range why {
		reasons[w] = true
	}
	for _, list := range []map[string]bool{converted, elsewhere, reasons} {
		for w := range list {
			if !typeHas(reflect.TypeFor[virtv1.VirtualMachineInstanceSpec](), strings.TrimSuffix(w, ".*")) {
				t.Errorf("list names %s, which the API lacks", w)
			}
		}
	}
}

func walkTypes(typ reflect.Type, pattern string, depth map[reflect.Type]int, refused *[]string) {
	if known(pattern) != none {
		return
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ.Kind() == reflect.Slice:
		walkTypes(typ.Elem(), pattern+"[]", depth, refused)
		return
	case typ.Kind() == reflect.Struct && typ.NumField() > 0 && depth[typ] == 0 && (pattern == "" || within(pattern)):
		depth[typ]++
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			walkTypes(typ.Field(i).Type, strings.TrimPrefix(pattern+"."+name, "."), depth, refused)
		}
		depth[typ]--
		return
	}
	*refused = append(*refused, pattern)
}

func typeHas(typ reflect.Type, path string) bool {
	for _, part := range strings.Split(path, ".") {
		name, list := strings.CutSuffix(part, "[]")
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return false
		}
		found := false
		for i := range typ.NumField() {
			if n, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ","); n == name {
				typ, found = typ.Field(i).Type, true
				break
			}
		}
		if !found || list && typ.Kind() != reflect.Slice {
			return false
		}
		if list {
			typ = typ.Elem()
		}
	}
	return true
}

func TestIdentityIsStable(t *testing.T) {
	_, vmi := load(t, "tiny")
	if got, want := UUID(vmi), "0"; len(got) != 36 || got == want {
		t.Errorf("UUID = %s", got)
	}
	if UUID(vmi) != UUID(vmi.DeepCopy()) || MAC(vmi, "default") != MAC(vmi.DeepCopy(), "default") || MAC(vmi, "default") == MAC(vmi, "other") {
		t.Error("identity changes")
	}
	other := vmi.DeepCopy()
	other.Namespace = "elsewhere"
	if UUID(vmi) == UUID(other) || MAC(vmi, "default") == MAC(other, "default") {
		t.Error("two machines share an identity")
	}
}

func TestParseOverhead(t *testing.T) {
	for in, want := range map[string]float64{"": 0.06, "0": 0, "0.1": 0.1} {
		if got, err := ParseOverhead(in); err != nil || got != want {
			t.Errorf("ParseOverhead(%q) = %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"1", "-0.1", "x", "NaN"} {
		if _, err := ParseOverhead(in); err == nil {
			t.Errorf("ParseOverhead(%q) accepted", in)
		}
	}
}

// FuzzConvert lays anything over a VMI: it is refused or gives a machine, and never breaks.
func FuzzConvert(f *testing.F) {
	for i, patch := range []string{
		`{"spec":{"domain":{"cpu":{"cores":4294967295,"sockets":4294967295,"maxSockets":4294967295}}}}`,
		`{"spec":{"domain":{"devices":{"disks":[{"name":"a,b","disk":{"bus":"virtio"}}]}}}}`,
		`{"spec":{"domain":{"features":{"hyperv":{"vendorid":{"vendorid":"a,b=c"}}}}}}`,
		`{"spec":{"domain":{"memory":{"guest":"1Gi","hugepages":{"pageSize":"-1"}}}}}`,
		`{"spec":{"domain":{"cpu":{"cores":3,"threads":2,"dedicatedCpuPlacement":true,"numa":{"guestMappingPassthrough":{}}}}}}`,
		`{"spec":{"domain":{"ioThreadsPolicy":"supplementalPool","ioThreads":{"supplementalPoolThreadCount":9223372036854775807}}}}`,
	} {
		f.Add(uint8(i), patch)
	}
	f.Fuzz(func(t *testing.T, fixture uint8, patch string) {
		var p any
		if json.Unmarshal([]byte(patch), &p) != nil {
			return
		}
		base, _ := load(t, fixtures[int(fixture)%len(fixtures)])
		tryConvert(t, merge(t, base, patch))
	})
}

// FuzzVMI takes anything for a VMI.
func FuzzVMI(f *testing.F) {
	for _, name := range fixtures {
		raw, _ := load(f, name)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) { tryConvert(t, raw) })
}

// tryConvert goes the launcher's way with a VMI that may be anything.
func tryConvert(t *testing.T, raw []byte) {
	t.Helper()
	if CheckFields(raw) != nil {
		return
	}
	var vmi virtv1.VirtualMachineInstance
	if json.Unmarshal(raw, &vmi) != nil {
		return
	}
	// More CPUs than any node has would only cost time here.
	if machine.VCPUs(vmi.Spec.Domain.CPU) > 4096 {
		vmi.Spec.Domain.CPU.DedicatedCPUPlacement = nil
	}
	if _, err := Volumes(&vmi, DefaultPaths()); err != nil {
		return
	}
	r, err := Machine(input(t, &vmi, false))
	if err != nil {
		return
	}
	if _, err := r.Machine.Args(); err != nil && !strings.Contains(err.Error(), "PCI") && !strings.Contains(err.Error(), "usb") {
		t.Errorf("a machine that was accepted has no command line: %v", err)
	}
}
