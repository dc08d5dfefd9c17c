package app

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/test/spec"
)

// qemuUser is the user of launcher pods.
const qemuUser = 107

// inPod runs what follows as a launcher pod does: in a network of its own with the bridge and tap that the node agent
// makes, as user 107 without any capability.
const inPod = `set -e
mknod "$1" c 10 200; chmod 666 "$1"; mount --bind "$1" /dev/net/tun; shift
sysctl -qw net.ipv4.ip_unprivileged_port_start=0
ip link set lo up
ip link add k6t-eth0 type bridge
ip addr add 10.0.2.1/24 dev k6t-eth0
ip tuntap add tap0 mode tap user 107
ip link set tap0 mtu 1400 master k6t-eth0 up
ip link set k6t-eth0 up
exec setpriv --reuid 107 --regid 107 --clear-groups --bounding-set -all --no-new-privs "$@"`

// tinyGuest gives the folder of a tiny Linux guest, as test/guest builds it: "tiny", or "tiny-generic" whose kernel has
// drivers for emulated hardware too.
func tinyGuest(t *testing.T, kind string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("namespaces and another user need root")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	found, err := filepath.Glob(filepath.Join(cache, "virtplane/images/guest."+kind+".*/disk.raw"))
	if err != nil || len(found) == 0 {
		t.Skip("the tiny guest is not built yet")
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return built(a).Compare(built(b)) }))
}

