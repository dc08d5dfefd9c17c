package e2e

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// kernelGuest is a machine whose guest comes without a disk, so that any firmware starts it; hardware are lines of its domain,
// devices lines of its devices.
func kernelGuest(name, firmware, hardware, devices string) string {
	return `
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: ` + name + `}
spec:
  runStrategy: Always
  template:
    spec:
      terminationGracePeriodSeconds: 0
      domain:
        memory: {guest: 256Mi}
` + harness.Indent(8, hardware) + `        devices:
          autoattachGraphicsDevice: false
          autoattachPodInterface: false
` + harness.Indent(10, devices) + `        firmware:
` + harness.Indent(10, firmware) + `          kernelBoot:
            kernelArgs: console=ttyS0 quiet tsc=reliable no_timer_check
            container: {image: "` + harness.TinyKernelImage + `", kernelPath: /boot/vmlinuz, initrdPath: /boot/initrd}
`
}

// again restarts a machine and looks into its next guest.
func again(t *testing.T, c *harness.Cluster, ns, name string) *insight {
	t.Helper()
	before := c.WaitVMI(t, ns, name, "running", harness.BootLimit, harness.Running)
	act(t, c, ns, "virtualmachines", name, "restart", "", http.StatusAccepted)
	c.WaitVMI(t, ns, name, "running anew", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
		return harness.Running(vmi) && vmi.UID != before.UID
	})
	return lookInto(t, c, ns, name)
}

