package guest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/virtplane/virtplane/launcher/agent"
)

// The agent answers all that the launcher asks.
func TestTinyAgentAnswers(t *testing.T) {
	r := need(t, TinyAgent)
	dir := plainDir(t)
	socket := filepath.Join(dir, "agent")
	overlay := filepath.Join(dir, "root")
	overlayOf(t, overlay, r.File(DiskRaw), "raw", "64M")
	m := boot(t, nil, "-m", "128", "-kernel", r.File(Kernel), "-initrd", r.File(Initrd), "-append", "console=ttyS0 quiet tsc=reliable no_timer_check",
		"-device", "virtio-net-pci,netdev=net0,mac=02:00:00:00:00:01", "-device", "virtio-serial-pci",
		"-chardev", "socket,id=agent,path="+socket+",server=on,wait=off", "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
		"-drive", "if=none,id=data,format=qcow2,file="+overlay, "-device", "virtio-blk-pci,drive=data,serial=D-1")
	if _, err := m.Expect(t.Context(), greeting); err != nil {
		t.Fatal(err)
	}
	m.took(t, "greeting")
	if _, err := m.Run(t.Context(), "dd if=/dev/zero of=/dev/vda bs=1M count=1 2>/dev/null; mke2fs /dev/vda >/dev/null && mkdir /data && mount -t ext4 /dev/vda /data"); err != nil {
		t.Fatal(err)
	}
	c, err := agent.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	info, err := c.Query(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.OS.ID != "debian" || info.Hostname != "from-dhcp" || info.Version == "" || info.Timezone.Zone == "" {
		t.Errorf("the agent tells of the system: %+v", info)
	}
	for _, command := range []string{"guest-exec", "guest-fsfreeze-freeze", "guest-ssh-add-authorized-keys", "guest-set-user-password", "guest-shutdown", "guest-set-time"} {
		if !slices.Contains(info.Commands, command) {
			t.Errorf("the agent does not know %s", command)
		}
	}
	if !slices.ContainsFunc(info.Interfaces, func(i agent.Interface) bool {
		return i.Name == "eth0" && i.MAC == "02:00:00:00:00:01" && slices.ContainsFunc(i.IPs, func(ip string) bool { return strings.HasPrefix(ip, "10.0.2.15") })
	}) {
		t.Errorf("interfaces %+v", info.Interfaces)
	}

	disks, err := c.Filesystems(t.Context())
	if err != nil || !slices.ContainsFunc(disks, func(f agent.Filesystem) bool {
		return f.Mountpoint == "/data" && f.Type == "ext4" && f.Used > 0 && f.Total > f.Used && len(f.Disks) == 1 && f.Disks[0].Bus == "virtio"
	}) {
		t.Errorf("file systems %+v, %v", disks, err)
	}

	run := func(command ...string) string {
		t.Helper()
		p, err := c.Start(t.Context(), command, nil)
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			if exit, ended, err := c.Wait(t.Context(), p); err != nil || ended {
				if err != nil || exit.Code != 0 {
					t.Fatalf("%q: %+v, %v", command, exit, err)
				}
				return strings.TrimSpace(string(exit.Output))
			}
		}
		t.Fatalf("%q does not end", command)
		return ""
	}
	if got := run("ls", "/dev/virtio-ports/org.qemu.guest_agent.0"); got != "/dev/virtio-ports/org.qemu.guest_agent.0" {
		t.Errorf("the port: %q", got)
	}

	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTEx first@test"
	for _, user := range []string{"root", "debian"} {
		const own = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy owner@test"
		for _, add := range [][]string{{own}, {key}, {key}} {
			if err := c.AddAuthorizedKeys(t.Context(), user, add); err != nil {
				t.Errorf("giving %s a key: %v", user, err)
			}
		}
		keys, err := c.AuthorizedKeys(t.Context(), user)
		if slices.Sort(keys); err != nil || !slices.Equal(keys, []string{key, own}) {
			t.Errorf("keys of %s: %q, %v", user, keys, err)
		}
		if err := c.RemoveAuthorizedKeys(t.Context(), user, []string{own}); err != nil {
			t.Errorf("taking a key from %s: %v", user, err)
		}
		if keys, err := c.AuthorizedKeys(t.Context(), user); err != nil || !slices.Equal(keys, []string{key}) {
			t.Errorf("keys of %s afterwards: %q, %v", user, keys, err)
		}
	}
	if err := c.SetPassword(t.Context(), "debian", "first:password"); err != nil {
		t.Error(err)
	}
	if err := m.Login(t.Context(), "from-dhcp", "debian", "first:password"); err != nil {
		t.Fatal(err)
	}
	users, err := c.Users(t.Context())
	if err != nil || !slices.ContainsFunc(users, func(u agent.User) bool { return u.Name == "debian" && u.LoginTime > 0 }) {
		t.Errorf("users %+v, %v", users, err)
	}

	if n, err := c.Freeze(t.Context()); err != nil || n != 1 {
		t.Errorf("frozen: %d, %v; want the one on the disk", n, err)
	}
	if frozen, err := c.Frozen(t.Context()); err != nil || !frozen {
		t.Errorf("frozen: %v, %v", frozen, err)
	}
	if n, err := c.Thaw(t.Context()); err != nil || n != 1 {
		t.Errorf("thawed: %d, %v", n, err)
	}
	run("touch", "/data/thawed")
	if err := c.SetTime(t.Context(), time.Unix(2000000000, 0)); err != nil {
		t.Error(err)
	}
	if got := run("date", "+%Y"); got != "2033" {
		t.Errorf("the year is %s", got)
	}
	if err := c.Shutdown(t.Context(), agent.Powerdown); err != nil {
		t.Fatal(err)
	}
	m.ended(t)
}
