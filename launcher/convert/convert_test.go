package convert

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

var update = flag.Bool("update", false, "write the golden files anew")

func load(t testing.TB, name string) ([]byte, *virtv1.VirtualMachineInstance) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var vmi virtv1.VirtualMachineInstance
	if err := json.Unmarshal(raw, &vmi); err != nil {
		t.Fatal(err)
	}
	return raw, &vmi
}

var fixtures = []string{
	"tiny", "typical", "every-volume", "windows-like", "kernel-boot", "config-volumes", "windows-full", "dedicated", "disks", "timers", "devices",
}

// input prepares each volume of the plan as the node would.
func input(t testing.TB, vmi *virtv1.VirtualMachineInstance, emulation bool) Input {
	t.Helper()
	volumes, err := Volumes(vmi, DefaultPaths())
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]Image{}
	for _, v := range volumes {
		image := Image{Direct: true}
		switch {
		case v.ContainerDisk != nil && v.ContainerDisk.ReadOnly:
			image.Image = qemu.Image{Path: v.ContainerDisk.Root + v.ContainerDisk.Path, Format: qemu.FormatRaw}
		case v.ContainerDisk != nil:
			image.Image = qemu.Image{Path: v.ContainerDisk.Overlay, Format: qemu.FormatQcow2, Backing: &qemu.Image{Path: v.ContainerDisk.Root + "/disk/disk.img", Format: qemu.FormatQcow2}}
		case v.Empty != nil:
			image.Image = qemu.Image{Path: v.Empty.File, Format: qemu.FormatQcow2}
		case v.CloudInit != nil:
			image.Image, image.Direct = qemu.Image{Path: v.CloudInit.File, Format: qemu.FormatRaw}, false
		case v.Config != nil:
			image.Image, image.Direct = qemu.Image{Path: v.Config.File, Format: qemu.FormatRaw}, false
		case v.Overlay != nil:
			image.Image = qemu.Image{Path: v.Overlay.File, Format: qemu.FormatQcow2, Backing: &qemu.Image{Path: v.Overlay.Claim.Dir + "/disk.img", Format: qemu.FormatRaw}}
		case v.HostDisk != nil:
			image.Image, image.Shared = qemu.Image{Path: v.HostDisk.File, Format: qemu.FormatRaw}, v.HostDisk.Shared
		case v.Metrics != nil:
			image.Image, image.Direct, image.ReadOnly = qemu.Image{Path: v.Metrics.File, Format: qemu.FormatRaw}, false, true
		case v.Claim.Block:
			image.Image = qemu.Image{Path: v.Claim.Device, Format: qemu.FormatRaw, Block: true}
		default:
			image.Image = qemu.Image{Path: v.Claim.Dir + "/disk.img", Format: qemu.FormatRaw}
		}
		image.LogicalBlock, image.PhysicalBlock = 4096, 4096
		images[v.Name] = image
	}
	in := Input{
		VMI: vmi, Emulation: emulation, Images: images, Paths: DefaultPaths(), Now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC),
		UEFICode: "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", UEFIVars: "/var/run/kubevirt-private/vars.fd",
		Interfaces: map[string]Interface{"default": {Tap: "tap0", MTU: 1400, Vhost: true}, "net1": {Tap: "tap1", Queues: 2, Vhost: true}},
	}
	for i := range int(machine.DedicatedCPUs(&vmi.Spec.Domain)) {
		// Two chips with two cores of two threads each; the number is that of Linux: threads come last.
		in.CPUs = append(in.CPUs, HostCPU{ID: i, Node: i / 2 % 2, Package: i / 2 % 2, Core: i % 2})
	}
	if len(in.CPUs) > 4 && emulation {
		in.CPUs = in.CPUs[:4]
	}
	if f := vmi.Spec.Domain.Firmware; f != nil && f.KernelBoot != nil && f.KernelBoot.Container != nil {
		in.Kernel, in.Initrd = DefaultPaths().KernelBoot+f.KernelBoot.Container.KernelPath, DefaultPaths().KernelBoot+f.KernelBoot.Container.InitrdPath
	}
	return in
}

