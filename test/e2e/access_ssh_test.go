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
	c.Apply(t, ns, manifest)
	c.WaitVMI(t, ns, "hello", "running", 5*time.Minute, harness.Running)

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