// tell sends a command of the TPM 2.0 library specification to the guest's TPM and gives the response, both in hexadecimal.
func (g *insight) tell(t *testing.T, command string) string {
	t.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll(command, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	var bytes strings.Builder
	for _, b := range raw {
		fmt.Fprintf(&bytes, `\x%02x`, b)
	}
	return strings.ReplaceAll(g.run(t, "printf '"+bytes.String()+"' >/tmp/command; exec 3<>/dev/tpm0; cat /tmp/command >&3; dd bs=4096 count=1 <&3 2>/dev/null | xxd -p; exec 3>&-"), "\n", "")
}

const (
	// An index of the TPM that its owner, who has no password, may write and read, with eight bytes: it is defined, written, read.
	nvDefine = "8002 0000002d 0000012a 40000001 00000009 40000009 0000 01 0000 0000 000e 01800001 000b 02020002 0000 0008"
	nvWrite  = "8002 0000002b 00000137 40000001 01800001 00000009 40000009 0000 01 0000 0008 7365637265742121 0000"
	nvRead   = "8002 00000023 0000014e 40000001 01800001 00000009 40000009 0000 01 0000 0008 0000"
	// what nvWrite has written
	nvSecret = "7365637265742121"
)

// asOwner tells the TPM something in its owner's name. On a busy host the firmware may not wait long enough for the TPM; it then
// takes the owner's rights away until the next boot (TPM_RC_HIERARCHY), which says nothing of the TPM or of what it keeps.
func asOwner(t *testing.T, g *insight, command string) (got string) {
	t.Helper()
	for range 4 {
		if got = g.tell(t, command); !strings.HasSuffix(got, "00000185") {
			return got
		}
		g.reboot(t)
	}
	return got
}

// writeNV has the TPM keep a secret.
func writeNV(t *testing.T, g *insight) {
	t.Helper()
	for _, command := range []string{nvDefine, nvWrite} {
		if got := asOwner(t, g, command); !strings.HasPrefix(got, "8002") || len(got) < 20 || got[12:20] != "00000000" {
			t.Fatalf("the TPM answers %q to %s", got, command)
		}
	}
	if got := readNV(t, g); !strings.Contains(got, nvSecret) {
		t.Fatalf("the TPM does not give back what was written: %q", got)
	}
}

// readNV asks the TPM for the secret.
func readNV(t *testing.T, g *insight) string {
	t.Helper()
	return asOwner(t, g, nvRead)
}

// TestStateOfMachines looks at what the firmware and the TPM of machines remember, and for how long.
func TestStateOfMachines(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, kernelGuest("keeps", "bootloader: {efi: {secureBoot: false, persistent: true}}", "", "tpm: {persistent: true}"))
	c.Apply(t, ns, kernelGuest("forgets", "", "", "tpm: {}"))

	t.Run("for ever", func(t *testing.T) {
		c.WaitVMI(t, ns, "keeps", "running", harness.BootLimit, harness.Running)
		g := lookInto(t, c, ns, "keeps")
		const variable = "/sys/firmware/efi/efivars/Mark-5d307ca9-b3ef-428c-8861-06e72d69f223"
		const mount = "modprobe efivarfs; mount -t efivarfs efivarfs /sys/firmware/efi/efivars && "
		if got := g.run(t, mount+"printf '\\x07\\x00\\x00\\x00mine' >"+variable+" && tail -c 4 "+variable); got != "mine" {
			t.Fatalf("writing a variable of the firmware: %q", got)
		}
		if got := g.run(t, "od -An -tu1 /sys/firmware/efi/efivars/SecureBoot-* | tr -d ' \\n'"); got != "60000" {
			t.Errorf("SecureBoot is %q, want attributes and a 0", got)
		}
		writeNV(t, g)
		claim, err := c.Kube.CoreV1().PersistentVolumeClaims(ns).Get(t.Context(), "persistent-state-for-keeps", metav1.GetOptions{})
		if err != nil || metav1.GetControllerOf(claim) == nil || metav1.GetControllerOf(claim).Kind != "VirtualMachine" {
			t.Fatalf("the claim: %+v, %v", claim, err)
		}
		g = again(t, c, ns, "keeps")
		if got := g.run(t, mount+"tail -c 4 "+variable); got != "mine" {
			t.Errorf("after a restart the variable is %q", got)
		}
		if got := readNV(t, g); !strings.Contains(got, nvSecret) {
			t.Errorf("after a restart the TPM answers %q", got)
		}
		c.Kubectl(t, "", "-n", ns, "delete", "vm", "keeps", "--timeout=90s")
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
			_, err := c.Kube.CoreV1().PersistentVolumeClaims(ns).Get(t.Context(), "persistent-state-for-keeps", metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the claim stays though its machine is gone: %v", err)
			}
		}
		spec.Covers(t, "P2-EFI-01", "P2-EFI-05")
	})
	var g *insight
	outlives := t
	t.Run("in the guest", func(t *testing.T) {
		c.WaitVMI(t, ns, "forgets", "running", harness.BootLimit, harness.Running)
		g = lookInto(outlives, c, ns, "forgets")
		if got := g.run(t, "ls -d /sys/firmware/efi 2>&1; cat /sys/class/tpm/tpm0/tpm_version_major"); !strings.Contains(got, "No such file") || !strings.HasSuffix(got, "\n2") {
			t.Errorf("firmware and TPM: %q", got)
		}
		spec.Covers(t, "P2-EFI-02", "P2-TPM-01", "P2-TPM-02", "P2-TPM-03")
	})
	t.Run("until the machine stops", func(t *testing.T) {
		writeNV(t, g)
		g.reboot(t)
		if got := readNV(t, g); !strings.Contains(got, nvSecret) {
			t.Errorf("after the guest has rebooted the TPM answers %q", got)
		}
		g = again(outlives, c, ns, "forgets")
		if got := readNV(t, g); !strings.HasPrefix(got, "8001") || strings.Contains(got, nvSecret) {
			t.Errorf("after a restart the TPM answers %q, want an error", got)
		}
		if _, err := c.Kube.CoreV1().PersistentVolumeClaims(ns).Get(t.Context(), "persistent-state-for-forgets", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("a claim for what is not kept: %v", err)
		}
		spec.Covers(t, "P2-TPM-05", "P2-TPM-07")
	})
	t.Run("an edit waits for the restart", func(t *testing.T) {
		c.Kubectl(t, "", "-n", ns, "patch", "vm", "forgets", "--type=json", "-p", `[{"op":"remove","path":"/spec/template/spec/domain/devices/tpm"}]`)
		if got := g.run(t, "ls /dev/tpm0"); got != "/dev/tpm0" {
			t.Errorf("an edit has changed the running guest: %q", got)
		}
		g = again(outlives, c, ns, "forgets")
		if got := g.run(t, "ls /dev/tpm* 2>&1; true"); !strings.Contains(got, "No such file") {
			t.Errorf("a TPM that nobody asked for: %q", got)
		}
		spec.Covers(t, "P2-TPM-04", "P2-TPM-06")
	})
}