func TestGolden(t *testing.T) {
	for _, name := range fixtures {
		for _, emulation := range []bool{true, false} {
			full := name + map[bool]string{true: ".tcg", false: ".kvm"}[emulation]
			t.Run(full, func(t *testing.T) {
				raw, vmi := load(t, name)
				if err := CheckFields(raw); err != nil {
					t.Fatal(err)
				}
				volumes, err := Volumes(vmi, DefaultPaths())
				if err != nil {
					t.Fatal(err)
				}
				r, err := Machine(input(t, vmi, emulation))
				if err != nil {
					t.Fatal(err)
				}
				args, err := r.Machine.Args()
				if err != nil {
					t.Fatal(err)
				}
				var b strings.Builder
				for _, v := range volumes {
					plan, err := json.Marshal(v)
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&b, "volume %s\n", plan)
				}
				fmt.Fprintf(&b, "paused %v, links down %v, open trays %v, host name %s, grace period %s\n", r.Paused, r.LinksDown, r.OpenTrays, Hostname(vmi), GracePeriod(vmi))
				if r.Pins != nil {
					fmt.Fprintf(&b, "pins %+v\n", *r.Pins)
				}
				for _, w := range r.Warnings {
					fmt.Fprintf(&b, "warning %s\n", w)
				}
				b.WriteString(strings.Join(args, "\n") + "\n")
				compare(t, full+".golden", b.String())
			})
		}
	}
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	golden := filepath.Join("testdata", name)
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
		t.Errorf("differs from %s (run: go test ./launcher/convert -update):\n%s", golden, diff)
	}
}

// TestRefusals changes the typical VMI by a piece of JSON laid over it and wants the error that names the field.
func TestRefusals(t *testing.T) {
	for _, tc := range refusals {
		t.Run(tc.name, func(t *testing.T) {
			raw, _ := load(t, "typical")
			raw = merge(t, raw, tc.patch)
			err := convertAll(t, raw)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if OnlyUnsupported(err) != tc.unsupported {
				t.Errorf("OnlyUnsupported = %v, want %v", !tc.unsupported, tc.unsupported)
			}
		})
	}
}

func disk(target string) string {
	return `{"spec":{"domain":{"devices":{"disks":[{"name":"containerdisk",` + target + `}]}},"volumes":[{"name":"containerdisk","containerDisk":{"image":"i"}}]}}`
}

func volume(source string) string {
	return `{"spec":{"domain":{"devices":{"disks":[{"name":"v","disk":{}}]}},"volumes":[{"name":"v",` + source + `}]}}`
}

// merge lays a JSON merge patch over a document.
func merge(t testing.TB, doc []byte, patch string) []byte {
	t.Helper()
	var d, p any
	if err := json.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(patch), &p); err != nil {
		t.Fatalf("%v in %s", err, patch)
	}
	out, err := json.Marshal(mergeValue(d, p))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mergeValue(d, p any) any {
	pm, ok := p.(map[string]any)
	if !ok {
		return p
	}
	dm, ok := d.(map[string]any)
	if !ok {
		dm = map[string]any{}
	}
	for k, v := range pm {
		if v == nil {
			delete(dm, k)
			continue
		}
		dm[k] = mergeValue(dm[k], v)
	}
	return dm
}

// convertAll goes the launcher's way: fields, volumes, machine.
func convertAll(t testing.TB, raw []byte) error {
	t.Helper()
	if err := CheckFields(raw); err != nil {
		return err
	}
	var vmi virtv1.VirtualMachineInstance
	if err := json.Unmarshal(raw, &vmi); err != nil {
		t.Fatal(err)
	}
	if _, err := Volumes(&vmi, DefaultPaths()); err != nil {
		return err
	}
	_, err := Machine(input(t, &vmi, true))
	return err
}

// TestEveryFieldIsDecided walks the API types: a field that was added there must be put on one of the lists here.
func TestEveryFieldIsDecided(t *testing.T) {
	var refused []string
	walkTypes(reflect.TypeFor[virtv1.VirtualMachineInstanceSpec](), "", map[reflect.Type]int{}, &refused)
	sort.Strings(refused)
	compare(t, "refused-fields.txt", strings.Join(refused, "\n")+"\n")
	// And the other way: a name on a list that no field has is a mistake of writing.
	reasons := map[string]bool{}
	for w := range why {
		reasons[w] = true
	}
	for _, list := range []map[string]bool{converted, elsewhere, reasons} {
		for w := range list {
			if !typeHas(reflect.TypeFor[virtv1.VirtualMachineInstanceSpec](), strings.TrimSuffix(w, ".*")) {
				t.Errorf("list names %s, which the API lacks", w)
			}
		}
	}
}

func walkTypes(typ reflect.Type, pattern string, depth map[reflect.Type]int, refused *[]string) {
	if known(pattern) != none {
		return
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ.Kind() == reflect.Slice:
		walkTypes(typ.Elem(), pattern+"[]", depth, refused)
		return
	case typ.Kind() == reflect.Struct && typ.NumField() > 0 && depth[typ] == 0 && (pattern == "" || within(pattern)):
		depth[typ]++
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			walkTypes(typ.Field(i).Type, strings.TrimPrefix(pattern+"."+name, "."), depth, refused)
		}
		depth[typ]--
		return
	}
	*refused = append(*refused, pattern)
}

