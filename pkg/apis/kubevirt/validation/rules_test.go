package validation

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

// row breaks one rule, or keeps it at its edge. What is said then is in testdata/rules.txt.
type row struct {
	rule  *Rule
	name  string
	check func() *report
}

func rows() []row {
	return slices.Concat(objectRows, domainRows, deviceRows, networkRows, otherRows, atStartRows)
}

// golden holds the errors of each row; UPDATE_GOLDEN=true writes it anew.
const golden = "testdata/rules.txt"

func instance() *virtv1.VirtualMachineInstance {
	return &virtv1.VirtualMachineInstance{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"},
		Spec: virtv1.VirtualMachineInstanceSpec{
			Domain: virtv1.DomainSpec{
				Memory: &virtv1.Memory{Guest: ptr.To(resource.MustParse("1Gi"))},
				CPU:    &virtv1.CPU{Sockets: 2, Cores: 1, Threads: 1},
				Devices: virtv1.Devices{
					Disks:      []virtv1.Disk{{Name: "root", Disk: &virtv1.DiskTarget{Bus: "virtio"}}, {Name: "init"}},
					Interfaces: []virtv1.Interface{{Name: "default", Masquerade: &virtv1.InterfaceMasquerade{}}},
				},
			},
			Networks: []virtv1.Network{{Name: "default", Pod: &virtv1.PodNetwork{}}},
			Volumes: []virtv1.Volume{
				{Name: "root", ContainerDisk: &virtv1.ContainerDiskSource{Image: "registry/image:1"}},
				{Name: "init", CloudInitNoCloud: &virtv1.CloudInitNoCloudSource{UserData: "#cloud-config"}},
			},
		},
	}
}

func machine() *virtv1.VirtualMachine {
	vmi := instance()
	return &virtv1.VirtualMachine{
		ObjectMeta: vmi.ObjectMeta,
		Spec:       virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyHalted, Template: &virtv1.VirtualMachineInstanceTemplateSpec{Spec: vmi.Spec}},
	}
}

func replicaSet() *virtv1.VirtualMachineInstanceReplicaSet {
	return &virtv1.VirtualMachineInstanceReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Spec: virtv1.VirtualMachineInstanceReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
			Template: &virtv1.VirtualMachineInstanceTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}, Spec: instance().Spec},
		},
	}
}

func migration() *virtv1.VirtualMachineInstanceMigration {
	return &virtv1.VirtualMachineInstanceMigration{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: virtv1.VirtualMachineInstanceMigrationSpec{VMIName: "a"}}
}

func ofVMI(change func(*virtv1.VirtualMachineInstance)) func() *report {
	return func() *report {
		vmi := instance()
		change(vmi)
		return checkInstance(vmi, Options{})
	}
}

// gated is an instance in a cluster with a feature gate on.
func gated(gate string, change func(*virtv1.VirtualMachineInstance)) func() *report {
	return func() *report {
		vmi := instance()
		change(vmi)
		return checkInstance(vmi, Options{FeatureGates: []string{gate}})
	}
}

func ofSpec(change func(*virtv1.VirtualMachineInstanceSpec)) func() *report {
	return ofVMI(func(vmi *virtv1.VirtualMachineInstance) { change(&vmi.Spec) })
}

func ofDomain(change func(*virtv1.DomainSpec)) func() *report {
	return ofVMI(func(vmi *virtv1.VirtualMachineInstance) { change(&vmi.Spec.Domain) })
}

func ofDevices(change func(*virtv1.Devices)) func() *report {
	return ofVMI(func(vmi *virtv1.VirtualMachineInstance) { change(&vmi.Spec.Domain.Devices) })
}

func ofDisk(change func(*virtv1.Disk)) func() *report {
	return ofDevices(func(d *virtv1.Devices) { change(&d.Disks[0]) })
}

func ofVolume(change func(*virtv1.Volume)) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) {
		s.Volumes[0].ContainerDisk = nil
		change(&s.Volumes[0])
	})
}

