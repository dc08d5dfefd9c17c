package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

const (
	// StateVolume is the pod's volume of the claim that keeps what a machine's firmware and TPM remember.
	StateVolume = "persistent-state"
	// StateLabel bears the machine's name on that claim. The claim's name begins with it, as in the reference.
	StateLabel = "persistent-state-for"
)

// KeepsState tells whether what the firmware or the TPM of a machine remembers outlives its instances.
func KeepsState(spec *virtv1.VirtualMachineInstanceSpec) bool {
	tpm := spec.Domain.Devices.TPM
	if tpm != nil && (tpm.Enabled == nil || *tpm.Enabled) && IsTrue(tpm.Persistent) {
		return true
	}
	fw := spec.Domain.Firmware
	return fw != nil && fw.Bootloader != nil && fw.Bootloader.EFI != nil && IsTrue(fw.Bootloader.EFI.Persistent)
}

// StateClaimName is the name of the claim that keeps the state of an instance, and of the machine whose it is.
func StateClaimName(vmiName string) string {
	name := StateLabel + "-" + vmiName
	if len(name) <= maxPodName {
		return name
	}
	sum := sha256.Sum256([]byte(vmiName))
	tail := "-" + hex.EncodeToString(sum[:])[:2*hashLength]
	return strings.TrimRight(name[:maxPodName-len(tail)], ".-") + tail
}
