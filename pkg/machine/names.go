package machine

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// Device resources that the node's device plugin offers and launcher pods ask for (row P5-OBS-21).
const (
	ResourceKVM      = "devices.kubevirt.io/kvm"
	ResourceTun      = "devices.kubevirt.io/tun"
	ResourceVhostNet = "devices.kubevirt.io/vhost-net"
	// ResourceVhostVSOCK is the kernel's end of sockets between guests and their node.
	ResourceVhostVSOCK = "devices.kubevirt.io/vhost-vsock"
)

// User and group that QEMU and the launcher run as, and that own container disks (decision 24, row P3-CDISK-07).
const (
	QEMUUser  int64 = 107
	QEMUGroup int64 = 107
)

// Names of the components as label selectors and runbooks use them (row P5-GEN-11).
const (
	LauncherAppName = "virt-launcher"
	HandlerAppName  = "virt-handler"
	// ComputeContainer is the container of a launcher pod that runs the guest (row P5-OBS-20).
	ComputeContainer = "compute"
	// ConsoleLogContainer prints what the guest writes on its serial console.
	ConsoleLogContainer = "guest-console-log"
	// HandlerPort is the mutual-TLS port of virt-handler.
	HandlerPort = 8186
)

const (
	// maxPodName leaves room for the host name that is derived from it: a label of at most 63 characters would be too
	// short for VMI names of up to 253, so the pod sets its host name itself.
	maxPodName = 253
	hashLength = 5
	// podLogName is what the kubelet's folder of a pod's logs has beside the pod's name and its namespace: the pod's uid and two
	// underscores.
	podLogName = 38
)

// LauncherPodName is the name of the launcher pod of the attempt-th try to run the instance. It is a pure function of
// its arguments, so that a controller that crashed between creating the pod and recording it creates the same pod again
// and adopts it (decision 21).
//
// A name that is too long, with that of its namespace, for the kubelet's folder of the pod's logs is cut.
func LauncherPodName(namespace, vmiName string, vmiUID types.UID, attempt int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", vmiUID, attempt))
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:hashLength]
	name := vmiName
	most := min(maxPodName, maxFileName-podLogName-len(namespace))
	if room := most - len(LauncherAppName) - hashLength - 2; len(name) > room {
		name = strings.TrimRight(name[:room], ".-")
	}
	return fmt.Sprintf("%s-%s-%s", LauncherAppName, name, hash)
}

// StartRevision is the name of the ControllerRevision that holds the spec of a machine as of the generation that an instance
// was made from.
func StartRevision(vmUID types.UID, generation string) string {
	return fmt.Sprintf("revision-start-vm-%s-%s", vmUID, generation)
}

// HostName is the host name of an instance's pod and guest: the one its spec asks for, or its own name without what
// follows the first dot, cut to the 63 characters of a DNS label.
func HostName(specHostname, vmiName string) string {
	name := specHostname
	if name == "" {
		name, _, _ = strings.Cut(vmiName, ".")
	}
	if len(name) > 63 {
		name = strings.TrimRight(name[:63], "-")
	}
	return name
}
