package guest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const greeting = `virtplane tiny guest ready\nboot-id: ([0-9a-f-]{36})\nhost: (\S+)\n(?s:(.*?))\S+ login: root \(automatic login\)\n`

func virtioDisk(id, file, format string) []string {
	return []string{
		"-drive", "if=none,id=" + id + ",snapshot=on,file=" + file + ",format=" + format,
		"-device", "virtio-blk-pci,drive=" + id,
	}
}

func TestTinyBoots(t *testing.T) {
	disk := need(t, Tiny).File(DiskRaw)
	args := append(virtioDisk("root", disk, "raw"), "-m", "192", "-device", "virtio-net-pci,netdev=net0", "-device", "virtio-rng-pci")
	m := boot(t, []int{80, 7777}, args...)
	ctx, cancel := context.WithTimeout(t.Context(), bootTimeout)
	defer cancel()

	got, err := m.Expect(ctx, greeting)
	if err != nil {
		t.Fatal(err)
	}
	m.took(t, "greeting")
	bootID, host, addresses := got[1], got[2], got[3]
	if host != "from-dhcp" {
		t.Errorf("host = %q, want the one that DHCP gave", host)
	}
	if !strings.Contains(addresses, "address: eth0 10.0.2.15/24\n") {
		t.Errorf("addresses = %q, want the one that DHCP gave", addresses)
	}

	for _, tc := range []struct{ path, want string }{{"/", "from-dhcp"}, {"/boot-id", bootID}} {
		if got, err := m.get(ctx, 80, tc.path); err != nil || got != tc.want {
			t.Errorf("GET %s = %q, %v; want %q", tc.path, got, err, tc.want)
		}
	}
	echo(t, m.ports[7777])

	for _, tc := range []struct{ command, want string }{
		{"hostname", "from-dhcp"},
		{"cat /proc/sys/kernel/random/boot_id", bootID},
		{"grep -c . /etc/resolv.conf", "1"},
		{"mkdir /tmp/m && mount -t vfat /dev/vda1 /tmp/m && ls /tmp/m/vmlinuz && umount /tmp/m", "/tmp/m/vmlinuz"},
	} {
		if got, err := m.Run(ctx, tc.command); err != nil || got != tc.want {
			t.Errorf("%s = %q, %v; want %q", tc.command, got, err, tc.want)
		}
	}
	m.powerDown(t)
	m.took(t, "end after the power button")
}

// echo checks the echo service with two clients at once.
func echo(t *testing.T, address string) {
	t.Helper()
	var conns []net.Conn
	for range 2 {
		c, err := net.Dial("tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	for i, c := range conns {
		want := fmt.Sprintf("client %d\n", i)
		if _, err := c.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || got != want {
			t.Errorf("echo gave %q, %v; want %q", got, err, want)
		}
	}
}

func TestTinySeeds(t *testing.T) {
	const script = "#!/bin/sh\necho script ran as $(id -u) on $(hostname)\n"
	for _, tc := range []struct {
		name, label, bus string
		files            map[string]string
		host, said       string
	}{
		{
			"NoCloud", "cidata", "virtio-blk-pci",
			map[string]string{
				"meta-data": `{ "instance-id": "one.default", "local-hostname": "from-nocloud" }`,
				"user-data": script,
			},
			"from-nocloud", "script ran as 0 on from-nocloud\nuser-data: exit 0\n",
		},
		{
			"ConfigDrive on a SCSI CD-ROM", "config-2", "scsi-cd",
			map[string]string{
				"openstack/latest/meta_data.json": `{"instance_id":"three","hostname":"from-drive","uuid":"3"}`,
				"openstack/latest/user_data":      script + "exit 3\n",
			},
			"from-drive", "script ran as 0 on from-drive\nuser-data: exit 3\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			iso := seed(t, tc.label, tc.files)
			args := append(virtioDisk("root", need(t, Tiny).File(DiskRaw), "raw"),
				"-m", "192", "-device", "virtio-net-pci,netdev=net0", "-device", "virtio-scsi-pci",
				"-drive", "if=none,id=seed,readonly=on,format=raw,file="+iso, "-device", tc.bus+",drive=seed")
			m := boot(t, nil, args...)
			got, err := m.Expect(t.Context(), greeting)
			if err != nil {
				t.Fatal(err)
			}
			if got[2] != tc.host {
				t.Errorf("host = %q, want %q", got[2], tc.host)
			}
			if said := m.Transcript(); !strings.Contains(said, tc.said) {
				t.Errorf("console = %q, want %q in it", said, tc.said)
			}
			m.powerDown(t)
		})
	}
}

