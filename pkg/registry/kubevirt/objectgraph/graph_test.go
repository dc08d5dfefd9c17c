package objectgraph

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

const guest = `
accessCredentials:
- sshPublicKey: {source: {secret: {secretName: keys}}, propagationMethod: {noCloud: {}}}
- userPassword: {source: {secret: {secretName: passwords}}, propagationMethod: {qemuGuestAgent: {}}}
networks:
- {name: default, pod: {}}
- {name: one, multus: {networkName: blue}}
- {name: two, multus: {networkName: infra/green}}
volumes:
- {name: a, dataVolume: {name: root}}
- {name: b, persistentVolumeClaim: {claimName: data}}
- {name: c, configMap: {name: settings}}
- {name: d, secret: {secretName: keys}}
- {name: e, serviceAccount: {serviceAccountName: robot}}
- {name: f, cloudInitNoCloud: {secretRef: {name: user}, networkDataSecretRef: {name: net}}}
- {name: g, containerDisk: {image: x}}
`

// draw writes a graph with one line for each object.
func draw(n *virtv1.ObjectGraphNode, indent string) string {
	mark := ""
	if n.Optional != nil && *n.Optional {
		mark = " optional"
	}
	out := fmt.Sprintf("%s%s %s %s/%s%s\n", indent, n.Labels[dependencyLabel], n.ObjectReference.Kind, *n.ObjectReference.Namespace, n.ObjectReference.Name, mark)
	for i := range n.Children {
		out += draw(&n.Children[i], indent+"  ")
	}
	return out
}

func TestGraph(t *testing.T) {
	var spec virtv1.VirtualMachineInstanceSpec
	if err := yaml.UnmarshalStrict([]byte(guest), &spec); err != nil {
		t.Fatal(err)
	}
	vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"}, Spec: virtv1.VirtualMachineSpec{
		Template:     &virtv1.VirtualMachineInstanceTemplateSpec{Spec: spec},
		Instancetype: &virtv1.InstancetypeMatcher{Name: "u1.small", RevisionName: "web-u1"}, Preference: &virtv1.PreferenceMatcher{Name: "fedora", Kind: "virtualmachinepreferences"},
	}}
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: vm.ObjectMeta, Spec: spec}
	vmi.UID, vmi.Status.ActivePods = "u", map[types.UID]string{"p": "node"}
	const below = `  config Secret shop/keys
  config Secret shop/passwords
  storage DataVolume shop/root
    storage PersistentVolumeClaim shop/root
  storage PersistentVolumeClaim shop/data
  config ConfigMap shop/settings
  network ServiceAccount shop/robot
  config Secret shop/user
  config Secret shop/net
  network NetworkAttachmentDefinition shop/blue optional
  network NetworkAttachmentDefinition infra/green optional
`
	const chosen = `  config VirtualMachineClusterInstancetype /u1.small optional
  config ControllerRevision shop/web-u1
  config VirtualMachinePreference shop/fedora optional
`
	for _, tc := range []struct {
		name    string
		vm      bool
		vmi     *virtv1.VirtualMachineInstance
		options virtv1.ObjectGraphOptions
		want    string
	}{
		{"instance", false, vmi, virtv1.ObjectGraphOptions{}, "compute VirtualMachineInstance shop/web\n  compute Pod shop/virt-launcher-web-POD\n" + below},
		{"machine that runs", true, vmi, virtv1.ObjectGraphOptions{}, "compute VirtualMachine shop/web\n  compute VirtualMachineInstance shop/web\n    compute Pod shop/virt-launcher-web-POD\n" + chosen + below},
		{"machine that is stopped", true, nil, virtv1.ObjectGraphOptions{}, "compute VirtualMachine shop/web\n" + chosen + below},
		{"what must be there", true, nil, virtv1.ObjectGraphOptions{IncludeOptionalNodes: ptr.To(false), LabelSelector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: dependencyLabel, Operator: "In", Values: []string{"storage", "network"}}}}},
			"compute VirtualMachine shop/web\n  storage DataVolume shop/root\n    storage PersistentVolumeClaim shop/root\n  storage PersistentVolumeClaim shop/data\n  network ServiceAccount shop/robot\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got *virtv1.ObjectGraphNode
			var err error
			if tc.vm {
				got, err = Machine(vm, tc.vmi, &tc.options)
			} else {
				got, err = Instance(tc.vmi, &tc.options)
			}
			if err != nil {
				t.Fatal(err)
			}
			text := draw(got, "")
			if at := strings.Index(text, "virt-launcher-web-"); at >= 0 {
				text = text[:at] + "virt-launcher-web-POD" + text[at+len("virt-launcher-web-")+5:]
			}
			if diff := cmp.Diff(tc.want, text); diff != "" {
				t.Errorf("graph (-want +got):\n%s", diff)
			}
		})
	}
	bad := &virtv1.ObjectGraphOptions{LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}}
	if _, err := Instance(vmi, bad); !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "labelSelector: ") {
		t.Errorf("a selector that is none: %v", err)
	}
	if _, err := Machine(&virtv1.VirtualMachine{}, nil, &virtv1.ObjectGraphOptions{}); err != nil {
		t.Errorf("a machine without a template: %v", err)
	}
}
