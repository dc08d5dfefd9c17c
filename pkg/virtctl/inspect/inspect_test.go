package inspect

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
)

func number(n int32) *int32 { return &n }

func kind(k string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: k} }

// cluster has a configuration, a running machine web with a level of its own, and a stopped one.
func cluster(t *testing.T, installed int) *virtctltest.Server {
	kv := virtv1.KubeVirt{TypeMeta: kind("KubeVirt"), ObjectMeta: metav1.ObjectMeta{Name: "kubevirt", Namespace: "system"}}
	kv.Spec.Configuration.DeveloperConfiguration = &virtv1.DeveloperConfiguration{LogVerbosity: &virtv1.LogVerbosity{VirtHandler: number(7), VirtLauncher: number(3)}}
	kv.Spec.Configuration.PermittedHostDevices = &virtv1.PermittedHostDevices{
		PCIHostDevices:  []virtv1.PciHostDevice{{ResourceName: "nvidia.com/T4", PCIVendorSelector: "10DE:1EB8"}},
		MediatedDevices: []virtv1.MediatedHostDevice{{ResourceName: "nvidia.com/GRID", MdevNameSelector: "GRID T4-1Q"}},
		USB:             []virtv1.USBHostDevice{{ResourceName: "kubevirt.io/storage", Selectors: []virtv1.USBSelector{{Vendor: "46f4", Product: "0001"}}}},
	}
	machine := func(name, level string) virtv1.VirtualMachine {
		vm := virtv1.VirtualMachine{TypeMeta: kind("VirtualMachine"), ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: virtv1.VirtualMachineSpec{Template: &virtv1.VirtualMachineInstanceTemplateSpec{}}}
		if level != "" {
			vm.Spec.Template.Labels = map[string]string{"logVerbosity": level}
		}
		return vm
	}
	yes := true
	graph := virtv1.ObjectGraphNode{ObjectReference: corev1.TypedObjectReference{Kind: "VirtualMachine", Name: "web"}, Children: []virtv1.ObjectGraphNode{
		{ObjectReference: corev1.TypedObjectReference{Kind: "VirtualMachineInstance", Name: "web"}, Children: []virtv1.ObjectGraphNode{{ObjectReference: corev1.TypedObjectReference{Kind: "Pod", Name: "p"}}}},
		{ObjectReference: corev1.TypedObjectReference{Kind: "Secret", Name: "s"}, Optional: &yes},
	}}
	return &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/apis/kubevirt.io/v1/kubevirts":
			virtctltest.JSON(w, virtv1.KubeVirtList{TypeMeta: kind("KubeVirtList"), Items: slices.Repeat([]virtv1.KubeVirt{kv}, installed)})
		case "/apis/kubevirt.io/v1/namespaces/system/kubevirts/kubevirt":
			virtctltest.JSON(w, kv)
		case "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines/web":
			virtctltest.JSON(w, machine("web", "5"))
		case "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines/off":
			virtctltest.JSON(w, machine("off", ""))
		case "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances/web":
			virtctltest.JSON(w, virtv1.VirtualMachineInstance{TypeMeta: kind("VirtualMachineInstance"), ObjectMeta: metav1.ObjectMeta{Name: "web"}})
		case virtctltest.Base + "virtualmachines/web/expand-spec", virtctltest.Base + "expand-vm-spec":
			virtctltest.JSON(w, machine("web", ""))
		case virtctltest.Base + "virtualmachines/web/objectgraph", virtctltest.Base + "virtualmachineinstances/web/objectgraph":
			virtctltest.JSON(w, graph)
		default:
			virtctltest.Refuse(w, 404, "not found")
		}
		return true
	}}
}

func TestExpand(t *testing.T) {
	s := cluster(t, 1)
	out, _, err := virtctltest.Run(t, s, nil, New, "expand", "--vm", "web", "-o", "jsonpath={.metadata.name}")
	if err != nil || out != "web\n" {
		t.Errorf("printed %q, %v", out, err)
	}
	out, _, err = virtctltest.Run(t, s, strings.NewReader("kind: VirtualMachine\nspec: {instancetype: {name: small}}\n"), New, "expand", "--file", "-")
	if err != nil || !strings.Contains(out, "name: web\n") {
		t.Errorf("printed %q, %v", out, err)
	}
	if got := s.Saw("PUT", virtctltest.Base+"expand-vm-spec"); len(got) != 1 || got[0] != `{"kind":"VirtualMachine","spec":{"instancetype":{"name":"small"}}}` {
		t.Errorf("sent %v", got)
	}
	for args, want := range map[string]string{
		"expand": "say either --vm NAME or --file FILE", "expand --vm a --file b": "say either --vm NAME or --file FILE",
		"expand --file /nonexistent": "open /nonexistent: no such file or directory", "expand --vm gone": "expanding machine gone: not found",
	} {
		if _, _, err := virtctltest.Run(t, s, nil, New, strings.Fields(args)...); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", args, err, want)
		}
	}
}

