package qemu

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// shapes are the machines that golden files and the installed QEMU are asked about. Paths stand under dir.
func shapes(dir string) map[string]*Machine {
	p := func(name string) string { return filepath.Join(dir, name) }
	base := func() *Machine {
		return &Machine{
			Name: "default_testvm", UUID: "6a1a24a1-4061-4607-8bf4-a3963d0c5895", Type: "q35", Accel: TCG, MemoryMiB: 128,
			CPU:     CPU{Model: "max", Sockets: 1, Cores: 1, Threads: 1},
			SMBIOS:  SMBIOS{System: SMBIOSSystem{Manufacturer: "KubeVirt", Product: "None", UUID: "6a1a24a1-4061-4607-8bf4-a3963d0c5895"}},
			Clock:   Clock{Base: "utc"},
			Monitor: Monitor{Socket: p("qmp.sock")},
			Devices: []Device{&SerialConsole{Socket: p("virt-serial0")}},
		}
	}
	overlay := func(name string) Image {
		return Image{Path: p(name + ".qcow2"), Format: FormatQcow2, Backing: &Image{Path: p("base.img"), Format: FormatRaw}}
	}
	disk := func(name string, bus Bus, kind DiskKind) *Disk {
		return &Disk{Name: name, Bus: bus, Kind: kind, Image: Image{Path: p(name + ".img"), Format: FormatRaw}, Cache: CacheNone, ErrorPolicy: "stop"}
	}

	tiny := base()
	tiny.FirmwareOnSerial = true

	typical := base()
	typical.CPU = CPU{Model: "max", Sockets: 2, Cores: 2, Threads: 1, Features: []CPUFeature{{"x2apic", "off"}}}
	root := disk("containerdisk", BusVirtio, KindDisk)
	root.Image, root.BootIndex = overlay("containerdisk"), 1
	seed := disk("cloudinitdisk", BusVirtio, KindDisk)
	seed.Image, seed.ReadOnly, seed.Cache = Image{Path: p("cloudinitdisk.iso"), Format: FormatRaw}, true, CacheWriteback
	typical.Devices = append(typical.Devices,
		&Graphics{Socket: p("virt-vnc")}, &AgentChannel{Socket: p("qga.sock")},
		root, seed, &NIC{Name: "default", Model: "virtio", MAC: "02:00:00:ab:cd:ef", Tap: "tap0", MTU: 1400},
		&RNG{}, &Balloon{FreePageReporting: true})

	buses := base()
	cd := disk("cd", BusSATA, KindCDROM)
	cd.BootIndex = 2
	serial := disk("with-serial", BusSCSI, KindDisk)
	serial.Serial, serial.Shareable, serial.ErrorPolicy, serial.Cache = "CVLY623300HK240D", true, "enospace", CacheWritethrough
	big := disk("a-volume-with-a-name-that-is-longer-than-a-block-node-may-have", BusVirtio, KindDisk)
	big.LogicalBlock, big.PhysicalBlock, big.DiscardGranularity, big.Queues, big.IO = 512, 4096, 4096, 2, "native"
	buses.Devices = append(buses.Devices, cd, serial, big, disk("stick", BusUSB, KindDisk), disk("scsi-cd", BusSCSI, KindCDROM),
		&Tablet{Name: "tablet1", Bus: BusUSB}, &Tablet{Name: "tablet2", Bus: BusVirtio})
	for _, n := range []string{"s1", "s2", "s3", "s4", "s5", "s6"} {
		buses.Devices = append(buses.Devices, disk(n, BusSATA, KindDisk))
	}

	uefi := base()
	uefi.SMM, uefi.UEFI = true, &UEFI{Code: p("OVMF_CODE.fd"), Vars: p("OVMF_VARS.fd"), Secure: true}
	uefi.Devices = append(uefi.Devices, &Graphics{Socket: p("virt-vnc"), Model: "bochs"}, disk("root", BusVirtio, KindDisk))

	kernel := base()
	kernel.Kernel = &Kernel{Image: p("vmlinuz"), Initrd: p("initrd.img"), CommandLine: `console=ttyS0 init="/bin/a,b"`}

	watched := base()
	watched.ExitOnReboot, watched.NoHPET, watched.NoACPI = true, true, true
	watched.Clock = Clock{Base: "2026-01-31T08:00:00", DriftFix: "slew"}
	watched.SMBIOS.System.Serial, watched.SMBIOS.Chassis = "e4686d2c, the first", SMBIOSChassis{Asset: "Shelf 3", Manufacturer: "Acme"}
	watched.Devices = append(watched.Devices, &Watchdog{Name: "dog", Action: "poweroff"}, &PanicDevice{Model: "isa"}, &PanicDevice{Model: "pci"})

	i440fx := base()
	i440fx.Type = "pc"
	i440fx.Devices = append(i440fx.Devices, disk("root", BusSATA, KindDisk), disk("data", BusVirtio, KindDisk), &Graphics{Socket: p("virt-vnc"), Model: "cirrus"})

	nics := base()
	place, err := ParsePCIAddress("0000:00:0a.0")
	if err != nil {
		panic(err)
	}
	pxe := &NIC{Name: "pxe", Model: "e1000e", MAC: "02:00:00:00:00:02", Tap: "tap1", BootIndex: 1, PCI: place}
	nics.Devices = append(nics.Devices, &NIC{Name: "default", Model: "virtio", MAC: "02:00:00:00:00:01", Tap: "tap0", Queues: 4},
		pxe, &NIC{Name: "old", Model: "rtl8139", MAC: "02:00:00:00:00:03", Tap: "tap2"},
		&NIC{Name: "older", Model: "e1000", MAC: "02:00:00:00:00:04", Tap: "tap3"},
		&NIC{Name: "legacy", Model: "virtio", MAC: "02:00:00:00:00:05", Tap: "tap4", Transitional: true})

	kvm := base()
	kvm.Accel, kvm.CPU = KVM, CPU{Model: "host", Sockets: 1, Cores: 1, Threads: 2, Features: []CPUFeature{{"hv-relaxed", "on"}, {"hv-vapic", "on"}, {"hv-spinlocks", "8191"}}}
	kvm.PITTickPolicy = "delay"

	threads := base()
	threads.CPU.MaxSockets, threads.IOThreads, threads.SCSIThread, threads.NoPIT, threads.BootMenu = 4, 2, 2, true, true
	threads.Clock.Follows = "vm"
	quick, shared := disk("quick", BusVirtio, KindDisk), disk("shared", BusSCSI, KindDisk)
	quick.IOThread, shared.LogicalBlock, shared.PhysicalBlock = 1, 4096, 4096
	empty, stick := disk("empty", BusSATA, KindCDROM), disk("iso", BusUSB, KindCDROM)
	empty.Image = Image{}
	threads.Devices = append(threads.Devices, quick, shared, empty, stick)

	windows := base()
	windows.ACPITables = []ACPITable{{Signature: "SLIC", File: p("slic.bin")}}
	windows.Devices = append(windows.Devices, &Graphics{Socket: p("virt-vnc")}, &Sound{Model: "ich9"}, &Tablet{Name: "t", Bus: BusUSB})
	for n := range 4 {
		windows.Devices = append(windows.Devices, &USBRedirect{Number: n, Socket: p(fmt.Sprintf("virt-usbredir-%d", n))})
	}
	ac97 := base()
	ac97.SharedMemory = true
	ac97.Devices = append(ac97.Devices, &Sound{Model: "ac97"})

	tpm := base()
	tpm.Devices = append(tpm.Devices, &TPM{Model: "tpm-tis", Socket: p("tpm.sock")})

	vsock := base()
	vsock.Devices = append(vsock.Devices, &VSOCK{CID: 3})

	huge := base()
	huge.HugePage = 2 << 20
	numa := base()
	numa.CPU.Cores, numa.HugePage = 4, 2<<20
	numa.NUMA = []NUMANode{{MiB: 66, CPUs: []int{0, 1, 3}, HostCPUs: []int{0}}, {MiB: 62, CPUs: []int{2}, HostCPUs: []int{1}}}
	large := base()
	large.Accel, large.CPU = KVM, CPU{Model: "host", Sockets: 288, Cores: 1, Threads: 1}

	return map[string]*Machine{"threads-drives": threads, "windows-extras": windows, "ac97-shared-memory": ac97, "tpm": tpm, "vsock": vsock,
		"hugepages": huge, "numa": numa, "many-cpus": large, "tiny": tiny, "typical": typical, "buses": buses, "uefi-secure": uefi, "kernel-boot": kernel,
		"watchdog-panic-clock": watched, "i440fx": i440fx, "nics": nics, "kvm": kvm}
}

