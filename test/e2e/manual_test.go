package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// manual reads a manifest of the manual.
func manual(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../spec/manifests", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// commandLine is that with which an instance's QEMU was started.
func commandLine(t *testing.T, c *harness.Cluster, vmi *virtv1.VirtualMachineInstance) string {
	t.Helper()
	return c.Exec(t, vmi.Namespace, c.LauncherPod(t, vmi).Name, "compute", "bash", "-c",
		`for p in /proc/[0-9]*; do [[ "$(readlink $p/exe)" == *qemu-system* ]] && tr '\0' ' ' <$p/cmdline; done; true`)
}

// TestManualMachines applies manifests of the manual as they are and looks at what becomes of them. They have no disk: their guests
// are firmware that looks for one.
func TestManualMachines(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	start := func(t *testing.T, manifest, name string) (string, *virtv1.VirtualMachineInstance) {
		t.Helper()
		ns := c.Namespace(t)
		c.Apply(t, ns, manifest)
		// Firmware does not power off when it is asked to.
		rest := `{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":0,"domain":{"memory":{"guest":"128Mi"}}}}}}`
		if name == "with-limits" { // which alone says how much memory, and whose guest is to use it: it gets a disk
			rest = `{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":0,"domain":{"devices":{"disks":[{"name":"root","disk":{"bus":"virtio"}}]}},
				"volumes":[{"name":"root","containerDisk":{"image":"` + harness.TinyImage + `"}}]}}}}`
		}
		c.Kubectl(t, "", "-n", ns, "patch", "vm", name, "--type=merge", "-p", rest)
		if vm := c.WaitVM(t, ns, name, "there", time.Minute, func(vm *virtv1.VirtualMachine) bool { return vm != nil }); !vm.Status.Created {
			act(t, c, ns, "virtualmachines", name, "start", "", http.StatusAccepted)
		}
		return ns, c.WaitVMI(t, ns, name, "running", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
			return vmi != nil && vmi.Status.Phase == virtv1.Running
		})
	}
	t.Run("with limits", func(t *testing.T) {
		ns, vmi := start(t, manual(t, "p2-10.18.1.1-vm-with-limits"), "with-limits")
		pod := c.LauncherPod(t, vmi)
		compute := pod.Spec.Containers[0].Resources
		overhead := vmi.Status.Memory.MemoryOverhead
		for _, want := range []struct {
			name  string
			guest string
			got   *resource.Quantity
		}{{"request", "128Mi", compute.Requests.Memory()}, {"limit", "256Mi", compute.Limits.Memory()}} {
			sum := resource.MustParse(want.guest)
			sum.Add(*overhead)
			if want.got.Cmp(sum) != 0 {
				t.Errorf("the pod's %s of memory is %s, want %s and overhead %s", want.name, want.got, want.guest, overhead)
			}
		}
		// The guest touches all but the last of its memory. What it has ever touched is its host's memory too.
		g := lookInto(t, c, ns, "with-limits")
		filled := g.run(t, `mkdir -p /fill; n=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024 - 8)); mount -t tmpfs -o size=${n}m fill /fill; dd if=/dev/zero of=/fill/all bs=1M count=$n 2>/dev/null; echo $n`)
		if n, err := strconv.Atoi(filled); err != nil || n < 50 {
			t.Errorf("a guest of 128 MiB fills %q MiB", filled)
		}
		const resident = `for p in /proc/[0-9]*; do [[ "$(readlink $p/exe)" == *qemu-system* ]] && sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' $p/status; done; true`
		rss, err := strconv.Atoi(strings.TrimSpace(c.Exec(t, ns, pod.Name, "compute", "bash", "-c", resident)))
		if err != nil || rss < 110<<10 {
			t.Errorf("QEMU holds %d KiB though its guest has filled its memory, %v", rss, err)
		}
		if got := g.run(t, "ls /fill"); got != "all" {
			t.Errorf("the guest that has filled its memory says %q", got)
		}
		if now := c.WaitVMI(t, ns, "with-limits", "there", time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool { return vmi != nil }); now.UID != vmi.UID || now.Status.Phase != virtv1.Running {
			t.Errorf("with its memory filled it is %s", now.Status.Phase)
		}
		spec.Covers(t, "P2-QUOTA-03", "P2-QUOTA-04")
		t.Run("beyond them", func(t *testing.T) { exceed(t, c, pod) })
	})
	t.Run("labels of a node", func(t *testing.T) {
		const name = "example-vm-node-selector"
		nodes := c.Nodes(t)
		node := nodes[len(nodes)-1]
		ns := c.Namespace(t)
		c.Apply(t, ns, manual(t, "p2-10.18.2.2.1-vm-nodeselector"))
		c.Kubectl(t, "", "-n", ns, "patch", "vm", name, "--type=merge", "-p", `{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":0,"domain":{"memory":{"guest":"128Mi"}}}}}}`)
		act(t, c, ns, "virtualmachines", name, "start", "", http.StatusAccepted)
		c.WaitVMI(t, ns, name, "unschedulable", time.Minute, unschedulable)
		defer c.Kubectl(t, "", "label", "node", node, "example-key-1-", "example-key-2-")
		c.Kubectl(t, "", "label", "node", node, "example-key-1=example-value-1")
		time.Sleep(5 * time.Second)
		c.WaitVMI(t, ns, name, "unschedulable with one of two labels", time.Minute, unschedulable)
		c.Kubectl(t, "", "label", "node", node, "example-key-2=example-value-2")
		vmi := c.WaitVMI(t, ns, name, "running", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
			return vmi != nil && vmi.Status.Phase == virtv1.Running
		})
		if vmi.Status.NodeName != node {
			t.Errorf("it runs on %s", vmi.Status.NodeName)
		}
		spec.Covers(t, "P2-PLACE-02", "P2-PLACE-03", "P2-PLACE-04")
	})
	t.Run("a feature of the CPU", func(t *testing.T) {
		_, vmi := start(t, manual(t, "p2-10.18.8.2-vm-cpu-feature-policy"), "myvm")
		if got := commandLine(t, c, vmi); !strings.Contains(got, "apic=on") {
			t.Errorf("QEMU runs as %s", got)
		}
		spec.Covers(t, "P2-CPU-02")
	})
	t.Run("a model of a CPU", func(t *testing.T) {
		manifest := manual(t, "p2-10.18.8.3-vm-cpu-model")
		if !c.Emulates(t) {
			// On KVM a guest comes to a node that offers the model, and none offers one that is obsolete.
			ns := c.Namespace(t)
			c.Apply(t, ns, manifest)
			act(t, c, ns, "virtualmachines", "myvm", "start", "", http.StatusAccepted)
			c.WaitVMI(t, ns, "myvm", "unschedulable", time.Minute, unschedulable)
			spec.Covers(t, "P2-CPU-09")
			return
		}
		_, vmi := start(t, manifest, "myvm")
		if got := commandLine(t, c, vmi); !strings.Contains(got, "-cpu Conroe") {
			t.Errorf("QEMU runs as %s", got)
		}
		spec.Covers(t, "P2-CPU-09")
	})
	t.Run("the model of the host's CPU", func(t *testing.T) {
		// Printed without the end of the group's name, which no server takes.
		_, vmi := start(t, strings.Replace(manual(t, "p2-10.18.8.4-vm-cpu-host-model"), "apiVersion: kubevirt/v1alpha3", "apiVersion: kubevirt.io/v1alpha3", 1), "myvm")
		model := "host"
		if c.Emulates(t) { // which has no host's model: it gives all that it can
			model = "max"
		}
		if got := commandLine(t, c, vmi); !strings.Contains(got, "-cpu "+model) {
			t.Errorf("QEMU runs as %s", got)
		}
		spec.Covers(t, "P2-CPU-10")
	})
	t.Run("a TPM", func(t *testing.T) {
		_, vmi := start(t, manual(t, "p2-10.16.2-vm-vtpm"), "example-vm")
		if got := commandLine(t, c, vmi); !strings.Contains(got, "tpm-tis") {
			t.Errorf("QEMU runs as %s", got)
		}
		spec.Covers(t, "P2-TPM-01")
	})
	t.Run("a watchdog", func(t *testing.T) {
		manifest := strings.NewReplacer("<vm-name>", "watched", "<watchdog>", "dog").Replace(manual(t, "p2-10.18.12.2-vm-watchdog"))
		ns, vmi := start(t, manifest, "watched")
		if got := commandLine(t, c, vmi); !strings.Contains(got, "i6300esb") || !strings.Contains(got, "poweroff") {
			t.Errorf("QEMU runs as %s", got)
		}
		if got := strings.TrimSpace(c.Kubectl(t, "", "-n", ns, "get", "vm,vmi", "-l", "kubevirt.io/vm=vm2-rhel84-watchdog", "-o", "name")); len(strings.Fields(got)) != 2 {
			t.Errorf("by the manual's label there are %q", got)
		}
		spec.Covers(t, "P2-WDOG-01", "P2-WDOG-02", "P2-WDOG-10")
	})
}

