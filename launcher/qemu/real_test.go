package qemu

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/virtplane/virtplane/launcher/qmp"
)

// TestRealQEMUTakesEachShape starts each machine of the golden files, halted, so that a QEMU that knows a property no
// more is met here. Taps are made in a network namespace that ends with QEMU.
func TestRealQEMUTakesEachShape(t *testing.T) {
	binary, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip("qemu-system-x86_64 is not installed")
	}
	for name := range shapes("/x") {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			m := shapes(dir)[name]
			prepare(t, dir, m)
			args, err := m.Args()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(binary, args...)
			if taps := tapsOf(m); len(taps) > 0 {
				if os.Geteuid() != 0 {
					t.Skip("tap devices need root")
				}
				script := ""
				for _, n := range taps {
					queues := ""
					if n.Queues > 1 {
						queues = " multi_queue"
					}
					script += fmt.Sprintf("ip tuntap add %s mode tap%s && ", n.Tap, queues)
				}
				cmd = exec.Command("unshare", append([]string{"-n", "sh", "-c", script + `exec "$@"`, "sh", binary}, args...)...)
			}
			for _, d := range m.Devices {
				if tpm, ok := d.(*TPM); ok {
					emulateTPM(t, dir, tpm.Socket)
				}
			}
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			c := dial(t, m.Monitor.Socket, ended, &stderr)
			if s, err := c.QueryStatus(t.Context()); err != nil || s.Status != qmp.StatePrelaunch {
				t.Errorf("QueryStatus: %+v, %v", s, err)
			}
			if err := c.Quit(t.Context()); err != nil {
				t.Errorf("Quit: %v", err)
			}
			if err := <-ended; err != nil {
				t.Errorf("QEMU ended with %v:\n%s", err, stderr.String())
			}
			c.Close()
		})
	}
}

// dial waits for QEMU's socket or its early end.
func dial(t *testing.T, socket string, ended chan error, stderr *bytes.Buffer) *qmp.Client {
	t.Helper()
	type result struct {
		c   *qmp.Client
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := qmp.Dial(t.Context(), socket)
		done <- result{c, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			t.Fatalf("%v; QEMU ended with %v\n%s", r.err, <-ended, stderr.String())
		}
		return r.c
	case err := <-ended:
		t.Fatalf("QEMU refused the machine: %v\n%s", err, stderr.String())
	case <-time.After(time.Minute):
		t.Fatal("QEMU made no monitor socket within a minute")
	}
	return nil
}

func tapsOf(m *Machine) []*NIC {
	var out []*NIC
	for _, d := range m.Devices {
		if n, ok := d.(*NIC); ok {
			out = append(out, n)
		}
	}
	return out
}

// prepare makes the files that the machine opens.
func prepare(t *testing.T, dir string, m *Machine) {
	t.Helper()
	if m.Accel == KVM {
		f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
		if err != nil {
			t.Skipf("no KVM here: %v", err)
		}
		f.Close()
		// Nested hosts lack registers that "host" and Hyper-V's features want.
		m.CPU = CPU{Model: "qemu64", Sockets: 1, Cores: 1, Threads: 1}
	}
	run := func(args ...string) {
		if out, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
			t.Fatalf("qemu-img %v: %v\n%s", args, err, out)
		}
	}
	if m.HugePage > 0 && freeHugePages(t)*m.HugePage < m.MemoryMiB<<20 {
		// What is left of the shape is memory with a name, and the nodes.
		m.HugePage = 0
	}
	for _, table := range m.ACPITables {
		raw := append([]byte(table.Signature), make([]byte, 32)...)
		raw[4] = byte(len(raw))
		if err := os.WriteFile(table.File, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range m.Devices {
		if port, ok := d.(*SerialConsole); ok {
			l, err := net.Listen("unix", port.Socket)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		}
		if _, ok := d.(*VSOCK); ok {
			if _, err := os.Stat("/dev/vhost-vsock"); err != nil {
				t.Skipf("no vsock here: %v", err)
			}
		}
		disk, ok := d.(*Disk)
		if !ok || disk.empty() {
			continue
		}
		if base := disk.Image.Backing; base != nil {
			run("create", "-q", "-f", string(base.Format), base.Path, "1M")
			run("create", "-q", "-f", "qcow2", "-b", base.Path, "-F", string(base.Format), disk.Image.Path)
			continue
		}
		run("create", "-q", "-f", string(disk.Image.Format), disk.Image.Path, "1M")
	}
	if m.UEFI != nil {
		for from, to := range map[string]string{"OVMF_CODE_4M.secboot.fd": m.UEFI.Code, "OVMF_VARS_4M.fd": m.UEFI.Vars} {
			raw, err := os.ReadFile(filepath.Join("/usr/share/OVMF", from))
			if err != nil {
				t.Skipf("no UEFI firmware here: %v", err)
			}
			if err := os.WriteFile(to, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if m.Kernel != nil {
		// A boot sector that claims to be a kernel of the oldest protocol is enough for a machine that stays halted.
		image := make([]byte, 64<<10)
		copy(image[0x1f1:], []byte{4})
		copy(image[0x1fe:], []byte{0x55, 0xaa})
		copy(image[0x202:], "HdrS")
		copy(image[0x206:], []byte{0x04, 0x02})
		image[0x211] = 1
		copy(image[0x22c:], []byte{0xff, 0xff, 0xff, 0x37})
		for _, p := range []string{m.Kernel.Image, m.Kernel.Initrd} {
			if err := os.WriteFile(p, image, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// emulateTPM starts a TPM that listens on a socket.
func emulateTPM(t *testing.T, dir, socket string) {
	t.Helper()
	program, err := exec.LookPath("swtpm")
	if err != nil {
		t.Skip("swtpm is not installed")
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	inherited, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	cmd := exec.Command(program, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--ctrl", "type=unixio,fd=3", "--terminate")
	cmd.ExtraFiles = []*os.File{inherited}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// freeHugePages counts the node's free huge pages of the usual size.
func freeHugePages(t *testing.T) int64 {
	t.Helper()
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "HugePages_Free:"); ok {
			fmt.Sscan(rest, &n)
		}
	}
	return n
}