func ofCloudInit(change func(*virtv1.CloudInitNoCloudSource)) func() *report {
	return ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { change(s.Volumes[1].CloudInitNoCloud) })
}

func ofInterface(change func(*virtv1.Interface)) func() *report {
	return ofDevices(func(d *virtv1.Devices) { change(&d.Interfaces[0]) })
}

func ofVM(change func(*virtv1.VirtualMachine)) func() *report {
	return func() *report {
		vm := machine()
		change(vm)
		return checkVirtualMachine(vm, Options{})
	}
}

func ofVMUpdate(change func(vm, old *virtv1.VirtualMachine)) func() *report {
	return func() *report {
		vm, old := machine(), machine()
		change(vm, old)
		return checkVirtualMachineUpdate(vm, old, Options{})
	}
}

func ofVMIUpdate(change func(vmi, old *virtv1.VirtualMachineInstance)) func() *report {
	return func() *report {
		vmi, old := instance(), instance()
		change(vmi, old)
		return checkInstanceUpdate(vmi, old, Options{})
	}
}

// ofTrustedUpdate is a change by a component of the system.
func ofTrustedUpdate(change func(*virtv1.VirtualMachineInstance)) func() *report {
	return func() *report {
		vmi := instance()
		change(vmi)
		return checkInstanceUpdate(vmi, instance(), Options{Trusted: true})
	}
}

func ofPhase(from, to virtv1.VirtualMachineInstancePhase) func() *report {
	return func() *report {
		vmi, old := instance(), instance()
		old.Status.Phase, vmi.Status.Phase = from, to
		return checkInstanceStatus(vmi, old)
	}
}

func ofMigration(change func(*virtv1.VirtualMachineInstanceMigration)) func() *report {
	return func() *report {
		m := migration()
		change(m)
		return checkMigration(m)
	}
}

func ofReplicaSet(change func(*virtv1.VirtualMachineInstanceReplicaSet)) func() *report {
	return func() *report {
		s := replicaSet()
		change(s)
		return checkReplicaSet(s, Options{})
	}
}

func ofPreset(d virtv1.DomainSpec) func() *report {
	return func() *report {
		return checkPreset(&virtv1.VirtualMachineInstancePreset{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: virtv1.VirtualMachineInstancePresetSpec{Domain: &d}}, Options{})
	}
}

func ofKubeVirt(change func(*virtv1.KubeVirtSpec)) func() *report {
	return func() *report {
		k := &virtv1.KubeVirt{ObjectMeta: metav1.ObjectMeta{Name: "kubevirt"}}
		change(&k.Spec)
		return checkKubeVirt(k)
	}
}

