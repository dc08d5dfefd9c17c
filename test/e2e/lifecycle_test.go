package e2e

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
	"github.com/virtplane/virtplane/test/wire"
)

// act calls an action the way virtctl does and wants a code.
func act(t *testing.T, c *harness.Cluster, ns, resource, name, action, body string, want int) wire.Response {
	t.Helper()
	resp, err := c.Wire.Do(t.Context(), http.MethodPut, wire.Subresource("v1", ns, resource, name, action), body)
	if err != nil {
		t.Fatalf("%s %s: %v", action, name, err)
	}
	if resp.Code != want {
		t.Fatalf("%s %s: code %d, want %d: %s", action, name, resp.Code, want, resp.Body)
	}
	return resp
}

// virt runs virtctl as kubectl's plugin and wants it to say what it has done.
func virt(t *testing.T, c *harness.Cluster, ns, says string, args ...string) {
	t.Helper()
	if out := c.Kubectl(t, "", append(append([]string{"virt"}, args...), "-n", ns)...); out != says+"\n" {
		t.Errorf("kubectl virt %s says %q, want %q", strings.Join(args, " "), out, says)
	}
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func printable(status virtv1.VirtualMachinePrintableStatus) func(*virtv1.VirtualMachine) bool {
	return func(vm *virtv1.VirtualMachine) bool { return vm != nil && vm.Status.PrintableStatus == status }
}

// TestLifecycle takes one machine through everything that a user does to it from day to day.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	web := harness.Instance{GracePeriod: 30, Labels: map[string]string{"special": "key"}}.VM("web", "Halted")
	old := strings.Replace(web, "runStrategy: Halted", "running: false", 1)
	if old == web {
		t.Fatal("the manifest has no runStrategy to replace")
	}
	c.Kubectl(t, old, "-n", ns, "create", "-f", "-")
	c.Apply(t, ns, harness.Instance{}.VM("spare", "Halted"))

	t.Run("halted machines have no instances", func(t *testing.T) {
		c.WaitVM(t, ns, "web", "Stopped", time.Minute, printable("Stopped"))
		c.WaitVM(t, ns, "spare", "Stopped", time.Minute, printable("Stopped"))
		if out := c.Kubectl(t, "", "-n", ns, "get", "vmis", "-o", "name"); strings.TrimSpace(out) != "" {
			t.Errorf("instances: %s", out)
		}
		spec.Covers(t, "P1-RUN-05", "P2-X-05")
	})
	var first *virtv1.VirtualMachineInstance
	t.Run("start", func(t *testing.T) {
		virt(t, c, ns, "VM web was scheduled to start", "start", "web")
		first = c.WaitVMI(t, ns, "web", "running", harness.BootLimit, harness.Running)
		// Whoever sees the instance run finds a pod that runs and is ready.
		if pod := c.LauncherPod(t, first); pod.Status.Phase != corev1.PodRunning || !podReady(pod) {
			t.Errorf("the instance runs, its pod is %s: %+v", pod.Status.Phase, pod.Status.Conditions)
		}
		var phases []string
		for _, p := range first.Status.PhaseTransitionTimestamps {
			phases = append(phases, string(p.Phase))
		}
		if got := strings.Join(phases, " "); got != "Pending Scheduling Scheduled Running" {
			t.Errorf("phases %s", got)
		}
		c.WaitVM(t, ns, "web", "Running", time.Minute, func(vm *virtv1.VirtualMachine) bool {
			return printable("Running")(vm) && vm.Status.Ready && vm.Status.Created
		})
		resp := act(t, c, ns, "virtualmachines", "web", "start", "", http.StatusConflict)
		if !strings.Contains(resp.Status.Message, "VM is already running") {
			t.Errorf("message %q", resp.Status.Message)
		}
		if out, err := c.TryKubectl(t, "", "virt", "start", "web", "-n", ns); err == nil || !strings.Contains(out, "VM is already running") {
			t.Errorf("a second start by virtctl: error %v\n%s", err, out)
		}
		spec.Covers(t, "P1-VCTL-05", "P2-VMI-16", "P1-VMCREATE-23")
	})
	t.Run("launcher pod", func(t *testing.T) {
		pod := c.LauncherPod(t, first)
		if pod.Labels["kubevirt.io"] != "virt-launcher" || pod.Labels["special"] != "key" || !strings.HasPrefix(pod.Name, "virt-launcher-web-") {
			t.Errorf("pod %s labels %v", pod.Name, pod.Labels)
		}
		// The last column names the program; the user's name is like that of every QEMU.
		top := c.Exec(t, ns, pod.Name, "compute", "bash", "-c", "TERM=xterm top -b -n1 -w 512")
		if n := len(regexp.MustCompile(`(?m) qemu-system\S*\s*$`).FindAllString(top, -1)); n != 1 {
			t.Errorf("top shows %d QEMUs:\n%s", n, top)
		}
		if got := commandLine(t, c, first); !strings.Contains(got, "guest="+ns+"_web,") {
			t.Errorf("QEMU runs as %q", got)
		}
		if got := first.Labels["kubevirt.io/nodeName"]; got != first.Status.NodeName || got != pod.Spec.NodeName {
			t.Errorf("node: label %q, status %q, pod %q", got, first.Status.NodeName, pod.Spec.NodeName)
		}
		spec.Covers(t, "P2-VMI-18", "P5-OBS-20", "P5-OBS-26", "P1-ARCH-40", "P1-ARCH-42")
	})
	t.Run("pause and unpause", func(t *testing.T) {
		ready := func(want corev1.ConditionStatus) {
			t.Helper()
			eventually(t, "Ready of the launcher pod is "+string(want), time.Minute, func() (string, bool) {
				var is corev1.ConditionStatus
				for _, cond := range c.LauncherPod(t, first).Status.Conditions {
					if cond.Type == corev1.PodReady {
						is = cond.Status
					}
				}
				return string(is), is == want
			})
		}
		console := c.Console(t, ns, "web")
		harness.Shell(t, console)
		ready(corev1.ConditionTrue)
		virt(t, c, ns, "VMI web was scheduled to pause", "pause", "vmi", "web")
		c.WaitVM(t, ns, "web", "Paused", time.Minute, printable("Paused"))
		ready(corev1.ConditionFalse) // no Service sends anybody to a guest that does not answer
		act(t, c, ns, "virtualmachineinstances", "web", "pause", "", http.StatusConflict)
		silent, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if out, err := console.Run(silent, "echo still talking"); err == nil {
			t.Errorf("the paused guest says %q", out)
		}
		virt(t, c, ns, "VMI web was scheduled to unpause", "unpause", "vm", "web")
		c.WaitVM(t, ns, "web", "Running", time.Minute, printable("Running"))
		if got := harness.Run(t, console, "echo alive"); got != "alive" {
			t.Errorf("the guest says %q", got)
		}
		ready(corev1.ConditionTrue)
		spec.Covers(t, "P2-STATE-09", "P2-STATE-10", "P1-VCTL-09", "P1-VCTL-10", "P1-ARCH-41")
	})
	t.Run("reset", func(t *testing.T) {
		g := lookInto(t, c, ns, "web")
		boot := g.boot(t)
		act(t, c, ns, "virtualmachineinstances", "web", "reset", "", http.StatusOK)
		g.rebooted(t, boot)
		if now := c.WaitVMI(t, ns, "web", "running", time.Minute, harness.Running); now.UID != first.UID {
			t.Error("a reset made another instance")
		}
	})
	t.Run("an edit waits for the restart", func(t *testing.T) {
		c.Kubectl(t, "", "-n", ns, "patch", "vm", "web", "--type=merge", "-p", `{"spec":{"template":{"spec":{"evictionStrategy":"LiveMigrate","domain":{"cpu":{"cores":2,"threads":2}}}}}}`)
		c.Kubectl(t, "", "-n", ns, "patch", "vm", "web", "--type=json", "-p", `[{"op":"add","path":"/spec/template/spec/domain/devices/disks/-","value":{"name":"virtiocontainerdisk","cdrom":{"bus":"scsi"}}},
			{"op":"add","path":"/spec/template/spec/volumes/-","value":{"name":"virtiocontainerdisk","containerDisk":{"image":"`+harness.TinyImage+`"}}}]`)
		c.WaitVM(t, ns, "web", "in need of a restart", time.Minute, func(vm *virtv1.VirtualMachine) bool {
			for _, cond := range vm.Status.Conditions {
				if cond.Type == virtv1.VirtualMachineRestartRequired && cond.Status == "True" {
					return true
				}
			}
			return false
		})
		console := c.Console(t, ns, "web")
		harness.Shell(t, console)
		if got := harness.Run(t, console, "nproc"); got != "1" {
			t.Errorf("the running guest has %s CPUs", got)
		}
		if got := harness.Run(t, console, "ls -d /sys/block/sr* 2>&1; true"); !strings.Contains(got, "No such file") {
			t.Errorf("the running guest has a CD drive: %s", got)
		}
		if now := c.WaitVMI(t, ns, "web", "running", time.Minute, harness.Running); now.UID != first.UID || now.Spec.EvictionStrategy != nil {
			t.Errorf("the running instance is %s with eviction strategy %v", now.UID, now.Spec.EvictionStrategy)
		}
	})
	t.Run("restart", func(t *testing.T) {
		virt(t, c, ns, "VM web was scheduled to restart", "restart", "web")
		second := c.WaitVMI(t, ns, "web", "running anew", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
			return harness.Running(vmi) && vmi.UID != first.UID
		})
		console := c.Console(t, ns, "web")
		harness.Shell(t, console)
		if got := harness.Run(t, console, "nproc"); got != "4" {
			t.Errorf("after the restart the guest has %s CPUs", got)
		}
		t.Run("CD drive", func(t *testing.T) {
			if got := harness.Run(t, console, "cat /sys/block/sr0/ro; head -c 512 /dev/sr0 | tail -c 2 | xxd -p"); strings.TrimSpace(got) != "1\n55aa" {
				t.Errorf("the guest says %q", got)
			}
			spec.Covers(t, "P2-VIRTIOWIN-09")
		})
		t.Run("eviction strategy", func(t *testing.T) {
			if got := second.Spec.EvictionStrategy; got == nil || *got != virtv1.EvictionStrategyLiveMigrate {
				t.Errorf("after the restart it is %v", got)
			}
			spec.Covers(t, "P4-EVICT-02", "P4-EVICT-04", "P4-EVICT-05")
		})
		first = second
		spec.Covers(t, "P2-STATE-06", "P2-STATE-14", "P1-VCTL-12", "P1-VMCREATE-19", "P1-VMEDIT-05")
	})
	t.Run("guest powers off and another takes its place", func(t *testing.T) {
		// The earlier start has set running to true, which is the run strategy Always.
		c.Kubectl(t, "", "-n", ns, "patch", "vm", "web", "--type=json", "-p", `[{"op":"remove","path":"/spec/template/spec/domain/devices/disks/1"},{"op":"remove","path":"/spec/template/spec/volumes/1"}]`)
		console := c.Console(t, ns, "web")
		harness.Shell(t, console)
		if got := harness.Run(t, console, "ls /dev/sr0"); got != "/dev/sr0" {
			t.Errorf("an edit has taken the running guest's CD drive: %s", got)
		}
		if err := console.Send("poweroff"); err != nil {
			t.Fatal(err)
		}
		first = c.WaitVMI(t, ns, "web", "running anew", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
			return harness.Running(vmi) && vmi.UID != first.UID
		})
		console = c.Console(t, ns, "web")
		harness.Shell(t, console)
		if got := harness.Run(t, console, "ls -d /sys/block/sr* 2>&1; true"); !strings.Contains(got, "No such file") {
			t.Errorf("the next guest still has a CD drive: %s", got)
		}
		spec.Covers(t, "P1-RUN-02", "P2-VIRTIOWIN-17")
	})
	t.Run("stop", func(t *testing.T) {
		virt(t, c, ns, "VM web was scheduled to stop", "stop", "web")
		c.WaitVMI(t, ns, "web", "gone", 90*time.Second, harness.Gone)
		c.WaitVM(t, ns, "web", "Stopped", time.Minute, printable("Stopped"))
		spec.Covers(t, "P2-STATE-08", "P1-VCTL-07", "P2-STATE-02", "P2-VMI-05")
	})
	t.Run("delete takes the instance along", func(t *testing.T) {
		virt(t, c, ns, "VM web was scheduled to start", "start", "web", "--paused")
		c.WaitVM(t, ns, "web", "Paused", harness.BootLimit, printable("Paused"))
		paused := c.WaitVMI(t, ns, "web", "there", time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool { return vmi != nil })
		before := guestTime(t, c, paused)
		time.Sleep(5 * time.Second) // in which firmware that runs needs seconds of a CPU
		if now := guestTime(t, c, paused); now != before {
			t.Errorf("the CPUs of a guest that was started paused have run from %q to %q", before, now)
		}
		virt(t, c, ns, "VMI web was scheduled to unpause", "unpause", "vmi", "web")
		eventually(t, "the CPUs run once the guest goes on", time.Minute, func() (string, bool) {
			now := guestTime(t, c, paused)
			return now, now != before
		})
		out := c.Kubectl(t, "", "-n", ns, "delete", "vm", "web", "spare", "--timeout=90s")
		if !strings.Contains(out, `"web" deleted`) || !strings.Contains(out, `"spare" deleted`) {
			t.Errorf("kubectl delete prints %q", out)
		}
		if out := c.Kubectl(t, "", "-n", ns, "get", "vmi,pods", "-o", "name"); strings.TrimSpace(out) != "" {
			t.Errorf("left behind: %s", out)
		}
		spec.Covers(t, "P2-VMI-06", "P1-VMDEL-03", "P1-VCTL-06")
	})
	t.Run("delete leaves an orphan alone", func(t *testing.T) {
		c.Apply(t, ns, harness.Instance{Null: true}.VM("parent", "Halted"))
		virt(t, c, ns, "VM parent was scheduled to start", "start", "parent", "--paused")
		before := c.WaitVMI(t, ns, "parent", "paused", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
			return vmi != nil && has(virtv1.VirtualMachineInstancePaused, corev1.ConditionTrue)(vmi)
		})
		c.Kubectl(t, "", "-n", ns, "delete", "vm", "parent", "--cascade=orphan", "--timeout=90s")
		if out, err := c.TryKubectl(t, "", "-n", ns, "get", "vm", "parent"); err == nil || !strings.Contains(out, "not found") {
			t.Errorf("the machine is still there: %v\n%s", err, out)
		}
		// It goes on, and is now as any instance that nobody owns.
		virt(t, c, ns, "VMI parent was scheduled to unpause", "unpause", "vmi", "parent")
		after := c.WaitVMI(t, ns, "parent", "running", time.Minute, harness.Running)
		if after.UID != before.UID || after.DeletionTimestamp != nil || len(after.OwnerReferences) > 0 {
			t.Errorf("the instance is %s, deleted %v, owned by %v; it was %s", after.UID, after.DeletionTimestamp, after.OwnerReferences, before.UID)
		}
		c.Kubectl(t, "", "-n", ns, "delete", "vmi", "parent", "--timeout=60s")
	})
}

