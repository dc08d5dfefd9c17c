package guest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
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

// The kernel of our own configuration has what the tests of the project look for in a guest.
func TestTinyKernelDrives(t *testing.T) {
	r := need(t, Tiny)
	dir := plainDir(t)
	for _, name := range []string{"virtio", "nvme", "scsi", "later"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 8<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	drive := func(id string) string {
		return "if=none,id=" + id + ",format=raw,file=" + filepath.Join(dir, id)
	}
	m := boot(t, nil, "-m", "128", "-smp", "2", "-kernel", r.File(Kernel), "-initrd", r.File(Initrd), "-append", "console=ttyS0 quiet tsc=reliable no_timer_check",
		"-smbios", "type=1,serial=S-1", "-device", "virtio-net-pci,netdev=net0", "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci", "-device", "virtio-tablet-pci",
		"-device", "virtio-scsi-pci", "-device", "pvpanic-pci", "-device", "pcie-root-port,id=port0", "-device", "virtio-serial-pci", "-device", "virtserialport,name=some.port",
		"-drive", drive("virtio"), "-device", "virtio-blk-pci,drive=virtio,serial=V-1", "-drive", drive("nvme"), "-device", "nvme,drive=nvme,serial=N-1",
		"-drive", drive("scsi"), "-device", "scsi-hd,drive=scsi", "-drive", drive("later"))
	if _, err := m.Expect(t.Context(), greeting); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ command, want string }{
		{"nproc", "2"},
		{"cat /sys/block/vda/serial; echo; ls -1 /dev/nvme0n1 /dev/sda", "V-1\n/dev/nvme0n1\n/dev/sda"},
		{"mke2fs /dev/vda >/dev/null && mount -t ext4 /dev/vda /mnt && echo kept >/mnt/note && umount /mnt && mount -t ext2 /dev/vda /mnt && cat /mnt/note && umount /mnt", "kept"},
		{"cat /sys/class/dmi/id/product_serial", "S-1"},
		{"cat /sys/class/misc/hw_random/rng_current | cut -d. -f1", "virtio_rng"},
		{"cat /sys/class/virtio-ports/*/name", "some.port"},
		{"grep -c 'QEMU Virtio Tablet' /proc/bus/input/devices", "1"},
		{"ls -d /sys/bus/pci/drivers/pvpanic-pci/0000:* | wc -l", "1"},
		{"ls -d /sys/bus/virtio/drivers/vmw_vsock_virtio_transport /sys/bus/virtio/drivers/virtiofs /sys/bus/virtio/drivers/virtio_mem | wc -l", "3"},
		{"ls -d /sys/bus/acpi/drivers/tpm_crb /sys/bus/acpi/drivers/button /sys/bus/pnp/drivers/tpm_tis | wc -l", "3"},
		{"grep -c -w -e iso9660 -e vfat -e ext4 -e virtiofs -e tmpfs -e hugetlbfs /proc/filesystems", "6"},
		{"ip -6 -o addr show dev eth0 scope link | grep -c fe80", "1"},
		{"hwclock -r >/dev/null && echo clock", "clock"},
		{"modprobe any; echo $?", "0"},
		{"grep HugePages_Total /proc/meminfo | tr -d ' '", "HugePages_Total:0"},
		{"cat /sys/devices/system/node/online", "0"},
	} {
		if got, err := m.Run(t.Context(), tc.command); err != nil || got != tc.want {
			t.Errorf("%s = %q, %v; want %q", tc.command, got, err, tc.want)
		}
	}
	m.ask(t, "device_add", map[string]string{"driver": "virtio-blk-pci", "bus": "port0", "drive": "later", "id": "later"})
	if got, err := m.Run(t.Context(), "for i in $(seq 300); do [ -b /dev/vdb ] && break; usleep 100000; done; cat /sys/block/vdb/size"); err != nil || got != "16384" {
		t.Errorf("the disk that came later: %q, %v", got, err)
	}
	m.ask(t, "device_del", map[string]string{"id": "later"})
	m.hear(t, "that the disk is gone", func(said message) bool { return said.Event == "DEVICE_DELETED" })
	m.powerDown(t)
}

// Debian's signed kernel boots like our own; that Secure Boot takes it is for the end-to-end tests to show.
func TestTinySignedBoots(t *testing.T) {
	r := need(t, TinySigned)
	m := boot(t, nil, "-m", "192", "-kernel", r.File(Kernel), "-initrd", r.File(Initrd), "-append", "console=ttyS0 quiet tsc=reliable no_timer_check", "-device", "virtio-net-pci,netdev=net0")
	if got, err := m.Expect(t.Context(), greeting); err != nil || !strings.Contains(got[3], "10.0.2.15/24") {
		t.Fatalf("greeting %q, %v", got, err)
	}
	m.powerDown(t)
}

// The null guest says that it runs and halts for good: no interrupt wakes its processor.
func TestNullHalts(t *testing.T) {
	m := boot(t, nil, append(virtioDisk("root", need(t, Null).File(DiskRaw), "raw"), "-m", "32")...)
	if _, err := m.Expect(t.Context(), "virtplane null guest halted\n"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		registers := fmt.Sprint(m.ask(t, "human-monitor-command", map[string]string{"command-line": "info registers"}))
		flags := regexp.MustCompile(`[ER]FL=([0-9a-f]+)`).FindStringSubmatch(registers)
		if flags == nil {
			t.Fatalf("registers without flags: %s", registers)
		}
		value, err := strconv.ParseUint(flags[1], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		const interruptFlag = 1 << 9
		if strings.Contains(registers, "HLT=1") && value&interruptFlag == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the processor does not halt: %s", registers)
		}
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

// A note on the disk outlives a reboot; the kernel says that it crashed, on the console and to the machine.
func TestTinyRebootsAndCrashes(t *testing.T) {
	overlay := filepath.Join(plainDir(t), "overlay.qcow2")
	overlayOf(t, overlay, need(t, Tiny).File(DiskRaw), "raw")
	m := boot(t, nil, "-m", "192", "-drive", "if=none,id=root,format=qcow2,file="+overlay, "-device", "virtio-blk-pci,drive=root", "-device", "pvpanic")
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
	m.hear(t, "that the guest has panicked", func(said message) bool { return said.Event == "GUEST_PANICKED" })
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
