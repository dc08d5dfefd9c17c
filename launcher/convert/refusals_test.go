package convert

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apis/kubevirt/validation"
	"github.com/virtplane/virtplane/pkg/machine/support"
)

// refusal is a piece of JSON to be laid over the typical VMI, and what is said to it.
type refusal struct {
	name, patch, want string
	unsupported       bool
}

var refusals = []refusal{
	{"architecture", `{"spec":{"architecture":"arm64"}}`, `spec.architecture: "arm64" is not supported, must be amd64`, true},
	{"unknown field", `{"spec":{"domain":{"fromTheFuture":{"a":[{"b":1}]}}}}`, "spec.domain.fromTheFuture.a[0].b: is not supported", true},
	{"empty unknown field", `{"spec":{"domain":{"devices":{"fromTheFuture":{}}}}}`, "spec.domain.devices.fromTheFuture: is not supported", true},
	{"gpu", `{"spec":{"domain":{"devices":{"gpus":[{"name":"g","deviceName":"nvidia.com/x"}]}}}}`, "spec.domain.devices.gpus[0]: devices of the node cannot be passed to a guest: remove it", true},
	{"host device", `{"spec":{"domain":{"devices":{"hostDevices":[{"name":"h","deviceName":"acme.com/x"}]}}}}`, "spec.domain.devices.hostDevices[0]: devices of the node cannot be passed to a guest: remove it", true},
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
	{"sriov", `{"spec":{"domain":{"devices":{"interfaces":[{"name":"default","sriov":{}}]}}}}`, "spec.domain.devices.interfaces[0].sriov: this binding is not supported yet; use `masquerade: {}`", true},
	{"volume kind", `{"spec":{"volumes":[{"name":"containerdisk","containerPath":{"path":"/x"}}]}}`, "spec.volumes[0].containerPath: a path of the launcher's container is not shared with a guest: use a claim, configMap or secret", true},
	{"memory dump", `{"spec":{"volumes":[{"name":"containerdisk","memoryDump":{"claimName":"c"}}]}}`, "spec.volumes[0].memoryDump: the memory of a guest is not dumped into a claim: remove the volume", true},
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
	{"lun of files", `{"spec":{"domain":{"devices":{"disks":[{"name":"v","lun":{}}]}},"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c"}}]}}`, "spec.domain: disk v: a LUN must be a block volume", false},
	{"disk without direct input", `{"spec":{"domain":{"devices":{"disks":[{"name":"v","disk":{},"cache":"none"}]}},"volumes":[{"name":"v","cloudInitNoCloud":{"userData":"x"}}]}}`,
		"spec.domain.devices.disks[0].cache: none is not possible, the file system of the volume knows no direct input and output", false},
	{"ACPI table without ACPI", `{"spec":{"domain":{"features":{"acpi":{"enabled":false}},"devices":{"disks":[{"name":"v","disk":{}}]},"firmware":{"acpi":{"slicNameRef":"v"}}},"volumes":[{"name":"v","secret":{"secretName":"s"}}]}}`,
		"spec.domain.firmware.acpi: needs features.acpi", false},
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
}

// onlyAtStart are the refusals that nobody could have known when the instance was written, by the names of their rows.
var onlyAtStart = map[string]string{
	"unknown field":              "an API server that is newer than the launcher",
	"empty unknown field":        "an API server that is newer than the launcher",
	"too few dedicated CPUs":     "what the kubelet gives the pod",
	"more NUMA nodes than pages": "where the CPUs of the pod are",
	"vsock without address":      "what virt-controller gives the instance",
	"lun of files":               "the mode of the claim's volume",
	"interface without tap":      "what virt-handler makes",
	"disk without direct input":  "the file system of the volume",
}

// everyGate opens what only a feature gate lets in, so that no gate is taken for a refusal.
var everyGate = validation.Options{FeatureGates: []string{
	"MultiArchitecture", "VSOCK", "DownwardMetrics", "PersistentReservation", "ContainerPathVolumes", "HostDisk", "WorkloadEncryptionSEV", "WorkloadEncryptionTDX",
}}

// atWrite is what virt-api says to an instance when it is made: it is refused, or its writer is warned that it cannot start.
func atWrite(t *testing.T, raw []byte, in support.Installation) (refused field.ErrorList, blocking []support.Reason, vmi *virtv1.VirtualMachineInstance) {
	t.Helper()
	vmi = &virtv1.VirtualMachineInstance{}
	if err := json.Unmarshal(raw, vmi); err != nil {
		t.Fatal(err)
	}
	virtv1.SetDefaults_VirtualMachineInstance(vmi)
	for _, r := range support.Instance(vmi.Annotations, &vmi.Spec, in) {
		if r.Blocks() {
			blocking = append(blocking, r)
		}
	}
	return validation.ValidateVirtualMachineInstance(vmi, everyGate), blocking, vmi
}

