package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// TestDisks shows a guest every kind of disk and what becomes of its content.
func TestDisks(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 200Mi}}
---
apiVersion: v1
kind: Secret
metadata: {name: seed}
stringData:
  userdata: |
    #!/bin/sh
    echo from-secret >/run/from-secret
`)
	c.Apply(t, ns, harness.Instance{
		GracePeriod: 20,
		Disks: `
- name: data
  disk: {bus: virtio}
- name: scratch
  disk: {bus: virtio}
- name: seed
  disk: {bus: virtio}`,
		Volumes: `
- name: data
  persistentVolumeClaim: {claimName: data}
- name: scratch
  emptyDisk: {capacity: 64Mi}
- name: seed
  cloudInitNoCloud: {secretRef: {name: seed}}`,
	}.VM("disks", "Always"))
	c.Apply(t, ns, harness.Instance{
		GracePeriod: 0,
		Disks:       "- name: seed\n  disk: {bus: virtio}",
		Volumes:     "- name: seed\n  cloudInitConfigDrive:\n    userData: |\n      #!/bin/sh\n      echo from-drive >/run/from-drive",
		Extra:       "hostname: chosen\n",
	}.VMI("drive"))
	first := c.WaitVMI(t, ns, "disks", "running", harness.BootLimit, harness.Running)
	console := c.Console(t, ns, "disks")
	harness.Shell(t, console)
	sizes := func() map[string]string {
		out := harness.Run(t, console, `for d in /sys/block/vd*; do echo "${d##*/} $(cat $d/size)"; done`)
		got := map[string]string{}
		for line := range strings.SplitSeq(out, "\n") {
			if name, size, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				got[name] = size
			}
		}
		return got
	}

	t.Run("what the guest sees", func(t *testing.T) {
		got := sizes()
		if len(got) != 4 {
			t.Fatalf("disks %v, want vda to vdd", got)
		}
		if got["vdc"] != fmt.Sprint(64<<20/512) {
			t.Errorf("the empty disk has %s sectors", got["vdc"])
		}
		if got := harness.Run(t, console, "cat /run/from-secret"); got != "from-secret" {
			t.Errorf("user data from the Secret did not run: %q", got)
		}
		c.WaitVMI(t, ns, "disks", "bound to its node by a claim that is not shared", time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool {
			return vmi != nil && slices.ContainsFunc(vmi.Status.Conditions, func(cond virtv1.VirtualMachineInstanceCondition) bool {
				return cond.Type == virtv1.VirtualMachineInstanceIsMigratable && cond.Status == "False" && cond.Reason == "DisksNotLiveMigratable" &&
					strings.Contains(cond.Message, `"data"`) && strings.Contains(cond.Message, "ReadWriteMany")
			})
		})
		spec.Covers(t, "P1-VOL-05", "P1-PLAN-17")
	})
	t.Run("config drive", func(t *testing.T) {
		c.WaitVMI(t, ns, "drive", "running", harness.BootLimit, harness.Running)
		console := c.Console(t, ns, "drive")
		harness.Shell(t, console)
		if got := harness.Run(t, console, "cat /run/from-drive; hostname"); got != "from-drive\nchosen" {
			t.Errorf("the guest says %q", got)
		}
	})
	t.Run("a claim keeps, a container disk forgets", func(t *testing.T) {
		// The claim's disk is blank: it takes a mark at its start, the container disk one in a free sector near its end.
		harness.Run(t, console, "echo kept | dd of=/dev/vdb conv=notrunc 2>/dev/null; mkdir -p /mnt; echo scratch | dd of=/dev/vdc conv=notrunc 2>/dev/null; sync")
		last := "$(( $(cat /sys/block/vda/size) - 1 ))"
		harness.Run(t, console, "echo forgotten | dd of=/dev/vda bs=512 seek="+last+" conv=notrunc 2>/dev/null; sync")
		act(t, c, ns, "virtualmachines", "disks", "restart", "", http.StatusAccepted)
		c.WaitVMI(t, ns, "disks", "running anew", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
			return harness.Running(vmi) && vmi.UID != first.UID
		})
		console = c.Console(t, ns, "disks")
		harness.Shell(t, console)
		if got := harness.Run(t, console, "head -c 4 /dev/vdb"); got != "kept" {
			t.Errorf("the claim's disk holds %q", got)
		}
		if got := harness.Run(t, console, "head -c 7 /dev/vdc | tr -d '\\000'"); got != "" {
			t.Errorf("the empty disk still holds %q", got)
		}
		if got := harness.Run(t, console, "dd if=/dev/vda bs=512 skip="+last+" 2>/dev/null | tr -d '\\000'"); strings.Contains(got, "forgotten") {
			t.Error("the container disk still holds what was written before the restart")
		}
		spec.Covers(t, "P3-CDISK-03", "P3-CDISK-02", "P3-CDISK-05", "P1-VOL-02", "P1-VOL-06")
	})
	t.Run("a claim outlives its machine", func(t *testing.T) {
		c.Kubectl(t, "", "-n", ns, "delete", "vm", "disks", "--timeout=90s")
		c.Apply(t, ns, harness.Instance{
			Disks:   "- name: data\n  disk: {bus: virtio}",
			Volumes: "- name: data\n  persistentVolumeClaim: {claimName: data}",
		}.VMI("heir"))
		c.WaitVMI(t, ns, "heir", "running", harness.BootLimit, harness.Running)
		console := c.Console(t, ns, "heir")
		harness.Shell(t, console)
		if got := harness.Run(t, console, "head -c 4 /dev/vdb"); got != "kept" {
			t.Errorf("the claim's disk holds %q", got)
		}
	})
}

// TestKernelBoot starts a guest by BIOS from a kernel and an initrd in a container image, without a disk; TestStateOfMachines
// has one by UEFI. The kernel's check of the timer is left out, as in the tiny guest itself: an emulated one that a busy host
// holds up fails it.
func TestKernelBoot(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, `
apiVersion: kubevirt.io/v1
kind: VirtualMachineInstance
metadata: {name: kernel}
spec:
  terminationGracePeriodSeconds: 0
  domain:
    memory: {guest: 128Mi}
    firmware:
      kernelBoot:
        container: {image: `+harness.KernelImage+`, kernelPath: /boot/vmlinuz, initrdPath: /boot/initrd}
        kernelArgs: console=ttyS0 quiet tsc=reliable no_timer_check mark=from-the-spec
    devices:
      autoattachGraphicsDevice: false
      autoattachPodInterface: false