// guestTime is how long the guest's CPUs have run, in ticks of the kernel that runs their threads.
func guestTime(t *testing.T, c *harness.Cluster, vmi *virtv1.VirtualMachineInstance) string {
	t.Helper()
	got := strings.TrimSpace(c.Exec(t, vmi.Namespace, c.LauncherPod(t, vmi).Name, "compute", "bash", "-c",
		`for p in /proc/[0-9]*/task/[0-9]*; do [[ "$(<$p/comm)" == CPU* ]] && cut -d')' -f2 <$p/stat | cut -d' ' -f13,14; done 2>/dev/null; true`))
	if got == "" {
		t.Fatalf("%s has no thread for its CPU", vmi.Name)
	}
	return got
}

// TestVirtctlVersion asks both ends for their versions.
func TestVirtctlVersion(t *testing.T) {
	c := harness.Connect(t)
	out := c.Kubectl(t, "", "virt", "version")
	if !strings.Contains(out, "Client Version: version.Info{") || !strings.Contains(out, `Server Version: version.Info{GitVersion:"v1.`) || strings.Contains(out, `GitCommit:""`) {
		t.Errorf("kubectl virt version prints:\n%s", out)
	}
	if out, err := c.TryKubectl(t, "", "virt", "version", "--server", "https://127.0.0.1:1"); err == nil || !strings.Contains(out, "asking the server") {
		t.Errorf("without a server: error %v\n%s", err, out)
	}
	spec.Covers(t, "P1-VCTL-01")
}

