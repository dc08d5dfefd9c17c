// Command overlay prints which overlay the local cluster is installed from: local, whose guests run on KVM as those of users
// do, or local-emulation where this machine has no fast KVM. It asks the probe that the nodes ask, and says on standard error
// what that has found.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/virtplane/virtplane/device-plugin/kvmprobe"
)

const (
	kvmDevice      = "/dev/kvm"
	vhostNetDevice = "/dev/vhost-net"
	// deadline is the nodes' own.
	deadline = 15 * time.Second
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == kvmprobe.Subcommand { // the probe's child
		_, _ = os.Stdout.Write(kvmprobe.Child(os.Args[2]))
		return
	}
	result := kvmprobe.Run(context.Background(), deadline, "/proc/self/exe", kvmprobe.Subcommand, kvmDevice)
	_, vhost := os.Stat(vhostNetDevice)
	overlay, why := choose(result, vhost)
	fmt.Fprintln(os.Stderr, why)
	fmt.Println(overlay)
}

// choose takes the overlay by what the probe has found, and by why vhost-net is missing: on KVM, guests with a network ask for both.
func choose(kvm kvmprobe.Result, vhost error) (overlay, why string) {
	const emulated = "manifests/overlays/local-emulation"
	switch {
	case !kvm.Usable:
		return emulated, fmt.Sprintf("KVM of this machine: not usable: %s; guests are emulated", kvm.Message)
	case vhost != nil:
		return emulated, fmt.Sprintf("KVM of this machine: not usable without vhost-net (modprobe vhost-net): %v; guests are emulated", vhost)
	}
	return "manifests/overlays/local", fmt.Sprintf("KVM of this machine: usable: %s; guests run on it", kvm.Message)
}