// exceed has processes beside a guest's QEMU, each far smaller than it, take more memory than their container may have.
func exceed(t *testing.T, c *harness.Cluster, pod *corev1.Pod) {
	ctx, cancel := context.WithTimeout(t.Context(), harness.BootLimit)
	defer cancel()
	w, err := c.Kube.CoreV1().Pods(pod.Namespace).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", pod.Name).String()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	const hogs = `for i in {1..30}; do bash -c 'printf -v x %20000000s; sleep 60; :' & done; wait`
	if out, err := c.TryExec(t, pod.Namespace, pod.Name, "compute", "bash", "-c", hogs); err == nil {
		t.Errorf("600 MB fit beside the guest: %s", out)
	}
	for event := range w.ResultChan() {
		now, is := event.Object.(*corev1.Pod)
		if !is {
			break
		}
		for _, s := range now.Status.ContainerStatuses {
			if end := s.State.Terminated; s.Name == "compute" && end != nil {
				if end.Reason != "OOMKilled" || end.ExitCode != 137 {
					t.Errorf("the container ended so: %+v", end)
				}
				spec.Covers(t, "P5-OBS-20")
				return
			}
		}
	}
	t.Errorf("the container of %s was not ended within %s", pod.Name, harness.BootLimit)
}

// TestManualSecureBoot applies the manual's machine with Secure Boot, as it is printed and with the firmware of the manual's first
// machine, which says no more than efi. It gives both what the manual leaves out, and has the guests say what their firmware
// checked: a loader and a kernel that Debian has signed.
func TestManualSecureBoot(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	printed := manual(t, "p2-10.18.4.2-vm-uefi-secureboot")
	bare := strings.NewReplacer("vm-secureboot", "vm-efi", "efi:\n              secureBoot: true", "efi: {}").Replace(printed)
	if !strings.Contains(bare, "efi: {}") {
		t.Fatalf("the manual's machine has its firmware elsewhere:\n%s", bare)
	}
	c.Apply(t, ns, printed)
	c.Apply(t, ns, bare)
	for _, name := range []string{"vm-secureboot", "vm-efi"} {
		c.Kubectl(t, "", "-n", ns, "patch", "vm", name, "--type=merge", "-p", `{"spec":{"runStrategy":"Always","template":{"spec":{"terminationGracePeriodSeconds":0,
			"domain":{"memory":{"guest":"512Mi"}},"volumes":[{"name":"containerdisk","containerDisk":{"image":"`+harness.TinySignedImage+`"}}]}}}}`)
	}
	for _, name := range []string{"vm-secureboot", "vm-efi"} {
		c.WaitVMI(t, ns, name, "running", harness.BootLimit, harness.Running)
		g := lookInto(t, c, ns, name)
		const look = "modprobe efivarfs; mount -t efivarfs efivarfs /sys/firmware/efi/efivars && od -An -tu1 /sys/firmware/efi/efivars/SecureBoot-* | tr -d ' \n'"
		if got := g.run(t, look); got != "60001" {
			t.Errorf("SecureBoot of %s is %q, want attributes and a 1", name, got)
		}
	}
	spec.Covers(t, "P2-EFI-03", "P2-EFI-08", "P1-VMCREATE-20")
}