func list(pairs ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

func dedicate(d *virtv1.DomainSpec) { d.CPU.DedicatedCPUPlacement = ptr.To(true) }

func repeat[T any](n int, f func(int) T) []T {
	var out []T
	for i := range n {
		out = append(out, f(i))
	}
	return out
}

// TestRules breaks each rule, and nothing but it, and wants the exact words.
func TestRules(t *testing.T) {
	spec.Covers(t, "P1-VMCREATE-11", "P1-RUN-01", "P2-STATE-13", "P3-NETPOD-05", "P3-NETPOD-12")
	var got strings.Builder
	for _, r := range rows() {
		fmt.Fprintf(&got, "%s: %s\n", r.rule.Name, r.name)
		report := r.check()
		for _, f := range report.findings {
			if f.rule != r.rule {
				t.Errorf("%s: %s: broke rule %s too: %s", r.rule.Name, r.name, f.rule.Name, f.err)
			}
			fmt.Fprintf(&got, "\t%s\n", f.err)
		}
		if len(report.findings) == 0 {
			got.WriteString("\tis accepted\n")
		}
	}
	if os.Getenv("UPDATE_GOLDEN") == "true" {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("Errors are not those of %s (-want +got); UPDATE_GOLDEN=true go test writes them anew:\n%s", golden, diff)
	}
}

// TestMachineRows applies what the manual says of single fields of the machine.
func TestMachineRows(t *testing.T) {
	spec.Covers(t, "P2-EFI-04", "P2-CPU-03", "P2-HUGE-04", "P2-HUGE-05", "P2-WDOG-02")
	hugepages := func(guest, page string) func(*virtv1.DomainSpec) {
		return func(d *virtv1.DomainSpec) {
			d.Memory = &virtv1.Memory{Guest: ptr.To(resource.MustParse(guest)), Hugepages: &virtv1.Hugepages{PageSize: page}}
		}
	}
	secure := func(smm *virtv1.FeatureState) func(*virtv1.DomainSpec) {
		return func(d *virtv1.DomainSpec) {
			d.Features = &virtv1.Features{SMM: smm}
			d.Firmware = &virtv1.Firmware{Bootloader: &virtv1.Bootloader{EFI: &virtv1.EFI{SecureBoot: ptr.To(true)}}}
		}
	}
	policy := func(p string) func(*virtv1.DomainSpec) {
		return func(d *virtv1.DomainSpec) { d.CPU.Features = []virtv1.CPUFeature{{Name: "apic", Policy: p}} }
	}
	action := func(a string) func(*virtv1.DomainSpec) {
		return func(d *virtv1.DomainSpec) {
			d.Devices.Watchdog = &virtv1.Watchdog{Name: "dog", I6300ESB: &virtv1.I6300ESBWatchdog{Action: a}}
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*virtv1.DomainSpec)
		breaks *Rule
	}{
		{"secure boot with SMM", secure(&virtv1.FeatureState{Enabled: ptr.To(true)}), nil},
		{"secure boot without SMM", secure(nil), RuleSecureBoot},
		{"force", policy("force"), nil}, {"require", policy("require"), nil}, {"optional", policy("optional"), nil},
		{"disable", policy("disable"), nil}, {"forbid", policy("forbid"), nil}, {"no policy", policy(""), nil}, {"another policy", policy("always"), RuleCPUPolicy},
		{"2Mi", hugepages("512Mi", "2Mi"), nil}, {"1Gi", hugepages("4Gi", "1Gi"), nil}, {"one page", hugepages("1Gi", "1Gi"), nil},
		{"4Mi", hugepages("512Mi", "4Mi"), RuleHugepagesSize}, {"part of a page", hugepages("500Mi", "1Gi"), RuleHugepagesMultiple}, {"less than a page", hugepages("1Mi", "2Mi"), RuleHugepagesMultiple},
		{"poweroff", action("poweroff"), nil}, {"reset", action("reset"), nil}, {"shutdown", action("shutdown"), nil}, {"another action", action("pause"), RuleWatchdog},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "less than a page" {
				spec.Covers(t, "P2-HUGE-06")
			}
			findings := ofDomain(tc.change)().findings
			switch {
			case tc.breaks == nil && len(findings) > 0:
				t.Errorf("refused: %s", findings[0].err)
			case tc.breaks != nil && (len(findings) != 1 || findings[0].rule != tc.breaks):
				t.Errorf("got %v, want rule %s broken", findings, tc.breaks.Name)
			}
		})
	}
}

// TestEveryRuleHasARow fails when a rule is added without a row that breaks it.
func TestEveryRuleHasARow(t *testing.T) {
	broken := map[string]bool{}
	for _, r := range rows() {
		broken[r.rule.Name] = broken[r.rule.Name] || len(r.check().findings) > 0
	}
	names := map[string]bool{}
	for _, r := range Rules() {
		if !broken[r.Name] {
			t.Errorf("Rule %s (%s) has no row that breaks it", r.Name, r.Asks)
		}
		if names[r.Name] {
			t.Errorf("Rule %s is declared twice", r.Name)
		}
		names[r.Name] = true
		if r.Asks == "" || strings.HasSuffix(r.Asks, ".") {
			t.Errorf("Rule %s must say what it asks, without a full stop", r.Name)
		}
	}
}