// TestRefusalsAreKnownAtWrite shows that the launcher refuses nothing that virt-api has let pass without a word, but for what can
// only be known at the start.
func TestRefusalsAreKnownAtWrite(t *testing.T) {
	used := map[string]bool{}
	for _, r := range refusals {
		raw, _ := load(t, "typical")
		refused, blocking, _ := atWrite(t, merge(t, raw, r.patch), support.Installation{Emulation: true})
		known := len(refused)+len(blocking) > 0
		why, late := onlyAtStart[r.name]
		used[r.name] = true
		switch {
		case !known && !late:
			t.Errorf("%s: %s: is accepted when it is written", r.name, r.want)
		case known && late:
			t.Errorf("%s: is known when it is written, not only by %s: %v %v", r.name, why, refused, blocking)
		}
	}
	for name := range onlyAtStart {
		if !used[name] {
			t.Errorf("there is no refusal %q", name)
		}
	}
}

// TestEachRefusalHasARow finds the places of this package that refuse something, and wants a row above that is met there.
func TestEachRefusalHasARow(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			fun, ok := call.Fun.(*ast.SelectorExpr)
			text, literal := call.Args[1].(*ast.BasicLit)
			if !ok || !literal || fun.Sel.Name != "invalid" && fun.Sel.Name != "unsupported" {
				return true
			}
			found++
			format, err := strconv.Unquote(text.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !met(format) {
				t.Errorf("%s: no row is refused with %q", name, format)
			}
			return true
		})
	}
	if found < 50 {
		t.Errorf("found only %d refusals", found)
	}
}

var verb = regexp.MustCompile(`%[a-z]`)

func met(format string) bool {
	pattern := regexp.MustCompile(": " + verb.ReplaceAllString(regexp.QuoteMeta(format), ".*") + "($|;)")
	for _, r := range refusals {
		if pattern.MatchString(r.want) {
			return true
		}
	}
	return false
}