// built is when a file was last written.
func built(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func linuxPod(t *testing.T, prepare func(*pod)) *pod {
	t.Helper()
	tun := filepath.Join(t.TempDir(), "tun")
	return makePod(t, func(p *pod) {
		prepare(p)
		if err := os.Chmod(filepath.Dir(program), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := filepath.WalkDir(p.dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Chown(path, qemuUser, qemuUser)
		}); err != nil {
			t.Fatal(err)
		}
	}, "unshare", "-n", "-m", "sh", "-c", inPod, "sh", tun)
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// syncLinux starts a VMI of which spec is the JSON.
func (p *pod) syncLinux(spec string) {
	p.t.Helper()
	vmi := `{"metadata":{"name":"testvm","namespace":"default","uid":"the-uid"},"spec":` + spec + `}`
	if _, err := p.client.Sync(p.context(), &api.SyncRequest{Vmi: []byte(vmi), Options: &api.SyncOptions{
		Emulation:  true,
		Interfaces: []*api.InterfaceOptions{{Name: "default", Tap: "tap0", Bridge: "k6t-eth0", Mtu: 1400, GuestIpv4: "10.0.2.2/24", GatewayIpv4: "10.0.2.1"}},
	}}); err != nil {
		p.t.Fatal(err)
	}
}

// TestLinuxGuest boots a Linux from a containerDisk: cloud-init names it, DHCP gives it its address, the power button
// stops it, and all that in a pod without privileges.
func TestLinuxGuest(t *testing.T) {
	guest := tinyGuest(t, "tiny")
	p := linuxPod(t, func(p *pod) {
		copyFile(t, p.path("container-disk/root/disk/disk.raw"), filepath.Join(guest, "disk.raw"))
	})
	p.syncLinux(`{"hostname":"called-so","domain":{"memory":{"guest":"192Mi"},"devices":{"rng":{},
		"disks":[{"name":"root","disk":{"bus":"virtio"}},{"name":"seed","disk":{"bus":"virtio"}},{"name":"scratch","disk":{"bus":"virtio"}}],
		"interfaces":[{"name":"default","masquerade":{}}]}},"networks":[{"name":"default","pod":{}}],
		"volumes":[{"name":"root","containerDisk":{"image":"tiny"}},{"name":"seed","cloudInitNoCloud":{"userData":"#!/bin/sh\necho user data ran >/dev/ttyS0\n"}},
		{"name":"scratch","emptyDisk":{"capacity":"1Gi"}}]}`)
	console := p.serial()
	for _, text := range []string{"user data ran", "virtplane tiny guest ready", "host: called-so", "address: eth0 10.0.2.2/24", "# "} {
		console.hear(text)
	}
	console.say("cat /etc/resolv.conf /sys/class/net/eth0/mtu; blockdev --getsize64 /dev/vdc\n")
	for _, text := range []string{"search default.svc.cluster.local", "nameserver 10.96.0.10", "1400", "1073741824"} {
		console.hear(text)
	}
	p.watch("a lease", func(e *api.Event) bool { return len(e.Interfaces) == 1 && e.Interfaces[0].LeasedAt != nil })

	// The launcher's death costs neither the console nor the next lease.
	p.killLauncher()
	console.say("udhcpc -i eth0 -n -q -f -s /etc/udhcpc/default.script\n")
	console.hear("lease of 10.0.2.2 obtained")
	if _, err := p.client.Shutdown(p.context(), &api.ShutdownRequest{}); err != nil {
		t.Fatal(err)
	}
	console.hear("virtplane tiny guest powering off")
	p.await(stateShutdown, api.ReasonGuestShutdown)
	p.expectEnd(0, api.ReasonGuestShutdown)
}

// TestKernelBoot boots without any disk.
func TestKernelBoot(t *testing.T) {
	guest := tinyGuest(t, "tiny")
	p := linuxPod(t, func(p *pod) {
		copyFile(t, p.path("kernel-boot/boot/vmlinuz"), filepath.Join(guest, "vmlinuz"))
		copyFile(t, p.path("kernel-boot/boot/initrd"), filepath.Join(guest, "initrd"))
	})
	p.syncLinux(`{"domain":{"memory":{"guest":"192Mi"},"devices":{"autoattachGraphicsDevice":false},
		"firmware":{"kernelBoot":{"kernelArgs":"console=ttyS0 quiet tsc=reliable no_timer_check","container":{"image":"tiny-kernel","kernelPath":"/boot/vmlinuz","initrdPath":"/boot/initrd"}}}}}`)
	console := p.serial()
	console.hear("virtplane tiny guest ready")
	if _, err := p.client.Shutdown(p.context(), &api.ShutdownRequest{}); err != nil {
		t.Fatal(err)
	}
	p.expectEnd(0, api.ReasonGuestShutdown)
}

// TestWatchdog has a guest that forgets to feed its watchdog. It has a CD-ROM too.
func TestWatchdog(t *testing.T) {
	spec.Covers(t, "P2-WDOG-03", "P2-WDOG-07", "P2-WDOG-08", "P2-VIRTIOWIN-02")
	guest := tinyGuest(t, "tiny-generic")
	p := linuxPod(t, func(p *pod) {
		copyFile(t, p.path("kernel-boot/boot/vmlinuz"), filepath.Join(guest, "vmlinuz"))
		copyFile(t, p.path("kernel-boot/boot/initrd"), filepath.Join(guest, "initrd"))
		copyFile(t, p.path("container-disk/root/disk/drivers.iso"), filepath.Join(guest, "initrd"))
	})
	p.syncLinux(`{"domain":{"memory":{"guest":"192Mi"},"devices":{"autoattachGraphicsDevice":false,"watchdog":{"name":"dog","i6300esb":{"action":"poweroff"}},
		"disks":[{"name":"root","cdrom":{"bus":"sata"}}]},
		"firmware":{"kernelBoot":{"kernelArgs":"console=ttyS0 quiet tsc=reliable no_timer_check","container":{"image":"tiny-kernel","kernelPath":"/boot/vmlinuz","initrdPath":"/boot/initrd"}}}},
		"volumes":[{"name":"root","containerDisk":{"image":"i"}}]}`)
	console := p.serial()
	console.hear("virtplane tiny guest ready")
	console.hear("# ")
	// The device is Intel's 6300ESB, and there is one watchdog.
	console.say("echo; grep -l 0x25ab /sys/bus/pci/devices/*/device | wc -l; ls /dev/watchdog; cat /sys/block/sr0/ro /sys/block/sr0/device/../../../../class\n")
	console.hear("\n1\r\n/dev/watchdog")
	console.hear("\n1\r\n0x010601") // read-only, on an AHCI controller
	console.say("rmmod i6300esb; modprobe i6300esb heartbeat=2 && echo bark >/dev/watchdog\n")
	p.await(stateCrashed, api.ReasonWatchdogExpired)
	p.expectEnd(1, api.ReasonWatchdogExpired)
}

// TestWatchdogResets has a guest whose watchdog resets it, as it does by default: it runs on, and that is told.
func TestWatchdogResets(t *testing.T) {
	spec.Covers(t, "P2-WDOG-05", "P2-WDOG-12")
	guest := tinyGuest(t, "tiny-generic")
	p := linuxPod(t, func(p *pod) {
		copyFile(t, p.path("kernel-boot/boot/vmlinuz"), filepath.Join(guest, "vmlinuz"))
		copyFile(t, p.path("kernel-boot/boot/initrd"), filepath.Join(guest, "initrd"))
	})
	p.syncLinux(`{"domain":{"memory":{"guest":"192Mi"},"devices":{"autoattachGraphicsDevice":false,"watchdog":{"name":"dog"}},
		"firmware":{"kernelBoot":{"kernelArgs":"console=ttyS0 quiet tsc=reliable no_timer_check","container":{"image":"tiny-kernel","kernelPath":"/boot/vmlinuz","initrdPath":"/boot/initrd"}}}}}`)
	console := p.serial()
	console.hear("virtplane tiny guest ready")
	console.hear("# ")
	console.say("rmmod i6300esb; modprobe i6300esb heartbeat=2 && echo bark >/dev/watchdog\n")
	e := p.watch("a watchdog that has expired", func(e *api.Event) bool { return len(e.Incidents) > 0 })
	if e.Incidents[0].Reason != api.ReasonWatchdogExpired || e.State != stateRunning {
		t.Errorf("event: %v", e)
	}
	console.hear("virtplane tiny guest ready")
	if e := p.await(stateRunning, ""); len(e.Incidents) != 1 || e.LastResetAt == nil {
		t.Errorf("after the reset: %v", e)
	}
}

// TestMachine has a guest look at its machine: processors, the tables of the firmware, its devices, and the TPM with which it talks.
func TestMachine(t *testing.T) {
	guest := tinyGuest(t, "tiny")
	p := linuxPod(t, func(p *pod) {
		copyFile(t, p.path("kernel-boot/boot/vmlinuz"), filepath.Join(guest, "vmlinuz"))
		copyFile(t, p.path("kernel-boot/boot/initrd"), filepath.Join(guest, "initrd"))
	})
	p.syncLinux(`{"domain":{"memory":{"guest":"192Mi"},"cpu":{"sockets":2,"cores":1,"threads":1,"maxSockets":3,"features":[{"name":"apic","policy":"require"},{"name":"avx2","policy":"disable"}]},
		"chassis":{"manufacturer":"Acme","asset":"Shelf 3","serial":"C-1","sku":"X1","version":"2"},
		"devices":{"autoattachGraphicsDevice":false,"tpm":{},"rng":{},"disks":[{"name":"scratch","disk":{"bus":"virtio"},"serial":"D-1"},{"name":"cd","cdrom":{"bus":"virtio"}}],
		"interfaces":[{"name":"default","masquerade":{}}]},
		"firmware":{"serial":"S-0815","uuid":"5d307ca9-b3ef-428c-8861-06e72d69f223",
		"kernelBoot":{"kernelArgs":"console=ttyS0 quiet tsc=reliable no_timer_check","container":{"image":"tiny-kernel","kernelPath":"/boot/vmlinuz","initrdPath":"/boot/initrd"}}}},
		"networks":[{"name":"default","pod":{}}],"volumes":[{"name":"scratch","emptyDisk":{"capacity":"1Gi"}},{"name":"cd","emptyDisk":{"capacity":"1Mi"}}]}`)
	console := p.serial()
	console.hear("virtplane tiny guest ready")
	console.hear("# ")
	type ask struct{ command, want string }
	for _, tc := range []struct {
		name string
		rows []string
		asks []ask
	}{
		{"processors", []string{"P2-CPU-02", "P2-CPU-07"}, []ask{
			{"cat /sys/devices/system/cpu/online", "0-1"},
			{"cat /sys/devices/system/cpu/possible", "0-2"},
			{"grep -c ' apic ' /proc/cpuinfo", "2"},
			{"grep -c avx2 /proc/cpuinfo", "0"},
		}},
		{"firmware", []string{"P2-EFI-02"}, []ask{
			{"ls -d /sys/firmware/efi 2>&1", "ls: /sys/firmware/efi: No such file"},
			{"cd /sys/class/dmi/id && cat sys_vendor product_serial product_uuid | tr '\\n' '|'", "KubeVirt|S-0815|5d307ca9-b3ef-428c-8861-06e72d69f223|"},
			{"cat chassis_vendor chassis_asset_tag chassis_serial chassis_version | tr '\\n' '|'", "Acme|Shelf 3|C-1|2|"},
		}},
		{"TPM", []string{"P2-TPM-01", "P2-TPM-02"}, []ask{
			{"ls -1 /sys/firmware/acpi/tables", "TPM2"},
			{"ls /dev/tpm0", "/dev/tpm0"},
			{"cat /sys/class/tpm/tpm0/tpm_version_major", "2"},
			{"grep -c '^0*$' /sys/class/tpm/tpm0/pcr-sha256/23", "1"},
		}},
		{"devices", []string{"P2-VIRTIOWIN-10", "P2-VIRTIOWIN-11", "P2-VIRTIOWIN-12"}, []ask{
			// Network, two disks, agent's channel, random numbers, balloon.
			{"cat /sys/bus/pci/devices/*/device | grep 0x10[45] | sort | tr '\\n' ' '", "0x1041 0x1042 0x1042 0x1043 0x1044 0x1045"},
			// The serial comes without a line of its own.
			{"cat /sys/block/vda/serial /sys/block/vda/ro /sys/block/vdb/ro | tr '\\n' '|'", "D-10|1|"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec.Covers(t, tc.rows...)
			for _, a := range tc.asks {
				console.say("echo; " + a.command + "; echo\n")
				console.hear("\n" + a.want)
			}
		})
	}
	if !slices.Contains(p.children(), "swtpm") {
		t.Errorf("no TPM among the pod's processes %v", p.children())
	}
	if _, err := p.client.Kill(p.context(), &api.KillRequest{}); err != nil {
		t.Fatal(err)
	}
	p.expectEnd(0, api.ReasonKilled)
}

// TestDedicatedCPUs has each of the guest's processors run on one of this machine's alone, and all else on the last.
func TestDedicatedCPUs(t *testing.T) {
	spec.Covers(t, "P2-DEDI-01")
	n := runtime.NumCPU()
	p := newPod(t)
	p.mustSync(fmt.Sprintf(`"cpu":{"cores":%d,"dedicatedCpuPlacement":true,"isolateEmulatorThread":%v}`, max(n-1, 1), n > 1))
	p.await(stateRunning, "")
	places := map[string]string{}
	for _, thread := range p.threads(p.qemuPID()) {
		name, cpus := thread["Name"], thread["Cpus_allowed_list"]
		if _, err := strconv.Atoi(cpus); err != nil {
			t.Errorf("thread %s may run on %s", name, cpus)
		}
		if !strings.HasPrefix(name, "CPU ") {
			name = "other"
		}
		for other, at := range places {
			if n > 1 && (other == name) != (at == cpus) {
				t.Errorf("%s is on CPU %s and %s on CPU %s", name, cpus, other, at)
			}
		}
		places[name] = cpus
	}
	if len(places) != max(n, 2) {
		t.Errorf("got %v", places)
	}
	if err := p.sync(fmt.Sprintf(`"cpu":{"cores":%d,"dedicatedCpuPlacement":true}`, n+1), nil); err != nil {
		t.Errorf("a second Sync: %v", err)
	}
}

// TestUEFIGuest boots a Linux by UEFI, without Secure Boot.
func TestUEFIGuest(t *testing.T) {
	spec.Covers(t, "P2-EFI-01", "P2-EFI-05", "P2-TPM-04")
	if _, err := os.Stat("/usr/share/OVMF/OVMF_CODE_4M.fd"); err != nil {
		t.Skip("the UEFI firmware is not installed")
	}
	guest := tinyGuest(t, "tiny")
	p := linuxPod(t, func(p *pod) {
		copyFile(t, p.path("kernel-boot/boot/vmlinuz"), filepath.Join(guest, "vmlinuz"))
		copyFile(t, p.path("kernel-boot/boot/initrd"), filepath.Join(guest, "initrd"))
	})
	p.syncLinux(`{"domain":{"memory":{"guest":"256Mi"},"devices":{"autoattachGraphicsDevice":false},
		"firmware":{"bootloader":{"efi":{"secureBoot":false}},"kernelBoot":{"kernelArgs":"console=ttyS0 quiet tsc=reliable no_timer_check","container":{"image":"tiny-kernel","kernelPath":"/boot/vmlinuz","initrdPath":"/boot/initrd"}}}}}`)
	console := p.serial()
	console.hear("virtplane tiny guest ready")
	console.hear("# ")
	console.say("echo; ls -d /sys/firmware/efi; ls /dev/tpm* 2>&1\n")
	console.hear("\n/sys/firmware/efi")
	console.hear("ls: /dev/tpm*: No such file") // nobody asked for one
	if _, err := p.client.Kill(p.context(), &api.KillRequest{}); err != nil {
		t.Fatal(err)
	}
	p.expectEnd(0, api.ReasonKilled)
}

// TestUEFI starts the firmware with Secure Boot on; it finds no system on the disk and says so.
func TestUEFI(t *testing.T) {
	spec.Covers(t, "P2-EFI-03")
	if _, err := os.Stat("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"); err != nil {
		t.Skip("the UEFI firmware is not installed")
	}
	p := newPod(t)
	p.mustSync(`"firmware":{"bootloader":{"efi":{}}}`)
	p.serial().hear("BdsDxe")
	p.await(stateRunning, "")
	if _, err := p.client.Kill(p.context(), &api.KillRequest{}); err != nil {
		t.Fatal(err)
	}
	p.expectEnd(0, api.ReasonKilled)
}