// TestWatchdog lets the watchdogs of guests expire and looks at what becomes of their machines.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	for name, with := range map[string][2]string{"reset": {"Always", "reset"}, "poweroff": {"Always", "poweroff"}, "shutdown": {"RerunOnFailure", "shutdown"}} {
		manifest := strings.Replace(harness.Instance{}.VM(name, with[0]), harness.TinyImage, harness.TinyGenericImage, 1)
		c.Apply(t, ns, strings.Replace(manifest, "devices:\n", "devices:\n          watchdog: {name: dog, i6300esb: {action: "+with[1]+"}}\n", 1))
	}
	running := func(t *testing.T, name string) (*virtv1.VirtualMachineInstance, *insight) {
		t.Helper()
		vmi := c.WaitVMI(t, ns, name, "running", harness.BootLimit, harness.Running)
		g := lookInto(t, c, ns, name)
		if got := g.run(t, "ls /dev/watchdog; cat /sys/class/watchdog/watchdog0/identity; cat /sys/bus/pci/devices/*/vendor /sys/bus/pci/devices/*/device | grep -c 0x25ab"); !strings.HasPrefix(got, "/dev/watchdog\ni6300ESB timer") || !strings.HasSuffix(got, "\n1") {
			t.Errorf("the guest's watchdog: %q", got)
		}
		return vmi, g
	}
	// A guest that sets its watchdog off and does not feed it, and one whose daemon does.
	const bark = "rmmod i6300esb; modprobe i6300esb heartbeat=2 && echo bark >/dev/watchdog\r"
	const feed = "rmmod i6300esb; modprobe i6300esb heartbeat=10; watchdog -T 10 -t 1 /dev/watchdog"
	typeIn := func(t *testing.T, g *insight, keys string) {
		t.Helper()
		if err := g.console.Type(keys); err != nil {
			t.Fatal(err)
		}
	}
	expired := func() string {
		return c.Kubectl(t, "", "-n", ns, "get", "events", "--field-selector=involvedObject.name=reset,reason=WatchdogExpired", "-o", "jsonpath={.items[*].metadata.resourceVersion}")
	}
	var boot string
	t.Run("reset", func(t *testing.T) {
		was, g := running(t, "reset")
		before := g.boot(t)
		typeIn(t, g, bark)
		eventually(t, "an event tells that the watchdog has expired", time.Minute, func() (string, bool) { return "", expired() != "" })
		boot = g.rebooted(t, before)
		if now := c.WaitVMI(t, ns, "reset", "running", time.Minute, harness.Running); now.UID != was.UID {
			t.Error("a reset has made another instance")
		}
		spec.Covers(t, "P2-WDOG-03", "P2-WDOG-05", "P2-WDOG-07", "P2-WDOG-08")
	})
	t.Run("a daemon keeps the machine", func(t *testing.T) {
		g := lookInto(t, c, ns, "reset")
		g.run(t, feed)
		time.Sleep(15 * time.Second)
		if now := g.boot(t); now != boot {
			t.Fatal("the guest was reset although its daemon is alive")
		}
		typeIn(t, g, "killall -9 watchdog\r")
		g.rebooted(t, boot) // an event of the same reason is told once a minute at most
		spec.Covers(t, "P2-WDOG-09", "P2-WDOG-11")
	})
	t.Run("poweroff", func(t *testing.T) {
		was, g := running(t, "poweroff")
		typeIn(t, g, bark)
		c.WaitVMI(t, ns, "poweroff", "running anew", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool { return harness.Running(vmi) && vmi.UID != was.UID })
		spec.Covers(t, "P2-WDOG-04")
	})
	t.Run("poweroff by a kernel that has stopped", func(t *testing.T) {
		c.Kubectl(t, "", "-n", ns, "patch", "vm", "poweroff", "--type=merge", "-p", `{"spec":{"runStrategy":"Manual"}}`)
		_, g := running(t, "poweroff")
		g.run(t, feed)
		typeIn(t, g, "echo c >/proc/sysrq-trigger\r")
		harness.Expect(t, g.console, harness.BootLimit, "sysrq: Trigger a crash|Kernel panic")
		c.WaitVM(t, ns, "poweroff", "stopped", harness.BootLimit, printable("Stopped"))
		spec.Covers(t, "P2-WDOG-04", "P2-WDOG-09")
	})
	t.Run("shutdown", func(t *testing.T) {
		_, g := running(t, "shutdown")
		typeIn(t, g, bark)
		harness.Expect(t, g.console, harness.BootLimit, "virtplane tiny guest powering off") // as it says when it is asked to
		c.WaitVM(t, ns, "shutdown", "stopped", harness.BootLimit, printable("Stopped"))
		spec.Covers(t, "P2-WDOG-06")
	})
}

