package guest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const cloudConfig = `#cloud-config
password: fedora
chpasswd: { expire: False }
ssh_pwauth: true
write_files:
  - {path: /etc/note, content: "written\n"}
runcmd:
  - [sh, -c, "echo ran >/run/ran"]
`

func TestDebianBoots(t *testing.T) {
	overlay := filepath.Join(plainDir(t), "overlay.qcow2")
	// A larger disk than the image's: the root file system grows.
	overlayOf(t, overlay, need(t, Debian).File(DiskQCOW2), "qcow2", "8G")
	iso := seed(t, "cidata", map[string]string{
		"meta-data": `{ "instance-id": "one.default", "local-hostname": "vm-a" }`,
		"user-data": cloudConfig,
	})
	agentSocket := filepath.Join(plainDir(t), "agent")
	agent := listen(t, agentSocket)
	m := boot(t, []int{22}, "-m", "512",
		"-drive", "if=none,id=root,format=qcow2,file="+overlay, "-device", "virtio-blk-pci,drive=root",
		"-drive", "if=none,id=seed,readonly=on,format=raw,file="+iso, "-device", "virtio-blk-pci,drive=seed",
		"-device", "virtio-net-pci,netdev=net0", "-device", "virtio-rng-pci",
		"-device", "virtio-serial-pci", "-chardev", "socket,id=agent0,path="+agentSocket,
		"-device", "virtserialport,chardev=agent0,name=org.qemu.guest_agent.0")
	ctx, cancel := context.WithTimeout(t.Context(), 2*bootTimeout)
	defer cancel()

	if err := m.Login(ctx, "vm-a", "debian", "fedora"); err != nil {
		t.Fatal(err)
	}
	m.took(t, "login")
	// The last stage ends after the prompt is there.
	if _, err := m.Run(ctx, "until [ -e /var/lib/cloud/instance/boot-finished ]; do sleep 1; done"); err != nil {
		t.Fatal(err)
	}
	m.took(t, "end of cloud-init")
	for _, c := range []struct{ command, want string }{
		{"hostname", "vm-a"},
		{"cat /etc/note", "written"},
		{"cat /run/ran", "ran"},
		{`sudo cat /run/cloud-init/result.json | grep -c '"errors": \[\]'`, "1"},
		{"systemctl --failed --plain --no-legend", ""},
		{`ip -o -4 addr show scope global | sed 's/.*inet \([^ ]*\).*/\1/'`, "10.0.2.15/24"},
		{". /etc/os-release; echo $VERSION_CODENAME", "bookworm"},
		{"df --output=size -BG / | tail -n 1 | tr -d ' '", "8G"},
	} {
		if got, err := m.Run(ctx, c.command); err != nil || got != c.want {
			t.Errorf("%s = %q, %v; want %q", c.command, got, err, c.want)
		}
	}
	if banner, err := firstLine(ctx, m.ports[22]); err != nil || !strings.HasPrefix(banner, "SSH-2.0-") {
		t.Errorf("port 22 says %q, %v", banner, err)
	}
	pingAgent(ctx, t, accept(t, agent))
	m.powerDown(t)
	m.took(t, "end after the power button")
}

func firstLine(ctx context.Context, address string) (string, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp4", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return "", err
	}
	return bufio.NewReader(c).ReadString('\n')
}

// pingAgent asks the guest agent for a sign of life. What is sent before it listens may be lost.
func pingAgent(ctx context.Context, t *testing.T, conn net.Conn) {
	t.Helper()
	answers := json.NewDecoder(conn)
	for id := 1; ; id++ {
		if _, err := fmt.Fprintf(conn, `{"execute":"guest-sync","arguments":{"id":%d}}`+"\n", id); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		var answer struct{ Return int }
		if err := answers.Decode(&answer); err == nil {
			if answer.Return < 1 || answer.Return > id {
				t.Errorf("guest agent answered %d", answer.Return)
			}
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("waiting for the guest agent: %v", ctx.Err())
		}
		answers = json.NewDecoder(conn)
	}
}