func TestGolden(t *testing.T) {
	for name, m := range shapes("/run/vm") {
		t.Run(name, func(t *testing.T) {
			args, err := m.Args()
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(args, "\n") + "\n"
			golden := filepath.Join("testdata", name+".args")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("command line differs from %s (run: go test ./launcher/qemu -update):\n%s", golden, diff)
			}
			again, err := m.Args()
			if diff := cmp.Diff(args, again); err != nil || diff != "" {
				t.Errorf("a second call gives another command line: %v\n%s", err, diff)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Machine)
		want   string
	}{
		{"no name", func(m *Machine) { m.Name = "" }, "name must be set"},
		{"line in name", func(m *Machine) { m.Name = "a\nb" }, "name: must not hold control characters"},
		{"machine type", func(m *Machine) { m.Type = "q35,kernel=/etc/shadow" }, `machine type "q35,kernel=/etc/shadow" must be q35, pc or a version of them`},
		{"accelerator", func(m *Machine) { m.Accel = "xen" }, `accelerator "xen" must be kvm or tcg`},
		{"host model in software", func(m *Machine) { m.CPU.Model = "host" }, "cpu: model host needs kvm"},
		{"model with option", func(m *Machine) { m.CPU.Model = "max,foo=1" }, `cpu: model "max,foo=1" is no name of a model`},
		{"feature with option", func(m *Machine) { m.CPU.Features = []CPUFeature{{"a=b,c", "on"}} }, `cpu: feature "a=b,c" is no name of a feature`},
		{"feature value", func(m *Machine) { m.CPU.Features = []CPUFeature{{"a", "on,b"}} }, `cpu: feature a: value "on,b" must be a word`},
		{"no sockets", func(m *Machine) { m.CPU.Sockets = 0 }, "cpu: sockets, cores and threads must be from 1 to 288, not 0, 2 and 1"},
		{"many cpus", func(m *Machine) { m.CPU.Sockets = 200 }, "cpu: sockets times cores times threads must be at most 288, not 400"},
		{"no memory", func(m *Machine) { m.MemoryMiB = 0 }, "memory must be from 1 MiB to 4 TiB, not 0 MiB"},
		{"pit", func(m *Machine) { m.PITTickPolicy = "merge" }, `pit tick policy "merge" must be delay or discard`},
		{"clock", func(m *Machine) { m.Clock.Base = "now" }, `clock: base "now" must be utc, localtime or a moment`},
		{"drift", func(m *Machine) { m.Clock.DriftFix = "x" }, `clock: drift fix "x" must be slew or none`},
		{"secure boot without smm", func(m *Machine) { m.UEFI = &UEFI{Code: "/c", Vars: "/v", Secure: true} }, "uefi: secure boot needs System Management Mode and machine type q35"},
		{"relative vars", func(m *Machine) { m.UEFI = &UEFI{Code: "/c", Vars: "v"} }, `uefi vars: path "v" must be absolute`},
		{"initrd alone", func(m *Machine) { m.Kernel = &Kernel{Initrd: "/i"} }, "kernel: image must be set when initrd or command line is"},
		{"long socket", func(m *Machine) { m.Monitor.Socket = "/" + strings.Repeat("s", 107) }, `monitor: socket path "/` + strings.Repeat("s", 107) + `" must be no longer than 107 bytes`},
		{"disk id", first(func(d *Disk) { d.Name = "a/b" }), `disk a/b: id "disk-a/b" must begin with a letter and hold only letters, digits, '.', '_' and '-'`},
		{"disk bus", first(func(d *Disk) { d.Bus = "ide" }), `disk containerdisk: bus "ide" must be virtio, scsi, sata or usb`},
		{"cdrom on virtio", first(func(d *Disk) { d.Kind = KindCDROM }), "disk containerdisk: a CD-ROM must be on bus sata, scsi or usb, not virtio"},
		{"lun on virtio", first(func(d *Disk) { d.Kind = KindLUN }), "disk containerdisk: a LUN must be on bus scsi, not virtio"},
		{"lun of a file", first(func(d *Disk) { d.Kind, d.Bus = KindLUN, BusSCSI }), "disk containerdisk: a LUN must be a block volume"},
		{"disk kind", first(func(d *Disk) { d.Kind = "floppy" }), `disk containerdisk: kind "floppy" must be disk, cdrom or lun`},
		{"read-only on sata", first(func(d *Disk) { d.Bus, d.ReadOnly = BusSATA, true }), "disk containerdisk: a disk on bus sata cannot be read-only, a CD-ROM can"},
		{"address on sata", first(func(d *Disk) { d.Bus, d.PCI.Slot = BusSATA, 3 }), "disk containerdisk: only a disk on bus virtio has a PCI address"},
		{"cache", first(func(d *Disk) { d.Cache = "unsafe" }), `disk containerdisk: cache "unsafe" must be none, writeback or writethrough`},
		{"native without direct", first(func(d *Disk) { d.Cache, d.IO = CacheWriteback, "native" }), "disk containerdisk: io native needs cache none"},
		{"io", first(func(d *Disk) { d.IO = "posix" }), `disk containerdisk: io "posix" must be native, threads or io_uring`},
		{"error policy", first(func(d *Disk) { d.ErrorPolicy = "" }), `disk containerdisk: error policy "" must be stop, ignore, report or enospace`},
		{"serial", first(func(d *Disk) { d.Serial = strings.Repeat("9", 21) }), "disk containerdisk: serial: must be no longer than 20 bytes"},
		{"format", first(func(d *Disk) { d.Image.Format = "vmdk" }), `disk containerdisk: image /run/vm/containerdisk.qcow2: format "vmdk" must be raw or qcow2`},
		{"raw overlay", first(func(d *Disk) { d.Image.Format = FormatRaw }), "disk containerdisk: image /run/vm/containerdisk.qcow2: only qcow2 has a backing image"},
		{"nic model", nic(func(n *NIC) { n.Model = "ne2k_isa" }), `interface default: model "ne2k_isa" must be virtio, e1000, e1000e, rtl8139, ne2k_pci or pcnet`},
		{"mac", nic(func(n *NIC) { n.MAC = "02:00:00:ab:cd" }), `interface default: "02:00:00:ab:cd" is no Ethernet address`},
		{"group mac", nic(func(n *NIC) { n.MAC = "03:00:00:ab:cd:ef" }), "interface default: Ethernet address 03:00:00:ab:cd:ef must not be that of a group"},
		{"tap", nic(func(n *NIC) { n.Tap = "tap0,script=/x" }), `interface default: "tap0,script=/x" is no name of a tap device`},
		{"mtu", nic(func(n *NIC) { n.MTU = 12 }), "interface default: MTU 12 must be from 68 to 65535"},
		{"vhost on e1000", nic(func(n *NIC) { n.Model, n.Vhost = "e1000", true }), "interface default: queues and vhost need model virtio, not e1000"},
		{"watchdog", func(m *Machine) { m.Devices = append(m.Devices, &Watchdog{Name: "w", Action: "pause"}) }, `watchdog w: action "pause" must be reset, poweroff or shutdown`},
		{"panic model", func(m *Machine) { m.Devices = append(m.Devices, &PanicDevice{Model: "hyperv"}) }, `panic device: model "hyperv" must be isa or pci`},
		{"numa memory", func(m *Machine) { m.NUMA = []NUMANode{{MiB: 64, CPUs: []int{0, 1, 2, 3}}} }, "memory: NUMA nodes have 64 of 128 MiB and 4 of 4 virtual processors"},
		{"numa processor", func(m *Machine) { m.NUMA = []NUMANode{{MiB: 128, CPUs: []int{0, 0}}} }, "memory: NUMA node 0 has virtual processor 0, which is not there or that of another node"},
		{"numa page", func(m *Machine) { m.HugePage, m.NUMA = 2<<20, []NUMANode{{MiB: 127, CPUs: []int{0}}} }, "memory: NUMA node 0 has 127 MiB, which must be a multiple of the page size"},
		{"huge page", func(m *Machine) { m.HugePage = 3 << 20 }, "memory: huge pages of 3145728 bytes: the size must be a power of two"},
		{"part of a huge page", func(m *Machine) { m.HugePage = 1 << 30 }, "memory: 128 MiB is no multiple of huge pages of 1073741824 bytes"},
		{"more than tcg takes", func(m *Machine) { m.CPU.MaxSockets = 128 }, "cpu: more than 255 virtual processors need kvm and machine type q35"},
		{"disk threads", func(m *Machine) { m.IOThreads = 257 }, "disk threads: must be from 0 to 256, not 257"},
		{"disk thread", first(func(d *Disk) { d.IOThread = 1 }), "disk containerdisk: there is no disk thread 1"},
		{"thread on sata", first(func(d *Disk) { d.Bus, d.IOThread = BusSATA, 1 }), "disk containerdisk: only a disk on bus virtio has a thread of its own, not one on sata"},
		{"blocks on sata", first(func(d *Disk) { d.Bus, d.LogicalBlock = BusSATA, 4096 }), "disk containerdisk: a disk on bus sata has logical blocks of 512 bytes, not 4096"},
		{"clock that follows", func(m *Machine) { m.Clock.Follows = "moon" }, `clock: it follows "moon" and must follow host or vm`},
		{"acpi signature", func(m *Machine) { m.ACPITables = []ACPITable{{"SLI", "/x"}} }, `acpi table: signature "SLI" must be four capitals`},
		{"acpi path", func(m *Machine) { m.ACPITables = []ACPITable{{"SLIC", "x"}} }, `acpi table SLIC: path "x" must be absolute`},
		{"tpm model", func(m *Machine) { m.Devices = append(m.Devices, &TPM{Model: "tpm-spapr", Socket: "/s"}) }, `tpm: model "tpm-spapr" must be tpm-tis or tpm-crb`},
		{"tpm line", func(m *Machine) { m.Devices = append(m.Devices, &TPM{Model: "tpm-crb"}) }, `tpm: path "" must be absolute`},
		{"sound card", func(m *Machine) { m.Devices = append(m.Devices, &Sound{Model: "sb16"}) }, `sound card: model "sb16" must be ich9 or ac97`},
		{"vsock", func(m *Machine) { m.Devices = append(m.Devices, &VSOCK{CID: 2}) }, "vsock: address 2 must be from 3 to 4294967294"},
		{"usb ports", func(m *Machine) {
			for n := range 16 {
				m.Devices = append(m.Devices, &USBRedirect{Number: n, Socket: "/s"})
			}
		}, "usb: 16 devices are more than the 15 ports of the controller"},
		{"tablet bus", func(m *Machine) { m.Devices = append(m.Devices, &Tablet{Name: "t", Bus: "ps2"}) }, `input t: bus "ps2" must be usb or virtio`},
		{"display", func(m *Machine) { m.Devices[1].(*Graphics).Model = "qxl" }, `display: model "qxl" must be vga, bochs, virtio, cirrus or ramfb`},
		{"two rngs", func(m *Machine) { m.Devices = append(m.Devices, &RNG{}) }, "RNG: is there twice"},
		{"two disks of a name", func(m *Machine) { m.Devices = append(m.Devices, m.Devices[3]) }, "disk-containerdisk: is there twice"},
		{"boot order twice", nic(func(n *NIC) { n.BootIndex = 1 }), "net-default: boot order 1 is that of disk-containerdisk"},
		{"slot of the south bridge", nic(func(n *NIC) { n.PCI.Slot = 0x1f }), "interface default: PCI slot 0x1f belongs to the machine's south bridge"},
		{"address twice", func(m *Machine) {
			m.Devices[3].(*Disk).PCI, m.Devices[5].(*NIC).PCI = PCIAddress{Slot: 4}, PCIAddress{Slot: 4}
		}, "interface default: PCI address 0x4 is taken by disk containerdisk"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := shapes("/run/vm")["typical"]
			tc.change(m)
			_, err := m.Args()
			if err == nil {
				t.Fatalf("accepted, want: %s", tc.want)
			}
			if diff := cmp.Diff(tc.want, strings.SplitN(err.Error(), "\n", 2)[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func first(f func(*Disk)) func(*Machine) { return func(m *Machine) { f(m.Devices[3].(*Disk)) } }
func nic(f func(*NIC)) func(*Machine)    { return func(m *Machine) { f(m.Devices[5].(*NIC)) } }

func TestTooManyDevices(t *testing.T) {
	m := shapes("/run/vm")["tiny"]
	for i := range 31 {
		m.Devices = append(m.Devices, &Disk{Name: string(rune('a'+i%26)) + strings.Repeat("x", i/26), Bus: BusVirtio, Kind: KindDisk,
			Image: Image{Path: "/d", Format: FormatRaw}, Cache: CacheNone, ErrorPolicy: "stop"})
	}
	_, err := m.Args()
	if want := "disk ex: no PCI slot is free, a machine has room for 30 devices"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestParsePCIAddress(t *testing.T) {
	for in, want := range map[string]string{
		"0000:00:0a.0":  "0xa",
		"0000:00:1e.7":  "0x1e.0x7",
		"0000:81:01.10": `PCI address "0000:81:01.10" must be on bus 0000:00`,
		"0000:00:20.0":  `PCI address "0000:00:20.0" must have a slot from 01 to 1f and a function from 0 to 7`,
		"0000:00:0g.0":  `PCI address "0000:00:0g.0" must have the form 0000:00:0a.0`,
		"":              `PCI address "" must have the form 0000:00:0a.0`,
		"1.2.3.4":       `PCI address "1.2.3.4" must have the form 0000:00:0a.0`,
	} {
		a, err := ParsePCIAddress(in)
		got := a.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ParsePCIAddress(%q) = %s, want %s", in, got, want)
		}
	}
}

// FuzzDiskArgs holds that no name, path or serial gets out of its place in the command line.
func FuzzDiskArgs(f *testing.F) {
	f.Add("root", "/disk.img", "serial")
	f.Add(`a","driver":"x`, `/a",b`, "\x00\n,")
	f.Fuzz(func(t *testing.T, name, path, serial string) {
		d := &Disk{Name: name, Bus: BusVirtio, Kind: KindDisk, Image: Image{Path: path, Format: FormatRaw}, Cache: CacheNone, ErrorPolicy: "stop", Serial: serial}
		if d.Validate() != nil {
			return
		}
		args := d.Args()
		if len(args) != 4 || args[0] != "-blockdev" || args[2] != "-device" {
			t.Errorf("args: %q", args)
		}
		for _, a := range args {
			if strings.ContainsAny(a, "\n\x00") {
				t.Errorf("argument with control characters: %q", a)
			}
		}
	})
}