// pieces are laid over an instance, each by itself and several at once: values that users write, and their neighbours.
var pieces = []string{
	`{"spec":{"domain":{"cpu":{"sockets":255}}}}`, `{"spec":{"domain":{"cpu":{"sockets":256}}}}`, `{"spec":{"domain":{"cpu":{"cores":288}}}}`, `{"spec":{"domain":{"cpu":{"threads":289}}}}`,
	`{"spec":{"domain":{"cpu":{"maxSockets":512}}}}`, `{"spec":{"domain":{"cpu":{"model":"Conroe"}}}}`, `{"spec":{"domain":{"cpu":{"model":"a+b"}}}}`,
	`{"spec":{"domain":{"cpu":{"features":[{"name":"pcid"},{"name":"a+b","policy":"disable"}]}}}}`,
	`{"spec":{"domain":{"memory":{"guest":"1M"}}}}`, `{"spec":{"domain":{"memory":{"guest":"1Mi"}}}}`, `{"spec":{"domain":{"memory":{"guest":"1500Ki"}}}}`, `{"spec":{"domain":{"memory":{"guest":"5Ti"}}}}`, `{"spec":{"domain":{"memory":{"guest":"128974848500m"}}}}`,
	`{"spec":{"domain":{"memory":{"guest":"1Gi","hugepages":{"pageSize":"2048Ki"}}}}}`, `{"spec":{"domain":{"memory":{"guest":"1025Mi","hugepages":{"pageSize":"2Mi"}}}}}`,
	`{"spec":{"domain":{"memory":{"guest":null,"hugepages":{"pageSize":"2Mi"}}}}}`, `{"spec":{"domain":{"memory":{"guest":null},"resources":{"limits":{"memory":"999999999"}}}}}`,
	`{"spec":{"domain":{"machine":{"type":"pc-q35-7.2"}}}}`, `{"spec":{"domain":{"machine":{"type":"q35-x"}}}}`,
	`{"spec":{"domain":{"firmware":{"serial":"` + strings.Repeat("s", 256) + `"}}}}`, `{"spec":{"domain":{"chassis":{"serial":"` + strings.Repeat("s", 256) + `"}}}}`,
	`{"spec":{"domain":{"firmware":{"bootloader":{"efi":{}}},"features":{"smm":{}}}}}`, `{"spec":{"domain":{"firmware":{"bootloader":{"bios":{"useSerial":true}}}}}}`,
	`{"spec":{"domain":{"firmware":{"kernelBoot":{"kernelArgs":"a","container":{"image":"i","kernelPath":"/k"}}}}}}`,
	`{"spec":{"domain":{"clock":{"timezone":"Europe/Prague"}}}}`, `{"spec":{"domain":{"clock":{"utc":{"offsetSeconds":-3600}}}}}`, `{"spec":{"domain":{"clock":{"utc":{"offsetSeconds":2000000000}}}}}`,
	`{"spec":{"domain":{"clock":{"timer":{"hpet":{"present":false},"pit":{"tickPolicy":"discard"},"rtc":{"tickPolicy":"catchup","track":"wall"},"kvm":{},"hyperv":{}}}}}}`,
	`{"spec":{"domain":{"features":{"acpi":{"enabled":false},"hyperv":{"evmcs":{},"tlbflush":{"direct":{},"extended":{}},"synictimer":{"direct":{}},"vendorid":{"vendorid":"a"}}}}}}`,
	`{"spec":{"domain":{"ioThreadsPolicy":"auto"}}}`, `{"spec":{"domain":{"ioThreadsPolicy":"supplementalPool","ioThreads":{"supplementalPoolThreadCount":64}}}}`,
	disk(`"disk":{"bus":"virtio"},"dedicatedIOThread":true`), disk(`"disk":{"bus":"virtio","pciAddress":"0000:00:1e.7"}`), disk(`"disk":{"bus":"virtio","pciAddress":"0000:00:01.0"}`), disk(`"cdrom":{"bus":"virtio"}`),
	disk(`"disk":{"bus":"usb"},"serial":"` + strings.Repeat("s", 256) + `"`), disk(`"disk":{"bus":"scsi","readonly":true},"errorPolicy":"enospace"`), disk(`"disk":{"bus":"virtio"},"io":"native"`), disk(`"disk":{},"io":"threads","cache":"writeback"`),
	disk(`"disk":{"bus":"virtio"},"blockSize":{"custom":{"logical":4096,"physical":8192,"discardGranularity":4096}}`), disk(`"disk":{},"blockSize":{"matchVolume":{}}`), disk(`"disk":{},"bootOrder":1`),
	many(2, "virtio"), many(25, "virtio"), many(26, "virtio"), many(30, "sata"), many(150, "sata"), many(16, "usb"), many(100, "scsi"), long("disk"), long("filesystem"),
	`{"spec":{"domain":{"devices":{"inputs":[{"name":"a","type":"tablet","bus":"virtio"},{"name":"b b","type":"tablet"}]}}}}`, `{"spec":{"domain":{"devices":{"autoattachInputDevice":true}}}}`,
	`{"spec":{"domain":{"devices":{"panicDevices":[{},{"model":"pvpanic"},{"model":"hyperv"}]}}}}`, `{"spec":{"domain":{"devices":{"panicDevices":[{"model":"isa"},{}]}}}}`,
	`{"spec":{"domain":{"devices":{"watchdog":{"name":"a/b"}}}}}`, `{"spec":{"domain":{"devices":{"watchdog":{"name":"` + strings.Repeat("w", 200) + `"}}}}}`, `{"spec":{"domain":{"devices":{"sound":{"name":"s"},"rng":{},"tpm":{},"clientPassthrough":{}}}}}`,
	`{"spec":{"domain":{"devices":{"autoattachGraphicsDevice":false,"autoattachMemBalloon":false,"autoattachSerialConsole":false}}}}`, `{"spec":{"domain":{"devices":{"video":{"type":"ramfb"}}}}}`,
	`{"spec":{"domain":{"devices":{"interfaces":[{"name":"default","masquerade":{},"macAddress":"dead.beef.0001","model":"e1000","bootOrder":1,"state":"down"}]}}}}`,
	`{"spec":{"domain":{"devices":{"interfaces":[{"name":"default","masquerade":{},"macAddress":"0000.0000.0000"}]}}}}`, `{"spec":{"domain":{"devices":{"interfaces":[{"name":"default","masquerade":{},"pciAddress":"0000:00:02.0"}]}}}}`,
	`{"spec":{"domain":{"rebootPolicy":"Terminate"},"startStrategy":"Paused"}}`,
	volume(`"emptyDisk":{"capacity":"1"}`), volume(`"cloudInitNoCloud":{"userData":"x"}`), volume(`"ephemeral":{"persistentVolumeClaim":{"claimName":"c"}}`), volume(`"sysprep":{"secret":{"name":"s"}}`), volume(`"downwardMetrics":{}`),
	`{"metadata":{"name":"` + strings.Repeat("n", 253) + `","namespace":"` + strings.Repeat("n", 63) + `"}}`,
}

// many has n disks more on a bus.
func many(n int, bus string) string {
	var disks, volumes []string
	for i := range n {
		name := `"name":"m` + strconv.Itoa(i) + `"`
		disks = append(disks, `{`+name+`,"disk":{"bus":"`+bus+`"}}`)
		volumes = append(volumes, `{`+name+`,"emptyDisk":{"capacity":"1Gi"}}`)
	}
	return `{"spec":{"domain":{"devices":{"disks":[` + strings.Join(disks, ",") + `]}},"volumes":[` + strings.Join(volumes, ",") + `]}}`
}

