package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// TestVirtctlSSH makes a Debian with create vm, logs in with the local ssh, and copies files both ways: no route leads to the guest
// but the API server.
func TestVirtctlSSH(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"ssh", "scp", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: install openssh-client", err)
		}
	}
	c := harness.Connect(t)
	ns := c.Namespace(t)
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	manifest, says, err := virtctl(t, ns, "", "create", "vm", "--name", "hello", "--memory", "512Mi", "--termination-grace-period", "0",
		"--volume-containerdisk", "src:"+harness.DebianImage, "--user", "debian", "--ssh-key", strings.TrimSpace(string(public)))
	if err != nil {
		t.Fatalf("create vm: %v\n%s", err, says)
	}
	// The guest's kernel drives no SATA.
	manifest = strings.Replace(manifest, "devices: {}", "devices: {disks: [{name: hello-containerdisk-0, disk: {bus: virtio}}, {name: cloudinitdisk, disk: {bus: virtio}}]}", 1)
	// The manual's readiness probe by the agent, as it is.
	manifest = strings.Replace(manifest, "    spec:\n", "    spec:\n"+harness.Indent(6, fragment(t, "p4-frag-14.7.5-vmi-readiness-guestagentping")), 1)
	c.Apply(t, ns, manifest)
	vmi := c.WaitVMI(t, ns, "hello", "running", 5*time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool {
		return vmi != nil && vmi.Status.Phase == virtv1.Running
	})

	options := []string{"-i", key, "--known-hosts", filepath.Join(dir, "known_hosts"), "-t", "-o StrictHostKeyChecking=no", "-t", "-o BatchMode=yes", "-t", "-o ConnectTimeout=20"}
	run := func(command string) (string, string, error) {
		return virtctl(t, ns, "", append(append([]string{"ssh"}, options...), "debian@hello", "-c", command)...)
	}
	limit := time.Now().Add(5 * time.Minute) // sshd comes up after cloud-init, under emulation
	for {
		out, says, err := run("whoami")
		if err == nil && strings.TrimSpace(out) == "debian" {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("no login: printed %q, said %q, %v", out, says, err)
		}
		time.Sleep(5 * time.Second)
	}
	t.Run("exit codes", func(t *testing.T) {
		_, _, err := run("exit 7")
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 7 {
			t.Errorf("ends with %v, want exit code 7", err)
		}
		spec.Covers(t, "P2-SSH-01", "P2-SSH-02", "P2-SSH-05", "P2-SSH-07", "P1-VCTL-37")
	})
	t.Run("scp", func(t *testing.T) {
		content := strings.Repeat("some bytes\x00\xff", 10_000)
		there, back := filepath.Join(dir, "there"), filepath.Join(dir, "back")
		if err := os.WriteFile(there, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]string{{there, "debian@hello:copied"}, {"debian@hello:copied", back}} {
			if out, says, err := virtctl(t, ns, "", append(append([]string{"scp"}, options...), pair[0], pair[1])...); err != nil {
				t.Fatalf("scp %s %s: %v\n%s%s", pair[0], pair[1], err, out, says)
			}
		}
		if got, err := os.ReadFile(back); err != nil || string(got) != content {
			t.Errorf("%d bytes came back of %d, %v", len(got), len(content), err)
		}
		spec.Covers(t, "P2-SSH-03", "P2-SSH-04")
	})
	t.Run("ready by the agent", func(t *testing.T) {
		var began time.Time
		for _, s := range c.LauncherPod(t, vmi).Status.ContainerStatuses {
			if s.Name == "compute" && s.State.Running != nil {
				began = s.State.Running.StartedAt.Time
			}
		}
		if began.IsZero() {
			t.Fatal("the pod does not tell when its guest was started")
		}
		ready := c.WaitVMI(t, ns, "hello", "running and ready", 5*time.Minute, harness.Running)
		for _, cond := range ready.Status.Conditions {
			if cond.Type == virtv1.VirtualMachineInstanceReady && cond.LastTransitionTime.Time.Before(began.Add(119*time.Second)) {
				t.Errorf("ready at %s, before the probe's delay of 120 s was over (started %s)", cond.LastTransitionTime, began)
			}
		}
		probe := c.LauncherPod(t, vmi).Spec.Containers[0].ReadinessProbe
		if probe == nil || probe.Exec == nil || probe.InitialDelaySeconds != 120 || probe.PeriodSeconds != 20 || probe.SuccessThreshold != 3 {
			t.Errorf("the pod's probe is %+v", probe)
		}
		spec.Covers(t, "P4-PROBE-20")
	})
	t.Run("not running, or elsewhere", func(t *testing.T) {
		if _, says, err := virtctl(t, "default", "", append(append([]string{"ssh"}, options...), "debian@hello", "-c", "true")...); err == nil || !strings.Contains(says, "not found") {
			t.Errorf("from another namespace: said %q, %v", says, err)
		}
		if _, says, err := virtctl(t, ns, "", "stop", "hello", "--force", "--grace-period=0"); err != nil {
			t.Fatalf("stop: %v\n%s", err, says)
		}
		c.WaitVM(t, ns, "hello", "stopped", 2*time.Minute, func(vm *virtv1.VirtualMachine) bool { return vm != nil && !vm.Status.Created })
		if _, says, err := run("true"); err == nil || !strings.Contains(says, "the machine is not running; start it") {
			t.Errorf("stopped: said %q, %v", says, err)
		}
		spec.Covers(t, "P2-SSH-06")
	})
}
