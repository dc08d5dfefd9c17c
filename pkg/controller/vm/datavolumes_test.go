package vm

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestDataVolumeTemplates: as long as a claim of a template is missing, the machine says that nobody makes it.
func TestDataVolumeTemplates(t *testing.T) {
	templates := func(names ...string) []virtv1.DataVolumeTemplateSpec {
		var out []virtv1.DataVolumeTemplateSpec
		for _, name := range names {
			out = append(out, virtv1.DataVolumeTemplateSpec{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
		return out
	}
	for _, tc := range []struct {
		name            string
		strategy        virtv1.VirtualMachineRunStrategy
		templates, made []string
		want            string
	}{
		{"one is missing", virtv1.RunStrategyAlways, []string{"root"}, nil, "spec.dataVolumeTemplates[0]: "},
		{"the second is missing", virtv1.RunStrategyAlways, []string{"root", "data"}, []string{"root"}, "spec.dataVolumeTemplates[1]: "},
		{"of a machine that is halted", virtv1.RunStrategyHalted, []string{"root"}, nil, "spec.dataVolumeTemplates[0]: "},
		{"none is missing", virtv1.RunStrategyAlways, []string{"root"}, []string{"root"}, ""},
		{"no template", virtv1.RunStrategyAlways, nil, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm := machine(tc.strategy)
			vm.Spec.DataVolumeTemplates = templates(tc.templates...)
			w := newWorld(t, vm)
			make := func(name string) {
				if err := w.server.Create(t.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: name}}); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range tc.made {
				make(name)
			}
			w.reconcile()
			if tc.strategy != virtv1.RunStrategyHalted && tc.want != "" {
				w.report(func(s *virtv1.VirtualMachineInstanceStatus) {
					s.Phase = virtv1.Pending
					s.Conditions = []virtv1.VirtualMachineInstanceCondition{{Type: virtv1.VirtualMachineInstanceProvisioning, Status: corev1.ConditionTrue, Reason: "PersistentVolumeClaimNotFound", Message: "create it"}}
				})
				w.reconcile()
				if c := conditionOf(w.vm(), virtv1.VirtualMachineReady); c.Reason != "UnsupportedField" || !strings.Contains(c.Message, tc.want) {
					t.Errorf("ready %+v", c)
				}
			}
			c := conditionOf(w.vm(), "Synchronized")
			if tc.want == "" {
				if c.Type != "" {
					t.Errorf("condition %+v", c)
				}
				return
			}
			if c.Status != corev1.ConditionFalse || c.Reason != "UnsupportedField" || !strings.HasPrefix(c.Message, tc.want) {
				t.Fatalf("condition %+v", c)
			}
			missing := tc.templates[len(tc.templates)-1]
			make(missing)
			if got := w.r.ofTemplate(t.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: missing}}); len(got) != 1 || got[0].NamespacedName != key {
				t.Errorf("the claim brings %v", got)
			}
			w.reconcile()
			if c := conditionOf(w.vm(), "Synchronized"); c.Type != "" {
				t.Errorf("condition %+v although the claim is there", c)
			}
		})
	}
}
