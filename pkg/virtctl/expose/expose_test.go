package expose

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
	"github.com/virtplane/virtplane/test/spec"
)

var longName = strings.Repeat("a", 64)

// server has a machine web with two listed ports, an instance and a replica set.
func server(t *testing.T, made *corev1.Service, dryRun *string) *virtctltest.Server {
	instance := virtv1.VirtualMachineInstanceSpec{
		Networks: []virtv1.Network{{Name: "other", Multus: &virtv1.MultusNetwork{NetworkName: "x"}}, {Name: "default", Pod: &virtv1.PodNetwork{}}},
		Domain: virtv1.DomainSpec{Devices: virtv1.Devices{Interfaces: []virtv1.Interface{
			{Name: "other", Ports: []virtv1.Port{{Port: 1}}}, {Name: "default", Ports: []virtv1.Port{{Name: "ssh", Port: 22}, {Port: 53, Protocol: "UDP"}}},
		}}},
	}
	meta := func(kind string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: kind} }
	return &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines/web":
			virtctltest.JSON(w, virtv1.VirtualMachine{TypeMeta: meta("VirtualMachine"), ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: virtv1.VirtualMachineSpec{Template: &virtv1.VirtualMachineInstanceTemplateSpec{Spec: instance}}})
		case "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines/my.web", "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines/" + longName:
			virtctltest.JSON(w, virtv1.VirtualMachine{TypeMeta: meta("VirtualMachine"), Spec: virtv1.VirtualMachineSpec{Template: &virtv1.VirtualMachineInstanceTemplateSpec{Spec: instance}}})
		case "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances/scratch":
			virtctltest.JSON(w, virtv1.VirtualMachineInstance{TypeMeta: meta("VirtualMachineInstance"), ObjectMeta: metav1.ObjectMeta{Name: "scratch"}})
		case "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstancereplicasets/many":
			virtctltest.JSON(w, virtv1.VirtualMachineInstanceReplicaSet{TypeMeta: meta("VirtualMachineInstanceReplicaSet"), Spec: virtv1.VirtualMachineInstanceReplicaSetSpec{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"set": "many"}}, Template: &virtv1.VirtualMachineInstanceTemplateSpec{Spec: instance}}})
		case "/api/v1/namespaces/ns/services":
			virtctltest.Decode(t, r, made)
			*dryRun = r.URL.Query().Get("dryRun")
			virtctltest.JSON(w, made)
		default:
			virtctltest.Refuse(w, 404, "not found: "+r.URL.Path)
		}
		return true
	}}
}

