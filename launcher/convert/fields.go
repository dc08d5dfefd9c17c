package convert

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/virtplane/virtplane/pkg/machine/support"
)

// converted are the fields of a VMI's spec that this package reads. A name that ends in ".*" takes in all below it;
// [] stands for the entries of a list.
var converted = words(`
	architecture hostname startStrategy subdomain terminationGracePeriodSeconds
	networks[].name
	accessCredentials[].*

	domain.chassis.asset domain.chassis.manufacturer domain.chassis.serial domain.chassis.sku domain.chassis.version
	domain.clock.timezone domain.clock.utc.offsetSeconds
	domain.clock.timer.hpet.present domain.clock.timer.hyperv.present domain.clock.timer.kvm.present
	domain.clock.timer.pit.present domain.clock.timer.pit.tickPolicy
	domain.clock.timer.rtc.present domain.clock.timer.rtc.tickPolicy domain.clock.timer.rtc.track domain.clock.timer.hpet.tickPolicy
	domain.cpu.cores domain.cpu.sockets domain.cpu.threads domain.cpu.model domain.cpu.features[].name domain.cpu.features[].policy
	domain.cpu.maxSockets domain.cpu.dedicatedCpuPlacement domain.cpu.isolateEmulatorThread domain.cpu.numa.guestMappingPassthrough
	domain.ioThreadsPolicy domain.ioThreads.supplementalPoolThreadCount domain.memory.hugepages.pageSize
	domain.memory.maxGuest domain.memory.reservedOverhead.memLock
	domain.features.acpi.enabled domain.features.apic.enabled domain.features.apic.endOfInterrupt domain.features.hyperv.*
	domain.features.hypervPassthrough.enabled domain.features.kvm.hidden domain.features.pvspinlock.enabled domain.features.smm.enabled
	domain.firmware.bootloader.bios.useSerial domain.firmware.bootloader.efi.secureBoot
	domain.firmware.bootloader.efi.persistent domain.firmware.acpi.slicNameRef domain.firmware.acpi.msdmNameRef
	domain.firmware.kernelBoot.kernelArgs domain.firmware.kernelBoot.container.kernelPath domain.firmware.kernelBoot.container.initrdPath
	domain.firmware.serial domain.firmware.uuid
	domain.machine.type domain.memory.guest domain.rebootPolicy

	domain.devices.autoattachGraphicsDevice domain.devices.autoattachInputDevice domain.devices.autoattachMemBalloon
	domain.devices.autoattachSerialConsole domain.devices.blockMultiQueue domain.devices.disableHotplug
	domain.devices.useVirtioTransitional domain.devices.rng domain.devices.video.type domain.devices.panicDevices[].model
	domain.devices.watchdog.name domain.devices.watchdog.i6300esb.action
	domain.devices.tpm.enabled domain.devices.tpm.persistent domain.devices.sound.name domain.devices.sound.model
	domain.devices.autoattachVSOCK domain.devices.clientPassthrough
	domain.devices.disks[].dedicatedIOThread domain.devices.disks[].blockSize.matchVolume.enabled
	domain.devices.inputs[].name domain.devices.inputs[].type domain.devices.inputs[].bus
	domain.devices.disks[].name domain.devices.disks[].bootOrder domain.devices.disks[].cache domain.devices.disks[].io
	domain.devices.disks[].errorPolicy domain.devices.disks[].serial domain.devices.disks[].shareable
	domain.devices.disks[].blockSize.custom.*
	domain.devices.disks[].disk.bus domain.devices.disks[].disk.readonly domain.devices.disks[].disk.pciAddress
	domain.devices.disks[].cdrom.bus domain.devices.disks[].cdrom.readonly domain.devices.disks[].cdrom.tray
	domain.devices.disks[].lun.bus domain.devices.disks[].lun.readonly
	domain.devices.interfaces[].name domain.devices.interfaces[].model domain.devices.interfaces[].macAddress
	domain.devices.interfaces[].bootOrder domain.devices.interfaces[].acpiIndex domain.devices.interfaces[].pciAddress
	domain.devices.interfaces[].state domain.devices.interfaces[].masquerade domain.devices.interfaces[].bridge
	domain.devices.interfaces[].dhcpOptions.*

	volumes[].name volumes[].containerDisk.path volumes[].emptyDisk.capacity
	volumes[].cloudInitNoCloud.* volumes[].cloudInitConfigDrive.*
	volumes[].persistentVolumeClaim.claimName volumes[].persistentVolumeClaim.readOnly
	volumes[].dataVolume.name
	volumes[].configMap.name volumes[].configMap.volumeLabel volumes[].secret.secretName volumes[].secret.volumeLabel
	volumes[].serviceAccount.serviceAccountName volumes[].downwardAPI.volumeLabel volumes[].sysprep.configMap.name volumes[].sysprep.secret.name
	volumes[].ephemeral.persistentVolumeClaim.claimName volumes[].ephemeral.persistentVolumeClaim.readOnly
	volumes[].hostDisk.* volumes[].downwardMetrics
	domain.devices.filesystems[].name domain.devices.filesystems[].virtiofs domain.devices.downwardMetrics
`)