// long has a disk, or a file system, whose name is as long as may be.
func long(what string) string {
	name := `"name":"` + strings.Repeat("d", 253) + `"`
	if what == "filesystem" {
		return `{"spec":{"domain":{"devices":{"filesystems":[{` + name + `,"virtiofs":{}}]}},"volumes":[{` + name + `,"configMap":{"name":"c"}}]}}`
	}
	return `{"spec":{"domain":{"devices":{"disks":[{` + name + `,"disk":{}}]}},"volumes":[{` + name + `,"emptyDisk":{"capacity":"1Gi"}}]}}`
}

// TestWhatIsAcceptedStarts makes machines of instances that are made up of pieces. What virt-api takes without a word that it
// cannot start must give a command line.
func TestWhatIsAcceptedStarts(t *testing.T) {
	base, _ := load(t, "tiny")
	random := rand.New(rand.NewPCG(1, 2))
	taken := 0
	try := func(patches ...string) {
		raw := base
		for _, p := range patches {
			raw = merge(t, raw, p)
		}
		for _, emulation := range []bool{true, false} {
			refused, blocking, vmi := atWrite(t, raw, support.Installation{Emulation: emulation})
			if len(refused)+len(blocking) > 0 {
				continue
			}
			taken++
			if err := start(t, vmi, emulation); err != nil {
				t.Errorf("emulation %v, %.300s: is accepted and does not start: %v", emulation, strings.Join(patches, " "), err)
			}
		}
	}
	try()
	for _, p := range pieces {
		try(p)
	}
	for range 1500 {
		var patches []string
		for range 2 + random.IntN(4) {
			patches = append(patches, pieces[random.IntN(len(pieces))])
		}
		try(patches...)
	}
	if taken < 500 {
		t.Errorf("only %d instances were accepted", taken)
	}
}

// start goes the launcher's way up to the command line.
func start(t *testing.T, vmi *virtv1.VirtualMachineInstance, emulation bool) error {
	t.Helper()
	raw, err := json.Marshal(vmi)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckFields(raw); err != nil {
		return err
	}
	if _, err := Volumes(vmi, DefaultPaths()); err != nil {
		return err
	}
	r, err := Machine(input(t, vmi, emulation))
	if err != nil {
		return err
	}
	_, err = r.Machine.Args()
	return err
}

// TestWarningsAreKnownAtWrite wants each thing that a machine is started without to be one that virt-api has warned of.
func TestWarningsAreKnownAtWrite(t *testing.T) {
	const hyperv = `{"spec":{"domain":{"features":{"hyperv":{"vapic":{},"spinlocks":{},"vendorid":{"vendorid":"a"}},"apic":{"endOfInterrupt":true},"pvspinlock":{},"kvm":{"hidden":true}},`
	met := 0
	for _, patch := range []string{
		`{"spec":{"domain":{"memory":{"maxGuest":"64Gi"},"cpu":{"maxSockets":512}}}}`, disk(`"cdrom":{"readonly":false}`), disk(`"disk":{},"serial":"` + strings.Repeat("s", 30) + `"`),
		disk(`"disk":{"bus":"scsi"},"serial":"` + strings.Repeat("s", 40) + `"`), hyperv + `"clock":{"timer":{"kvm":{},"hyperv":{}}},"devices":{"panicDevices":[{"model":"hyperv"}]}}}}`,
		`{"spec":{"domain":{"features":{"hypervPassthrough":{}}}}}`,
	} {
		base, _ := load(t, "tiny")
		for _, emulation := range []bool{true, false} {
			in := support.Installation{Emulation: emulation}
			_, _, vmi := atWrite(t, merge(t, base, patch), in)
			known := support.Instance(nil, &vmi.Spec, in)
			r, err := Machine(input(t, vmi, emulation))
			if err != nil {
				t.Fatalf("%s: %v", patch, err)
			}
			for _, w := range r.Warnings {
				met++
				field, _, _ := strings.Cut(w, ": ")
				if !covered(known, field) {
					t.Errorf("%s, emulation %v: virt-api has not warned of %s: %v", patch, emulation, w, known)
				}
			}
		}
	}
	if met < 10 {
		t.Errorf("only %d warnings", met)
	}
}

// covered says whether a reason is of the field, of one above it or of one below it.
func covered(reasons []support.Reason, field string) bool {
	for _, r := range reasons {
		if r.Field == field || strings.HasPrefix(field, r.Field+".") || strings.HasPrefix(r.Field, field+".") {
			return true
		}
	}
	return false
}
