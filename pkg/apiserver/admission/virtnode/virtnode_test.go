package virtnode

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func TestValidate(t *testing.T) {
	on := func(node, target string) runtime.Object {
		vmi := &virtv1.VirtualMachineInstance{}
		vmi.Status.NodeName = node
		if target != "" {
			vmi.Status.MigrationState = &virtv1.VirtualMachineInstanceMigrationState{TargetNode: target}
		}
		return vmi
	}
	plugins := admission.NewPlugins()
	Register(plugins, func() Node {
		return func(u user.Info) (string, bool) {
			node, agent := strings.CutPrefix(u.GetName(), "agent of ")
			return node, agent
		}
	})
	plugin, err := plugins.InitPlugin(PluginName, nil, admission.PluginInitializers{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, user, resource, subresource string
		operation                         admission.Operation
		old, updated                      runtime.Object
		want                              string
	}{
		{"somebody else", "alice", "virtualmachineinstances", "status", admission.Update, on("b", ""), on("b", ""), ""},
		{"its own", "agent of a", "virtualmachineinstances", "status", admission.Update, on("a", ""), on("a", ""), ""},
		{"one that comes to it", "agent of a", "virtualmachineinstances", "status", admission.Update, on("b", "a"), on("b", "a"), ""},
		{"another's", "agent of a", "virtualmachineinstances", "status", admission.Update, on("b", "c"), on("b", "c"), `node "a" may write the status of its own virtual machine instances alone; this one is on node "b"`},
		{"one on no node, by an agent of none", "agent of ", "virtualmachineinstances", "status", admission.Update, on("", ""), on("", ""), "of its own virtual machine instances alone"},
		{"to another node", "agent of a", "virtualmachineinstances", "status", admission.Update, on("a", ""), on("b", ""), `may not hand the virtual machine instance over: status.nodeName is "a" and would be "b"`},
		{"to no node", "agent of a", "virtualmachineinstances", "status", admission.Update, on("a", ""), on("", ""), "may not hand the virtual machine instance over"},
		{"to itself, before its time", "agent of a", "virtualmachineinstances", "status", admission.Update, on("b", "a"), on("a", "a"), "may not hand the virtual machine instance over"},
		{"the spec", "agent of a", "virtualmachineinstances", "", admission.Update, on("a", ""), on("a", ""), "node a may write nothing but the status"},
		{"a new one", "agent of a", "virtualmachineinstances", "", admission.Create, nil, nil, "node a may write nothing but the status"},
		{"deleting", "agent of a", "virtualmachineinstances", "", admission.Delete, on("a", ""), on("a", ""), "node a may write nothing but the status"},
		{"a machine's status", "agent of a", "virtualmachines", "status", admission.Update, &virtv1.VirtualMachine{}, &virtv1.VirtualMachine{}, "node a may write nothing but the status"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := admission.NewAttributesRecord(tc.updated, tc.old, virtv1.SchemeGroupVersion.WithKind("x"), "ns", "name",
				virtv1.SchemeGroupVersion.WithResource(tc.resource), tc.subresource, tc.operation, nil, false, &user.DefaultInfo{Name: tc.user})
			err := plugin.(admission.ValidationInterface).Validate(t.Context(), a, nil)
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}