// elsewhere are the fields that shape the pod or the cluster's dealings with it; the launcher has no part in them.
var elsewhere = words(`
	affinity.* dnsConfig.* dnsPolicy evictionStrategy livenessProbe.* readinessProbe.* nodeSelector.* priorityClassName
	schedulerName serviceAccountName tolerations[].* topologySpreadConstraints[].*
	networks[].pod.* networks[].multus.*
	domain.memory.reservedOverhead.addedOverhead domain.resources.*
	domain.devices.autoattachPodInterface domain.devices.logSerialConsole domain.devices.networkInterfaceMultiqueue
	domain.devices.interfaces[].ports[].* domain.devices.interfaces[].portRanges[].*
	domain.firmware.kernelBoot.container.image domain.firmware.kernelBoot.container.imagePullPolicy
	domain.firmware.kernelBoot.container.imagePullSecret
	volumes[].containerDisk.image volumes[].containerDisk.imagePullPolicy volumes[].containerDisk.imagePullSecret
	volumes[].persistentVolumeClaim.hotpluggable volumes[].dataVolume.hotpluggable
	volumes[].configMap.optional volumes[].secret.optional volumes[].downwardAPI.fields[].*
`)

// why are the fields that stand on neither list, with what to tell who asks for them: those lines of the table of what is not
// served that hold for any value. Some of those are the node's affair alone, and known here.
var why = func() map[string]string {
	out := map[string]string{}
	for _, r := range support.Rows() {
		if pattern, ok := strings.CutPrefix(r.Field, "spec."); ok && r.Any() && r.Kind != support.NoEffect && known(pattern) == none {
			out[pattern] = r.Why
		}
	}
	return out
}()

func words(list string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(list) {
		out[w] = true
	}
	return out
}

// CheckFields refuses what a VMI asks for and this package does not know: it walks the JSON that was sent, so that a
// field which this program's own types lack is met as well. A false, a zero and an empty text ask for nothing.
func CheckFields(vmi []byte) error {
	var doc struct {
		Spec map[string]any `json:"spec"`
	}
	if err := json.Unmarshal(vmi, &doc); err != nil {
		return fmt.Errorf("decoding VMI: %w", err)
	}
	var p problems
	walk(doc.Spec, "", "spec", &p)
	return p.err()
}

// walk compares a value with the lists; pattern has [] where path has an index.
func walk(value any, pattern, path string, p *problems) {
	if reason := why[pattern]; reason != "" {
		if value != nil && value != false {
			p.unsupported(path, "%s", reason)
		}
		return
	}
	switch known(pattern) {
	case whole:
		return
	case leaf:
		// A list or object here would be a mistake of the lists above; its members decide.
		if !container(value) {
			return
		}
	}
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			if pattern != "" && !within(pattern) {
				p.unsupported(path, "is not supported")
			}
			return
		}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			walk(v[k], strings.TrimPrefix(pattern+"."+k, "."), path+"."+k, p)
		}
	case []any:
		for i, e := range v {
			walk(e, pattern+"[]", fmt.Sprintf("%s[%d]", path, i), p)
		}
	case nil:
	case bool:
		if v {
			p.unsupported(path, "is not supported")
		}
	case float64:
		if v != 0 {
			p.unsupported(path, "is not supported")
		}
	case string:
		if v != "" {
			p.unsupported(path, "is not supported")
		}
	}
}

func container(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) > 0
	case []any:
		return true
	}
	return false
}

type knowledge int

const (
	none knowledge = iota
	leaf
	whole
)

// known tells whether a pattern stands in a list, by itself or below a starred name.
func known(pattern string) knowledge {
	for p := pattern; p != ""; p = parent(p) {
		if converted[p+".*"] || elsewhere[p+".*"] {
			return whole
		}
	}
	if converted[pattern] || elsewhere[pattern] {
		return leaf
	}
	return none
}

func parent(p string) string {
	i := strings.LastIndex(p, ".")
	if i < 0 {
		return ""
	}
	return p[:i]
}

// within tells whether an empty object is on the way to a known field: "efi: {}" asks for what its members say.
func within(pattern string) bool {
	for _, list := range []map[string]bool{converted, elsewhere} {
		for w := range list {
			if strings.HasPrefix(w, pattern+".") || strings.HasPrefix(w, pattern+"[") {
				return true
			}
		}
	}
	return known(pattern) != none
}