func TestExpose(t *testing.T) {
	for _, tc := range []struct {
		args string
		want string
		out  string
	}{
		{"vm web --name=web-ssh --port=22 --type=NodePort", `{"ports":[{"protocol":"TCP","port":22,"targetPort":22}],"selector":{"vmi.kubevirt.io/id":"web"},"type":"NodePort"}`, "Service web-ssh successfully exposed for vm web\n"},
		{"vmi scratch --name=x --port=80 --target-port=http --port-name=web --protocol=udp", `{"ports":[{"name":"web","protocol":"UDP","port":80,"targetPort":"http"}],"selector":{"vmi.kubevirt.io/id":"scratch"},"type":"ClusterIP"}`, "Service x successfully exposed for vmi scratch\n"},
		{"vms web --name=x", `{"ports":[{"name":"ssh","protocol":"TCP","port":22,"targetPort":22},{"name":"port-2","protocol":"UDP","port":53,"targetPort":53}],"selector":{"vmi.kubevirt.io/id":"web"},"type":"ClusterIP"}`, "Service x successfully exposed for vm web\n"},
		{"vmirs many --name=x --port=1 --cluster-ip=None --external-ip=192.0.2.1", `{"ports":[{"protocol":"TCP","port":1,"targetPort":1}],"selector":{"set":"many"},"clusterIP":"None","type":"ClusterIP","externalIPs":["192.0.2.1"]}`, "Service x successfully exposed for vmirs many\n"},
		{"vm web --name=x --port=1 --type=LoadBalancer --load-balancer-ip=192.0.2.2 --ip-family=ipv6,ipv4", `{"ports":[{"protocol":"TCP","port":1,"targetPort":1}],"selector":{"vmi.kubevirt.io/id":"web"},"type":"LoadBalancer","loadBalancerIP":"192.0.2.2","ipFamilies":["IPv6","IPv4"],"ipFamilyPolicy":"PreferDualStack"}`, "Service x successfully exposed for vm web\n"},
		{"vm web --name=x --port=1 --ip-family=ipv4 --ip-family-policy=SingleStack --dry-run", `{"ports":[{"protocol":"TCP","port":1,"targetPort":1}],"selector":{"vmi.kubevirt.io/id":"web"},"type":"ClusterIP","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack"}`, "Service x successfully exposed for vm web (dry run)\n"},
		{"vm my.web --name=x --port=1", `{"ports":[{"protocol":"TCP","port":1,"targetPort":1}],"selector":{"vmi.kubevirt.io/id":"my.web"},"type":"ClusterIP"}`, "Service x successfully exposed for vm my.web\n"},
		{"vm " + longName + " --name=x --port=1", `{"ports":[{"protocol":"TCP","port":1,"targetPort":1}],"selector":{"vmi.kubevirt.io/id":"` + virtv1.InstanceID(longName) + `"},"type":"ClusterIP"}`, "Service x successfully exposed for vm " + longName + "\n"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			var made corev1.Service
			var dryRun string
			out, _, err := virtctltest.Run(t, server(t, &made, &dryRun), nil, virtctltest.One(New), append([]string{"expose"}, strings.Fields(tc.args)...)...)
			if err != nil {
				t.Fatal(err)
			}
			var want corev1.ServiceSpec
			if err := json.Unmarshal([]byte(tc.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, made.Spec); diff != "" {
				t.Errorf("Service (-want +got):\n%s", diff)
			}
			if out != tc.out {
				t.Errorf("printed %q, want %q", out, tc.out)
			}
			if made.Namespace != "ns" || (dryRun == "All") != strings.Contains(tc.args, "--dry-run") {
				t.Errorf("namespace %q, dryRun %q", made.Namespace, dryRun)
			}
		})
	}
	spec.Covers(t, "P1-VCTL-14")
}

func TestExposeRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"pod web --name=x":                                `"pod" is none of vm, vmi and vmirs`,
		"vm web --name=X":                                 `--name "X": `,
		"vm web --name=x --port=70000":                    `--port must be from 1 to 65535, not 70000`,
		"vm web --name=x --target-port=22":                `--target-port and --port-name need --port`,
		"vm web --name=x --port=1 --protocol=ICMP":        `--protocol must be TCP, UDP or SCTP, not "ICMP"`,
		"vm web --name=x --port=1 --type=ExternalName":    `--type must be ClusterIP, NodePort or LoadBalancer, not "ExternalName"`,
		"vm web --name=x --port=1 --ip-family=ipv5":       `--ip-family must be ipv4, ipv6, ipv4,ipv6 or ipv6,ipv4, not "ipv5"`,
		"vm web --name=x --port=1 --ip-family-policy=All": `--ip-family-policy must be SingleStack, PreferDualStack or RequireDualStack, not "All"`,
		"vmi scratch --name=x":                            `vmi/scratch lists no ports: say which with --port`,
		"vm gone --name=x --port=1":                       `reading machine gone: not found`,
	} {
		var made corev1.Service
		var dryRun string
		_, _, err := virtctltest.Run(t, server(t, &made, &dryRun), nil, virtctltest.One(New), append([]string{"expose"}, strings.Fields(args)...)...)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("expose %s: error %v, want %s", args, err, want)
		}
		if made.Spec.Type != "" {
			t.Errorf("expose %s: made %+v", args, made.Spec)
		}
	}
}

func TestExposePrints(t *testing.T) {
	var made corev1.Service
	var dryRun string
	out, _, err := virtctltest.Run(t, server(t, &made, &dryRun), nil, virtctltest.One(New), "expose", "vm", "web", "--name=x", "--port=1", "-o", "jsonpath={.kind} {.metadata.name}")
	if err != nil || out != "Service x\n" {
		t.Errorf("printed %q, %v", out, err)
	}
}