// TestValid shows that the objects that the rows break are in order before.
func TestValid(t *testing.T) {
	for name, r := range map[string]*report{
		"machine":     checkVirtualMachine(machine(), Options{}),
		"instance":    checkInstance(instance(), Options{}),
		"replica set": checkReplicaSet(replicaSet(), Options{}),
		"migration":   checkMigration(migration()),
		"kubevirt":    checkKubeVirt(&virtv1.KubeVirt{ObjectMeta: metav1.ObjectMeta{Name: "kubevirt"}}),
		"preset":      checkPreset(&virtv1.VirtualMachineInstancePreset{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, Options{}),
	} {
		if errs := r.errors(); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs.ToAggregate())
		}
	}
}

// TestLinks applies what the manual says of how the parts of a machine name one another.
func TestLinks(t *testing.T) {
	spec.Covers(t, "P2-VIRTIOWIN-04", "P2-VIRTIOWIN-08", "P2-PXE-10", "P2-PXE-12")
	for _, tc := range []struct {
		name   string
		report *report
		breaks *Rule
	}{
		{"disk without a volume", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Volumes = s.Volumes[1:] })(), RuleDiskVolume},
		{"interface without a network", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Networks = nil })(), RuleInterfaceNetwork},
		{"network without an interface", ofSpec(func(s *virtv1.VirtualMachineInstanceSpec) { s.Domain.Devices.Interfaces = nil })(), RuleNetworkInterface},
		{"one order for a disk and an interface", ofDevices(func(d *virtv1.Devices) {
			d.Disks[0].BootOrder, d.Interfaces[0].BootOrder = ptr.To(int32(1)), ptr.To(int32(1))
		})(), RuleBootOrderUnique},
		{"an order of each", ofDevices(func(d *virtv1.Devices) {
			d.Disks[0].BootOrder, d.Interfaces[0].BootOrder = ptr.To(int32(2)), ptr.To(int32(1))
		})(), nil},
		// The manual wants an order for all then, and has an example that gives it to one (ambiguity 13): one is enough.
		{"an order of one", ofDisk(func(d *virtv1.Disk) { d.BootOrder = ptr.To(int32(1)) })(), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			switch findings := tc.report.findings; {
			case tc.breaks == nil && len(findings) > 0:
				t.Errorf("refused: %s", findings[0].err)
			case tc.breaks != nil && (len(findings) == 0 || findings[0].rule != tc.breaks):
				t.Errorf("findings %v", findings)
			}
		})
	}
}

// TestNothingIsInferred tells of an instance type that the machine goes without, since it asks for none unless there is one.
func TestNothingIsInferred(t *testing.T) {
	vm := machine()
	vm.Spec.Instancetype = &virtv1.InstancetypeMatcher{InferFromVolume: "root", InferFromVolumeFailurePolicy: "Ignore"}
	want := []string{`spec.instancetype: none is inferred from volume "root", this version has no instancetypes: the machine is what its template says`}
	if diff := cmp.Diff(want, VirtualMachineWarnings(vm, Options{})); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestNamespacesOfThePlatform warns of a machine in one, and lets it be made.
func TestNamespacesOfThePlatform(t *testing.T) {
	spec.Covers(t, "P1-VMCREATE-02")
	const warning = "metadata.namespace: namespaces whose names begin with openshift- are the platform's own: make machines in another"
	for namespace, warned := range map[string]bool{"openshift-cnv": true, "openshift-x": true, "openshift": false, "my-openshift-vms": false, "default": false} {
		vm := machine()
		vm.Namespace = namespace
		if got := slices.Contains(VirtualMachineWarnings(vm, Options{}), warning); got != warned {
			t.Errorf("%s: warned: %v, want %v", namespace, got, warned)
		}
		if errs := ValidateVirtualMachine(vm, Options{}); len(errs) > 0 {
			t.Errorf("%s: refused: %v", namespace, errs)
		}
	}
}