// TestHardware has a guest look at the hardware that its machine was given.
func TestHardware(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	manifest := harness.Instance{Network: true, Disks: `
- {name: v, serial: VIRTIO0, disk: {bus: virtio}}
- {name: s, serial: SCSI0, disk: {bus: scsi}}
- {name: a, serial: SATA0, disk: {bus: sata}}
- {name: u, serial: USB0, disk: {bus: usb}}
- {name: c, cdrom: {bus: sata}}`, Volumes: `
- {name: v, emptyDisk: {capacity: 1Mi}}
- {name: s, emptyDisk: {capacity: 2Mi}}
- {name: a, emptyDisk: {capacity: 3Mi}}
- {name: u, emptyDisk: {capacity: 4Mi}}
- {name: c, containerDisk: {image: ` + harness.TinyImage + `}}`}.VM("hardware", "Always")
	manifest = strings.Replace(manifest, harness.TinyImage, harness.TinyGenericImage, 1)
	manifest = strings.Replace(manifest, "domain:\n", `domain:
        cpu:
          sockets: 2
          cores: 1
          threads: 1
          features: [{name: apic, policy: require}, {name: avx2, policy: disable}, {name: avx512f, policy: force}, {name: avx512bw, policy: optional}, {name: fma, policy: forbid}]
        chassis: {manufacturer: Acme, asset: Shelf 3}
        firmware: {serial: S-0815, uuid: 5d307ca9-b3ef-428c-8861-06e72d69f223}
`, 1)
	manifest = strings.Replace(manifest, "interfaces:\n          - name: default\n", "rng: {}\n          inputs: [{type: tablet, bus: usb, name: pen}]\n          interfaces:\n          - name: default\n            model: e1000e\n            macAddress: 02:96:c4:00:00:01\n", 1)
	c.Apply(t, ns, manifest)
	vmi := c.WaitVMI(t, ns, "hardware", "running", harness.BootLimit, harness.Running)
	g := lookInto(t, c, ns, "hardware")
	type ask struct{ command, want string }
	for _, tc := range []struct {
		name string
		rows []string
		asks []ask
	}{
		{"processors", []string{"P2-CPU-02", "P2-CPU-07"}, []ask{
			{"nproc", "2"},
			{"ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l; sort -u /sys/devices/system/cpu/cpu*/topology/physical_package_id | wc -l", "2\n2"},
			{"grep -c ' apic ' /proc/cpuinfo", "2"},
			{"grep -c avx2 /proc/cpuinfo; true", "0"},
		}},
		{"features by policy", []string{"P2-CPU-04", "P2-CPU-06", "P2-CPU-08"}, []ask{
			{"grep -c avx512 /proc/cpuinfo; true", "0"},
			{"grep -c fma /proc/cpuinfo; true", "0"},
		}},
		{"drivers that Windows needs", []string{"P2-VIRTIOWIN-10", "P2-VIRTIOWIN-11"}, []ask{
			{"cd /sys/bus/pci/devices; for d in *; do echo $(cat $d/vendor $d/device); done | grep -c -E '0x1af4 0x10(01|42)'; cd", "2"},
			{"cd /sys/bus/pci/devices; for d in *; do echo $(cat $d/vendor $d/device); done | grep -c -E '0x1af4 0x10(05|44)'; cd", "1"},
			{"cd /sys/bus/pci/devices; for d in *; do echo $(cat $d/vendor $d/device); done | grep -c -E '0x1af4 0x10(00|41)'; cd", "0"}, // its card is no virtio
		}},
		{"CD drive with a container disk", []string{"P2-VIRTIOWIN-02", "P3-QGA-05"}, []ask{
			{"ls -d /sys/block/sr*; cat /sys/block/sr0/ro; readlink -f /sys/block/sr0 | grep -o -m1 ata | head -1", "/sys/block/sr0\n1\nata"},
			{"head -c 512 /dev/sr0 | tail -c 2 | xxd -p", "55aa"},
		}},
		{"tables of the firmware", nil, []ask{
			{"cd /sys/class/dmi/id; cat product_serial product_uuid chassis_vendor chassis_asset_tag; cd", "S-0815\n5d307ca9-b3ef-428c-8861-06e72d69f223\nAcme\nShelf 3"},
		}},
		{"disks", []string{"P1-BOOT-08"}, []ask{
			{"cat /sys/block/vdb/serial; echo; cat /sys/block/vdb/size", "VIRTIO0\n2048"},
			{"cat /sys/block/sd*/size | sort -n | tr '\\n' ' '", "4096 6144 8192 "},
			{"for d in /sys/block/sd*; do readlink -f $d | grep -o -e usb -e ata -e virtio | head -1; done | sort | tr '\\n' ' '", "ata usb virtio "},
		}},
		{"network and input", nil, []ask{
			{"cat /sys/class/net/eth0/address; basename $(readlink /sys/class/net/eth0/device/driver)", "02:96:c4:00:00:01\ne1000e"},
			{"cat /sys/class/misc/hw_random/rng_current | cut -d. -f1", "virtio_rng"},
			{"cat /sys/bus/usb/devices/*/product | grep -c 'QEMU USB Tablet'", "1"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, a := range tc.asks {
				if got := g.run(t, a.command); strings.TrimSpace(got) != strings.TrimSpace(a.want) {
					t.Errorf("%s: %q, want %q", a.command, got, a.want)
				}
			}
			if len(tc.rows) > 0 {
				spec.Covers(t, tc.rows...)
			}
		})
	}
	if topology := vmi.Status.CurrentCPUTopology; topology == nil || topology.Sockets != 2 || topology.Cores != 1 {
		t.Errorf("status.currentCPUTopology %+v", topology)
	}
}

// TestBootOrder starts a machine from the disk that its bootOrder says, or else from the first of its list.
func TestBootOrder(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	const second = "\n- {name: second, disk: {bus: virtio}}"
	volume := "\n- name: second\n  containerDisk: {image: " + harness.TinyGenericImage + "}"
	plain := harness.Instance{Disks: second, Volumes: volume}.VM("first", "Always")
	ordered := strings.Replace(harness.Instance{Disks: second, Volumes: volume}.VM("ordered", "Always"), "{name: second,", "{name: second, bootOrder: 1,", 1)
	ordered = strings.Replace(ordered, "- name: root\n", "- name: root\n            bootOrder: 2\n", 1)
	c.Apply(t, ns, plain)
	c.Apply(t, ns, ordered)
	for _, tc := range []struct {
		name    string
		generic bool
		rows    []string
	}{{"first", false, []string{"P1-BOOT-04", "P2-VIRTIOWIN-06"}}, {"ordered", true, []string{"P1-BOOT-07", "P2-VIRTIOWIN-07"}}} {
		t.Run(tc.name, func(t *testing.T) {
			c.WaitVMI(t, ns, tc.name, "running", harness.BootLimit, harness.Running)
			// Debian's generic kernel is named by its version and its architecture alone.
			got := lookInto(t, c, ns, tc.name).run(t, "uname -r")
			if generic := regexp.MustCompile(`^[0-9.]+-[0-9]+-amd64$`).MatchString(got); generic != tc.generic {
				t.Errorf("it has booted kernel %s", got)
			}
			spec.Covers(t, tc.rows...)
		})
	}
}