func TestObjectGraph(t *testing.T) {
	s := cluster(t, 1)
	out, _, err := virtctltest.Run(t, s, nil, New, "objectgraph", "web", "-o", "tree")
	if want := "VirtualMachine/web\n├─ VirtualMachineInstance/web\n│  └─ Pod/p\n└─ Secret/s (optional)\n"; err != nil || out != want {
		t.Errorf("printed\n%s%v, want\n%s", out, err, want)
	}
	out, _, err = virtctltest.Run(t, s, nil, New, "objectgraph", "web", "--vmi", "--exclude-optional", "--selector", "kubevirt.io/dependency-type=storage")
	if err != nil || !json.Valid([]byte(out)) {
		t.Errorf("printed %q, %v", out, err)
	}
	got := append(s.Saw("GET", virtctltest.Base+"virtualmachines/web/objectgraph"), s.Saw("GET", virtctltest.Base+"virtualmachineinstances/web/objectgraph")...)
	if diff := cmp.Diff([]string{`{"includeOptionalNodes":true}`, `{"includeOptionalNodes":false,"labelSelector":{"matchLabels":{"kubevirt.io/dependency-type":"storage"}}}`}, got); diff != "" {
		t.Errorf("options in the body of GET (-want +got):\n%s", diff)
	}
}

func TestPermittedDevices(t *testing.T) {
	out, _, err := virtctltest.Run(t, cluster(t, 1), nil, New, "permitted-devices")
	want := "RESOURCE              KIND       SELECTOR\nkubevirt.io/storage   USB        46f4:0001\nnvidia.com/GRID       mediated   GRID T4-1Q\nnvidia.com/T4         PCI        10DE:1EB8\n"
	if err != nil || out != want {
		t.Errorf("printed\n%s%v, want\n%s", out, err, want)
	}
	out, _, err = virtctltest.Run(t, cluster(t, 1), nil, New, "permitted-devices", "-o", "jsonpath={[*].resourceName}")
	if err != nil || out != "kubevirt.io/storage nvidia.com/GRID nvidia.com/T4\n" {
		t.Errorf("printed %q, %v", out, err)
	}
	for n, want := range map[int]string{0: "the cluster has no KubeVirt object: is Virtplane installed?", 2: "the cluster has more than one KubeVirt object; there must be one"} {
		if _, _, err := virtctltest.Run(t, cluster(t, n), nil, New, "permitted-devices"); err == nil || err.Error() != want {
			t.Errorf("%d objects: %v, want %s", n, err, want)
		}
	}
}

func TestLogVerbosity(t *testing.T) {
	const config = "/apis/kubevirt.io/v1/namespaces/system/kubevirts/kubevirt"
	const machine = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines/web"
	levels := func(text string) string {
		return `{"spec":{"configuration":{"developerConfiguration":{"logVerbosity":` + text + `}}}}`
	}
	label := func(text string) string {
		return `{"spec":{"template":{"metadata":{"labels":{"logVerbosity":` + text + `}}}}}`
	}
	for _, tc := range []struct {
		args      string
		out, says string
		path      string
		patch     string
	}{
		{args: "--all", out: "virt-api = 2\nvirt-controller = 2\nvirt-handler = 7\nvirt-launcher = 3\nvirt-operator = 2\n"},
		{args: "--virt-handler --virt-api", out: "virt-api = 2\nvirt-handler = 7\n"},
		{args: "--vm=web --vm=off", out: "web = 3\noff = 3\n", says: "web: 5 from its next start on\n"},
		{args: "--all=3 --virt-handler=7", out: "kubevirt/kubevirt log verbosity changed\n", path: config, patch: levels(`{"virtAPI":3,"virtController":3,"virtHandler":7,"virtLauncher":3,"virtOperator":3}`)},
		{args: "--reset --virt-api=9", out: "kubevirt/kubevirt log verbosity changed\n", path: config, patch: levels(`{"virtAPI":9,"virtController":null,"virtHandler":null,"virtLauncher":null,"virtOperator":null}`)},
		{args: "--vm=web --level=6", out: "virtualmachine/web log verbosity changed, from its next start on\n", path: machine, patch: label(`"6"`)},
		{args: "--reset=web", out: "virtualmachine/web log verbosity changed, from its next start on\n", path: machine, patch: label(`null`)},
	} {
		t.Run(tc.args, func(t *testing.T) {
			s := cluster(t, 1)
			out, says, err := virtctltest.Run(t, s, nil, New, append([]string{"adm", "log-verbosity"}, strings.Fields(tc.args)...)...)
			if err != nil || out != tc.out || says != tc.says {
				t.Errorf("printed %q, said %q, %v", out, says, err)
			}
			if tc.path != "" {
				if diff := cmp.Diff([]string{tc.patch}, s.Saw("PATCH", tc.path)); diff != "" {
					t.Errorf("patches of %s (-want +got):\n%s", tc.path, diff)
				}
			}
		})
	}
	for args, want := range map[string]string{
		"":                            "say whose level: a program such as --virt-handler, --all, --reset, or --vm=NAME",
		"--virt-api --virt-handler=3": "show levels and change them in two runs",
		"--all=10":                    `--all must be a number from 0 to 9, not "10"`,
		"--virt-api=loud":             `--virt-api must be a number from 0 to 9, not "loud"`,
		"--vm=web --vm=db --level=3":  "--level was given 1 times for 2 of --vm; give one for each machine",
	} {
		if _, _, err := virtctltest.Run(t, cluster(t, 1), nil, New, append([]string{"adm", "log-verbosity"}, strings.Fields(args)...)...); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", args, err, want)
		}
	}
}