// TestKeysOnConfigDrive has a guest find keys where cloud-init looks for them, from the restart on after they were added.
func TestKeysOnConfigDrive(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTEx first@test"
	c.Kubectl(t, key+"\n", "-n", ns, "create", "secret", "generic", "my-pub-key", "--from-file=key1=/dev/stdin")
	c.Apply(t, ns, harness.Instance{Disks: "- {name: init, disk: {bus: virtio}}", Volumes: "- name: init\n  cloudInitConfigDrive: {userData: \"#cloud-config\\n\"}"}.VM("testvm", "Always"))
	c.WaitVMI(t, ns, "testvm", "running", harness.BootLimit, harness.Running)
	const look = "mkdir -p /m; umount /m 2>/dev/null; mount -t iso9660 -o ro /dev/vdb /m && cat /m/openstack/latest/meta_data.json"
	if got := lookInto(t, c, ns, "testvm").run(t, look); strings.Contains(got, "first@test") || !strings.Contains(got, "hostname") {
		t.Errorf("before there are keys the config drive says %s", got)
	}
	// What the manual's manifest says of the credentials, given to the machine that runs.
	credentials := `[{"op":"add","path":"/spec/template/spec/accessCredentials","value":[{"sshPublicKey":{"source":{"secret":{"secretName":"my-pub-key"}},"propagationMethod":{"configDrive":{}}}}]}]`
	c.Kubectl(t, "", "-n", ns, "patch", "vm", "testvm", "--type=json", "-p", credentials)
	if got := lookInto(t, c, ns, "testvm").run(t, look); strings.Contains(got, "first@test") {
		t.Error("the running guest's config drive has changed")
	}
	if got := again(t, c, ns, "testvm").run(t, look); !strings.Contains(got, "first@test") {
		t.Errorf("after the restart the config drive says %s", got)
	}
	// Without a config drive there is nowhere to put them.
	bare := strings.Replace(harness.Instance{}.VM("bare", "Halted"), "domain:\n", "accessCredentials:\n      - sshPublicKey: {source: {secret: {secretName: my-pub-key}}, propagationMethod: {configDrive: {}}}\n      domain:\n", 1)
	if out, err := c.TryKubectl(t, bare, "-n", ns, "apply", "-f", "-"); err != nil || !strings.Contains(out, "requires a volume of kind cloudInitConfigDrive") {
		t.Errorf("nobody is warned of keys for a config drive that is not there: %v\n%s", err, out)
	}
	spec.Covers(t, "P2-SSH-10", "P2-SSH-11", "P2-SSH-12")
}