// TestRunStrategies shows what each strategy makes of a guest that ends in order and of one that is killed.
func TestRunStrategies(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{GracePeriod: 0}.VM("rerun", "RerunOnFailure"))
	c.Apply(t, ns, harness.Instance{GracePeriod: 600}.VM("manual", "Manual"))
	t.Run("rerun on failure", func(t *testing.T) {
		first := c.WaitVMI(t, ns, "rerun", "running", harness.BootLimit, harness.Running)
		pod := c.LauncherPod(t, first)
		c.Exec(t, ns, pod.Name, "compute", "pkill", "-9", "qemu-system")
		second := c.WaitVMI(t, ns, "rerun", "running anew after its QEMU was killed", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
			return harness.Running(vmi) && vmi.UID != first.UID
		})
		console := c.Console(t, ns, "rerun")
		harness.Shell(t, console)
		if err := console.Send("poweroff"); err != nil {
			t.Fatal(err)
		}
		ended := c.WaitVMI(t, ns, "rerun", "ended in order", time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool {
			return vmi != nil && vmi.Status.Phase == virtv1.Succeeded
		})
		if ended.UID != second.UID {
			t.Errorf("another instance ended")
		}
		c.WaitVM(t, ns, "rerun", "Stopped", time.Minute, printable("Stopped"))
		// What becomes of the old object decides nothing.
		c.Kubectl(t, "", "-n", ns, "delete", "vmi", "rerun", "--timeout=60s")
		time.Sleep(5 * time.Second)
		c.WaitVMI(t, ns, "rerun", "not made anew", time.Minute, harness.Gone)
		c.WaitVM(t, ns, "rerun", "Stopped, with the end of its guest", time.Minute, func(vm *virtv1.VirtualMachine) bool {
			return printable("Stopped")(vm) && slices.ContainsFunc(vm.Status.Conditions, func(c virtv1.VirtualMachineCondition) bool {
				return c.Type == virtv1.VirtualMachineEnded && c.Reason == "GuestShutdown"
			})
		})
		spec.Covers(t, "P1-RUN-03")
	})
	t.Run("manual", func(t *testing.T) {
		c.WaitVM(t, ns, "manual", "Stopped", time.Minute, printable("Stopped"))
		virt(t, c, ns, "VM manual was scheduled to start", "start", "manual")
		first := c.WaitVMI(t, ns, "manual", "running", harness.BootLimit, harness.Running)
		c.BootID(t, ns, "manual") // a guest that hears when it is to stop
		virt(t, c, ns, "VM manual was scheduled to restart", "restart", "manual")
		c.WaitVMI(t, ns, "manual", "running anew", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
			return harness.Running(vmi) && vmi.UID != first.UID
		})
		console := c.Console(t, ns, "manual")
		harness.Shell(t, console)
		if err := console.Send("poweroff"); err != nil {
			t.Fatal(err)
		}
		c.WaitVMI(t, ns, "manual", "gone", time.Minute, harness.Gone)
		c.WaitVM(t, ns, "manual", "Stopped", time.Minute, printable("Stopped"))
		// A paused guest does not hear that it is to stop: only the shorter grace period ends it in time.
		virt(t, c, ns, "VM manual was scheduled to start", "start", "manual", "--paused")
		c.WaitVM(t, ns, "manual", "Paused", harness.BootLimit, printable("Paused"))
		virt(t, c, ns, "VM manual was scheduled to stop", "stop", "manual", "--grace-period", "0", "--force")
		c.WaitVMI(t, ns, "manual", "gone", time.Minute, harness.Gone)
		spec.Covers(t, "P1-RUN-04", "P1-VCTL-08")
	})
}