func TestTinyField(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"YAML", "instance-id: i\nlocal-hostname: vm-a\n", "vm-a"},
		{"quoted YAML", "local-hostname: 'vm-a'  # ours\n", "vm-a"},
		{"JSON", `{"instance-id":"i","local-hostname":"vm-a"}`, "vm-a"},
		{"spaced JSON", "{\n  \"local-hostname\" : \"vm-a\"\n}\n", "vm-a"},
		{"second key", `{"hostname": "vm-b", "uuid": "u"}`, "vm-b"},
		{"first key wins", "hostname: vm-b\nlocal-hostname: vm-a\n", "vm-a"},
		{"absent", "instance-id: i\nnot-hostname: x\n", ""},
		{"empty", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "busybox", "sh", "tiny/rootfs/sbin/field", "local-hostname", "hostname")
			cmd.Stdin = strings.NewReader(tc.in)
			out, err := cmd.Output()
			if got := strings.TrimSpace(string(out)); got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// The generic kernel finds disk, seed and network behind emulated hardware.
func TestTinyGenericDrivesHardware(t *testing.T) {
	disk := need(t, TinyGeneric).File(DiskRaw)
	iso := seed(t, "cidata", map[string]string{"meta-data": "local-hostname: on-sata\n"})
	m := boot(t, []int{80},
		"-m", "256", "-device", "e1000e,netdev=net0", "-device", "qemu-xhci", "-device", "usb-tablet",
		"-drive", "if=none,id=root,snapshot=on,format=raw,file="+disk, "-device", "ide-hd,drive=root,bus=ide.0",
		"-drive", "if=none,id=seed,readonly=on,format=raw,file="+iso, "-device", "ide-cd,drive=seed,bus=ide.1",
		"-device", "i6300esb")
	got, err := m.Expect(t.Context(), greeting)
	if err != nil {
		t.Fatal(err)
	}
	m.took(t, "greeting")
	if got[2] != "on-sata" || !strings.Contains(got[3], "10.0.2.15/24") {
		t.Errorf("greeting = %q, want host on-sata and an address", got[0])
	}
	if body, err := m.get(t.Context(), 80, "/"); err != nil || body != "on-sata" {
		t.Errorf("GET / = %q, %v", body, err)
	}
	for _, command := range []string{"test -b /dev/sda1", "test -c /dev/watchdog0", "test -e /sys/bus/usb/drivers/usbhid/*:*"} {
		if _, err := m.Run(t.Context(), command); err != nil {
			t.Error(err)
		}
	}
	m.powerDown(t)
}

// A note on the disk outlives a reboot; the kernel says that it crashed.
func TestTinyRebootsAndCrashes(t *testing.T) {
	overlay := filepath.Join(plainDir(t), "overlay.qcow2")
	overlayOf(t, overlay, need(t, Tiny).File(DiskRaw), "raw")
	m := boot(t, nil, "-m", "192", "-drive", "if=none,id=root,format=qcow2,file="+overlay, "-device", "virtio-blk-pci,drive=root")
	first, err := m.Expect(t.Context(), greeting)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Run(t.Context(), "mount -t vfat /dev/vda1 /mnt && echo kept >/mnt/note && umount /mnt"); err != nil {
		t.Error(err)
	}
	if err := m.Send("reboot"); err != nil {
		t.Fatal(err)
	}
	second, err := m.Expect(t.Context(), greeting)
	if err != nil {
		t.Fatal(err)
	}
	if first[1] == second[1] {
		t.Errorf("boot id %s is the same after a reboot", first[1])
	}
	if got, err := m.Run(t.Context(), "mount -t vfat /dev/vda1 /mnt && cat /mnt/note"); err != nil || got != "kept" {
		t.Errorf("note = %q, %v", got, err)
	}
	if err := m.Send("echo c >/proc/sysrq-trigger"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Expect(t.Context(), "Kernel panic - not syncing: sysrq triggered crash"); err != nil {
		t.Error(err)
	}
}

// Kernel and initrd also boot without the disk, as kernelBoot does it.
func TestTinyKernelBoots(t *testing.T) {
	r := need(t, Tiny)
	m := boot(t, nil, "-m", "192", "-kernel", r.File(Kernel), "-initrd", r.File(Initrd), "-append", "console=ttyS0 quiet")
	if _, err := m.Expect(t.Context(), greeting); err != nil {
		t.Fatal(err)
	}
	if err := m.Send("poweroff"); err != nil {
		t.Fatal(err)
	}
	m.ended(t)
}