`)
	c.WaitVMI(t, ns, "kernel", "running", harness.BootLimit, harness.Running)
	console := c.Console(t, ns, "kernel")
	harness.Shell(t, console)
	if got := harness.Run(t, console, "cat /proc/cmdline; [ -d /sys/firmware/efi ] && echo efi || echo bios"); !strings.Contains(got, "mark=from-the-spec") || !strings.HasSuffix(got, "bios") {
		t.Errorf("command line and firmware %q", got)
	}
}

// TestTwoGuestsOfOneImage runs two machines from one container disk at the same time.
func TestTwoGuestsOfOneImage(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	node := c.Nodes(t)[0]
	// Launchers need no more than what Kubernetes leaves to the least trusted pods.
	c.Kubectl(t, "", "label", "namespace", ns, "pod-security.kubernetes.io/enforce=restricted")
	for _, name := range []string{"one", "two"} {
		c.Apply(t, ns, harness.Instance{NodeName: node}.VMI(name))
	}
	ids := map[string]bool{}
	for _, name := range []string{"one", "two"} {
		c.WaitVMI(t, ns, name, "running", harness.BootLimit, harness.Running)
		ids[c.BootID(t, ns, name)] = true
	}
	if len(ids) != 2 {
		t.Errorf("boot ids %v", ids)
	}
	spec.Covers(t, "P3-CDISK-01", "P3-CDISK-12", "P3-CDISK-08", "P2-VMI-03", "P3-NETPOD-10")
}