func typeHas(typ reflect.Type, path string) bool {
	for _, part := range strings.Split(path, ".") {
		name, list := strings.CutSuffix(part, "[]")
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return false
		}
		found := false
		for i := range typ.NumField() {
			if n, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ","); n == name {
				typ, found = typ.Field(i).Type, true
				break
			}
		}
		if !found || list && typ.Kind() != reflect.Slice {
			return false
		}
		if list {
			typ = typ.Elem()
		}
	}
	return true
}

func TestIdentityIsStable(t *testing.T) {
	_, vmi := load(t, "tiny")
	if got, want := UUID(vmi), "0"; len(got) != 36 || got == want {
		t.Errorf("UUID = %s", got)
	}
	if UUID(vmi) != UUID(vmi.DeepCopy()) || MAC(vmi, "default") != MAC(vmi.DeepCopy(), "default") || MAC(vmi, "default") == MAC(vmi, "other") {
		t.Error("identity changes")
	}
	other := vmi.DeepCopy()
	other.Namespace = "elsewhere"
	if UUID(vmi) == UUID(other) || MAC(vmi, "default") == MAC(other, "default") {
		t.Error("two machines share an identity")
	}
}

func TestParseOverhead(t *testing.T) {
	for in, want := range map[string]float64{"": 0.06, "0": 0, "0.1": 0.1} {
		if got, err := ParseOverhead(in); err != nil || got != want {
			t.Errorf("ParseOverhead(%q) = %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"1", "-0.1", "x", "NaN"} {
		if _, err := ParseOverhead(in); err == nil {
			t.Errorf("ParseOverhead(%q) accepted", in)
		}
	}
}

// FuzzConvert lays anything over a VMI: it is refused or gives a machine, and never breaks.
func FuzzConvert(f *testing.F) {
	for i, patch := range []string{
		`{"spec":{"domain":{"cpu":{"cores":4294967295,"sockets":4294967295,"maxSockets":4294967295}}}}`,
		`{"spec":{"domain":{"devices":{"disks":[{"name":"a,b","disk":{"bus":"virtio"}}]}}}}`,
		`{"spec":{"domain":{"features":{"hyperv":{"vendorid":{"vendorid":"a,b=c"}}}}}}`,
		`{"spec":{"domain":{"memory":{"guest":"1Gi","hugepages":{"pageSize":"-1"}}}}}`,
		`{"spec":{"domain":{"cpu":{"cores":3,"threads":2,"dedicatedCpuPlacement":true,"numa":{"guestMappingPassthrough":{}}}}}}`,
		`{"spec":{"domain":{"ioThreadsPolicy":"supplementalPool","ioThreads":{"supplementalPoolThreadCount":9223372036854775807}}}}`,
	} {
		f.Add(uint8(i), patch)
	}
	f.Fuzz(func(t *testing.T, fixture uint8, patch string) {
		var p any
		if json.Unmarshal([]byte(patch), &p) != nil {
			return
		}
		base, _ := load(t, fixtures[int(fixture)%len(fixtures)])
		tryConvert(t, merge(t, base, patch))
	})
}

// FuzzVMI takes anything for a VMI.
func FuzzVMI(f *testing.F) {
	for _, name := range fixtures {
		raw, _ := load(f, name)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) { tryConvert(t, raw) })
}

// tryConvert goes the launcher's way with a VMI that may be anything.
func tryConvert(t *testing.T, raw []byte) {
	t.Helper()
	if CheckFields(raw) != nil {
		return
	}
	var vmi virtv1.VirtualMachineInstance
	if json.Unmarshal(raw, &vmi) != nil {
		return
	}
	// More CPUs than any node has would only cost time here.
	if machine.VCPUs(vmi.Spec.Domain.CPU) > 4096 {
		vmi.Spec.Domain.CPU.DedicatedCPUPlacement = nil
	}
	if _, err := Volumes(&vmi, DefaultPaths()); err != nil {
		return
	}
	r, err := Machine(input(t, &vmi, false))
	if err != nil {
		return
	}
	if _, err := r.Machine.Args(); err != nil && !strings.Contains(err.Error(), "PCI") && !strings.Contains(err.Error(), "usb") {
		t.Errorf("a machine that was accepted has no command line: %v", err)
	}
}
