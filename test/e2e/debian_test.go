package e2e

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/guest/serial"
	"github.com/virtplane/virtplane/test/spec"
	"github.com/virtplane/virtplane/test/wire"
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
	began := time.Now()
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
	t.Run("a datagram is a frame", func(t *testing.T) {
		run(`sh -c "nohup python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((\"\", 5353))
while True: s.sendto(*s.recvfrom(65507))' >/dev/null 2>&1 &"; for i in $(seq 60); do grep -q :14E9 /proc/net/udp && break; sleep 0.5; done; grep -c :14E9 /proc/net/udp`)
		conn := forward(t, c, wire.Subresource("v1", ns, "virtualmachineinstances", "hello", "portforward/5353/udp"))
		buf := make([]byte, 1<<16)
		for _, n := range []int{5, 1200, 1} {
			want := bytes.Repeat([]byte{byte('a' + n%26)}, n)
			if _, err := conn.Write(want); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(buf); err != nil || !bytes.Equal(buf[:n], want) {
				t.Errorf("%d bytes of %d, %v", n, len(want), err)
			}
		}
	})
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
	// On a busy machine the guest may run before the command has come to look for it.
	vmi := c.WaitVMI(t, ns, "hello", "running", time.Minute, harness.Running)
	waited := !slices.ContainsFunc(vmi.Status.PhaseTransitionTimestamps, func(p virtv1.VirtualMachineInstancePhaseTransitionTimestamp) bool {
		return p.Phase == virtv1.Running && p.PhaseTransitionTimestamp.Time.Before(began.Add(15*time.Second))
	})
	if waited && !strings.Contains(said.String(), "Waiting for hello: ") {
		t.Errorf("kubectl virt console did not say what it waits for:\n%s", said.String())
	}
	c.WaitVM(t, ns, "hello", "Running and ready", time.Minute, func(vm *virtv1.VirtualMachine) bool { return printable("Running")(vm) && vm.Status.Ready })
	spec.Covers(t, "P1-VMCREATE-21", "P1-VMCREATE-22", "P2-VIRTCTL-01")
}
