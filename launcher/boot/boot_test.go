package boot

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/convert"
	"github.com/virtplane/virtplane/launcher/dhcp"
	"github.com/virtplane/virtplane/launcher/domain"
	"github.com/virtplane/virtplane/launcher/supervise"
	"github.com/virtplane/virtplane/launcher/testguest"
	"github.com/virtplane/virtplane/test/spec"
)

// node is the folders of a pod.
type node struct {
	*Preparer
	t   *testing.T
	dir string
}

func newNode(t *testing.T) *node {
	t.Helper()
	for _, p := range []string{"qemu-img", "prlimit"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	n := &node{t: t, dir: dir, Preparer: &Preparer{
		Paths: convert.Paths{
			Private: in("private"), Sockets: "/run/sockets", Ephemeral: in("ephemeral"), ContainerDisks: in("container-disks"), KernelBoot: in("kernel-boot"),
			Claims: in("claims"), Secrets: in("secrets"), Credentials: in("credentials"), Devices: in("dev"), Firmware: in("firmware"),
			Configs: in("configs"), HostDisks: in("host-disks"),
			State: in("state"),
		},
		Swtpm: in("swtpm"), CPUs: func() ([]convert.HostCPU, error) { return []convert.HostCPU{{ID: 1}, {ID: 3}, {ID: 5}}, nil },
		ResolvConf: in("resolv.conf"), Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now,
	}}
	n.write("resolv.conf", "nameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local\n")
	n.write("private/.keep", "")
	n.write("swtpm", "")
	n.write("kernel-boot/boot/vmlinuz", "kernel")
	for _, f := range []string{"OVMF_CODE_4M.fd", "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd", "OVMF_VARS_4M.ms.fd"} {
		n.write("firmware/"+f, f)
	}
	n.write("container-disks/root/disk/.keep", "")
	if err := testguest.Write(in("container-disks/root/disk/any name.img")); err != nil {
		t.Fatal(err)
	}
	n.write("claims/full/disk.img", strings.Repeat("the user's data", 100))
	n.write("claims/empty/lost+found/.keep", "")
	return n
}

func (n *node) write(name, content string) {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// prepare sends a VMI with one volume (or none), members added to its domain and its devices.
func (n *node) prepare(volume, domainMembers, devices string, o *api.SyncOptions) (*domain.Guest, error) {
	join := func(s string) string {
		if s == "" {
			return ""
		}
		return "," + s
	}
	volumes := ""
	if volume != "" {
		volumes = `,"volumes":[` + volume + `]`
	}
	vmi := `{"metadata":{"name":"testvm","namespace":"default","uid":"the-uid"},"spec":{"subdomain":"web","domain":{"memory":{"guest":"64Mi"},"devices":{"autoattachGraphicsDevice":false` +
		join(devices) + `}` + join(domainMembers) + `},"networks":[{"name":"default","pod":{}}]` + volumes + `}}`
	if o == nil {
		o = &api.SyncOptions{}
	}
	o.Emulation = true
	return n.Prepare(n.t.Context(), &api.SyncRequest{Vmi: []byte(vmi), Options: o})
}

func TestVolumes(t *testing.T) {
	for _, tc := range []struct {
		name, volume, devices string
		options               *api.SyncOptions
		prepare               func(*node)
		// want stands in the command line; DIR is the pod's.
		want []string
		// files must be there afterwards.
		files []string
	}{
		{"container disk", `{"name":"root","containerDisk":{"image":"i"}}`, "", nil, nil,
			[]string{`"filename":"DIR/ephemeral/root.qcow2"`, `"backing":{"driver":"raw","node-name":"disk-root-base","read-only":true`, `"filename":"DIR/container-disks/root/disk/any name.img"`}, []string{"ephemeral/root.qcow2"}},
		{"CD-ROM", `{"name":"root","containerDisk":{"image":"i"}}`, `"disks":[{"name":"root","cdrom":{}}]`, nil, nil,
			[]string{`"driver":"ide-cd"`, `"filename":"DIR/container-disks/root/disk/any name.img"`}, nil},
		{"empty disk", `{"name":"e","emptyDisk":{"capacity":"1Gi"}}`, "", nil, nil, []string{`"filename":"DIR/ephemeral/e.qcow2"`}, []string{"ephemeral/e.qcow2"}},
		{"cloud-init", `{"name":"c","cloudInitNoCloud":{"userData":"#cloud-config"}}`, "", nil, nil, []string{`"filename":"DIR/ephemeral/c.iso"`}, []string{"ephemeral/c.iso"}},
		{"cloud-init of a Secret that was sent", `{"name":"c","cloudInitConfigDrive":{"secretRef":{"name":"s"},"networkDataSecretRef":{"name":"n"}}}`, "",
			&api.SyncOptions{CloudInit: []*api.CloudInitData{{Volume: "c", UserData: []byte("u"), NetworkData: []byte("n")}}}, nil, nil, []string{"ephemeral/c.iso"}},
		{"cloud-init of a Secret that is mounted", `{"name":"c","cloudInitNoCloud":{"secretRef":{"name":"s"},"networkDataSecretRef":{"name":"n"}}}`, "", nil, func(n *node) {
			n.write("secrets/c/userdata", "u")
			n.write("secrets/c-networkdata/networkData", "n")
		}, nil, []string{"ephemeral/c.iso"}},
		{"claim with an image", `{"name":"full","persistentVolumeClaim":{"claimName":"p"}}`, "", nil, nil, []string{`"driver":"raw"`, `"filename":"DIR/claims/full/disk.img"`}, nil},
		{"empty claim", `{"name":"empty","dataVolume":{"name":"p"}}`, "", &api.SyncOptions{Claims: []*api.ClaimOptions{{Volume: "empty", CapacityBytes: 1 << 30, FilesystemOverhead: "0.5"}}}, nil,
			[]string{`"filename":"DIR/claims/empty/disk.img"`}, []string{"claims/empty/disk.img"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t)
			if tc.prepare != nil {
				tc.prepare(n)
			}
			for range 2 { // preparing again is no harm
				g, err := n.prepare(tc.volume, "", tc.devices, tc.options)
				if err != nil {
					t.Fatal(err)
				}
				line := strings.Join(g.Args, "\n")
				for _, w := range tc.want {
					if w = strings.ReplaceAll(w, "DIR", n.dir); !strings.Contains(line, w) {
						t.Errorf("command line lacks %s:\n%s", w, line)
					}
				}
			}
			for _, f := range tc.files {
				if _, err := os.Stat(filepath.Join(n.dir, f)); err != nil {
					t.Error(err)
				}
			}
			if raw, _ := os.ReadFile(filepath.Join(n.dir, "claims/full/disk.img")); !strings.HasPrefix(string(raw), "the user's data") {
				t.Error("a claim's image was touched")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	const nic = `"interfaces":[{"name":"default","masquerade":{}}]`
	for _, tc := range []struct {
		name, volume, domain, devices string
		options                       *api.SyncOptions
		prepare                       func(*node)
		reason, text                  string
	}{
		{"missing image", `{"name":"other","containerDisk":{"image":"i"}}`, "", "", nil, nil, api.ReasonImageMissing, "volume other: image volume DIR/container-disks/other: no such file or directory"},
		{"no /disk", `{"name":"root","containerDisk":{"image":"i"}}`, "", "", nil, func(n *node) { os.RemoveAll(n.dir + "/container-disks/root/disk") }, api.ReasonImageMissing, "volume root: the image has no /disk"},
		{"two images", `{"name":"root","containerDisk":{"image":"i"}}`, "", "", nil, func(n *node) { n.write("container-disks/root/disk/b", "") }, api.ReasonImageAmbiguous,
			"volume root: container disk: folder /disk of the image must hold one file, not 2: any name.img, b"},
		{"image too large", `{"name":"root","containerDisk":{"image":"i"}}`, "", "", &api.SyncOptions{ImageSizeLimitBytes: 4096}, nil, api.ReasonImageTooLarge,
			"volume root: image DIR/container-disks/root/disk/any name.img: virtual size of 1048576 bytes is over the limit of 4096"},
		{"corrupt cloud-init", `{"name":"c","cloudInitNoCloud":{"userDataBase64":"!"}}`, "", "", nil, nil, api.ReasonInvalidSpec, "spec.volumes[0].cloudInitNoCloud.userDataBase64: is not Base64: illegal base64 data at input byte 0"},
		{"missing Secret", `{"name":"c","cloudInitNoCloud":{"secretRef":{"name":"s"}}}`, "", "", nil, nil, api.ReasonSecretMissing, "volume c: Secret s is not there or has no key userdata"},
		{"empty Secret", `{"name":"c","cloudInitNoCloud":{"secretRef":{"name":"s"}}}`, "", "", nil, func(n *node) { n.write("secrets/c/userData", "") }, api.ReasonCloudInitInvalid, "volume c: key userData of Secret s is empty"},
		{"claim without capacity", `{"name":"empty","persistentVolumeClaim":{"claimName":"p"}}`, "", "", nil, nil, api.ReasonClaimUnavailable,
			"volume empty: claim p: claim at DIR/claims/empty: has no disk.img, and one cannot be made while the claim's capacity is unknown"},
		{"claim with bad overhead", `{"name":"empty","persistentVolumeClaim":{"claimName":"p"}}`, "", "", &api.SyncOptions{Claims: []*api.ClaimOptions{{Volume: "empty", FilesystemOverhead: "2"}}}, nil, api.ReasonInvalidSpec,
			`volume empty: claim p: file system overhead "2" must be a number of at least 0 and below 1`},
		{"block claim that is none", `{"name":"b","persistentVolumeClaim":{"claimName":"p"}}`, "", "", nil, func(n *node) { n.write("dev/b", "") }, api.ReasonClaimUnavailable, "volume b: block claim: DIR/dev/b is no block device"},
		{"missing kernel", "", `"firmware":{"kernelBoot":{"container":{"image":"i","kernelPath":"/vmlinuz"}}}`, "", nil, nil, api.ReasonKernelMissing, "spec.domain.firmware.kernelBoot.container.kernelPath: the image has no /vmlinuz"},
		{"missing initrd", "", `"firmware":{"kernelBoot":{"container":{"image":"i","kernelPath":"/boot/vmlinuz","initrdPath":"/boot/initrd"}}}`, "", nil, nil, api.ReasonKernelMissing, "spec.domain.firmware.kernelBoot.container.initrdPath: the image has no /boot/initrd"},
		{"missing firmware", "", `"firmware":{"bootloader":{"efi":{"secureBoot":false}}}`, "", nil, func(n *node) { os.Remove(n.dir + "/firmware/OVMF_CODE_4M.fd") }, api.ReasonFirmwareMissing,
			"uefi firmware: open DIR/firmware/OVMF_CODE_4M.fd: no such file or directory"},
		{"missing variables", "", `"firmware":{"bootloader":{"efi":{}}}`, "", nil, func(n *node) { os.Remove(n.dir + "/firmware/OVMF_VARS_4M.ms.fd") }, api.ReasonFirmwareMissing,
			"uefi variables: open DIR/firmware/OVMF_VARS_4M.ms.fd: no such file or directory"},
		{"no tap", "", "", nic, nil, nil, api.ReasonNetworkUnavailable, "interface default: the node agent has named no tap device for it"},
		{"bad guest address", "", "", nic, iface(func(o *api.InterfaceOptions) { o.GuestIpv4 = "10.0.2.2" }), nil, api.ReasonNetworkUnavailable,
			`interface default: guest address: netip.ParsePrefix("10.0.2.2"): no '/'`},
		{"bad gateway", "", "", nic, iface(func(o *api.InterfaceOptions) { o.GatewayIpv4 = "10.0.3.1" }), nil, api.ReasonNetworkUnavailable, "interface default: lease: gateway 10.0.3.1 must be another address of 10.0.2.0/24"},
		{"bad name server", "", "", nic, iface(func(o *api.InterfaceOptions) { o.DnsServers = []string{"x"} }), nil, api.ReasonNetworkUnavailable, `interface default: name server: ParseAddr("x"): unable to parse IP`},
		{"bad private option", "", "", `"interfaces":[{"name":"default","masquerade":{},"dhcpOptions":{"privateOptions":[{"option":12,"value":"x"}]}}]`, iface(nil), nil, api.ReasonNetworkUnavailable, "interface default: lease: private option 12 must be from 224 to 254"},
		{"unsupported", "", `"launchSecurity":{"sev":{}}`, "", nil, nil, api.ReasonUnsupportedField, "spec.domain.launchSecurity: encryption of a guest's memory is not supported"},
		{"persistent variables", "", `"firmware":{"bootloader":{"efi":{"persistent":true}}}`, "", nil, nil, api.ReasonUnsupportedField,
			"spec.domain.firmware.bootloader.efi.persistent: is not supported, the pod has no claim for state that outlives the instance; leave it out for variables that live as long as the instance"},
		{"persistent TPM", "", "", `"tpm":{"persistent":true}`, nil, nil, api.ReasonUnsupportedField,
			"spec.domain.devices.tpm.persistent: is not supported, the pod has no claim for state that outlives the instance; leave it out for a TPM that lives as long as the instance"},
		{"no TPM program", "", "", `"tpm":{}`, nil, func(n *node) { os.Remove(n.dir + "/swtpm") }, api.ReasonFirmwareMissing,
			"spec.domain.devices.tpm: the program that emulates it: open DIR/swtpm: no such file or directory"},
		{"shared CPUs", "", `"cpu":{"cores":2,"dedicatedCpuPlacement":true}`, "", nil, nil, api.ReasonCPUsUnavailable,
			"spec.domain.cpu.dedicatedCpuPlacement: the machine needs 2 CPUs of the node for itself and the pod may use 3: the kubelet of the node must have the CPU manager policy static"},
		{"no vsock", "", "", `"autoattachVSOCK":true`, nil, nil, api.ReasonUnsupportedField, "spec.domain.devices.autoattachVSOCK: the pod has no device for it: stat DIR/dev/vhost-vsock: no such file or directory"},
		{"no ACPI table", "", `"firmware":{"acpi":{"slicNameRef":"licence"}}`, "", nil, nil, api.ReasonSecretMissing,
			"spec.domain.firmware.acpi.slicNameRef: the Secret of volume licence must have the key slic.bin: open DIR/configs/licence/slic.bin: no such file or directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t)
			if tc.prepare != nil {
				tc.prepare(n)
			}
			_, err := n.prepare(tc.volume, tc.domain, tc.devices, tc.options)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(strings.ReplaceAll(tc.text, "DIR", n.dir), got); diff != "" {
				t.Error(diff)
			}
			if api.ReasonOf(err) != tc.reason {
				t.Errorf("reason %q, want %q", api.ReasonOf(err), tc.reason)
			}
		})
	}
	t.Run("no VMI", func(t *testing.T) {
		if _, err := newNode(t).Prepare(t.Context(), &api.SyncRequest{Vmi: []byte("{")}); api.ReasonOf(err) != api.ReasonInvalidSpec {
			t.Errorf("got %v", err)
		}
	})
}

// A claim whose storage does not answer is named in time, and is not asked twice.
func TestHangingClaim(t *testing.T) {
	n := newNode(t)
	n.write("dev/.keep", "")
	// Opening a pipe for reading waits for somebody who writes.
	if err := syscall.Mkfifo(n.dir+"/dev/b", 0o600); err != nil {
		t.Fatal(err)
	}
	request := &api.SyncRequest{Options: &api.SyncOptions{Emulation: true}, Vmi: []byte(`{"metadata":{"name":"testvm","namespace":"default"},"spec":{"domain":{"memory":{"guest":"64Mi"},"devices":{"autoattachGraphicsDevice":false}},
		"volumes":[{"name":"b","persistentVolumeClaim":{"claimName":"p","readOnly":true}}]}}`)}
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := n.Prepare(ctx, request)
		cancel()
		if err == nil || err.Error() != "volume b: claim p: its storage has not answered within 0s" || api.ReasonOf(err) != api.ReasonClaimUnavailable || status.Code(err) != codes.Unavailable {
			t.Errorf("got %v", err)
		}
	}
	n.mu.Lock()
	looks := len(n.looks)
	n.mu.Unlock()
	if looks != 1 {
		t.Errorf("%d looks at one claim", looks)
	}
	pipe, err := os.OpenFile(n.dir+"/dev/b", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := n.Prepare(ctx, request); err == nil || err.Error() != "volume b: block claim: "+n.dir+"/dev/b is no block device" {
		t.Errorf("got %v", err)
	}
}

// iface is the plumbing of the default interface.
func iface(change func(*api.InterfaceOptions)) *api.SyncOptions {
	o := &api.InterfaceOptions{Name: "default", Tap: "tap0", Bridge: "k6t-eth0", Mac: "02:00:00:ab:cd:ef", Mtu: 1400, GuestIpv4: "10.0.2.2/24", GatewayIpv4: "10.0.2.1"}
	if change != nil {
		change(o)
	}
	return &api.SyncOptions{Interfaces: []*api.InterfaceOptions{o}}
}

func TestLease(t *testing.T) {
	n := newNode(t)
	devices := `"interfaces":[{"name":"default","masquerade":{},"state":"down","dhcpOptions":{"bootFileName":"b","tftpServerName":"t","ntpServers":["10.1.1.1"],"privateOptions":[{"option":240,"value":"v"}]}}]`
	g, err := n.prepare("", "", devices, iface(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := []domain.Interface{{
		Name: "default", MAC: "02:00:00:ab:cd:ef", Down: true, Bridge: "k6t-eth0",
		Lease: &dhcp.Lease{
			MAC: "02:00:00:ab:cd:ef", Address: netip.MustParsePrefix("10.0.2.2/24"), Server: netip.MustParseAddr("10.0.2.1"), MTU: 1400, Hostname: "testvm",
			DNS: []netip.Addr{netip.MustParseAddr("10.96.0.10")}, Search: []string{"web.default.svc.cluster.local", "default.svc.cluster.local", "svc.cluster.local"},
			BootFile: "b", TFTPServer: "t", NTP: []netip.Addr{netip.MustParseAddr("10.1.1.1")}, Private: map[uint8]string{240: "v"},
		},
	}}
	if diff := cmp.Diff(want, g.Interfaces, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"net-default"}, g.LinksDown); diff != "" {
		t.Error(diff)
	}
	// The node agent's word counts more than the pod's file; no bridge, no lease.
	g, err = n.prepare("", "", `"interfaces":[{"name":"default","masquerade":{}}]`, iface(func(o *api.InterfaceOptions) { o.DnsServers, o.DnsSearch = []string{"1.1.1.1"}, []string{"x"} }))
	if err != nil || g.Interfaces[0].Lease.DNS[0].String() != "1.1.1.1" || g.Interfaces[0].Lease.Search[0] != "x" {
		t.Errorf("got %+v, %v", g, err)
	}
	if g, err = n.prepare("", "", `"interfaces":[{"name":"default","bridge":{}}]`, iface(func(o *api.InterfaceOptions) { o.Bridge = "" })); err != nil || g.Interfaces[0].Lease != nil {
		t.Errorf("got %+v, %v", g, err)
	}
}

func TestFirmware(t *testing.T) {
	spec.Covers(t, "P2-EFI-09")
	for _, tc := range []struct{ domain, code, vars string }{
		{`"firmware":{"bootloader":{"efi":{}}}`, "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"},
		{`"firmware":{"bootloader":{"efi":{"secureBoot":false}}}`, "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"},
	} {
		n := newNode(t)
		g, err := n.prepare("", tc.domain, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if line := strings.Join(g.Args, "\n"); !strings.Contains(line, n.dir+"/firmware/"+tc.code) || !strings.Contains(line, n.dir+"/private/uefi-vars.fd") {
			t.Errorf("command line:\n%s", line)
		}
		if raw, err := os.ReadFile(n.dir + "/private/uefi-vars.fd"); string(raw) != tc.vars {
			t.Errorf("variables are %q, %v", raw, err)
		}
	}
	g, err := newNode(t).prepare("", `"firmware":{"kernelBoot":{"kernelArgs":"console=ttyS0","container":{"image":"i","kernelPath":"/boot/vmlinuz"}}}`, "", nil)
	if err != nil || !strings.Contains(strings.Join(g.Args, "\n"), "/kernel-boot/boot/vmlinuz\n-append\nconsole=ttyS0\n") {
		t.Errorf("kernel boot: %+v, %v", g, err)
	}
}

// State that outlives the pod is made once and kept from then on.
func TestPersistentState(t *testing.T) {
	n := newNode(t)
	n.write("state/.keep", "")
	const domain = `"firmware":{"bootloader":{"efi":{"persistent":true}}}`
	for i, want := range []string{"OVMF_VARS_4M.ms.fd", "written by the guest"} {
		g, err := n.prepare("", domain, `"tpm":{"persistent":true}`, nil)
		if err != nil {
			t.Fatal(err)
		}
		if line := strings.Join(g.Args, "\n"); !strings.Contains(line, n.dir+"/state/uefi-vars.fd") || !strings.Contains(line, `"driver":"tpm-crb"`) {
			t.Errorf("command line:\n%s", line)
		}
		if raw, err := os.ReadFile(n.dir + "/state/uefi-vars.fd"); string(raw) != want {
			t.Errorf("start %d: variables are %q, %v", i, raw, err)
		}
		if info, err := os.Stat(n.dir + "/state/tpm"); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("place of the TPM's state: %v, %v", info, err)
		}
		if got, want := g.Helpers[0].Args[3], "dir="+n.dir+"/state/tpm,mode=0600"; got != want {
			t.Errorf("TPM's state is at %s, want %s", got, want)
		}
		n.write("state/uefi-vars.fd", "written by the guest")
	}
}

func TestTPM(t *testing.T) {
	spec.Covers(t, "P2-TPM-05")
	n := newNode(t)
	g, err := n.prepare("", "", `"tpm":{}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.Join(g.Args, "\n"); !strings.Contains(line, "socket,id=tpm0,path="+n.dir+"/private/tpm.sock\n") || !strings.Contains(line, `"driver":"tpm-tis"`) {
		t.Errorf("command line:\n%s", line)
	}
	want := []supervise.Helper{{Name: "swtpm", Path: n.dir + "/swtpm", Listen: n.dir + "/private/tpm.sock", Args: []string{
		"socket", "--tpm2", "--tpmstate", "dir=" + n.dir + "/private/tpm,mode=0600", "--ctrl", "type=unixio,fd=3", "--terminate",
	}}}
	if diff := cmp.Diff(want, g.Helpers); diff != "" {
		t.Error(diff)
	}
	if g, err = n.prepare("", "", `"tpm":{"enabled":false,"persistent":true}`, nil); err != nil || len(g.Helpers) != 0 || strings.Contains(strings.Join(g.Args, "\n"), "tpm") {
		t.Errorf("a TPM that is off: %+v, %v", g, err)
	}
}

func TestDedicatedCPUs(t *testing.T) {
	g, err := newNode(t).prepare("", `"cpu":{"cores":2,"dedicatedCpuPlacement":true,"isolateEmulatorThread":true}`, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&domain.Pins{VCPUs: []int{1, 3}, Emulator: []int{5}}, g.Pins); diff != "" {
		t.Error(diff)
	}
}

// TestHostCPUs looks at those of this machine, and at places that are made up.
func TestHostCPUs(t *testing.T) {
	real, err := hostCPUs("/sys/devices/system/cpu")
	if err != nil || len(real) == 0 {
		t.Fatalf("got %v, %v", real, err)
	}
	n := newNode(t)
	for _, c := range real {
		dir := fmt.Sprintf("sys/cpu%d/", c.ID)
		n.write(dir+"topology/physical_package_id", "1\n")
		n.write(dir+"topology/core_id", "7\n")
		n.write(dir+"node2/.keep", "")
	}
	made, err := hostCPUs(n.dir + "/sys")
	if err != nil {
		t.Fatal(err)
	}
	for i := range real {
		if want := (convert.HostCPU{ID: real[i].ID, Node: 2, Package: 1, Core: 7}); made[i] != want {
			t.Errorf("got %+v, want %+v", made[i], want)
		}
	}
	bare, err := hostCPUs(n.dir)
	if err != nil || bare[0].Core != bare[0].ID {
		t.Errorf("a kernel that does not tell: %v, %v", bare, err)
	}
	n.write(fmt.Sprintf("sys/cpu%d/topology/core_id", real[0].ID), "x")
	if _, err := hostCPUs(n.dir + "/sys"); err == nil {
		t.Error("a core that is no number was taken")
	}
}

// TestMatchVolume gives a disk the blocks of what it is on.
func TestMatchVolume(t *testing.T) {
	n := newNode(t)
	g, err := n.prepare(`{"name":"full","persistentVolumeClaim":{"claimName":"p"}}`, "", `"disks":[{"name":"full","disk":{"bus":"virtio"},"blockSize":{"matchVolume":{}}}]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	logical, physical, err := blockSizes(n.dir+"/claims/full/disk.img", false)
	if err != nil || logical < 512 {
		t.Fatalf("block sizes %d and %d, %v", logical, physical, err)
	}
	if want := fmt.Sprintf(`"logical_block_size":%d,"physical_block_size":%d`, logical, physical); !strings.Contains(strings.Join(g.Args, "\n"), want) {
		t.Errorf("command line lacks %s:\n%s", want, strings.Join(g.Args, "\n"))
	}
	for _, device := range []bool{false, true} {
		if _, _, err := blockSizes(n.dir+"/nobody", device); err == nil {
			t.Error("what is not there has blocks")
		}
	}
	if _, _, err := blockSizes(n.dir+"/claims/full/disk.img", true); err == nil {
		t.Error("a file answers as a device")
	}
}

// No secret may get into the state file, which holds the guest.
func TestGuestHoldsNoSecret(t *testing.T) {
	n := newNode(t)
	g, err := n.prepare(`{"name":"c","cloudInitNoCloud":{"secretRef":{"name":"s"}}}`, "", "", &api.SyncOptions{CloudInit: []*api.CloudInitData{{Volume: "c", UserData: []byte("tops3cret")}}})
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.Join(g.Args, "\n"); strings.Contains(line, "tops3cret") {
		t.Errorf("command line:\n%s", line)
	}
}
