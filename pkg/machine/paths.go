package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
)

// Names of the volumes of a launcher pod, and where they are mounted. virt-handler finds the sockets volume through the
// kubelet's pods directory, hence its name is part of the contract (decision 26).
const (
	PrivateVolume   = "private"
	SocketsVolume   = "sockets"
	EphemeralVolume = "ephemeral-disks"
	TmpVolume       = "tmp"

	PrivateDir       = "/var/run/kubevirt-private"
	SocketsDir       = "/var/run/kubevirt"
	EphemeralDir     = "/var/run/kubevirt-ephemeral-disks"
	ContainerDiskDir = "/var/run/kubevirt-container-disks"
	KernelBootDir    = "/var/run/kubevirt-kernel-boot"
	ClaimDir         = "/var/run/kubevirt-vmi-disks"
	SecretDir        = "/var/run/kubevirt-secrets"
	CredentialDir    = "/var/run/kubevirt-access-credentials"
	ConfigDir        = "/var/run/kubevirt-config"
	HostDiskDir      = "/var/run/kubevirt-host-disks"
	// StateDir is where the claim is mounted that keeps UEFI variables and TPM state from one instance of a machine to the next.
	StateDir          = "/var/run/kubevirt-state"
	KernelBootVolume  = "kernel-boot"
	NetworkDataSuffix = "-networkdata"
)

// Sockets inside SocketsDir.
const (
	LauncherSocket = "launcher.sock"
	SerialSocket   = "virt-serial0"
	// SerialHistorySocket is for who wants to see first what the console has said before.
	SerialHistorySocket = "virt-serial0-history"
	VNCSocket           = "virt-vnc"
)

// USBRedirections is how many USB devices of clients a guest has plugs for.
const USBRedirections = 4

// USBRedirSocket is the name of the socket of the nth plug for a client's USB device, counted from 0.
func USBRedirSocket(n int) string { return fmt.Sprintf("virt-usbredir-%d", n) }

// ConsoleLogSocket is the socket inside PrivateDir that carries the serial console from the pod's first process to the
// container that logs it.
const ConsoleLogSocket = "console-log.sock"

// ContainerDiskPath is where the image of the containerDisk volume is mounted.
func ContainerDiskPath(volume string) string { return path.Join(ContainerDiskDir, volume) }

// ClaimPath is where the claim of a disk is mounted, when its volume mode is Filesystem.
func ClaimPath(volume string) string { return path.Join(ClaimDir, volume) }

// ClaimDevice is where the claim of a disk appears, when its volume mode is Block.
func ClaimDevice(volume string) string { return path.Join("/dev", volume) }

// UserDataPath and NetworkDataPath are where the Secrets that a cloud-init volume refers to are mounted.
func UserDataPath(volume string) string { return path.Join(SecretDir, volume) }

// NetworkDataPath is where the Secret with network data is mounted.
func NetworkDataPath(volume string) string {
	return path.Join(SecretDir, FileName(volume, NetworkDataSuffix))
}

// maxFileName is how long the name of a file is at most.
const maxFileName = 255

// FileName is the name of a file that belongs to a volume, whose own name may be as long as that of a file.
func FileName(volume, suffix string) string {
	if len(volume)+len(suffix) <= maxFileName {
		return volume + suffix
	}
	sum := sha256.Sum256([]byte(volume))
	tail := "-" + hex.EncodeToString(sum[:])[:2*hashLength]
	return volume[:maxFileName-len(suffix)-len(tail)] + tail + suffix
}

// CredentialPath is where a Secret with keys or passwords for the guest is mounted, by the Secret's name.
func CredentialPath(secret string) string { return path.Join(CredentialDir, secret) }

// ConfigPath is where the files of a configMap, secret, serviceAccount, downwardAPI or sysprep volume are mounted.
func ConfigPath(volume string) string { return path.Join(ConfigDir, volume) }

// HostDiskPath is where the folder of a hostDisk volume's file is mounted, or the file itself inside of it when it must
// be there already.
func HostDiskPath(volume string) string { return path.Join(HostDiskDir, volume) }
