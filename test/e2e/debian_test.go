package e2e

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/guest/serial"
	"github.com/virtplane/virtplane/test/spec"
)

// TestDebian starts the machine of the examples, a whole Debian with cloud-init, and logs in to it the way the README says.
func TestDebian(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	manifest, err := os.ReadFile("../../docs/examples/vm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(t, ns, string(manifest))

	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	// At once: the command itself waits for the machine.
	cmd := exec.CommandContext(ctx, "kubectl", "virt", "console", "hello", "-n", ns, "--timeout", "5m")
	var said strings.Builder
	cmd.Stderr = &said
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	screen, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	left := false
	defer func() {
		if !left {
			cancel()
			_ = cmd.Wait()
			t.Logf("kubectl virt console said:\n%s", said.String())
		}
	}()
	console := serial.New(struct {
		io.Reader
		io.Writer
	}{screen, keys})
	if err := console.Login(ctx, "hello", "debian", "virtplane"); err != nil {
		t.Fatal(err)
	}
	run := func(command string) string {
		t.Helper()
		out, err := console.Run(ctx, command)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := run("whoami; hostname"); got != "debian\nhello" {
		t.Errorf("the guest says %q", got)
	}
	if got := run("ls /dev/hwrng; cat /sys/class/misc/hw_random/rng_current"); !strings.HasPrefix(got, "/dev/hwrng\nvirtio_rng") {
		t.Errorf("the guest's random number generator: %q", got)
	}
	if err := console.Logout(ctx); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(keys, "\x1d"); err != nil {
		t.Fatal(err)
	}
	left = true
	if err := cmd.Wait(); err != nil {
		t.Errorf("leaving the console: %v\n%s", err, said.String())
	}
	if !strings.Contains(said.String(), "Waiting for hello: ") {
		t.Errorf("kubectl virt console did not say what it waits for:\n%s", said.String())
	}
	c.WaitVM(t, ns, "hello", "Running and ready", time.Minute, func(vm *virtv1.VirtualMachine) bool { return printable("Running")(vm) && vm.Status.Ready })
	spec.Covers(t, "P1-VMCREATE-21", "P1-VMCREATE-22")
}
